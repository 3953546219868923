"""A simulated RS-485 bus for trying out `scan`, `probe`, `read` and `capture`: sensors, byte for byte.

One of them has no profile, so that there is something to find out.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gateway.demo.drift import Drift
from gateway.demo.modbus_field import RtuBus, Slave, renke_rs_ws_n01, wp8028adam, xy_md02
from gateway.demo.wiring import Wiring

BAUDRATE = 9600
DEVICES = {
    1: "a temperature and humidity sensor",
    2: "another one, of another maker",
    3: "a module with eight inputs and eight outputs",
    7: "a meter that no profile is for",
}
"""By unit id, what they are."""


def introduced(port: Path) -> Iterator[str]:
    """What a person can do with the bus at `port`."""
    yield f"A simulated RS-485 bus is at {port}: {BAUDRATE} baud, no parity, 1 stop bit. On it are"
    yield from (f"  unit {unit}: {what}" for unit, what in DEVICES.items())
    yield "Try in a second terminal:"
    yield f"  sitewarden scan --port {port} --baudrates {BAUDRATE} --units 1-10"
    yield f"  sitewarden probe --port {port} --unit 1"
    yield "Ctrl-C takes it down."


class SimulatedBus:
    """The bus, from `open` to `close`; its port is `name`, a symbolic link."""

    def __init__(self, name: Path) -> None:
        self._wiring = Wiring()
        slaves = (
            xy_md02(1, Drift(4.2, 0.3).at, Drift(61.0, 1.0, 0.7).at),
            renke_rs_ws_n01(2, Drift(21.5, 0.3, 1.9).at, Drift(48.0, 1.0, 2.5).at),
            wp8028adam(3, [True, False, True, *[False] * 5]),
            _meter(7, Drift(230.2, 0.8, 3.1).at),
        )
        self._bus = RtuBus(self._wiring, name, BAUDRATE, slaves)
        self._thread = threading.Thread(target=self._wiring.run, name="demo-bus", daemon=True)

    def open(self) -> None:
        """Put it up; raises OSError where `name` cannot be made."""
        self._wiring.open()
        self._bus.open()
        self._thread.start()

    def close(self) -> None:
        """Take it down, once."""
        if self._thread.is_alive():
            self._wiring.post(None)
            self._thread.join(5.0)
        self._bus.close()
        self._wiring.close()


def _meter(unit: int, voltage: Callable[[float], float]) -> Slave:
    """A meter: voltage as float32, low register first (0), hours of work as uint32 (2), its name as text (4)."""

    def contents(now: float) -> Mapping[int, Mapping[int, int]]:
        high, low = struct.unpack(">HH", struct.pack(">f", round(voltage(now), 1)))
        name = struct.unpack(">4H", b"METER-7 ")
        return {3: dict(enumerate((low, high, 0, 1234, *name)))}

    return Slave(unit, contents)
