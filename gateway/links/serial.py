"""Serial lines: an RS-485 bus or one device that talks by itself; the only user of pyserial.

pyserial opens and configures the port; bytes then go through its file descriptor, without its own waiting.
"""

from __future__ import annotations

import errno
import os
import termios
import time
from collections.abc import Sequence
from contextlib import suppress

import serial

from gateway.config import schema
from gateway.driver import Family, Heard, Registers, Stream
from gateway.errors import LinkDown
from gateway.links.port import Pace, Tap, Wire
from gateway.wiretime import of_line

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
_GONE = "the adapter was unplugged or lost power: plug it in again; use its name under /dev/serial/by-id"


def pace(line: schema.SerialLink) -> Pace:
    """Character time and gap of `line`."""
    wire = of_line(line.baudrate, line.parity, line.stopbits, line.guard, line.timeout)
    return Pace(wire.character_s, wire.silence_s + wire.guard_s, line.timeout, line.echo)


class SerialLine:
    """A serial port as a link."""

    def __init__(self, name: str, line: schema.SerialLink) -> None:
        self._line = line
        self._port: serial.Serial | None = None
        self._pace = pace(line)
        self._wire = Wire(f"{name} ({line.port})", _GONE, self._pace.char_s)

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
            raise _unusable(line, error) from error
        self._port = port
        self._wire.attach(port.fileno())

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
        return (Heard(data, time.monotonic()),) if data else ()

    def wake(self) -> None:
        """Make `wait` return; from any thread."""
        self._wire.wake()

    def tap(self, tap: Tap | None) -> None:
        """Tell `tap` of everything that passes from now on; None: nobody."""
        self._wire.tap = tap


def _unusable(line: schema.SerialLink, error: Exception) -> LinkDown:
    """Why the port cannot be opened, and what to do about it."""
    port = line.port
    code = error.errno if isinstance(error, OSError) else None  # SerialException is an OSError
    if code == errno.ENOENT:
        return LinkDown(f"there is no port {port}", _plugged_in())
    if code in {errno.EACCES, errno.EPERM}:
        return LinkDown(f"no permission to open {port}", "add the user to the group: sudo usermod -aG dialout <user>")
    if code in {errno.EAGAIN, errno.EBUSY}:
        return LinkDown(f"{port} is in use by another program", f"find it with: sudo fuser -v {port}")
    if code in {errno.ENXIO, errno.ENODEV, errno.EIO}:
        return LinkDown(f"{port} exists but nothing answers behind it ({os.strerror(code)})", _plugged_in())
    if isinstance(error, ValueError):
        return LinkDown(f"{port} does not accept these settings: {error}", "check baudrate, parity and stopbits")
    return LinkDown(f"{port} cannot be opened as a serial port: {error}", "check that this is a serial port")


def _plugged_in() -> str:
    """The ports of this machine, by names that stay."""
    from serial.tools.list_ports import comports  # noqa: PLC0415 - only for this message

    names = sorted(port.device for port in comports(include_links=True))
    stable = [name for name in names if name.startswith("/dev/serial/by-id/")]
    found = ", ".join(stable or names)
    return f"plugged in are: {found}" if found else "no serial port is plugged in: check the cable and the adapter"
