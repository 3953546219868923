"""`sitewarden check` and `sitewarden init`, as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from machine_tree import MachineTree

from gateway.cli import CANNOT_CREATE, CONFIG, OK, main
from gateway.cli.init import adapters, gateway_id, starter

FTDI = "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A10KLMNO-if00-port0"
CH340 = "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"
UBLOX = "/dev/serial/by-id/usb-u-blox_AG_-_www.u-blox.com_u-blox_7_-_GPS_GNSS_Receiver-if00"
TERABEE = "/dev/serial/by-id/usb-Terabee_People_Counter_00000000001A-if00"
ODD = '/dev/serial/by-id/usb-Odd: "name" #1 {x}-if00'

SMALL = """\
site: {id: dc3}
gateway: {id: gw1}
links:
  bus1: {type: tcp, host: 10.0.0.7}
  gpio: {type: gpio, factory: mock}
devices:
  cold-1: {driver: modbus, link: bus1, unit: 1, profile: xy-md02, zone: cold}
  siren: {driver: relay, link: gpio, pin: 22, zone: hall}
rules:
  warm: {point: cold-1.temperature, outside: [2, 8], clear_below: 7, for: 10m, response: horn}
  silent: {kind: humidity, silent_for: 1m, latch: true, priority: low, enabled: false}
responses:
  horn: {set: {siren: on}, say: Close the door}
"""


def test_check_says_in_words_what_a_configuration_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SMALL, encoding="utf-8")
    assert main(["check", str(path)]) == OK
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith(f"{path}: all right; its hash is ")
    assert lines == [
        "Site dc3, gateway gw1, time zone UTC",
        "Journal up to 1GB, on the disk every 1s, kept for 7d after every uplink has it",
        "",
        "Uplinks: none",
        "",
        "Links and devices",
        "  bus1: 10.0.0.7, TCP port 502; reading takes less than 0.1% of its time",
        "    cold-1: modbus, unit 1, in cold, every 10s: temperature (°C), humidity (%RH)",
        "  gpio: simulated pins",
        "    siren: relay, pin 22, in hall, every 2s: output",
        "",
        "Rules",
        (
            "  warm: medium alarm when cold-1.temperature is below 2 °C (until 2.5 °C) or is above 8 °C (until 7 °C)"
            " for 10m, until 1m after that has ended; then horn"
        ),
        "",
        "Of these by the kind of their points, since they do not say",
        "  warm: clear_for: 1m, clear_above: 2.5",
        "",
        "Responses",
        '  horn: switch siren on; say "Close the door"',
        "",
        "Off",
        "  rule silent",
    ]


COLD_ROOM = """\
site: {id: dc3}
gateway: {id: gw1}
links:
  bus1: {type: tcp, host: 10.0.0.7}
  usb: {type: serial, port: /dev/ttyUSB0}
devices:
  cold-1: {driver: modbus, link: bus1, unit: 1, profile: carel-ir33, accept_beta: true, zone: a, settings: [setpoint]}
  air: {driver: serial_frames, link: usb, profile: mh-z19, zone: cold}
"""


def test_check_says_which_settings_commands_may_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(COLD_ROOM, encoding="utf-8")
    assert main(["check", str(path)]) == OK
    out = capsys.readouterr().out
    assert "probe2 (°C), setpoint (°C, commands may set it), defrost_status" in out
    assert "    air: serial_frames, the stream, in cold, every 10s: co2 (ppm)" in out


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        (
            "settings: [setpoint]",
            "settings: [probe1]",
            ":7:108: devices.cold-1.settings: IR33 has no 'probe1' there, but setpoint",
        ),
        (
            "settings: [setpoint]",
            "settings: [setpoint], points: {setpoint: {calibration: {offset: 1}}}",
            ":7:140: devices.cold-1.points.setpoint.calibration: a setting is written and read as it is, and is not",
        ),
        (
            "profile: mh-z19",
            "profile: mhz19",
            ":8:52: devices.air.profile: there is no profile mhz19 in the folder profiles/frames; did you mean mh-z19?",
        ),
    ],
)
def test_a_setting_or_a_profile_of_frames_that_is_none_is_told_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], right: str, wrong: str, says: str
) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(COLD_ROOM.replace(right, wrong), encoding="utf-8")
    assert main(["check", str(path)]) == CONFIG
    assert says in capsys.readouterr().err


def test_check_tells_all_addresses_of_an_uplink_and_the_proxy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "site.yaml"
    urls = '["mqtts://a.example.com:8883", "wss://b.example.com/mqtt"]'
    path.write_text(f'{SMALL}\nuplinks:\n  platform: {{url: {urls}, proxy: "http://proxy:3128"}}\n', encoding="utf-8")
    assert main(["check", str(path)]) == OK
    assert (
        "platform: mqtts://a.example.com:8883, else wss://b.example.com/mqtt, through the proxy http://proxy:3128;"
        in capsys.readouterr().out
    )


def test_check_tells_every_problem_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SMALL.replace("xy-md02", "xy-md03").replace("pin: 22", "pin: 99"), encoding="utf-8")
    assert main(["check", str(path)]) == CONFIG
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        f"{path}:7:58: devices.cold-1.profile: there is no profile xy-md03; did you mean xy-md02?",
        f"{path}:8:43: devices.siren.pin: a BCM number from 2 to 27, not 99",
        f"{path}: 2 problems; nothing would start",
    ]


def test_check_without_a_name_takes_the_file_that_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sitewarden.yaml").write_text(SMALL, encoding="utf-8")
    assert main(["check"]) == OK
    assert capsys.readouterr().out.startswith("sitewarden.yaml: all right")


def test_the_schema_for_editors_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--schema"]) == OK
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


def test_what_init_writes_on_this_machine_passes_check(tmp_path: Path) -> None:
    path = tmp_path / "new" / "sitewarden.yaml"
    for command in ("init", "check"):
        done = subprocess.run(
            [sys.executable, "-m", "gateway", command, str(path)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (OK, "")


def test_init_replaces_nothing_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sitewarden.yaml"
    path.write_text("mine", encoding="utf-8")
    assert main(["init", str(path)]) == CANNOT_CREATE
    assert capsys.readouterr().err == f"sitewarden: {path} is there already; --force replaces it\n"
    assert path.read_text(encoding="utf-8") == "mine"
    assert main(["init", "--force", str(path)]) == OK
    assert main(["check", str(path)]) == OK


def test_init_says_why_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["init", str(tmp_path / "none" / "none" / "x.yaml")]) == CANNOT_CREATE
    assert main(["init", str(tmp_path / "file" / "x.yaml")]) == CANNOT_CREATE
    told = capsys.readouterr().err.splitlines()
    assert "cannot be written, no such file or directory; try it with sudo" in told[0]
    assert "cannot be written, file exists; try it with sudo" in told[1]


@pytest.mark.parametrize("gpio", [True, False])
@pytest.mark.parametrize("ports", [(), (FTDI,), (FTDI, CH340, UBLOX, TERABEE), (UBLOX, UBLOX + "x"), (ODD,)])
def test_a_starter_passes_check_as_it_is_and_with_its_devices_switched_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ports: tuple[str, ...], gpio: bool
) -> None:
    path = tmp_path / "starter.yaml"
    text = starter(str(path), ports, gpio, "gw1")
    for written in (text, text.replace("    enabled: false\n", "")):
        path.write_text(written, encoding="utf-8")
        assert main(["check", str(path)]) == OK, capsys.readouterr().err
    told = capsys.readouterr().out
    assert all(f"serial port {port}," in told for port in ports)
    assert ("the GPIO header" in told) is gpio


def test_a_starter_guesses_what_is_on_a_port_by_its_name(tmp_path: Path) -> None:
    text = starter("x", (FTDI, UBLOX, TERABEE), True, "gw1")
    assert [line.split()[1] for line in text.splitlines() if line.startswith("    driver:")] == [
        "modbus",
        "gps_nmea",
        "people_counter",
        "contact",
        "relay",
    ]


@pytest.mark.parametrize(
    ("hostname", "expected"),
    [
        ("raspberrypi", "raspberrypi"),
        ("Gate Way_1.local", "gate-way_1"),
        ("---", "gw1"),
        ("", "gw1"),
        ("ü" * 90, "gw1"),
    ],
)
def test_a_hostname_becomes_an_id(hostname: str, expected: str) -> None:
    assert gateway_id(hostname) == expected


def test_serial_adapters_are_found_by_their_lasting_names(tmp_path: Path) -> None:
    tree = MachineTree(tmp_path)
    says = {"idVendor": "1a86", "idProduct": "7523", "product": "USB Serial"}
    tree.usb("ttyUSB0", "1-1.2", {**says, "serial": "A"}, "ch341", by_id="usb-b")
    tree.usb("ttyUSB1", "1-1.3", {**says, "serial": "B"}, "ch341", by_id="usb-a")
    tree.usb("ttyUSB2", "1-1.4", {**says, "serial": "C"}, "ch341", by_id="usb-\x01")
    tree.usb("ttyUSB3", "1-1.5", says, "ch341", by_id="usb-same", by_path="socket-5")
    tree.usb("ttyUSB4", "1-1.6", says, "ch341", by_id="usb-same", by_path="socket-6")
    tree.own("ttyAMA0", "uart-pl011", alias="serial0")
    assert adapters(tmp_path) == [
        "/dev/serial/by-id/usb-a",
        "/dev/serial/by-id/usb-b",
        "/dev/serial/by-path/socket-5",
        "/dev/serial/by-path/socket-6",
    ]
    assert adapters(tmp_path / "none") == []


def test_values_are_set_from_the_command_line_as_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SMALL, encoding="utf-8")
    settings = {
        "links.bus1.host": "10.0.0.8",
        "links.bus1.port": "503",
        "site.name": "22:00 on",
        "rules.warm.outside": "[-8, 2]",
        "rules.warm.clear_below": "",
        "responses.horn.say": "a=b",
        "uplinks.platform.url": "mqtts://mqtt.example.com:8883",
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    assert main(["check", str(path), *options]) == OK, capsys.readouterr().err
    told = capsys.readouterr().out
    for words in (
        "Site dc3 (22:00 on), gateway",
        "bus1: 10.0.0.8, TCP port 503",
        "is below -8 °C (until -7.5 °C) or is above 2 °C (until 1.5 °C) for 10m",
        'say "a=b"',
        "platform: mqtts://mqtt.example.com:8883;",
    ):
        assert words in told


@pytest.mark.parametrize("written", ["site.name", "=x", "site..name=x", ".=x"])
def test_a_setting_that_is_none_is_refused(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", "site.yaml", "--set", written])
    assert caught.value.code == 2
    assert f"write KEY.PATH=VALUE, as in links.bus1.baudrate=9600, not '{written}'" in capsys.readouterr().err
