"""`sitewarden capture`: what is recorded from a real terminal is played again, and gives the same values."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from daemon import Daemon
from modbus_responder import RtuDevices, TcpDevices, rtu
from test_cli_read import Scene, running

from gateway.cli import CANNOT_CREATE, FAILED, OK, main
from gateway.commissioning.recording import Frames, Recording, crc, written
from gateway.links.capture import Capture, Received, Sent, parse
from gateway.model import Answer, Fact, ListenWanted, Passing, Question
from gateway.talk import MOST_KEPT, Talk

WITHIN_S = 15.0
GPS = Path(__file__).parent / "drivers" / "gps_nmea"


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    with RtuDevices(tmp_path) as bus, TcpDevices() as peer, TcpDevices() as peer2:
        yield Scene(tmp_path, bus, peer, peer2)


def replayed(scene: Scene, capture: str, device: str) -> Path:
    """A configuration in which `device` is on a link that plays the capture."""
    text = re.sub(
        r"^  bus1: .*$", f"  bus1: {{type: replay, capture: {capture}, loop: true}}", scene.config(), flags=re.MULTILINE
    )
    file = scene.folder / f"{device}.yaml"
    file.write_text(text.replace("link: io-1", "link: bus1"))
    return file


def points(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)["points"]


@pytest.mark.parametrize(("device", "link"), [("meter-1", "bus1"), ("meter-2", "io-1")])
def test_an_exchange_is_recorded_and_gives_the_same_values_when_it_is_played(
    scene: Scene, capsys: pytest.CaptureFixture[str], device: str, link: str
) -> None:
    config = ("--config", str(scene.file))
    assert main(["read", device, *config, "--json"]) == OK
    values = points(capsys)
    assert main(["capture", "--link", link, *config, "--device", device, "--polls", "2", "--write", "x.capture"]) == OK
    told = capsys.readouterr().err
    assert re.fullmatch(r"4 pieces in .* s; play it with a link {type: replay, capture: x.capture}\n", told)
    capture = parse(Path("x.capture").read_text(encoding="utf-8"))
    assert capture.header["device"] == device
    assert capture.header["origin"].endswith("; not synthetic")
    kinds = [type(item) for item in capture.items if isinstance(item, Sent | Received)]
    assert kinds == [Sent, Received, Sent, Received]
    assert main(["read", device, "--config", str(replayed(scene, "x.capture", device)), "--json"]) == OK
    assert points(capsys) == values


def test_what_a_talking_device_says_is_recorded_and_gives_the_same_values_when_it_is_played(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [item.data for item in parse((GPS / "normal.capture").read_text()).items if isinstance(item, Received)]
    command = ["capture", "--port", str(scene.bus.path), "--for", "30s", "--write", "gps.capture"]
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", *command],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    ) as process:
        wait_for(Path("gps.capture"), 0)
        for data in said:
            scene.bus.send(data)
        wait_for(Path("gps.capture"), len(b"".join(said)))
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN_S) == OK
    capture = parse(Path("gps.capture").read_text(encoding="utf-8"))
    heard = b"".join(item.data for item in capture.items if isinstance(item, Received))
    assert heard == b"".join(said)
    assert capture.header["wire"] == f"{scene.bus.path}, 9600 baud, parity none, 1 stop bit"
    Path("gps.yaml").write_text(
        "site: {id: a}\ngateway: {id: b}\nlinks:\n  gps: {type: replay, capture: gps.capture}\n"
        "devices:\n  gps-1: {driver: gps_nmea, link: gps, zone: lorry}\n"
    )
    assert main(["read", "gps-1", "--config", "gps.yaml", "--json"]) == OK
    values = {it["point"]: it["value"] for it in points(capsys)}
    golden = [json.loads(line) for line in (GPS / "normal.golden").read_text().splitlines()]
    assert values["position"] in [it.get("position") for it in golden]


def wait_for(file: Path, size: int) -> None:
    """Until the capture has its header, and so many bytes."""
    until = time.monotonic() + WITHIN_S
    while not file.exists() or not (capture := parse(whole_lines(file))).header or bytes_of(capture) < size:
        assert time.monotonic() < until


def whole_lines(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1]


def bytes_of(capture: Capture) -> int:
    return sum(len(item.data) for item in capture.items if isinstance(item, Received))


def test_nothing_heard_is_said(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["capture", "--port", str(scene.bus.path), "--for", "200ms"]) == FAILED
    told = capsys.readouterr()
    assert re.fullmatch(r"nothing passed within 0\.\d s; check power, wiring, baud rate and parity\n", told.err)
    assert told.out.startswith("# device: not known")


def test_a_file_is_never_overwritten(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.capture").write_text("precious")
    assert main(["capture", "--port", str(scene.bus.path), "--write", "x.capture"]) == CANNOT_CREATE
    expected = "sitewarden: x.capture is there already (name another file with --write)\n"
    assert capsys.readouterr().err == expected
    assert Path("x.capture").read_text() == "precious"


def test_beside_a_daemon_its_polls_are_heard(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    with Daemon(scene.folder, scene.config(every="200ms")) as daemon:
        running(daemon)
        for link, port in (("bus1", "--port"), ("io-1", "--tcp")):
            name = str(scene.bus.path) if port == "--port" else f"127.0.0.1:{scene.peer.port}"
            arguments = [port, name, "--state", str(daemon.state), "--for", "1500ms", "--write", f"{link}.capture"]
            assert main(["capture", *arguments]) == OK
        failures = [it["failures"] for each in running(daemon)["health"]["links"] for it in each["devices"]]
    assert not any(failures)
    for unit, link in ((1, "bus1"), (2, "io-1")):
        items = parse(Path(f"{link}.capture").read_text()).items
        requests = [item.data for item in items if isinstance(item, Sent)]
        assert 4 <= len(requests) <= 10
        assert set(requests) == {rtu(unit, b"\x03\x00\x00\x00\x02")}
        replies = b"".join(item.data for item in items if isinstance(item, Received))
        assert replies.count(scene.bus.reply(requests[0])[1]) >= 3
    capsys.readouterr()
    assert main(["read", "meter-1", "--config", str(replayed(scene, "bus1.capture", "meter-1"))]) == OK


# ---------------------------------------------------------------- what is written


def test_text_is_written_as_text_and_anything_else_in_hex() -> None:
    assert written(b"$GPRMC,1*00\r\n") == '"$GPRMC,1*00\\r\\n"'
    assert written(b"\x01\x03\xff") == "01 03 FF"
    assert written(b"A") == "41"


def test_a_long_pause_has_the_time_of_day_and_a_short_one_is_kept() -> None:
    recording = Recording({"device": "x"}, 1_763_775_600.0, 1000, tcp=False)
    pieces = (Passing(0.0, True, b"\x01"), Passing(0.012, False, b"\x02"), Passing(62.512, True, b"\x01"))
    lines = [*recording.head(), *(line for it in pieces for line in recording.lines(it))]
    assert lines == ["# device: x", "> 01", ". 0.012", "< 02", "# 2025-11-22T01:41:02.512Z", ". 62.500", "> 01"]


def test_a_capture_ends_at_its_size_and_says_so() -> None:
    recording = Recording({}, 0.0, 20, tcp=False)
    lines = [line for it in range(9) for line in recording.lines(Passing(float(it) / 1e4, True, b"\x01\x02"))]
    assert lines == ["> 01 02"] * 2 + ["# the capture ends here: it has reached its size"]
    assert recording.full


def test_frames_of_modbus_tcp_are_put_together_and_written_as_rtu() -> None:
    frames = Frames()
    whole = bytes.fromhex("000100000006" + "010300000002")
    parts = [whole[:3], whole[3:] + whole[:8], whole[8:]]
    found = [it.data for part in parts for it in frames.rtu(Passing(0.0, True, part))]
    assert found == [rtu(1, bytes.fromhex("0300000002"))] * 2
    assert crc(b"123456789") == bytes.fromhex("374B")


def test_a_client_that_reads_slowly_loses_pieces_which_are_counted_and_never_slows_the_link() -> None:
    ours, theirs = socket.socketpair()
    hears: SimpleQueue[Any] = SimpleQueue()

    def post(fact: Fact) -> None:
        assert isinstance(fact, Question)
        assert isinstance(fact.wanted, ListenWanted)
        hears.put(fact.wanted.hear)
        fact.answer(Answer())

    talk = Talk(theirs, "bus1", post)
    thread = threading.Thread(target=talk.run)
    thread.start()
    ours.settimeout(WITHIN_S)
    ours.sendall(b'{"listen": 60}\n')
    hear = hears.get(timeout=WITHIN_S)
    posted = 5 * MOST_KEPT
    began = time.monotonic()
    for number in range(posted):
        assert hear(Passing(float(number), False, bytes(200)))
    took_s = time.monotonic() - began
    got = lost = 0
    data = b""
    while got + lost < posted - 1:  # what is lost last is told with what comes next
        data += ours.recv(65536)
        *lines, data = data.split(b"\n")
        for line in map(json.loads, lines):
            got += (
                "passed" in line and isinstance(line["passed"], list) and bool(line["passed"]) and "took_s" not in line
            )
            lost += line.get("lost", 0)
        if got + lost >= MOST_KEPT and got < posted:
            hear(Passing(0.0, False, b"\x00"))
            posted += 1
    assert lost > 0
    assert took_s < 1.0
    ours.close()
    thread.join(WITHIN_S)
    assert not thread.is_alive()
