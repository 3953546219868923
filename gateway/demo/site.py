"""A whole simulated site: its wires, its devices and its people, as its cast says.

Invariants: everything listens on loopback or below one folder; all devices live on one thread, and what the story
wants of them is posted to it; a closed site leaves no file, socket or thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, TypeAlias

from gateway.demo.cast import Cast, Journey, Quantity, Sensor
from gateway.demo.counter_field import PeopleCounter
from gateway.demo.drift import Crowd, Drift
from gateway.demo.files_field import FilesField
from gateway.demo.gps_field import ROUTE, fix_at, lost, sentences
from gateway.demo.modbus_field import ModbusTcpModule, RtuBus, Slave, renke_rs_ws_n01, wp8028adam, xy_md02
from gateway.demo.pins_field import MockPin, PinsField, SirenAnswered
from gateway.demo.port import SerialPort
from gateway.demo.story import Aim, Contact, Door, Passage, Silence, Smoke, Tunnel
from gateway.demo.wiring import Wiring

_BAUDRATE, _COUNTER_BAUDRATE = 9600, 115200
_MODELS = {"xy-md02": xy_md02, "renke-rs-ws-n01": renke_rs_ws_n01}

Happened: TypeAlias = Aim | Contact | Door | Passage | Silence | Smoke | Tunnel


class Hushed(NamedTuple):
    """A device on the bus fell silent (or speaks again) at this monotonic and wall time (UTC ms)."""

    device: str
    silent: bool
    mono: float
    ts: int


Seen: TypeAlias = SirenAnswered | Hushed


class _Receiver:
    """A GPS receiver that goes round a route, as fast as its quantity says. Lives on the wiring's thread."""

    def __init__(self, port: SerialPort, journey: Journey) -> None:
        self.port = port
        self.speed = Drift(journey.speed_m_s, 0.0)
        self.sees_nothing = False
        self._route = journey.route or ROUTE
        self._travelled_m = 0.0
        self._last: float | None = None

    def speak(self, now: float) -> None:
        """Say where it is now."""
        speed_m_s = max(0.0, self.speed.at(now))
        self._travelled_m += speed_m_s * (now - (self._last or now))
        self._last = now
        if self.sees_nothing:
            self.port.say(lost(datetime.now(UTC)))
        else:
            self.port.say(sentences(fix_at(self._travelled_m, speed_m_s, self._route), datetime.now(UTC)))


class Site:
    """The site, from `open` to `close`. `seen` brings what only the field can know."""

    def __init__(self, cast: Cast, folder: Path, pin: Callable[[int], MockPin]) -> None:
        self.seen: SimpleQueue[Seen] = SimpleQueue()
        self._cast = cast
        self._wiring = Wiring()
        self._quantities: dict[str, Drift] = {}
        self._slaves: dict[str, Slave] = {}
        self._lines = {
            link: RtuBus(self._wiring, folder / link, _BAUDRATE, [self._slave(sensor) for sensor in sensors])
            for link, sensors in cast.lines.items()
        }
        self._inputs = {link: list(inputs) for link, inputs in cast.modules.items()}
        self._modules = {
            link: ModbusTcpModule(self._wiring, wp8028adam(1, inputs)) for link, inputs in self._inputs.items()
        }
        self._receivers = {
            link: _Receiver(SerialPort(self._wiring, folder / link, _BAUDRATE), journey)
            for link, journey in cast.receivers.items()
        }
        self._counter_ports = {
            link: SerialPort(self._wiring, folder / link, _COUNTER_BAUDRATE) for link in cast.counters
        }
        self._counters = {
            door.device: PeopleCounter(self._wiring, self._counter_ports[link], Crowd(door.inside))
            for link, door in cast.counters.items()
        }
        self._pins = PinsField(
            self._wiring,
            {device: (pin(contact.pin), contact.rest_high) for device, contact in cast.contacts.items()},
            {device: (pin(pair.outer), pin(pair.inner)) for device, pair in cast.beams.items()},
            None if cast.siren_pin is None else pin(cast.siren_pin),
            self.seen.put,
        )
        self._files = FilesField(
            folder / "kernel",
            {it: (p, self._living(f"{it}.temperature", p.temperature)) for it, p in cast.probes.items()},
        )
        self._quantities |= {
            f"{journey.device}.speed": self._receivers[link].speed for link, journey in cast.receivers.items()
        }
        self._receiver_of = {journey.device: self._receivers[link] for link, journey in cast.receivers.items()}
        self._thread = threading.Thread(target=self._wiring.run, name="demo-site", daemon=True)

    def _living(self, name: str, quantity: Quantity) -> Callable[[float], float]:
        self._quantities[name] = Drift(*quantity)
        return self._quantities[name].at

    def _slave(self, sensor: Sensor) -> Slave:
        temperature = self._living(f"{sensor.device}.temperature", sensor.temperature)
        humidity = self._living(f"{sensor.device}.humidity", sensor.humidity)
        slave = self._slaves[sensor.device] = _MODELS[sensor.model](sensor.unit, temperature, humidity)
        return slave

    def open(self) -> dict[tuple[str, ...], str | int]:
        """Put everything up; returns what of the configuration must point here: path of keys -> value."""
        self._wiring.open()
        return dict(self._opened())

    def _opened(self) -> Iterator[tuple[tuple[str, ...], str | int]]:
        for link, line in self._lines.items():
            line.open()
            yield ("links", link, "port"), str(line.port.name)
        for link, receiver in self._receivers.items():
            receiver.port.open()
            yield ("links", link, "port"), str(receiver.port.name)
        for link, port in self._counter_ports.items():
            port.open()
            yield ("links", link, "port"), str(port.name)
        for link, module in self._modules.items():
            yield ("links", link, "host"), "127.0.0.1"
            yield ("links", link, "port"), module.open()
        if self._cast.contacts or self._cast.beams:
            self._pins.rest()
            yield ("links", self._cast.header, "factory"), "mock"
        now = time.monotonic()
        if self._cast.files:
            self._files.open(now)
            yield ("links", self._cast.files, "root"), str(self._files.root)
        self._wiring.at(now, self._drive)
        for counter in self._counters.values():
            self._wiring.at(now, counter.tick)
        self._thread.start()

    def close(self) -> None:
        """Take everything down, once."""
        if self._thread.is_alive():
            self._wiring.post(None)
            self._thread.join(5.0)
        for line in self._lines.values():
            line.close()
        for port in (*(it.port for it in self._receivers.values()), *self._counter_ports.values()):
            port.close()
        for module in self._modules.values():
            module.close()
        self._files.close()
        self._wiring.close()

    @property
    def alive(self) -> bool:
        """Whether the site's thread runs."""
        return self._thread.is_alive()

    def act(self, act: Happened) -> None:
        """Let something happen on the site; from any thread, returns at once."""
        self._wiring.post(lambda: self._happen(act))

    def _happen(self, act: Happened) -> None:
        now = time.monotonic()
        match act:
            case Aim(quantity, target, within_s) if quantity.removesuffix(".people") in self._counters:
                self._counters[quantity.removesuffix(".people")].crowd.aim(round(target), within_s, now)
            case Aim(quantity, target, within_s):
                self._quantities[quantity].aim(target, within_s, now)
            case Door(link, number, opened):
                self._inputs[link][number - 1] = not opened  # its contact is closed while the door is
            case Smoke(device, alarm):
                self._pins.smoke(device, alarm)
            case Contact(device, active):
                self._pins.switch(device, active)
            case Passage(device, inward):
                self._pins.walk(device, inward)
            case Tunnel(device, inside):
                self._receiver_of[device].sees_nothing = inside
            case Silence(device, silent):
                self._slaves[device].silent = silent
                self.seen.put(Hushed(device, silent, now, time.time_ns() // 1_000_000))

    def _drive(self) -> None:
        """Once a second receivers speak and thermometers measure."""
        now = time.monotonic()
        for receiver in self._receivers.values():
            receiver.speak(now)
        self._files.refresh(now)
        self._wiring.at(now + 1.0, self._drive)
