"""The broker ended and started again under load: `broker_restarts.py [COUNT [SEED]]`, 50 times by default.

The real daemon with five Modbus TCP devices sends 800 values a second and an alarm every few hundred milliseconds to a
mosquitto, which half of the times stands still for up to a second before it ends; around half of the restarts the
platform is away. In the first half of the campaign SIGTERM ends the broker: it saves what it has acknowledged and not
delivered yet, and the platform, which keeps a session there, must get everything. In the second half SIGKILL does: what
it had acknowledged and not delivered, and who had subscribed, is forgotten with it. On the broker's word no gateway can
do anything for that; but the platform sees by the numbers what it lacks, and asks for it with `resend`.

Shown: 0 lost by SIGTERM; after SIGKILL nothing missing but what the broker had acknowledged, and 0 lost after `resend`.
All the while order holds for each connection, lane and stream, and what came again is at most the window.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
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
from gateway.model import Lane  # noqa: E402 - as above

RESTARTS = 50
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
        self._feed = feed
        self._chance = chance

    def restart(self, *, kill: bool) -> None:
        """End the broker at some moment, and start it again later; the platform may have left before and come later.

        Half of the times it stands still for a while before, so that something is on its way.
        """
        is_away = self._chance.random() < 0.5
        wait(self._chance.uniform(0.05, 1.0))
        if is_away:
            self._feed.leave()
        wait(self._chance.uniform(0.05, 1.0))
        begun = len(self._feed.connections)
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
            self._feed.come()
        self._feed.wait_for(lambda: self._feed.is_connected, 10, "the platform is back")
        self._feed.wait_for(lambda: len(self._feed.connections) > begun, 30, "the gateway is back")

    def settled(self) -> set[Key]:
        """Wait until the platform has what is the newest now, and the gateway no backlog; gives what it then lacks."""
        status = self._status()
        run, counts = status["run"], status["health"]["counts"]
        last = {"event": counts["events"], "telemetry": counts["telemetry"]}
        newest = (run, "telemetry", last["telemetry"])
        self._feed.wait_for(lambda: newest in self._feed.contents, 60, "the newest")
        until = time.monotonic() + 60
        while self._status()["health"]["journal"]["backlog"]["platform"] > 100:
            assert time.monotonic() < until, "the backlog is sent"
            wait(0.1)
        lacking = {
            (run, lane, seq)
            for lane, end in last.items()
            for seq in range(1, end + 1)
            if (run, lane, seq) not in self._feed.contents
        }
        while not all(map(left_behind(self._daemon.state, self._scratch).has_acked, lacking)):
            assert time.monotonic() < until, "the gateway lost what the broker had not acknowledged"
            wait(0.5)
            lacking -= self._feed.contents.keys()
        return lacking

    def ask_again(self, lacking: set[Key]) -> None:
        """As a platform does that has seen by the numbers what it lacks."""
        run = self._feed.connections[-1]
        for lane in Lane:
            spans = Ranges((seq, seq) for _, of, seq in lacking if of == lane)
            for first, last in spans:
                self._feed.ask_again("sitewarden/v1/campaign/gw1", run, lane, first, last)
                wait(ASK_EVERY_S)
        self._feed.wait_for(lambda: lacking <= self._feed.contents.keys(), 60, "what was asked for again")

    def _status(self) -> dict[str, Any]:
        status = self._daemon.status()
        assert status is not None
        return status


def broker_restarts(count: int, seed: int) -> Counter[str]:
    """End and start the broker so often; what was seen."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_profile(folder, "campaign", REGISTERS)
        ports = stack.enter_context(field(DEVICES, SWING))
        (folder / "scratch").mkdir()
        broker = stack.enter_context(mosquitto(folder / "broker", *BROKER))
        feed = stack.enter_context(Feed(broker.port))
        daemon = stack.enter_context(Daemon(folder, config(ports, broker.port)))
        campaign = Campaign(folder, daemon, broker, feed, chance)
        told = campaign.told
        feed.wait_for(lambda: bool(feed.connections), 30, "the gateway is connected")
        for number in range(count):
            if number == count // 2:
                assert not campaign.settled(), "lost by SIGTERM"
            campaign.restart(kill=number >= count // 2)
        forgotten = campaign.settled()
        told["forgotten by killed brokers"] = len(forgotten)
        sent = list(feed.deliveries)
        campaign.ask_again(forgotten)
        assert daemon.stop() == 0
        found = left_behind(daemon.state, folder / "scratch", whole=True)
        lost = {
            key for key in found.contents.keys() - feed.contents.keys() if key[1] == "event" or found.has_acked(key)
        }
        feed.wait_for(lambda: lost <= feed.contents.keys(), 10, "the last events")
        assert found.is_sound
        assert not found.gaps
        assert not feed.wrong, feed.wrong[:3]
        assert all(found.contents[key] == text for key, text in feed.contents.items()), "changed on the way"
        assert not (disorder := out_of_order(sent, list(found.runs))), disorder[:5]
        repeated = repetitions(sent)
        assert most_repeated(repeated) <= WINDOW, "more came again than the window"
        told["records stored"] = len(found.contents)
        told["events among them"] = sum(lane == "event" for _, lane, _ in found.contents)
        told["came again"] = len(repeated)
        told["connections"] = len(feed.connections)
    return told


def main() -> int:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else RESTARTS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    print(f"{count} restarts of the broker, seed {seed}", flush=True)
    began = time.monotonic()
    for what, number in broker_restarts(count, seed).items():
        print(f"  {number:9,}  {what}")
    print(f"nothing lost, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
