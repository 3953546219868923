"""CPU time of one Modbus exchange of 20 registers, on our side alone: `python tests/bench/exchange.py`.

The devices run in another process; the best of five rounds of 1,000 exchanges is shown. Goal: 60 us each for RTU over
a pty and for TCP. On RTU no gap is kept, so that exchanges follow each other as on TCP; the last line keeps the gap of
1.75 ms before each request and shows what sleeping, waking up and cold caches add.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

from modbus_responder import RtuDevices, TcpDevices, values_of

from gateway.config import schema
from gateway.driver import Family, Registers, Table
from gateway.links.foresight import Foresight
from gateway.links.modbus import Exchange
from gateway.links.port import Pace, Wire
from gateway.links.serial import SerialLine, pace
from gateway.links.tcp import TcpPeer

COUNT, ROUNDS, EXCHANGES = 20, 5, 1000
GOAL_US = 60.0


def serve(pipe: Connection, make: Callable[[], RtuDevices | TcpDevices]) -> None:
    with make() as devices:
        pipe.send(str(devices.path) if isinstance(devices, RtuDevices) else devices.port)
        pipe.recv()


def on_pty() -> RtuDevices:
    return RtuDevices(Path(tempfile.mkdtemp()))


@contextmanager
def devices(make: Callable[[], RtuDevices | TcpDevices]) -> Iterator[str | int]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, make), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(5)


def cost_us(registers: Registers) -> float:
    """CPU time of this thread for one exchange, in the best round."""
    expected = values_of(1, 3, 0, COUNT)
    rounds = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        for _ in range(EXCHANGES):
            values = registers.read(1, Table.HOLDING, 0, COUNT)
        rounds.append((time.thread_time() - started) / EXCHANGES * 1e6)
        assert list(values) == expected
    return min(rounds)


def rtu(*, gap: bool) -> float:
    with devices(on_pty) as path:
        part = schema.SerialLink(type="serial", port=str(path), baudrate=115_200)
        line = SerialLine("bus", part)
        line.open()
        try:
            times = pace(part) if gap else Pace(pace(part).char_s, 0.0)
            wire: Wire = line._wire
            return cost_us(Exchange(wire, "rtu", times))
        finally:
            line.close()


def tcp() -> float:
    with devices(TcpDevices) as port:
        peer = TcpPeer("io", schema.TcpLink(type="tcp", host="127.0.0.1", port=int(port)))
        peer.open()
        try:
            registers = peer.offer(Family.REGISTERS)
            assert isinstance(registers, Foresight)
            return cost_us(registers)
        finally:
            peer.close()


def main() -> int:
    goals = {"rtu": rtu(gap=False), "tcp": tcp()}
    for name, cost in goals.items():
        print(f"{name:14} {cost:6.1f} us CPU per exchange of {COUNT} registers (goal {GOAL_US:.0f})")
    print(f"rtu with gaps  {rtu(gap=True):6.1f} us CPU")
    return 0 if all(cost <= GOAL_US for cost in goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
