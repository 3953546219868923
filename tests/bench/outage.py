"""A minute without a broker, and a big backlog: `outage.py [SECONDS [RECORDS]]`, 60 s and 100,000 by default.

First the real daemon at 1,000 values a second (50 Modbus TCP devices of 20 values each second); its mosquitto is
stopped and started again. Prints what was lost, doubled and out of order at a platform that records everything, how
long the gateway took to be up to date, counted from the broker's start and from the gateway's connection, bytes
written to the disk per value meanwhile, and the peak of memory.

Then a gateway without links stores RECORDS readings of ten values while there is no broker, as fast as it takes them,
and sends them with `backlog_rate` at its most; a subscriber in a process of its own counts. Goals: nothing lost,
doubled or out of order; up to date 3 s after the start; 50,000 values a second of backlog; memory that grows by 10 MiB
at most from the first tenth of the readings on (a million of them: `outage.py 60 1000000`, some minutes).
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests"), str(TOP / "tests" / "faults")]

import load  # noqa: E402 - from any folder
from daemon import Daemon, write_profile  # noqa: E402 - as above
from feed import Feed, out_of_order, repetitions  # noqa: E402 - as above
from left_behind import left_behind  # noqa: E402 - as above
from linkless import Linkless, config  # noqa: E402 - as above
from mosquitto import mosquitto  # noqa: E402 - as above
from rig import count_values, field, memory_mib, written_bytes  # noqa: E402 - as above

BROKER = ("allow_anonymous true", "max_queued_messages 0", "set_tcp_nodelay true")
DEVICES, REGISTERS = 50, 20
SETTLE_S, QUIET_S = 10.0, 10.0
MOST_PER_S = 100_000
CAUGHT_UP_S, DRAINED_PER_S, GROWN_MIB = 3.0, 50_000.0, 10.0


def outage(seconds: float) -> bool:
    """Print the first part's figures; whether its goals are met."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_profile(folder, "bench", REGISTERS)
        ports = stack.enter_context(field(DEVICES))
        broker = stack.enter_context(mosquitto(folder / "broker", *BROKER))
        feed = stack.enter_context(Feed(broker.port))
        text = load.config(load.Load(DEVICES, REGISTERS, 1.0), ports, broker.port)
        daemon = stack.enter_context(Daemon(folder, text))
        wait(SETTLE_S)
        rss_mib, written, before = memory_mib(daemon.pid), written_bytes(daemon.pid), len(feed.deliveries)
        broker.end()
        wait(seconds)
        written = written_bytes(daemon.pid) - written
        begun = len(feed.connections)
        broker.start()
        started = time.monotonic()
        feed.wait_for(lambda: len(feed.connections) > begun, 60, "the gateway is back")
        connected = time.monotonic()
        wait(QUIET_S)
        values = REGISTERS * sum(one.key[1] == "telemetry" for one in feed.deliveries[before:])
        peak_mib = memory_mib(daemon.pid, "VmHWM")
        daemon.stop()
        found = left_behind(daemon.state, folder / "broker", whole=True)
    caught_up = max(one.at for one in feed.deliveries if one.hist)
    after = [one.at for one in feed.deliveries if one.at > caught_up]
    assert after, "live records follow"
    latest = max(key[2] for key in feed.contents if key[1] == "telemetry")  # what follows is left to a next life
    missing = found.contents.keys() - feed.contents.keys()
    lost = {key for key in missing if key[1] == "event" or key[2] <= latest or found.has_acked(key)}
    doubled, disorder = repetitions(feed.deliveries), out_of_order(feed.deliveries, list(found.runs))
    print(f"outage of {seconds:.0f} s at {DEVICES * REGISTERS} values/s: {len(found.contents)} records")
    print(f"  {len(lost)} lost, {len(doubled)} doubled, {len(disorder)} out of order, {len(feed.wrong)} wrong")
    took_s, connected_s = caught_up - started, connected - started
    print(f"  up to date {took_s:.2f} s after the broker's start, {took_s - connected_s:.2f} s after the connection")
    print(f"  {written / max(1, values * seconds / (seconds + QUIET_S)):.0f} bytes written per value during the outage")
    print(f"  RSS before {rss_mib:.1f} MiB, peak {peak_mib:.1f} MiB")
    return not (lost or doubled or disorder or feed.wrong) and took_s <= CAUGHT_UP_S


def gateway(folder: Path, broker: int, readings: int, pipe: Connection) -> None:
    """Take so many readings; say the memory (MiB) after a tenth of them and when they are stored; stop when told."""
    uplink = f", backlog_rate: {MOST_PER_S}"
    with Linkless(folder, config(broker, 1, site="bench", limit=70_000.0, uplink=uplink), 10) as linkless:
        quiet, early_mib = threading.Event(), 0.0
        for number in range(readings):
            if number == readings // 10:
                early_mib = memory_mib(os.getpid())
            while linkless.gateway._hub.behind():
                quiet.wait(0.01)
            linkless.reading("device-00", {f"r{point}": (number % 5000) / 100 + point for point in range(10)})
        while linkless.gateway.status(30.0).health.counts["not_stored"]:
            quiet.wait(0.1)
        pipe.send((early_mib, memory_mib(os.getpid())))
        pipe.recv()


def drain(readings: int) -> bool:
    """Print the second part's figures; whether its goal is met."""
    context = multiprocessing.get_context("spawn")
    pipe, end = context.Pipe()
    counter, counter_end = context.Pipe()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(mosquitto(folder / "broker", *BROKER))
        subscriber = context.Process(target=count_values, args=(broker.port, counter_end), daemon=True)
        subscriber.start()
        stack.callback(subscriber.terminate)
        assert counter.recv() == "ready"
        broker.end()
        process = context.Process(target=gateway, args=(folder / "gw1", broker.port, readings, end))
        process.start()
        stack.callback(process.join, 30)
        stack.callback(pipe.send, "stop")
        assert process.pid is not None
        began = time.monotonic()
        while not pipe.poll(1.0):
            assert process.is_alive()
        early_mib, late_mib = pipe.recv()
        stored_s = time.monotonic() - began
        broker.start()
        seen = [(time.monotonic(), 0)]
        while seen[-1][1] < 10 * readings:
            assert time.monotonic() - seen[0][0] < 60 + readings / 1000, seen[-1]
            wait(0.05)
            counter.send(True)
            seen.append((time.monotonic(), counter.recv().values))
        wait(1.0)
        counter.send(True)
        doubled = counter.recv().values - 10 * readings
        sent_mib = memory_mib(process.pid)
    first = max(at for at, values in seen if not values)
    rate = seen[-1][1] / (seen[-1][0] - first)
    print(f"backlog of {10 * readings} values, stored offline in {stored_s:.1f} s:")
    print(f"  {rate:.0f} values/s from the first to the last at the subscriber, {doubled} values doubled")
    print(
        f"  RSS {early_mib:.1f} MiB after the first tenth, {late_mib:.1f} MiB when stored, {sent_mib:.1f} MiB when sent"
    )
    return rate >= DRAINED_PER_S and not doubled and max(late_mib, sent_mib) - early_mib <= GROWN_MIB


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def main() -> int:
    """Print the figures; 1 if a goal is missed."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    readings = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    met = [outage(seconds), drain(readings)]
    print(f"goals: nothing wrong; {CAUGHT_UP_S:g} s; {DRAINED_PER_S:.0f} values/s; {GROWN_MIB:g} MiB more")
    return int(not all(met))


if __name__ == "__main__":
    sys.exit(main())
