"""`sitewarden probe`: registers, what they may mean, which profile fits, and a configuration that passes the check."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import Daemon
from modbus_responder import RtuDevices, TcpDevices, value_of
from test_cli_read import running

from gateway.cli import CANNOT_CREATE, FAILED, OK, main
from gateway.config.installed import read_config
from gateway.demo.bus import SimulatedBus

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
SITE = """\
site: {{id: dc3}}
gateway: {{id: gw1}}
links:
  bus1: {{type: serial, port: {port}, baudrate: 9600}}
devices:
  meter-1: {{driver: modbus, link: bus1, unit: 2, profile: renke-rs-ws-n01, every: 1s, zone: hall}}
"""


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    bus = SimulatedBus(tmp_path / "bus1")
    bus.open()
    yield tmp_path / "bus1"
    bus.close()


def probe(port: Path, unit: int, *more: object) -> int:
    return main(["probe", "--port", str(port), "--unit", str(unit), *map(str, more)])


INTRODUCED = """\
A simulated RS-485 bus is at bus2: 9600 baud, no parity, 1 stop bit. On it are
  unit 1: a temperature and humidity sensor
  unit 2: another one, of another maker
  unit 3: a module with eight inputs and eight outputs
  unit 7: a meter that no profile is for
Try in a second terminal:
  sitewarden scan --port bus2 --baudrates 9600 --units 1-10
  sitewarden probe --port bus2 --unit 1
Ctrl-C takes it down.
"""


def test_the_demo_puts_up_a_bus_to_try_this_on_until_ctrl_c(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "demo", "--bus", "bus2"],
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as demo:
        assert demo.stdout is not None
        said = "".join(demo.stdout.readline() for _ in INTRODUCED.splitlines())
        assert main(["probe", "--port", "bus2", "--unit", "7", "--count", "4", "--table", "holding"]) == OK
        assert main(["demo", "--bus", "bus2"]) == CANNOT_CREATE
        demo.send_signal(signal.SIGINT)
        assert demo.wait(15) == OK
    assert said == INTRODUCED
    assert not Path("bus2").is_symlink()
    told = capsys.readouterr()
    assert re.search(r"^3        04D2  1234", told.out, re.MULTILINE)
    assert told.err == "sitewarden: bus2 is there already (name another one with --bus)\n"
    assert port.is_symlink()


def shown(port: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed; the port's name and what is measured vary."""
    text = capsys.readouterr().out.replace(str(port), "PORT")
    text = re.sub(r"\d+\.\d (°C|%RH)", r"N \1", text)
    return re.sub(r"^([12]        )[0-9A-F]{4}  .*$", r"\1...", text, flags=re.MULTILINE)


KNOWN = """\
unit 1 on PORT

input registers: it does not have 0, 3
ADDRESS  HEX   UINT16  OTHER  FLOAT32  INT32
1        ...
2        ...

holding registers: the device has none of these
none

PROFILE  MODEL    FITS  IT WOULD SAY
xy-md02  XY-MD02  fair  temperature N °C, humidity N %RH

# site.yaml
site: {id: my-site}        # for you to name: site and gateway stand in every topic
gateway: {id: gw1}
links:
  bus1: {type: serial, port: "PORT", baudrate: 9600, parity: none, stopbits: 1}
devices:
  xy-md02-1:
    driver: modbus
    link: bus1
    unit: 1
    profile: xy-md02
    every: 10s
    zone: my-zone           # where it is, as in cold-store/room-1
"""


def test_a_known_sensor_is_recognised_and_its_configuration_shown(
    port: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(port, 1, "--count", 4) == OK
    table = re.sub(r"OTHER .*INT32", "OTHER  FLOAT32  INT32", shown(port, capsys))
    assert table == KNOWN


def test_what_is_written_passes_the_check_and_can_be_read(
    port: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert probe(port, 1, "--write", "site/my.yaml") == OK
    assert capsys.readouterr().out.endswith("\nwritten: site/my.yaml\n")
    assert main(["check", "site/my.yaml"]) == OK
    assert main(["read", "xy-md02-1", "--config", "site/my.yaml"]) == OK
    assert re.search(r"^temperature  \d+\.\d °C  +good$", capsys.readouterr().out, re.MULTILINE)
    assert probe(port, 1, "--write", "site/my.yaml") == CANNOT_CREATE
    expected = "sitewarden: site/my.yaml is there already (name another file with --write)\n"
    assert capsys.readouterr().err == expected


def test_a_meter_without_a_profile_gets_one_to_start_from(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    point = ("--point", "voltage=0:float32:CDAB", "--point", "hours=2:uint32", "--point", "voltage-2=0:int16*0.1")
    assert probe(port, 7, "--table", "holding", "--count", 10, *point, "--write", "site/my.yaml") == OK
    told = capsys.readouterr().out
    assert re.search(r"^0 .* CDAB 2[23]\d", told, re.MULTILINE), "voltage"
    assert re.search(r"^2 .* ABCD 1234, ", told, re.MULTILINE), "hours"
    assert re.search(r"^4        4D45  19781   ascii METER-7 +-  ", told, re.MULTILINE)
    profile = Path("site/profiles/unit-7.yaml").read_text(encoding="utf-8")
    assert profile.endswith(
        """\
model: "unit 7"              # what is printed on the device
maker: unknown
sources: [sitewarden probe]
confidence: medium          # high: two sources agree, or you have seen it work
bus: {baudrate: 9600, parity: none, stopbits: 1, unit: 7}
points:
  voltage: {kind: voltage, table: holding, address: 0, type: float32, order: CDAB}
  hours: {kind: setting, table: holding, address: 2, type: uint32}
  voltage-2: {kind: voltage, table: holding, address: 0, type: int16, scale: 0.1}
"""
    )
    assert main(["check", "site/my.yaml"]) == OK
    assert main(["read", "unit-7", "--config", "site/my.yaml"]) == OK
    assert re.search(r"^hours +1234", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("unit", [3, 7])
def test_without_a_choice_every_register_is_in_the_profile_and_it_passes_the_check(
    port: Path, unit: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = ("--table", "discrete") if unit == 3 else ()
    assert probe(port, unit, *tables, "--write", "site/my.yaml") == OK
    assert "too little speaks for one of these to be suggested" in capsys.readouterr().out
    assert main(["check", "site/my.yaml"]) == OK
    points = read_config(Path("site/my.yaml")).devices[f"unit-{unit}"].built.points
    assert len(points) == 8


def test_of_several_profiles_that_fit_none_is_taken_for_granted(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(port, 2, "--count", 2) == OK
    shown = capsys.readouterr().out
    assert "(the registers do not tell kincony-sht30 and r444a01 and renke-rs-ws-n01 apart: see what" in shown
    what, hint = (
        "which profile is for this device is not told by its registers",
        "see its label, then add --profile NAME",
    )
    assert shown.endswith(f"\n{what}: {hint}\n")
    assert probe(port, 2, "--count", 2, "--write", "my.yaml") == FAILED
    assert capsys.readouterr().err == f"sitewarden: nothing is written: {what} ({hint})\n"
    assert not Path("my.yaml").exists()
    assert probe(port, 2, "--count", 2, "--profile", "renke-rs-ws-n01", "--write", "my.yaml") == OK
    assert main(["read", "renke-rs-ws-n01-2", "--config", "my.yaml"]) == OK
    humidity, temperature = re.findall(r"(\d+\.\d) (?:%RH|°C)", capsys.readouterr().out.partition("POINT ")[2])
    assert float(temperature) < 30 < float(humidity)


def test_a_profile_can_be_chosen(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--table", "discrete", "--profile"
    assert probe(port, 3, *arguments, "wp8028adam", "--write", "site/my.yaml") == OK
    assert main(["read", "wp8028adam-3", "--config", "site/my.yaml"]) == OK
    assert re.search(r"^di1 +on +good$", capsys.readouterr().out, re.MULTILINE)
    assert probe(port, 3, *arguments, "wp8028adan") == FAILED
    assert capsys.readouterr().err == "sitewarden: there is no profile wp8028adan (did you mean wp8028adam?)\n"


def test_with_a_link_of_the_configuration_only_the_device_is_shown(
    port: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("site").mkdir()
    Path("site/a.yaml").write_text(SITE.format(port=port), encoding="utf-8")
    assert main(["probe", "--link", "bus1", "--config", "site/a.yaml", "--unit", "1", "--write", "site/b.yaml"]) == OK
    assert Path("site/b.yaml").read_text(encoding="utf-8").startswith("devices:\n")
    assert main(["check", "site"]) == OK
    assert "unit 1" in capsys.readouterr().out


def test_a_device_behind_a_tcp_peer_is_looked_at_alike(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert port.is_symlink()
    with TcpDevices() as peer:
        where = f"127.0.0.1:{peer.port}"
        shown_points = ("--count", "2", "--point", "r0=0:uint16")
        assert (
            main(["probe", "--tcp", where, "--unit", "4", "--table", "holding", *shown_points, "--write", "a.yaml"])
            == OK
        )
        assert f"\n0        {value_of(4, 3, 0):04X}  {value_of(4, 3, 0)} " in capsys.readouterr().out
        assert main(["check", "a.yaml"]) == OK
        assert main(["read", "unit-4", "--config", "a.yaml"]) == OK
    assert f"r0     {value_of(4, 3, 0)} " in capsys.readouterr().out
    assert f'bus1: {{type: tcp, host: "127.0.0.1", port: {peer.port}}}' in Path("a.yaml").read_text(encoding="utf-8")


def test_ctrl_c_ends_a_probe_cleanly(tmp_path: Path) -> None:
    with RtuDevices(tmp_path) as bus:
        bus.deaf.add(9)
        command = [sys.executable, "-m", "gateway", "probe", "--port", str(bus.path), "--timeout", "9s", "--unit", "9"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
            until = time.monotonic() + 15
            while not bus.asked:
                assert time.monotonic() < until
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=15)
    assert process.returncode == FAILED, said
    assert said == "ended; nothing was changed\n"


def test_everything_is_shown_on_request(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(port, 7, "--table", "holding", "--count", 4, "--all") == OK
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("3        04D2"))
    assert "int16 1234, offset10000 1234, sign_magnitude16 1234" in row


def test_a_unit_that_does_not_answer_is_said_with_a_hint(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(port, 9, "--timeout", "50ms") == FAILED
    hint = "check that it has power, its unit id, the wiring (A/B), baud rate and parity"
    assert capsys.readouterr().err == f"sitewarden: unit 9: no answer within 50 ms ({hint})\n"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (("--unit", "0"), "argument --unit: a unit id is 1 to 255, not '0'"),
        (
            ("--unit", "1", "--point", "x"),
            "argument --point: write NAME=ADDRESS:TYPE[:ORDER][*SCALE], as in temperature=1:int16*0.1, not 'x'",
        ),
        (("--unit", "1", "--count", "0"), "argument --count: how many is 1 to 500, not '0'"),
    ],
)
def test_what_is_written_wrong_is_refused_in_words(
    written: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["probe", "--port", "x", *written])
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"sitewarden probe: error: {said}"


def test_a_program_gets_everything_as_json(port: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert probe(port, 7, "--table", "holding", "--count", 4, "--json") == OK
    told = json.loads(capsys.readouterr().out)
    assert told["ranges"][0]["raw"]["3"] == 1234
    assert {"address": 2, "type": "uint32", "order": "ABCD", "value": 1234, "believable": True} in told["ranges"][0][
        "decodings"
    ]


def test_beside_a_daemon_it_asks_through_it(port: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Daemon(tmp_path, SITE.format(port=port)) as daemon:
        running(daemon)
        arguments = "--count", 4, "--table", "input", "--state", daemon.state
        assert probe(port, 1, *arguments) == OK
        told = capsys.readouterr().out
        assert told.splitlines()[0] == f"unit 1 on {port}, through the running daemon (process {daemon.pid}, link bus1)"
        assert re.search(r"^xy-md02 .*temperature \d+\.\d °C, humidity \d+\.\d %RH$", told, re.MULTILINE)
        failures = [it["failures"] for link in running(daemon)["health"]["links"] for it in link["devices"]]
    assert not any(failures)
