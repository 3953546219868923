"""The whole simulated site of config/demo.yaml: its wires, its devices and its people.

Invariants: everything listens on loopback or below one folder; all devices live on one thread, and what the story
wants of them is posted to it; a closed site leaves no file, socket or thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TypeAlias

from gateway.demo.counter_field import PeopleCounter
from gateway.demo.drift import Crowd, Drift
from gateway.demo.gps_field import fix_at, sentences
from gateway.demo.modbus_field import ModbusTcpModule, RtuBus, renke_rs_ws_n01, wp8028adam, xy_md02
from gateway.demo.pins_field import MockPin, PinsField, SirenAnswered
from gateway.demo.port import SerialPort
from gateway.demo.story import Aim, Door, Silence, Smoke
from gateway.demo.wiring import Wiring

SMOKE_PINS = {"smoke-1": 17, "smoke-2": 27}
SIREN_PIN = 22
UNITS = {"cold-1": 1, "freezer-1": 2, "dock-air": 3}
LORRY_M_S = 8.3


class Hushed(NamedTuple):
    """A device on the bus fell silent (or speaks again) at this monotonic and wall time (UTC ms)."""

    device: str
    silent: bool
    mono: float
    ts: int


Seen: TypeAlias = SirenAnswered | Hushed


class Site:
    """The site, from `open` to `close`. `seen` brings what only the field can know."""

    def __init__(self, folder: Path, pin: Callable[[int], MockPin]) -> None:
        self.seen: SimpleQueue[Seen] = SimpleQueue()
        self._wiring = Wiring()
        self._quantities = {
            "cold-1.temperature": Drift(3.2, 0.3),
            "cold-1.humidity": Drift(84.0, 1.5, 0.7),
            "freezer-1.temperature": Drift(-19.2, 0.3, 1.9),
            "freezer-1.humidity": Drift(61.0, 1.0, 2.5),
            "dock-air.temperature": Drift(18.4, 0.3, 3.1),
            "dock-air.humidity": Drift(55.0, 2.0, 4.4),
        }
        value = {name: drift.at for name, drift in self._quantities.items()}
        self._slaves = {
            "cold-1": xy_md02(UNITS["cold-1"], value["cold-1.temperature"], value["cold-1.humidity"]),
            "freezer-1": xy_md02(UNITS["freezer-1"], value["freezer-1.temperature"], value["freezer-1.humidity"]),
            "dock-air": renke_rs_ws_n01(UNITS["dock-air"], value["dock-air.temperature"], value["dock-air.humidity"]),
        }
        self._inputs = [True, True, *[False] * 6]  # a door's contact is closed while the door is
        self._bus = RtuBus(self._wiring, folder / "bus1", 9600, self._slaves.values())
        self._module = ModbusTcpModule(self._wiring, wp8028adam(1, self._inputs))
        self._gps = SerialPort(self._wiring, folder / "gps", 9600)
        self._entrance = SerialPort(self._wiring, folder / "entrance", 115200)
        self._counter = PeopleCounter(self._wiring, self._entrance, Crowd(18))
        self._pins = PinsField(
            self._wiring,
            {device: pin(number) for device, number in SMOKE_PINS.items()},
            pin(SIREN_PIN),
            self.seen.put,
        )
        self._thread = threading.Thread(target=self._wiring.run, name="demo-site", daemon=True)
        self._started = 0.0

    def open(self) -> dict[tuple[str, ...], str | int]:
        """Put everything up; returns what of the configuration must point here: path of keys -> value."""
        self._wiring.open()
        self._bus.open()
        self._gps.open()
        self._entrance.open()
        module_port = self._module.open()
        self._pins.rest()
        self._started = time.monotonic()
        self._wiring.at(self._started, self._drive)
        self._wiring.at(self._started, self._counter.tick)
        self._thread.start()
        return {
            ("links", "bus1", "port"): str(self._bus.port.name),
            ("links", "gps", "port"): str(self._gps.name),
            ("links", "entrance", "port"): str(self._entrance.name),
            ("links", "dock-io", "host"): "127.0.0.1",
            ("links", "dock-io", "port"): module_port,
            ("links", "gpio", "factory"): "mock",
        }

    def close(self) -> None:
        """Take everything down, once."""
        if self._thread.is_alive():
            self._wiring.post(None)
            self._thread.join(5.0)
        for wire in (self._bus, self._gps, self._entrance, self._module):
            wire.close()
        self._wiring.close()

    @property
    def alive(self) -> bool:
        """Whether the site's thread runs."""
        return self._thread.is_alive()

    def act(self, act: Aim | Door | Smoke | Silence) -> None:
        """Let something happen on the site; from any thread, returns at once."""
        self._wiring.post(lambda: self._happen(act))

    def _happen(self, act: Aim | Door | Smoke | Silence) -> None:
        now = time.monotonic()
        match act:
            case Aim("entrance-1.people", target, within_s):
                self._counter.crowd.aim(round(target), within_s, now)
            case Aim(quantity, target, within_s):
                self._quantities[quantity].aim(target, within_s, now)
            case Door(number, opened):
                self._inputs[number - 1] = not opened
            case Smoke(device, alarm):
                self._pins.smoke(device, alarm)
            case Silence(device, silent):
                self._slaves[device].silent = silent
                self.seen.put(Hushed(device, silent, now, time.time_ns() // 1_000_000))

    def _drive(self) -> None:
        """The lorry's receiver speaks, once a second."""
        now = time.monotonic()
        fix = fix_at((now - self._started) * LORRY_M_S, LORRY_M_S)
        self._gps.say(sentences(fix, datetime.now(UTC)))
        self._wiring.at(now + 1.0, self._drive)
