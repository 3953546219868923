"""What else is on a GPS receiver's line: binary protocols, other baud rates, half sentences."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gps_scene import Line, burst
from hypothesis import given
from hypothesis import strategies as st
from link_scene import Told, device, polling

from drivers.gps_nmea import GpsNmea, GpsOptions
from gateway.config import schema
from gateway.driver import Heard
from gateway.links.choice import link as chosen
from gateway.model import DeviceLost, LinkBack, LinkLost, Reading

NOON = datetime(2036, 11, 22, 12, tzinfo=UTC)


def moment(second: int, satellites: int) -> bytes:
    """RMC and GGA of one second; `satellites` tells which it was."""
    return b"".join(it + b"\r\n" for it in burst(NOON + timedelta(seconds=second), satellites=satellites)[:2])


def ubx(kind: int, payload: bytes) -> bytes:
    """A frame of u-blox's binary protocol. Source: u-blox M8 receiver description, frame structure and checksum."""
    body = bytes([0x01, kind]) + len(payload).to_bytes(2, "little") + payload
    first = second = 0
    for byte in body:
        first = (first + byte) % 256
        second = (second + first) % 256
    return b"\xb5\x62" + body + bytes([first, second])


def rtcm(payload: bytes) -> bytes:
    """A frame of RTCM 3: its receivers check a CRC, which does not matter here."""
    return b"\xd3" + len(payload).to_bytes(2) + payload + b"\x12\x34\x56"


def misheard(data: bytes, sent_baud: int, heard_baud: int) -> bytes:
    """What a UART makes of bytes that come at another rate; a framing error reads as 0, as from a Linux tty."""
    bits = "".join("0" + f"{byte:08b}"[::-1] + "1" for byte in data) + "1" * 12
    ratio, at, heard = sent_baud / heard_baud, 0.0, bytearray()

    def level(time: float) -> str:
        return bits[min(int(time), len(bits) - 1)]

    while (start := bits.find("0", int(at))) >= 0:
        sampled = "".join(level(start + (number + 1.5) * ratio) for number in range(8))
        framed_right = level(start + 9.5 * ratio) == "1"
        heard.append(int(sampled[::-1], 2) if framed_right else 0)
        at = start + 9.5 * ratio
        while level(at) == "0" and at < len(bits):
            at += 1
    return bytes(heard)


def test_the_model_of_a_uart_hears_what_is_said_at_its_own_rate() -> None:
    assert misheard(bytes(range(256)), 9600, 9600) == bytes(range(256))
    assert misheard(moment(0, 8), 9600, 9600) == moment(0, 8)


def satellites_of(driver: GpsNmea, data: bytes, size: int = 16) -> list[object]:
    """Which moments were read."""
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    return [values.get("satellites") for chunk in chunks for values in driver.hear(Heard(chunk, 0.0))]


@given(st.binary(max_size=400), st.integers(1, 64))
def test_after_any_bytes_the_very_next_sentences_are_read(noise: bytes, size: int) -> None:
    driver = GpsNmea(GpsOptions())
    assert satellites_of(driver, noise + moment(0, 7) + moment(1, 9), size) == [7, 9]


@pytest.mark.parametrize(
    ("sent", "heard"), [(38400, 9600), (4800, 9600), (115_200, 9600), (9600, 115_200), (19200, 38400), (57600, 38400)]
)
def test_what_comes_at_another_baud_rate_is_noise_and_delays_nothing(sent: int, heard: int) -> None:
    wrong = misheard(b"".join(moment(second, 5) for second in range(20)), sent, heard)
    assert len(wrong) > 100
    driver = GpsNmea(GpsOptions())
    assert satellites_of(driver, wrong + moment(30, 7) + wrong + moment(60, 9)) == [7, 9]


def noises(seed: int) -> list[bytes]:
    """Frames with `$`, line ends and every other byte in them, and what is heard at other rates."""
    chance = random.Random(seed)
    binary = [ubx(7, chance.randbytes(92)) for _ in range(20)] + [rtcm(chance.randbytes(200)) for _ in range(20)]
    traps = [ubx(7, b"$GNRMC,\n$\r\n$$" * 6), rtcm(b"\n$GPGGA,1,2,3*00\r\n" * 9), b"$" * 300, b"\n" * 300, b"\0" * 5000]
    rates = [misheard(moment(second, 5), 38400, 9600) for second in range(10)]
    return chance.sample([*binary, *traps, *rates], len(binary) + len(traps) + len(rates))


def test_a_port_with_binary_noise_and_other_rates_gives_every_fix(tmp_path: Path) -> None:
    part = noises(7)
    with Line() as line:
        link = chosen("gps", schema.SerialLink(type="serial", port=line.port, baudrate=115_200), (), tmp_path)
        with polling(link, device("gps-1", GpsNmea(GpsOptions()), 10.0)) as told:
            told.next(LinkBack)
            for number, noise in enumerate(part):
                line.send(noise)
                line.send(moment(number, number))
                assert read(told) == number
            assert not [fact for fact in told.all() if isinstance(fact, LinkLost | DeviceLost)]


def read(told: Told) -> object:
    """The satellites of the next reading that is of a fix."""
    fact = told.first(lambda it: isinstance(it, Reading) and "position" in it.values)
    assert isinstance(fact, Reading)
    return fact.values["satellites"]
