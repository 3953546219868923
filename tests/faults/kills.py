"""The daemon killed at random moments under load: `kills.py [COUNT [SEED]]`, 200 kills by default.

Five Modbus TCP devices give 800 values a second and an alarm every few hundred milliseconds; the broker is a real
mosquitto. Half of the kills come while the broker is away, half of these after it stood still for a while, and half of
these let the next life begin without it, too. Most lives last 0.2 to 3 s, one in ten up to 12 s, so that what was
acknowledged is on the disk or not, as it happens.

Shown, by a platform that records everything, and by a copy of the journal's files as each kill has left them:
- every committed record arrives, and with the contents that were committed;
- nothing arrives that was not committed, except events of a disk that took more than a second (counted);
- what came again had not been acknowledged on the disk when its gateway began, and had come at most MAX_AGE_S before
  the kill of the one that sent it first; what comes again within one life is at most the window of a connection;
- order holds for each connection, lane and stream; no identity was used twice; `started` names the run before with its
  last numbers; nothing was given up; the chain of events is sound.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "bench"), str(TESTS.parent)]

from daemon import Daemon, write_profile  # noqa: E402 - from any folder
from feed import WINDOW, Feed, Key, most_repeated, out_of_order, repetitions  # noqa: E402 - as above
from left_behind import LeftBehind, left_behind  # noqa: E402 - as above
from mosquitto import Mosquitto, mosquitto  # noqa: E402 - as above
from rig import field  # noqa: E402 - as above

KILLS = 200
DEVICES, REGISTERS, PERIOD_MS = 5, 16, 100
SWING = 4097
"""By so much registers rise a poll: they go round in 16 polls, through the rules' limit, and take every value."""

MAX_AGE_S = 12.0
"""Acknowledgements are on the disk after 10 s at the latest; two more for a busy machine."""

BROKER = ("allow_anonymous true", "max_queued_messages 0", "set_tcp_nodelay true")


def config(ports: list[int], broker: int, uplink: str = "") -> str:
    links = "\n".join(f"  l{n}: {{type: tcp, host: 127.0.0.1, port: {port}}}" for n, port in enumerate(ports))
    devices = "\n".join(
        f"  d{n}: {{driver: modbus, link: l{n}, unit: 1, profile: campaign, every: {PERIOD_MS}ms, zone: hall}}"
        for n in range(len(ports))
    )
    rules = "\n".join(
        f"  high-{n}: {{point: d{n}.r0, above: 30000, priority: high, hold_chattering: false}}"
        for n in range(len(ports))
    )
    return f"""
site: {{id: campaign}}
gateway: {{id: gw1}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"{uplink}}}
links:
{links}
devices:
{devices}
rules:
{rules}
"""


class Campaign:
    """Lives and kills, and what they left."""

    def __init__(self, folder: Path, daemon: Daemon, broker: Mosquitto, feed: Feed, chance: random.Random) -> None:
        self.daemon = daemon
        self.broker = broker
        self.feed = feed
        self.told: Counter[str] = Counter()
        self.committed: dict[Key, str] = {}
        self.found: list[LeftBehind] = [left_behind(daemon.state, folder)]  # before each life, and after the last
        self.ended_at: list[float] = []
        self._scratch = folder
        self._chance = chance

    def live_and_die(self) -> None:
        """One life."""
        chance = self._chance
        life_s = chance.uniform(0.2, 3.0) if chance.random() < 0.9 else chance.uniform(3.0, 12.0)
        offline = chance.random() < 0.5
        self.daemon.start()
        if not self.broker.is_running:
            wait(chance.uniform(0.0, life_s))
            self._start_broker()
        if offline:
            wait(life_s)
            if chance.random() < 0.5:
                self.broker.hang()
                wait(chance.uniform(0.0, 1.0))
            self.broker.end()
            life_s = chance.uniform(0.0, 3.0)
        wait(life_s)
        self.daemon.kill()
        self._look("killed offline" if offline else "killed online")
        if offline and chance.random() < 0.5:
            self._start_broker()

    def end(self) -> None:
        """One more life, which brings everything to the platform and stops in order."""
        if not self.broker.is_running:
            self._start_broker()
        made = len(self.feed.connections)
        self.daemon.start()
        self.feed.wait_for(lambda: len(self.feed.connections) > made, 30, "the last life is connected")
        self.feed.wait_for(lambda: self.committed.keys() <= self.feed.contents.keys(), 120, "what was committed")
        assert self.daemon.stop() == 0
        last = self._look("stopped", whole=True)
        left = {key for key in last.contents if key[1] == "telemetry" and not last.has_acked(key)}
        due = last.contents.keys() - left
        self.feed.wait_for(lambda: due <= self.feed.contents.keys(), 10, "the last run")
        self.told["records that the orderly stop at the end left for a next life"] = len(left)
        assert last.is_sound, "the chain of events is broken"
        assert not last.gaps, "something was given up"
        assert last.contents == self.committed, "stored records have changed"

    def lives(self) -> Iterator[tuple[str, LeftBehind, float]]:
        """Each run that the journal knew, what it found, and when it ended."""
        for (before, found), end in zip(pairwise(self.found), self.ended_at, strict=True):
            if found.last_run is not None and found.last_run != before.last_run:
                yield found.last_run, before, end

    def _start_broker(self) -> None:
        self.broker.start()
        self.feed.wait_for(lambda: self.feed.is_connected, 10, "the broker is back")

    def _look(self, end: str, *, whole: bool = False) -> LeftBehind:
        self.ended_at.append(time.monotonic())
        found, before = left_behind(self.daemon.state, self._scratch, whole=whole), self.found[-1]
        self.told[end if found.last_run != before.last_run else "killed before the journal knew the run"] += 1
        assert len(found.runs.keys() - before.runs.keys()) <= 1, "one run a life"
        self.committed |= found.contents
        self.found.append(found)
        return found


def judge(campaign: Campaign) -> None:
    """Everything that can be said at the end; AssertionError names what does not hold."""
    feed, told = campaign.feed, campaign.told
    runs = list(campaign.found[-1].runs)
    assert not feed.wrong, feed.wrong[:3]
    uncommitted = feed.contents.keys() - campaign.committed.keys()
    assert all(lane == "event" for _, lane, _ in uncommitted), "telemetry that was never committed"
    told["events that left before their commit"] = len(uncommitted)
    differing = [key for key, text in feed.contents.items() if campaign.committed.get(key, text) != text]
    assert not differing, differing[:5]
    assert not (disorder := out_of_order(feed.deliveries, runs)), disorder[:5]
    judge_starts(campaign, runs)
    judge_repetitions(campaign)
    told["records committed"] = len(campaign.committed)
    told["events among them"] = sum(lane == "event" for _, lane, _ in campaign.committed)
    told["records received"] = len(feed.deliveries)
    told["connections"] = len(feed.connections)


def judge_starts(campaign: Campaign, runs: list[str]) -> None:
    """Each run names the one before it, with the last numbers that its journal holds."""
    starts = {event["run"]: event for event in campaign.feed.events if event["event"] == "started"}
    for run, before, _ in campaign.lives():
        if run not in starts:
            continue
        previous = starts[run]["previous"]
        lasts = {"run": before.last_run, **before.lasts()} if before.runs else None
        assert previous == lasts, f"run {run} names {previous}, and before it was {lasts}"
        campaign.told["starts that name what was before"] += 1
    silent = set(runs) - starts.keys()
    assert all(run not in silent for run, _, _ in campaign.committed), "a run without its first event"


def judge_repetitions(campaign: Campaign) -> None:
    """What came again was not acknowledged on the disk, and not for long."""
    feed, told = campaign.feed, campaign.told
    found_before = {run: before for run, before, _ in campaign.lives()}
    ends = {run: end for run, _, end in campaign.lives()}
    repeated = repetitions(feed.deliveries)
    within = []
    for repetition in repeated:
        first, again = (feed.connections[one.connection] for one in repetition)
        if first == again:
            within.append(repetition)
            continue
        key = repetition.again.key
        assert not found_before[again].has_acked(key), f"{key} came again, and the disk knew that it had come"
        age = ends[first] - repetition.before.at
        assert age < MAX_AGE_S, f"{key} came again, and had come {age:.1f} s before the kill"
    assert most_repeated(within) <= WINDOW, "more came again within a life than the window"
    told["came again after a kill"] = len(repeated) - len(within)
    told["came again within a life"] = len(within)
    told["most messages that came again of one connection, within a life"] = most_repeated(within)


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def kills(count: int, seed: int) -> Counter[str]:
    """Kill so often; what was seen."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        write_profile(folder, "campaign", REGISTERS)
        ports = stack.enter_context(field(DEVICES, SWING))
        broker = stack.enter_context(mosquitto(folder / "broker", *BROKER))
        feed = stack.enter_context(Feed(broker.port))
        daemon = Daemon(folder, config(ports, broker.port))
        campaign = Campaign(scratch, daemon, broker, feed, chance)
        try:
            for number in range(count):
                campaign.live_and_die()
                if number % 50 == 49:
                    print(f"  {number + 1} kills, {len(campaign.committed)} records committed", flush=True)
            campaign.end()
        finally:
            if daemon.process is not None:
                daemon.kill()
        judge(campaign)
        return campaign.told


def main() -> int:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"{count} kills, seed {seed}", flush=True)
    began = time.monotonic()
    told = kills(count, seed)
    for what, number in told.items():
        print(f"  {number:9,}  {what}")
    print(f"nothing lost, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
