"""Connections cut at random bytes, under load: `cuts.py [COUNT [SEED]]`, 500 cuts by default.

Five whole gateways but for their links, each with its journal, send to a mosquitto through a network (cutter.py) that
ends each connection behind a byte chosen by chance, of either direction, from the handshake on: by a reset, in order,
or by swallowing everything from there on without telling anybody; until then bytes pass as they are, late, or one a
segment. Pauses between attempts are a tenth of what they are on a site, as the cuts would take too long else. Each
gateway makes 100 readings of ten values a second, and alarms.

Shown: every record of every journal arrives, with its contents; order holds for each connection, lane and stream; what
comes again is at most the window of the connection that ended; no attempt follows another without a pause, except one
with the older protocol after a broker has hung up twice.
"""

from __future__ import annotations

import logging
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from cutter import Network, any_cut  # noqa: E402 - from any folder
from feed import WINDOW, Feed, Key, most_repeated, out_of_order, repetitions  # noqa: E402 - as above
from left_behind import left_behind  # noqa: E402 - as above
from linkless import Linkless, config  # noqa: E402 - as above
from mosquitto import mosquitto  # noqa: E402 - as above

from gateway.uplink.attempts import Pauses  # noqa: E402 - as above

CUTS = 500
GATEWAYS, DEVICES, REGISTERS, TICK_S = 5, 2, 10, 0.02
PAUSES = Pauses(least_s=0.1, most_s=0.1)
BROKER = ("allow_anonymous true", "max_queued_messages 0", "set_tcp_nodelay true")


class Load:
    """Readings of one gateway: every register rises by 500 a reading, round and round through the rule's limit."""

    def __init__(self, gateway: Linkless) -> None:
        self.readings = 0
        self._gateway = gateway

    def make(self) -> None:
        """One reading of each device."""
        for device in range(DEVICES):
            self.readings += 1
            values = {f"r{number}": (self.readings * 500 + number) % 40_000 for number in range(REGISTERS)}
            self._gateway.reading(f"device-{device:02}", values)


def cuts(count: int, seed: int) -> Counter[str]:
    """Cut so often; what was seen."""
    chance = random.Random(seed)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(mosquitto(folder / "broker", *BROKER))
        feed = stack.enter_context(Feed(broker.port))
        network = Network(broker.port, any_cut, chance.getrandbits(64))
        stack.callback(network.stop)
        gateways = [
            Linkless(
                folder / f"gw{number}",
                config(network.listen(), DEVICES, gateway=f"gw{number}", uplink=", keepalive: 5s"),
                REGISTERS,
                PAUSES,
            )
            for number in range(GATEWAYS)
        ]
        with ExitStack() as running:
            loads = [Load(running.enter_context(gateway)) for gateway in gateways]
            due = time.monotonic()
            while network.cuts.total() < count:
                due += TICK_S
                threading.Event().wait(max(0.0, due - time.monotonic()))
                for load in loads:
                    load.make()
            network.is_calm = True
            for gateway, load in zip(gateways, loads, strict=True):
                run, last = gateway.gateway.run, load.readings
                feed.wait_for(lambda r=run, n=last: (r, "telemetry", n) in feed.contents, 60, "the newest")  # type: ignore[misc]
                feed.wait_for(lambda r=run, n=last: has_all(feed, r, n), 60, f"all of {run}")  # type: ignore[misc]
        told = network.cuts + Counter({f"passed as: {pace}": number for pace, number in network.paces.items()})
        told["connections begun"] = sum(map(len, network.came.values()))
        told["attempts without a pause before them"] = sum(map(hurried, network.came.values()))
        judge(feed, gateways, folder, told)
        told["readings made"] = sum(load.readings for load in loads)
    return told


def has_all(feed: Feed, run: str, last: int) -> bool:
    return all((run, "telemetry", seq) in feed.contents for seq in range(1, last + 1))


def hurried(began: list[float]) -> int:
    """How many of the connections that began at these times follow the one before within less than the least pause."""
    return sum(after - before < 0.45 * PAUSES.least_s for before, after in pairwise(began))


def judge(feed: Feed, gateways: list[Linkless], folder: Path, told: Counter[str]) -> None:
    """Everything that can be said at the end; AssertionError names what does not hold."""
    assert not feed.wrong, feed.wrong[:3]
    stored: dict[Key, str] = {}
    for gateway in gateways:
        found = left_behind(gateway.state, folder, whole=True)
        assert found.is_sound
        assert not found.gaps
        left = {key for key in found.contents if key not in feed.contents and not found.has_acked(key)}
        assert len(left) <= 2, left  # events of the stop itself, where a last cut had just ended the connection
        assert all(lane == "event" for _, lane, _ in left), "telemetry is missing"
        stored |= {key: text for key, text in found.contents.items() if key not in left}
    assert feed.contents == stored, "something was lost, made up or changed on the way"
    runs = [gateway.gateway.run for gateway in gateways]
    assert not (disorder := out_of_order(feed.deliveries, runs)), disorder[:5]
    repeated = repetitions(feed.deliveries)
    assert most_repeated(repeated) <= WINDOW, "more came again than the window"
    assert told["attempts without a pause before them"] <= told["connections begun"] / 4, "it hurries"
    told["events"] = sum(lane == "event" for _, lane, _ in feed.contents)
    told["came again"] = len(repeated)
    told["most messages that came again of one connection"] = most_repeated(repeated)


def main() -> int:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else CUTS
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 32)
    logging.disable(logging.ERROR)
    print(f"{count} cuts, seed {seed}", flush=True)
    began = time.monotonic()
    for what, number in cuts(count, seed).items():
        print(f"  {number:9,}  {what}")
    print(f"nothing lost, in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
