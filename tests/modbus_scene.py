"""An exchange on a real wire with misbehaving devices behind it: RTU on a pty, RTU over TCP, and Modbus TCP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import pytest
from modbus_responder import RtuDevices, TcpDevices, values_of

from gateway.config import schema
from gateway.driver import Family, Registers, Table
from gateway.errors import NoReply
from gateway.links.foresight import Foresight
from gateway.links.modbus import Exchange
from gateway.links.port import Pace
from gateway.links.serial import SerialLine
from gateway.links.tcp import TcpPeer

TIMEOUT_S = 0.2
FUNCTION = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}

WireName: TypeAlias = Literal["rtu", "rtu over tcp", "tcp"]
WIRES: tuple[WireName, ...] = ("rtu", "rtu over tcp", "tcp")


def serial_part(path: Path | str, timeout_s: float = TIMEOUT_S) -> schema.SerialLink:
    return schema.SerialLink(type="serial", port=str(path), baudrate=115_200, timeout=timeout_s)


def tcp_part(port: int, *, rtu: bool = False, timeout_s: float = TIMEOUT_S) -> schema.TcpLink:
    framing: Literal["rtu", "tcp"] = "rtu" if rtu else "tcp"
    return schema.TcpLink(type="tcp", host="127.0.0.1", port=port, framing=framing, timeout=timeout_s)


def registers_of(link: SerialLine | TcpPeer) -> Exchange | Foresight:
    offered = link.offer(Family.REGISTERS)
    assert isinstance(offered, Exchange | Foresight)
    return offered


class Scene(NamedTuple):
    """Devices, and the link to them."""

    wire: WireName
    devices: RtuDevices | TcpDevices
    link: SerialLine | TcpPeer
    registers: Exchange | Foresight

    @property
    def is_rtu(self) -> bool:
        """Whether the frames are those of RTU."""
        return self.wire != "tcp"


@contextmanager
def scene(wire: WireName, folder: Path, timeout_s: float = TIMEOUT_S) -> Iterator[Scene]:
    with RtuDevices(folder) if wire == "rtu" else TcpDevices(framed_as_rtu=wire == "rtu over tcp") as devices:
        link: SerialLine | TcpPeer
        if isinstance(devices, RtuDevices):
            link = SerialLine("bus1", serial_part(devices.path, timeout_s))
        else:
            link = TcpPeer("io1", tcp_part(devices.port, rtu=wire == "rtu over tcp", timeout_s=timeout_s))
        link.open()
        try:
            yield Scene(wire, devices, link, registers_of(link))
        finally:
            link.close()


def read_is_right(registers: Registers, unit: int = 1, address: int = 100, count: int = 4) -> bool:
    return list(registers.read(unit, Table.HOLDING, address, count)) == values_of(unit, 3, address, count)


def fault_of(ask: Callable[[], object]) -> str:
    with pytest.raises(NoReply) as caught:
        ask()
    return caught.value.fault


class Heard:
    """A port on which a request is followed by given bytes, in given pieces; its time does not pass."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.last = 0.0
        self._chunks = list(chunks)
        self._asked = False

    def prepare(self) -> None:
        pass

    def renew(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self._asked = True

    def receive(self, until: float) -> bytes:
        return self._chunks.pop(0) if self._asked and self._chunks else b""

    def noise(self, count: int) -> None:
        assert count >= 0


def exchange_over(framing: Literal["rtu", "tcp"], stream: bytes, cut: int, *, echo: bool = False) -> Exchange:
    """An exchange whose first request is followed by `stream`, in pieces of `cut` bytes."""
    pieces = [stream[i : i + cut] for i in range(0, len(stream), cut)]
    return Exchange(Heard(pieces), framing, Pace(timeout_s=0.0, echo=echo))
