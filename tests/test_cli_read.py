"""`sitewarden read`: one device now, without a daemon and beside one, as a person types it."""

from __future__ import annotations

import getpass
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon, write_profile
from modbus_responder import RtuDevices, TcpDevices, bad_crc, silent, value_of

from gateway.cli import FAILED, OK, main

WITHIN_S = 15.0
SITE = """\
site: {{id: dc3}}
gateway: {{id: gw1}}
links:
  bus1: {{type: serial, port: {port}, baudrate: 115200, timeout: 100ms}}
  io-1: {{type: tcp, host: 127.0.0.1, port: {tcp}}}
  io-2: {{type: tcp, host: 127.0.0.1, port: {tcp2}}}
  gpio: {{type: gpio, factory: mock}}
devices:
  meter-1: {{driver: modbus, link: bus1, unit: 1, profile: two, every: {every}, zone: hall}}
  meter-2: {{driver: modbus, link: io-1, unit: 2, profile: two, every: {every}, zone: hall}}
  meter-3: {{driver: modbus, link: io-2, unit: 3, profile: two, every: {every}, zone: hall}}
  door-1: {{driver: contact, link: gpio, pin: 17, kind: door, normally: closed, zone: hall}}
  siren: {{driver: relay, link: gpio, pin: 22, zone: hall}}
"""


class Scene:
    """Devices on a bus and behind two TCP peers, and a configuration of them."""

    def __init__(self, folder: Path, bus: RtuDevices, peer: TcpDevices, peer2: TcpDevices) -> None:
        self.folder, self.bus, self.peer, self.peer2 = folder, bus, peer, peer2
        write_profile(folder, "two", 2)
        self.file = folder / "site.yaml"
        self.file.write_text(self.config())

    def config(self, every: str = "10s") -> str:
        return SITE.format(port=self.bus.path, tcp=self.peer.port, tcp2=self.peer2.port, every=every)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    with RtuDevices(tmp_path) as bus, TcpDevices() as peer, TcpDevices() as peer2:
        yield Scene(tmp_path, bus, peer, peer2)


def values(unit: int) -> tuple[int, int]:
    return value_of(unit, 3, 0), value_of(unit, 3, 1)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed; times vary, and with them the spaces that follow."""
    return re.sub(r"\d+\.\d ms +", "N ms  ", capsys.readouterr().out)


def test_a_device_is_read_without_a_daemon(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    r0, r1 = values(1)
    assert main(["read", "meter-1", "--config", str(scene.file)]) == OK
    expected = f"""\
meter-1: modbus on link bus1

POINT  VALUE    QUALITY
r0     {r0} 1  good
r1     {r1} 1  good
"""
    assert capsys.readouterr().out == expected


def test_on_request_the_bytes_and_the_time_of_each_answer_are_shown(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["read", "meter-1", "--config", str(scene.file), "--raw"]) == OK
    *_, head, row = said(capsys).splitlines()
    ((_, request),) = scene.bus.asked
    reply = scene.bus.reply(request)[1]
    assert head.split() == ["ANSWERED", "AFTER", "SENT", "RECEIVED"]
    assert row == f"N ms  {request.hex(' ').upper()}  {reply.hex(' ').upper()}"
    assert main(["read", "meter-1", "--config", str(scene.file), "--timing"]) == OK
    assert said(capsys).splitlines()[-1] == "N ms  8 bytes  9 bytes"


def test_a_device_that_does_not_answer_is_told_with_a_hint_and_what_came_instead(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.bus.then(bad_crc)
    assert main(["read", "meter-1", "--config", str(scene.file), "--timing"]) == FAILED
    expected = """\
meter-1: modbus on link bus1

unit 1: a reply with a wrong checksum (check A/B polarity, termination, earth and cable, and that no two devices have \
one unit id)

ANSWERED AFTER  SENT     RECEIVED
N ms  8 bytes  9 bytes
"""
    assert said(capsys) == expected
    scene.bus.then(silent)
    assert main(["read", "meter-1", "--config", str(scene.file), "--json"]) == FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["error"]["what"] == "unit 1: no answer within 100 ms"
    assert told["exchanges"][0] | {"sent": ""} == {"sent": "", "received": "", "after_ms": None}


def test_a_program_gets_everything_as_json(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", "meter-2", "--config", str(scene.file), "--json"]) == OK
    told = json.loads(capsys.readouterr().out)
    assert told["device"] == "meter-2"
    assert told["points"][0] == {
        "point": "r0",
        "kind": "setting",
        "unit": "1",
        "value": values(2)[0],
        "quality": "good",
    }
    assert len(told["exchanges"]) == 1


@pytest.mark.parametrize(
    ("device", "error"),
    [
        (
            "nix",
            "the configuration has no device nix that is enabled (it has: meter-1, meter-2, meter-3, door-1, siren)",
        ),
        ("siren", "siren is only switched: it says nothing (`sitewarden status` shows what is wanted)"),
    ],
)
def test_what_cannot_be_read_is_said(scene: Scene, capsys: pytest.CaptureFixture[str], device: str, error: str) -> None:
    assert main(["read", device, "--config", str(scene.file)]) == FAILED
    assert capsys.readouterr().err == f"sitewarden: {error}\n"


CALIBRATED = "zone: hall, points: {r0: {calibration: {offset: -14}}}}"


def test_a_calibrated_value_is_shown_as_rules_see_it(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    first, _, rest = scene.config().partition("zone: hall}")
    text = first + CALIBRATED + rest
    scene.file.write_text(text)
    profile = scene.folder / "profiles" / "two.yaml"
    profile.write_text(profile.read_text().replace("r0: {kind: setting", "r0: {kind: level"))
    expected = f"r0     {values(1)[0] - 14}.0 %  good, calibrated\n"
    assert main(["read", "meter-1", "--config", str(scene.file)]) == OK
    assert expected in capsys.readouterr().out
    with Daemon(scene.folder, text) as daemon:
        running(daemon)
        assert main(["read", "meter-1", "--state", str(daemon.state)]) == OK
    assert expected in capsys.readouterr().out


def test_a_contact_is_read_from_its_pin(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", "door-1", "--config", str(scene.file)]) == OK
    expected = """\
door-1: contact on link gpio

POINT      VALUE  QUALITY
door       open   good
openings   -      not said
open_time  -      not said
open_for   -      not said
"""
    assert capsys.readouterr().out == expected


def test_a_port_that_is_not_there_is_said(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.bus.do(scene.bus.unplug)
    assert main(["read", "meter-1", "--config", str(scene.file)]) == FAILED
    assert f"sitewarden: there is no port {scene.bus.path}" in capsys.readouterr().err


def test_a_state_directory_without_a_daemon_is_said(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["read", "meter-1", "--state", "nowhere"]) == FAILED
    expected = "no daemon is running with nowhere (start it: sitewarden run; or name its folder: --state DIR)"
    assert capsys.readouterr().err == f"sitewarden: {expected}\n"
    assert not scene.bus.asked


# ---------------------------------------------------------------- beside a daemon


def running(daemon: Daemon) -> dict[str, Any]:
    until = time.monotonic() + WITHIN_S
    while (status := daemon.status()) is None or any(
        point["quality"] == "waiting" for point in status["points"] if point["device"].startswith("meter")
    ):
        assert time.monotonic() < until
    return status


def test_beside_a_daemon_the_question_goes_through_it(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    with Daemon(scene.folder, scene.config()) as daemon:
        running(daemon)
        for unit, link in ((1, "bus1"), (2, "io-1"), (3, "io-2")):
            assert main(["read", f"meter-{unit}", "--state", str(daemon.state), "--timing"]) == OK
            r0, r1 = values(unit)
            sizes = "8 bytes  9 bytes" if unit == 1 else "12 bytes  13 bytes"
            told = said(capsys).split("\n")
            assert told[0] == f"meter-{unit}: modbus on link {link}, through the running daemon"
            assert [line.split() for line in told[3:5]] == [["r0", str(r0), "1", "good"], ["r1", str(r1), "1", "good"]]
            assert told[-2] == f"N ms  {sizes}"
        assert main(["read", "meter-1", "--config", str(scene.file), "--state", str(daemon.state)]) == OK
        head = capsys.readouterr().out.splitlines()[0]
        assert head == f"meter-1: modbus on link bus1, through the running daemon (process {daemon.pid}, link bus1)"
        scene.bus.then(silent)
        assert main(["read", "meter-1", "--state", str(daemon.state)]) == FAILED
        assert "unit 1: no answer within 100 ms (check that it has power" in capsys.readouterr().out
        assert main(["read", "meter-9", "--state", str(daemon.state)]) == FAILED
        hint = "it has: meter-1, meter-2, meter-3, door-1, siren; --config FILE reads another"
        assert capsys.readouterr().err == f"sitewarden: the running daemon has no device meter-9 ({hint})\n"
        daemon.stop()
        told_events = events(daemon)
    assert [(it["name"], it["issuer"], it["detail"]) for it in told_events] == [
        ("read", getpass.getuser(), name) for name in ("meter-1", "meter-2", "meter-3", "meter-1", "meter-1")
    ]


def test_a_device_that_speaks_when_asked_is_asked_until_it_has_said_a_whole_line(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    (scene.folder / "profiles" / "frames").mkdir(parents=True, exist_ok=True)
    (scene.folder / "profiles" / "frames" / "probe.yaml").write_text(
        "{model: A, maker: B, sources: [C], confidence: high, ask: 'R\\r', frame: {end: '\\r\\n'}, "
        "pattern: '(?P<t>[0-9]{1,2}\\.[0-9]{2})', points: {t: {kind: temperature}}}\n"
    )
    asked: list[bytes] = []

    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while request := connection.recv(100):
                asked.append(request)
                connection.sendall(b"0.50\r\n" if len(asked) == 1 else b"20.50\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        device = threading.Thread(target=answer, args=(server,))
        device.start()
        site = f"""\
site: {{id: s}}
gateway: {{id: g}}
links: {{far: {{type: tcp, host: 127.0.0.1, port: {server.getsockname()[1]}}}}}
devices: {{air: {{driver: serial_frames, link: far, profile: probe, zone: z}}}}
"""
        scene.file.write_text(site)
        assert main(["read", "air", "--config", str(scene.file)]) == OK
        device.join(WITHIN_S)
    assert asked == [b"R\r", b"R\r"]
    assert re.search(r"^t +20\.5 °C", capsys.readouterr().out, re.MULTILINE)


def test_what_a_device_that_talks_by_itself_said_last_is_told_with_its_age(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    with Daemon(scene.folder, scene.config()) as daemon:
        running(daemon)
        assert main(["read", "door-1", "--state", str(daemon.state)]) == OK
    told = re.sub(r"\d+\.\d s", "N s", capsys.readouterr().out)
    assert told.splitlines()[0].endswith("through the running daemon: it talks by itself, this is what it said last")
    assert re.search(r"^door +(open|closed)  +good, N s ago$", told, re.MULTILINE)


def test_questions_leave_the_daemons_polls_their_pace(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    with Daemon(scene.folder, scene.config(every="200ms")) as daemon:
        running(daemon)
        wires = (scene.bus, scene.peer)
        before = [len(wire.asked) for wire in wires]
        began = time.monotonic()
        for _ in range(5):  # the second is on a link that shares its thread with another
            assert main(["read", "meter-1", "--state", str(daemon.state)]) == OK
            assert main(["read", "meter-2", "--state", str(daemon.state)]) == OK
        until = began + 3.0
        while time.monotonic() < until:
            running(daemon)
        lasted = time.monotonic() - began
        asked = [len(wire.asked) - earlier for wire, earlier in zip(wires, before, strict=True)]
        failures = [it["failures"] for link in running(daemon)["health"]["links"] for it in link["devices"]]
    polls = lasted / 0.2
    assert all(0.8 * polls + 5 - 2 <= count <= polls + 5 + 2 for count in asked), (asked, polls)
    assert not any(failures)
    assert capsys.readouterr().out.count("good") == 20


def events(daemon: Daemon) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(daemon.state / "journal.db")) as database:
        texts = [row[0] for row in database.execute("SELECT text FROM events ORDER BY seq")]
    return [it for it in map(json.loads, texts) if it["event"] == "command"]
