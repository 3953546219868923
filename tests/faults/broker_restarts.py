"""The broker ended and started again under load: `broker_restarts.py [COUNT [SEED]]`, 50 times by default.

The real daemon with five Modbus TCP devices sends 800 values a second and an alarm every few hundred milliseconds to a
mosquitto, which half of the times stands still for up to a second before it ends; around half of the restarts the
platform is away.

- First half: SIGTERM. The broker saves what it has acknowledged and not delivered yet, and the platform, which keeps a
  session there, must get everything. 0 lost.
- Second half: SIGKILL. What the broker had acknowledged and not delivered is forgotten with it, and who had subscribed.
  On the broker's word no gateway can do anything for that; but nothing else may be missing, and the platform, which
  sees by the numbers what it lacks, asks for it with `resend`. 0 lost then.
- Half as many once more: SIGKILL, where the uplink has `acknowledged_by: platform`, and the platform confirms what it
  has. 0 lost, and nobody asks.

In the first two order holds for each connection, lane and stream, and what came again is at most the window; in the
last one order holds in the live streams (what is not confirmed goes again as backlog, whatever went before).
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "bench"), str(TESTS.parent)]

from daemon import Daemon, write_profile  # noqa: E402 - from any folder
from feed import WINDOW, Feed, Key, most_repeated, out_of_order, repetitions  # noqa: E402 - as above
from kills import BROKER, DEVICES, REGISTERS, SWING, config, wait  # noqa: E402 - as above
from left_behind import left_behind  # noqa: E402 - as above
from mosquitto import Mosquitto, mosquitto  # noqa: E402 - as above
from rig import field  # noqa: E402 - as above

from gateway.journal.ranges import Ranges  # noqa: E402 - as above

RESTARTS = 50
COUNTS = {"event": "events", "telemetry": "telemetry"}
"""The lanes, and what health calls the last number of each."""

ASK_EVERY_S = 0.6
"""A gateway takes two commands a second."""


class Campaign:
    """One life of the daemon, and many of its broker."""

    def __init__(self, folder: Path, daemon: Daemon, broker: Mosquitto, feed: Feed, chance: random.Random) -> None:
        self.told: Counter[str] = Counter()
        self._scratch = folder / "scratch"
        self._saved = folder / "broker" / "mosquitto.db"
        self._daemon = daemon
        self._broker = broker
        self.feed = feed
        self._chance = chance

    def restart(self, *, kill: bool) -> None:
        """End the broker at some moment, and start it again later; the platform may have left before and come later.

        Half of the times it stands still for a while before, so that something is on its way.
        """
        is_away = self._chance.random() < 0.5
        wait(self._chance.uniform(0.05, 1.0))
        self.told["the platform away"] += is_away
        if is_away:
            self.feed.leave()
        wait(self._chance.uniform(0.05, 1.0))
        begun = len(self.feed.connections)
        if self._chance.random() < 0.5:
            self._broker.hang()
            wait(self._chance.uniform(0.0, 1.0))
        self._broker.end(kill=kill)
        self.told["SIGKILL" if kill else "SIGTERM"] += 1
        if kill:
            self._saved.unlink(missing_ok=True)  # by default mosquitto saves nothing, and with Debian's each half hour
        wait(self._chance.uniform(0.0, 1.5))
        self._broker.start()
        if is_away:
            wait(self._chance.uniform(0.0, 2.5))
            self.feed.come()
        self.feed.wait_for(lambda: self.feed.is_connected, 10, "the platform is back")
        self.feed.wait_for(lambda: len(self.feed.connections) > begun, 30, "the gateway is back")

    def wait_for_all(self) -> None:
        """Until the platform has everything that there is now, and the gateway has heard so."""
        counts = self._status()["health"]["counts"]
        run = self.feed.connections[0]
        due = {(run, lane, seq) for lane in ("event", "telemetry") for seq in range(1, counts[COUNTS[lane]] + 1)}
        self.feed.wait_for(lambda: due <= self.feed.contents.keys(), 120, "everything")
        until = time.monotonic() + 60
        while not all(map(left_behind(self._daemon.state, self._scratch).has_acked, due)):
            assert time.monotonic() < until, "the gateway does not hear that the platform has everything"
            wait(0.5)

    def settled(self) -> set[Key]:
        """Wait until the platform has what is the newest now, and the gateway no backlog; gives what it then lacks."""
        counts, run = self._status()["health"]["counts"], self.feed.connections[0]
        last = {lane: counts[name] for lane, name in COUNTS.items()}
        newest = (run, "telemetry", last["telemetry"])
        self.feed.wait_for(lambda: newest in self.feed.contents, 60, "the newest")
        until = time.monotonic() + 60
        while self._status()["health"]["journal"]["backlog"]["platform"] > 100:
            assert time.monotonic() < until, "the backlog is sent"
            wait(0.1)
        lacking = {
            (run, lane, seq)
            for lane, end in last.items()
            for seq in range(1, end + 1)
            if (run, lane, seq) not in self.feed.contents
        }
        while not all(map(left_behind(self._daemon.state, self._scratch).has_acked, lacking)):
            assert time.monotonic() < until, "the gateway lost what the broker had not acknowledged"
            wait(0.5)
            lacking -= self.feed.contents.keys()
        return lacking

    def ask_again(self, lacking: set[Key]) -> None:
        """As a platform does that has seen by the numbers what it lacks."""
        run = self.feed.connections[0]
        for lane in COUNTS:
            spans = Ranges((seq, seq) for _, of, seq in lacking if of == lane)
            for first, last in spans:
                self.feed.ask_again("sitewarden/v1/campaign/gw1", run, lane, first, last)
                wait(ASK_EVERY_S)
        self.feed.wait_for(lambda: lacking <= self.feed.contents.keys(), 60, "what was asked for again")

    def _status(self) -> dict[str, Any]:
        status = self._daemon.status()
        assert status is not None
        return status


@contextmanager
def campaign(chance: random.Random, *, confirms: bool = False) -> Iterator[Campaign]:
    """Everything running, and the gateway connected; ended in order, and looked at."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "scratch").mkdir()
        write_profile(folder, "campaign", REGISTERS)
        ports = stack.enter_context(field(DEVICES, SWING))
        broker = stack.enter_context(mosquitto(folder / "broker", *BROKER))
        feed = stack.enter_context(Feed(broker.port, confirms=confirms))
        text = config(ports, broker.port, ", acknowledged_by: platform, confirm_within: 3s" if confirms else "")
        daemon = stack.enter_context(Daemon(folder, text))
        one = Campaign(folder, daemon, broker, feed, chance)
        feed.wait_for(lambda: bool(feed.connections), 30, "the gateway is connected")
        yield one
        assert daemon.stop() == 0
        found = left_behind(daemon.state, folder / "scratch", whole=True)
        due = {key for key in found.contents.keys() - feed.contents.keys() if key[1] == "event" or found.has_acked(key)}
        feed.wait_for(lambda: due <= feed.contents.keys(), 10, "the last events")
        assert found.is_sound
        assert not found.gaps
        assert not feed.wrong, feed.wrong[:3]
        assert all(found.contents[key] == text for key, text in feed.contents.items()), "changed on the way"
        one.told["records stored"] = len(found.contents)
        one.told["events among them"] = sum(lane == "event" for _, lane, _ in found.contents)
        one.told["connections"] = len(feed.connections)


def on_the_brokers_word(count: int, chance: random.Random) -> Counter[str]:
    """The first two parts."""
    with campaign(chance) as one:
        for number in range(count):
            if number == count // 2:
                assert not one.settled(), "lost by SIGTERM"
            one.restart(kill=number >= count // 2)
        forgotten = one.settled()
        sent = list(one.feed.deliveries)
        one.ask_again(forgotten)
    assert not (disorder := out_of_order(sent, one.feed.connections[:1])), disorder[:5]
    repeated = repetitions(sent)
    assert most_repeated(repeated) <= WINDOW, "more came again than the window"
    one.told["came again"] = len(repeated)
    one.told["forgotten by killed brokers, and sent on request"] = len(forgotten)
    return one.told


def on_the_platforms_word(count: int, chance: random.Random) -> Counter[str]:
    """The third part."""
    with campaign(chance, confirms=True) as one:
        for _ in range(count):
            one.restart(kill=True)
        one.wait_for_all()
    live = [delivery for delivery in one.feed.deliveries if not delivery.hist]
    assert not (disorder := out_of_order(live, one.feed.connections[:1])), disorder[:5]
    one.told["came again"] = len(repetitions(one.feed.deliveries))
    one.told["came as backlog"] = len(one.feed.deliveries) - len(live)
    return one.told


def main() -> int:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RESTARTS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"{count} restarts of the broker, seed {seed}", flush=True)
    began = time.monotonic()
    chance = random.Random(seed)
    for part in (on_the_brokers_word(count, chance), on_the_platforms_word(count // 2, chance)):
        for what, number in part.items():
            print(f"  {number:9,}  {what}")
        print()
    print(f"nothing lost, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
