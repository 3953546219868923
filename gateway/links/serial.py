"""Serial lines: an RS-485 bus or one device that talks by itself; the only user of pyserial.

pyserial opens and configures the port; bytes then go through its file descriptor, without its own waiting.

Not tried on a real UART: `direction`. That the driver is asked for it, and a port that has none refuses, is tested.
"""

from __future__ import annotations

import os
import termios
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import serial
from serial.rs485 import RS485Settings

from gateway.config import schema
from gateway.config.wires import wire_of_line
from gateway.driver import Family, Heard, Registers, Stream
from gateway.errors import LinkDown
from gateway.links.faults import unusable
from gateway.links.port import Pace, Tap, Wire

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
_LOOK_S = 2.0
_A_BIT_MORE_S = 1e-6  # pyserial cuts to whole milliseconds, and 29 of them are 28.999...
_NO_RTS = (
    "leave out `direction` if the adapter switches by itself, as nearly all on USB do; else the port's own driver has "
    "to know RS-485 (on a Raspberry Pi: its UART with the right overlay)"
)
_GONE = "the adapter was unplugged or lost power: plug it in again; use its name under /dev/serial/by-id"


def pace(line: schema.SerialLink) -> Pace:
    """What exchanges on `line` have to keep to."""
    wire = wire_of_line(line)
    return Pace(wire.character_s, wire.silence_s + wire.guard_s, line.timeout, line.echo, wire.switching_s)


def rs485(direction: schema.Direction, *, echo: bool) -> RS485Settings:
    """What the kernel's driver is asked for (TIOCSRS485); it keeps the delays in whole ms."""
    high = direction.rts == "high"
    before_s, after_s = (delay_s + _A_BIT_MORE_S for delay_s in (direction.before, direction.after))
    return RS485Settings(high, not high, echo, before_s, after_s)


class SerialLine:
    """A serial port as a link."""

    def __init__(self, name: str, line: schema.SerialLink) -> None:
        self._line = line
        self._port: serial.Serial | None = None
        self._pace = pace(line)
        self._wire: Wire = _Line(f"{name} ({line.port})", line.port, self._pace.char_s)

    @property
    def trace(self) -> Trace | None:
        """What the port's name leads to; a change may mean that it can be opened again."""
        return trace(self._line.port)

    @property
    def noise_bytes(self) -> int:
        """Bytes so far that belonged to no reply."""
        return self._wire.noise_bytes

    def open(self) -> None:
        """Open and configure the port, for us alone; raises LinkDown."""
        line = self._line
        port = serial.Serial(
            None, line.baudrate, parity=_PARITY[line.parity], stopbits=line.stopbits, timeout=0, exclusive=True
        )
        port.port = line.port
        try:
            port.open()
        except (OSError, serial.SerialException, termios.error, ValueError) as error:
            raise unusable(line.port, error) from error
        self._port = port
        if line.direction is not None:
            self._switch(port, line.direction)
        self._wire.attach(port.fileno())

    def _switch(self, port: serial.Serial, direction: schema.Direction) -> None:
        """Have the port's driver switch between sending and receiving; raises LinkDown where it cannot."""
        try:
            port.rs485_mode = rs485(direction, echo=self._line.echo)
        except (OSError, ValueError, NotImplementedError) as error:
            self.close()
            raise LinkDown(f"the driver of {self._line.port} cannot switch direction by RTS", _NO_RTS) from error

    def close(self) -> None:
        """Close the port."""
        self._wire.detach()
        if self._port is not None:
            with suppress(OSError, serial.SerialException, termios.error):
                self._port.close()
            self._port = None

    def offer(self, family: Family) -> Registers | Stream:
        """Registers behind Modbus RTU, or the bytes as they come."""
        if family is Family.REGISTERS:
            from gateway.links.modbus import Exchange  # noqa: PLC0415 - pymodbus costs 30 ms: only where it is used

            return Exchange(self._wire, "rtu", self._pace)
        self._wire.listen()
        return self._wire

    def wait(self, until: float) -> Sequence[Heard]:
        """What the device said by itself."""
        data = self._wire.wait(until)
        self._wire.prepare()
        return (Heard(data, time.monotonic()),) if data else ()

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        self._wire.wake()

    def tap(self, tap: Tap | None) -> None:
        """Tell `tap` of everything that passes from now on; None: nobody."""
        self._wire.tap = tap


class Trace(NamedTuple):
    """What the name of a port leads to: the device file, and who may open it."""

    device: tuple[int, int, int]
    guard: tuple[int, int, int]


def trace(path: str) -> Trace | None:
    """What `path` leads to; None if that is nothing."""
    try:
        it = os.stat(path)  # noqa: PTH116 - every few seconds, and while a port is missing
    except OSError:
        return None
    return Trace((it.st_dev, it.st_ino, it.st_rdev), (it.st_mode, it.st_uid, it.st_gid))


class _Line(Wire):
    """The port's bytes; sees that its name has come to lead somewhere else, where nobody says that it has gone."""

    def __init__(self, name: str, path: str, char_s: float) -> None:
        super().__init__(name, _GONE, char_s)
        self._path = path
        self._opened: Trace | None = None
        self._look_at = 0.0

    def attach(self, fd: int) -> None:
        """Use the opened `fd` from now on."""
        super().attach(fd)
        self._opened = trace(self._path)
        self._look_at = time.monotonic() + _LOOK_S

    def prepare(self) -> None:
        """See now and then whether this is still the port that was meant; raises LinkDown."""
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_S
        now = trace(self._path)
        if now is not None and self._opened is not None and now.device != self._opened.device:
            raise self._gone("this name leads to another device now")
