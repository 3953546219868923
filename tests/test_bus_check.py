"""Whether the wires have time for what is read on them: said when they are busy, refused where smoke would wait."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_site import Talker, TalkerOptions

from gateway.cli import CONFIG, OK, main
from gateway.config.installed import read_config
from gateway.config.schema import Config
from gateway.config.smoke import is_looked_at, usual_every_s
from gateway.config.wires import load_of, share_text
from gateway.driver import Polled, point
from gateway.errors import ConfigError
from gateway.model import Point

INPUTS = "unit: 1, profile: wp8028adam, accept_beta: true, kinds: {di1: smoke}"
METER = "profile: eastron-sdm630"
WAITS = "4:3: links.bus1: smoke can have to wait"
LINE = "{type: serial, port: /dev/ttyUSB0, baudrate: 9600}"


def site(folder: Path, *devices: str, link: str = LINE) -> Path:
    lines = [
        "site: {id: a}",
        "gateway: {id: b}",
        "links:",
        f"  bus1: {link}",
        "devices:",
        *(
            f"  d{number}: {{driver: modbus, link: bus1, zone: hall, {device}}}"
            for number, device in enumerate(devices)
        ),
    ]
    path = folder / "site.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def loaded(folder: Path, *devices: str, link: str = LINE) -> Config:
    return read_config(site(folder, *devices, link=link))


def refused(folder: Path, *devices: str, link: str = LINE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, *devices, link=link)
    return [told.rpartition("site.yaml:")[2] for told in caught.value.problems]


def planned(config: Config, device: str) -> list[tuple[int, int]]:
    driver = config.devices[device].built
    assert isinstance(driver, Polled)
    return [(read.address, read.size) for read in driver.reads]


# ---------------------------------------------------------------- a device meets its wire


def test_reads_are_planned_for_the_wire_that_the_device_is_on(tmp_path: Path) -> None:
    fast = LINE.replace("9600", "115200")
    assert planned(loaded(tmp_path, f"unit: 2, {METER}"), "d0") == [(0, 14), (30, 2), (52, 2), (70, 6), (342, 2)]
    assert planned(loaded(tmp_path, f"unit: 2, {METER}", link=fast), "d0") == [(0, 32), (52, 24), (342, 2)]
    own = f"unit: 2, {METER}, max_gap: 20, max_registers: 80"
    assert planned(loaded(tmp_path, own, link=fast), "d0") == [(0, 76), (342, 2)]


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("max_gap: 200", "6:91: devices.d0.max_gap: from 0 to 125, not 200"),
        ("max_registers: 1", "6:97: devices.d0.max_registers: from 2 (voltage_l1 takes as many) to 125, not 1"),
        ("max_gap: wide", "6:91: devices.d0.max_gap: must be a whole number, not 'wide'"),
    ],
)
def test_a_limit_that_cannot_be_is_told_with_its_place(tmp_path: Path, own: str, told: str) -> None:
    assert refused(tmp_path, f"unit: 2, {METER}, {own}") == [told]


# ---------------------------------------------------------------- how often smoke is looked at


def test_a_device_with_smoke_is_read_every_two_seconds_unless_configured(tmp_path: Path) -> None:
    plain = INPUTS.replace("smoke", "door")
    config = loaded(
        tmp_path, INPUTS, f"{plain.replace('unit: 1', 'unit: 2')}", INPUTS.replace("1,", "3, every: 5s,", 1)
    )
    assert [device.every for device in config.devices.values()] == [2.0, 10.0, 5.0]


def test_smoke_that_is_looked_at_less_than_every_five_seconds_is_refused_even_if_it_is_off(tmp_path: Path) -> None:
    told = "smoke has to be looked at every 5s at least, not every 6s; leave it out for every 2s"
    assert refused(tmp_path, f"{INPUTS}, every: 6s") == [f"6:125: devices.d0.every: {told}"]
    assert refused(tmp_path, f"{INPUTS}, every: 6s, enabled: false") == [f"6:125: devices.d0.every: {told}"]


class Detector(Talker):
    """It says lines about smoke."""

    @property
    def points(self) -> tuple[Point, ...]:
        return (point("smoke", "smoke"),)


class AskedDetector(Detector):
    """It says them when it is asked."""

    @property
    def request(self) -> bytes:
        return b"?"


def test_what_only_talks_by_itself_says_when_it_likes() -> None:
    talks, asked = Detector(TalkerOptions()), AskedDetector(TalkerOptions())
    assert (is_looked_at(talks), usual_every_s(talks)) == (False, 10.0)
    assert (is_looked_at(asked), usual_every_s(asked)) == (True, 2.0)


# ---------------------------------------------------------------- how long smoke can have to wait


def test_smoke_does_not_wait_for_a_patient_link(tmp_path: Path) -> None:
    link = LINE.replace("}", ", timeout: 1300ms}")
    assert refused(tmp_path, INPUTS, f"unit: 2, {METER}", link=link) == [
        (
            f"{WAITS} 5.3 s here, 5 s is the most: 5.2 s for a device that does not answer; set a shorter `timeout`"
            " (it is 1300ms), or put d0 on a port without the others"
        )
    ]
    loaded(tmp_path, INPUTS, link=link)
    loaded(tmp_path, INPUTS, f"unit: 2, {METER}, enabled: false", link=link)
    loaded(tmp_path, f"unit: 2, {METER}", f"unit: 3, {METER}", link=LINE.replace("}", ", timeout: 10s}"))


def test_smoke_does_not_wait_for_a_long_poll_on_a_slow_line(tmp_path: Path) -> None:
    slow = LINE.replace("9600", "300").replace("}", ", timeout: 100ms}")
    assert refused(tmp_path, INPUTS, f"unit: 2, {METER}, every: 1m", link=slow) == [
        (
            f"{WAITS} 6.6 s here, 5 s is the most: 5.2 s for a poll of d1 and 1.4 s for d0 in"
            " turn; raise the `baudrate` (it is 300), read fewer points, or put d0 on a port without the others"
        )
    ]


def test_smoke_does_not_wait_for_a_bridge_either(tmp_path: Path) -> None:
    bridge = "{type: tcp, host: 192.0.2.1, timeout: 3s}"
    assert refused(tmp_path, INPUTS, f"unit: 2, {METER}", link=bridge) == [
        (
            f"{WAITS} 6.0 s here, 5 s is the most: 6.0 s for a device that does not answer; set a shorter `timeout` (it"
            " is 3s), or put d0 on a port without the others"
        )
    ]


def test_a_detector_that_does_not_answer_is_asked_twice_while_another_waits(tmp_path: Path) -> None:
    link = LINE.replace("}", ", timeout: 700ms}")
    another = INPUTS.replace("unit: 1", "unit: 2")
    loaded(tmp_path, INPUTS, another.replace("smoke", "door"), link=link)
    (told,) = refused(tmp_path, INPUTS, another, link=link)
    assert told.startswith(f"{WAITS} 5.7 s here")


def test_the_time_for_switching_direction_counts_for_load_and_smoke(tmp_path: Path) -> None:
    switched = LINE.replace("}", ", direction: {before: 50ms, after: 50ms}}")
    plain, turned = (
        load_of(config.links["bus1"], config.devices)
        for config in (loaded(tmp_path, INPUTS, link=link) for link in (LINE, switched))
    )
    assert plain is not None
    assert turned is not None
    assert turned.cycle_s == pytest.approx(plain.cycle_s + 2 * 0.1), "two reads"
    link = LINE.replace("}", ", timeout: 1200ms}")
    loaded(tmp_path, INPUTS, f"unit: 2, {METER}", link=link)
    (told,) = refused(tmp_path, INPUTS, f"unit: 2, {METER}", link=switched.replace("}}", "}, timeout: 1200ms}"))
    assert told.startswith(WAITS)


def test_ten_detectors_and_a_meter_on_one_line_are_all_right(tmp_path: Path) -> None:
    detectors = [INPUTS.replace("unit: 1", f"unit: {unit}") for unit in range(1, 11)]
    loaded(tmp_path, *detectors, f"unit: 20, {METER}", link=LINE.replace("9600", "19200"))


# ---------------------------------------------------------------- how busy a line is


def test_a_line_that_is_busy_for_more_than_60_percent_is_worth_a_look(tmp_path: Path) -> None:
    meters = [f"unit: {unit}, {METER}" for unit in range(1, 7)]
    assert loaded(tmp_path, *meters).notes == ()
    (note,) = loaded(tmp_path, *(f"{meter}, every: 1500ms" for meter in meters)).notes
    assert note == (
        f"{tmp_path}/site.yaml:4:3: links.bus1: reading its devices takes at least 67% of its time, and a fault makes"
        " polls late; raise the `baudrate` (it is 9600), set a longer `every`, read fewer points, or use another port"
        " too (most is taken by d0 11%, d1 11% and d2 11%)"
    )


def test_what_cannot_be_read_so_often_is_worth_a_look_and_no_refusal(tmp_path: Path) -> None:
    (note,) = loaded(tmp_path, f"unit: 1, {METER}, every: 100ms").notes
    assert "takes at least 167% of its time, so not everything is read as often as it should be; raise" in note


def test_nothing_is_said_of_networks_of_recordings_and_of_what_is_off(tmp_path: Path) -> None:
    busy = f"unit: 1, {METER}, every: 10ms"
    for link in (
        "{type: tcp, host: 192.0.2.1}",
        "{type: tcp, host: 192.0.2.1, framing: rtu}",
        "{type: replay, capture: a.capture}",
    ):
        assert loaded(tmp_path, busy, link=link).notes == ()
    assert loaded(tmp_path, f"{busy}, enabled: false").notes == ()


def test_check_says_how_busy_each_link_is_and_what_is_worth_a_look(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(tmp_path, f"unit: 1, {METER}, every: 250ms")
    assert main(["check", str(path)]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert (
        "  bus1: serial port /dev/ttyUSB0, 9600 baud, parity none, 1 stop bit; reading takes 67% of its time" in lines
    )
    assert lines[-2] == "Worth a look"
    assert lines[-1].startswith(
        f"  {path}:4:3: links.bus1: reading its devices takes at least 67% of its time, and a fault"
    )


def test_check_refuses_with_the_exit_code_of_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(tmp_path, f"{INPUTS}, every: 6s")
    assert main(["check", str(path)]) == CONFIG
    assert capsys.readouterr().err.endswith("1 problem; nothing would start\n")


def test_a_load_is_the_sum_of_its_devices(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"unit: 1, {METER}", f"unit: 2, {METER}, every: 5s")
    load = load_of(config.links["bus1"], config.devices)
    assert load is not None
    one = load.devices["d0"].poll_s
    assert load.cycle_s == pytest.approx(2 * one)
    assert load.share == pytest.approx(one / 10 + one / 5)
    assert one == pytest.approx(sum(read.wire_s(load.wire) for read in load.devices["d0"].reads))


@pytest.mark.parametrize(
    ("share", "text"), [(0, "less than 0.1%"), (0.0123, "1.2%"), (0.0994, "9.9%"), (0.0996, "10%"), (2.034, "203%")]
)
def test_a_share_is_told_in_percent(share: float, text: str) -> None:
    assert share_text(share) == text
