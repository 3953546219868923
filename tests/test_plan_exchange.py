"""Planned reads over a real line: a device that refuses what lies between its registers, and one that keeps silent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from daemon import PROFILE
from modbus_responder import Devices, RtuDevices, Script, TcpDevices, about, exception, mbap, silent, value_of

from gateway.config.installed import read_config
from gateway.config.wires import load_of
from gateway.driver import Family, Polled, Registers, Table
from gateway.errors import NoReply
from gateway.links.choice import link as chosen
from gateway.links.port import Link
from gateway.model import Values

POINTS = """\
  a: {kind: setting, table: holding, address: 0, type: uint16}
  b: {kind: setting, table: holding, address: 1, type: uint16}
  c: {kind: setting, table: holding, address: 9, type: uint16}
  d: {kind: setting, table: holding, address: 14, type: uint16}"""
RIGHT = {name: value_of(1, 3, at) for name, at in (("a", 0), ("b", 1), ("c", 9), ("d", 14))}


class Site:
    """One device on one link, as its configuration makes them."""

    def __init__(self, folder: Path, link: str, devices: Devices, option: str = "") -> None:
        (folder / "profiles").mkdir(exist_ok=True)
        (folder / "profiles" / "test.yaml").write_text(PROFILE.format(points=POINTS))
        path = folder / "site.yaml"
        device = f"{{driver: modbus, link: bus1, unit: 1, profile: test, zone: hall{option}}}"
        path.write_text(f"site: {{id: a}}\ngateway: {{id: b}}\nlinks:\n  bus1: {link}\ndevices:\n  one: {device}\n")
        self.config = read_config(path)
        driver = self.config.devices["one"].built
        assert isinstance(driver, Polled)
        self.driver = driver
        self.devices = devices
        self.link: Link = chosen("bus1", self.config.links["bus1"], (), folder)
        self.link.open()
        self.registers: Registers = self.link.offer(Family.REGISTERS)  # type: ignore[assignment]

    def poll(self) -> Values:
        return self.driver.poll(self.registers)

    def asked(self) -> list[tuple[int, int]]:
        """Address and count of what one poll asks for on the wire."""
        self.devices.asked.clear()
        self.poll()
        head = 8 if isinstance(self.devices, TcpDevices) else 2
        numbers = [(request[head : head + 2], request[head + 2 : head + 4]) for _, request in self.devices.asked]
        return [(int.from_bytes(address), int.from_bytes(count)) for address, count in numbers]


@pytest.fixture
def serial(bus: RtuDevices, tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, f"{{type: serial, port: {bus.path}, baudrate: 9600, timeout: 40ms}}", bus)
    yield site
    site.link.close()


def test_gaps_are_read_over_in_one_request_and_every_value_is_its_own(serial: Site) -> None:
    assert serial.asked() == [(0, 15)]
    assert serial.poll() == RIGHT


def test_a_network_reads_over_the_same_gaps(tmp_path: Path) -> None:
    with TcpDevices() as peer:
        site = Site(tmp_path, f"{{type: tcp, host: 127.0.0.1, port: {peer.port}, timeout: 500ms}}", peer)
        assert site.asked() == [(0, 15)]
        assert site.poll() == RIGHT
        site.link.close()


def test_what_a_device_behind_a_network_refuses_is_split_as_well(tmp_path: Path) -> None:
    def refusing(request: bytes, reply: bytes) -> Script:
        first, count = int.from_bytes(request[8:10]), int.from_bytes(request[10:12])
        refused = mbap(int.from_bytes(request[:2]), 1, b"\x83\x02")
        return [(0.0, refused if first <= 5 < first + count else reply)]

    with TcpDevices() as peer:
        peer.always[1] = refusing
        site = Site(tmp_path, f"{{type: tcp, host: 127.0.0.1, port: {peer.port}, timeout: 500ms}}", peer)
        assert site.asked() == [(0, 15), (0, 2), (9, 6)]
        assert site.asked() == [(0, 2), (9, 6)]
        assert site.poll() == RIGHT
        site.link.close()


def test_a_limit_of_the_device_holds_on_the_wire(bus: RtuDevices, tmp_path: Path) -> None:
    site = Site(tmp_path, f"{{type: serial, port: {bus.path}, timeout: 40ms}}", bus, ", max_gap: 4, max_registers: 6")
    assert site.asked() == [(0, 2), (9, 6)]
    assert site.poll() == RIGHT
    site.link.close()


def test_a_range_that_is_refused_is_split_in_the_same_poll_and_stays_split(serial: Site, bus: RtuDevices) -> None:
    bus.always[1] = about({5}, exception(2))
    assert serial.poll() == RIGHT
    assert serial.asked() == [(0, 2), (9, 6)]
    bus.always.clear()
    assert serial.asked() == [(0, 2), (9, 6)]
    assert [(read.address, read.size, read.used) for read in serial.driver.reads] == [(0, 2, 2), (9, 6, 2)]


def test_a_range_about_which_the_device_keeps_silent_is_split_after_eight_polls(serial: Site, bus: RtuDevices) -> None:
    bus.always[1] = about({5}, silent)
    for _ in range(7):
        with suppress(NoReply):
            serial.poll()
    assert serial.poll() == RIGHT
    assert serial.asked() == [(0, 2), (9, 1), (14, 1)]


def test_a_device_without_an_answer_keeps_the_next_waiting_as_long_as_the_configuration_counts_for_it(
    bus: RtuDevices, tmp_path: Path
) -> None:
    link = f"{{type: serial, port: {bus.path}, baudrate: 9600, timeout: 100ms}}"
    site = Site(tmp_path, link, bus, ", max_gap: 0")
    load = load_of(site.config.links["bus1"], site.config.devices)
    assert load is not None
    counted_s = load.devices["one"].absent_s
    assert counted_s == pytest.approx(0.4, abs=0.01)
    bus.deaf.add(1)
    began = time.monotonic()
    with pytest.raises(NoReply):
        site.poll()
    site.registers.read(2, Table.HOLDING, 0, 1)
    took_s = time.monotonic() - began
    assert len(bus.asked) == 3
    assert counted_s - 0.02 < took_s < counted_s + 0.15
    site.link.close()


def test_a_device_that_is_away_for_long_is_read_as_planned_when_it_is_back(serial: Site, bus: RtuDevices) -> None:
    bus.deaf.add(1)
    for _ in range(6):
        with pytest.raises(NoReply):
            serial.poll()
    bus.deaf.clear()
    assert serial.poll() == RIGHT
    assert serial.asked() == [(0, 15)]
