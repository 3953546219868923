"""An MCP3008 behind simulated pins: every bit of its protocol goes over the wires, as on a real header."""

from __future__ import annotations

import os
from collections.abc import Iterator
from errno import EIO
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockSPIDevice

import drivers
from drivers.mcp3008 import Input, Mcp3008, Mcp3008Options
from gateway.config.load import load
from gateway.config.schema import GpioLink
from gateway.driver import PinUse, Pull
from gateway.errors import ConfigError, NoReply
from gateway.links.gpio import GpioHeader, WiredPin
from gateway.model import Bad, Reason, Values

FAULT = Bad(Reason.SENSOR_FAULT)


class Chip(MockSPIDevice):  # type: ignore[misc]  # the library is untyped
    """The data sheet's protocol: after the start bit single-ended, three bits of channel; a null bit, ten bits."""

    counts: dict[int, int]
    asked: list[int]
    rx_buf: list[bool]
    tx_buf: list[int]
    fails: bool = False

    def on_bit(self) -> None:
        if self.fails:
            raise OSError(EIO, os.strerror(EIO))
        told = "".join(str(int(bit)) for bit in self.rx_buf).lstrip("0")
        if len(told) == 5 and not self.tx_buf:  # start, single-ended, and the channel
            assert told[1] == "1", "single-ended"
            channel = sum(int(bit) << place for bit, place in zip(told[2:], (2, 1, 0), strict=True))
            self.asked.append(channel)
            self.tx_buf = [0, 0]  # while it samples; then a null bit
            self.tx_word(self.counts.get(channel, 0), 10)


@pytest.fixture
def chip() -> Iterator[Chip]:
    Device.pin_factory = MockFactory(pin_class=WiredPin)
    made = Chip(clock_pin=11, mosi_pin=10, miso_pin=9, select_pin=8, pin_factory=Device.pin_factory)
    made.counts, made.asked = {}, []
    yield made
    made.close()
    Device.pin_factory.reset()
    Device.pin_factory = None  # the next test has one of its own


def said(inputs: dict[str, Input], **options: Any) -> Values:
    driver = Mcp3008(Mcp3008Options(inputs, **options))
    header = GpioHeader("gpio", GpioLink(type="gpio", factory="mock"), [(use, 2.0) for use in driver.pins])
    header.open()
    try:
        return driver.poll(header)
    finally:
        header.close()


@pytest.mark.parametrize(("count", "volts"), [(0, 0.0), (512, 1.6516), (1023, 3.3)])
def test_a_count_is_a_voltage(chip: Chip, count: int, volts: float) -> None:
    chip.counts[3] = count
    assert said({"probe": Input(3, "voltage")}) == {"probe": volts}
    assert set(chip.asked) == {3}


def test_a_level_is_a_share_of_the_reference(chip: Chip) -> None:
    chip.counts[0] = 1023
    assert said({"gas": Input(0)}, reference=5.0) == {"gas": 100.0}


def test_a_transmitter_is_scaled_and_a_broken_wire_is_a_fault(chip: Chip) -> None:
    """4-20 mA over 150 ohm: 0.6 V to 3.0 V for -50 to 50 degrees; below 3.6 mA, 0.54 V, the wire is cut."""
    of = {"room": Input(1, "temperature", ((0.6, -50.0), (3.0, 50.0)), (0.54, 3.15))}
    chip.counts[1] = round(1.8 / 3.3 * 1023)
    assert said(of)["room"] == pytest.approx(0.0, abs=0.1)
    chip.counts[1] = round(0.5 / 3.3 * 1023)
    assert said(of) == {"room": FAULT}
    chip.counts[1] = 1023
    assert said(of) == {"room": FAULT}


@pytest.mark.parametrize(
    ("volts", "word"),
    [(0.0, FAULT), (0.2, FAULT), (0.9, "alarm"), (1.3, FAULT), (1.65, "normal"), (2.5, FAULT), (3.3, FAULT)],
)
def test_a_supervised_loop_tells_short_alarm_rest_and_open_apart(chip: Chip, volts: float, word: Any) -> None:
    chip.counts[2] = round(volts / 3.3 * 1023)
    assert said({"loop": Input(2, "smoke", normal=(1.5, 1.8), alarm=(0.7, 1.1))}) == {"loop": word}


def test_a_bus_that_fails_takes_neither_the_siren_nor_a_contact_with_it(chip: Chip) -> None:
    driver = Mcp3008(Mcp3008Options({"probe": Input(3, "voltage")}))
    uses = (*driver.pins, PinUse(22, output=True), PinUse(17, pull=Pull.UP))
    header = GpioHeader("gpio", GpioLink(type="gpio", factory="mock"), [(use, 2.0) for use in uses])
    header.open()
    try:
        header.write(22, high=True)
        assert driver.poll(header) == {"probe": 0.0}
        chip.fails = True
        for _ in range(3):
            with pytest.raises(NoReply, match="the SPI bus"):
                driver.poll(header)
        assert (header.read(22), header.read(17)) == (True, True)
        chip.fails = False
        chip.rx_buf.clear()
        chip.counts[3] = 1023
        assert driver.poll(header) == {"probe": 3.3}
    finally:
        header.close()


def test_one_disturbed_measurement_of_three_does_not_count() -> None:
    class Disturbed:
        counts = iter((512, 1023, 512))

        def convert(self, select: int, channel: int) -> int:
            return next(self.counts)

    driver = Mcp3008(Mcp3008Options({"probe": Input(0, "voltage")}))
    assert driver.poll(Disturbed()) == {"probe": 1.6516}


SITE = """\
site: {id: s, name: S}
gateway: {id: g}
links: {gpio: {type: gpio}}
devices:
  adc: {driver: mcp3008, link: gpio, zone: z, INPUTS}
"""


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ("inputs: {}", "inputs: name one at least"),
        ("inputs: {gas: {channel: 8}}", "channel: from 0 to 7, not 8"),
        ("inputs: {gas: {channel: 0}, co: {channel: 0}}", "co and gas are both on channel 0"),
        ("inputs: {t: {channel: 0, kind: temperature}}", "needs `scale: [[volts, value], [volts, value]]`"),
        ("inputs: {t: {channel: 0, kind: energy, scale: [[0, 0], [1, 1]]}}", "energy is nothing that voltages measure"),
        ("inputs: {t: {channel: 0, kind: pressure, scale: [[1, 0], [1, 1]]}}", "needs two different voltages"),
        ("inputs: {s: {channel: 0, kind: smoke}}", "smoke needs `normal` and `alarm`"),
        ("inputs: {s: {channel: 0, kind: smoke, normal: [1, 2], alarm: [1.5, 3]}}", "must not overlap normal"),
        ("inputs: {s: {channel: 0, normal: [1, 2]}}", "goes with alarm and a kind smoke, contact or door only"),
        ("inputs: {s: {channel: 0, valid: [2, 1]}}", "the first voltage must be less than the second"),
        ("inputs: {gas: {channel: 0}}, reference: 12", "from 0.25 to 5.5 V, not 12"),
        ("inputs: {gas: {channel: 0}}, select: 9", "select: must be 7 or 8, not 9"),
    ],
)
def test_what_is_wrong_with_it_is_told(tmp_path: Path, inputs: str, told: str) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(SITE.replace("INPUTS", inputs), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, find_driver=drivers.find, profile_folders=())
    assert any(told in problem for problem in caught.value.problems), caught.value.problems


def test_a_contact_on_a_wire_of_its_bus_is_refused_and_a_second_chip_is_not(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    good = SITE.replace("INPUTS", "inputs: {gas: {channel: 0}}")
    second = "  adc-2: {driver: mcp3008, link: gpio, zone: z, select: 7, inputs: {gas: {channel: 0}}}\n"
    file.write_text(good + second, encoding="utf-8")
    notes = load(file, find_driver=drivers.find, profile_folders=()).notes
    assert "device adc: gas: an indication only, no measurement and no smoke detector" in notes
    file.write_text(good + "  door: {driver: contact, link: gpio, zone: z, pin: 10}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"door.pin: pin 10 is a wire of the SPI bus, which adc uses"):
        load(file, find_driver=drivers.find, profile_folders=())
