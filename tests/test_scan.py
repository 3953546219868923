"""`sitewarden scan` on real terminals and sockets: what is asked, in which order, what is found, and what is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from daemon import Daemon
from modbus_responder import RtuDevices, TcpDevices, after, bad_crc, exception, instead, late, only_echo, rtu

from drivers.modbus_profile import Profile
from gateway.cli import FAILED, OK, main
from gateway.cli.scan_report import lines, planned
from gateway.commissioning.matching import Match
from gateway.commissioning.scanning import Found, Garbled, Reaction, Results, Scan, Scope
from gateway.commissioning.survey import (
    QUESTIONS,
    Question,
    Settings,
    Sign,
    hosts,
    numbers,
    rounds,
    settings_of,
    sign,
    words,
)
from gateway.config.installed import known_profiles
from gateway.config.schema import SerialLink, TcpLink
from gateway.demo.modbus_field import Slave, renke_rs_ws_n01, xy_md02
from gateway.driver import Table
from gateway.errors import LinkDown, NoReply, Refused

TEXTS = Path(__file__).parent / "setting_up"
SPEEDS = {termios.B2400: 2400, termios.B4800: 4800, termios.B9600: 9600, termios.B19200: 19200, termios.B115200: 115200}
USUAL = Settings(9600, "none", 1)
KNOWN, _ = known_profiles(Path("/nonexistent"))
NONE: Mapping[str, Profile] = {}


class Bus(RtuDevices):
    """Devices after the makers' documents, each at its own baud rate: at another one they hear nothing of the kind."""

    def __init__(self, folder: Path, slaves: Mapping[int, tuple[int, Slave]]) -> None:
        super().__init__(folder)
        self.slaves = slaves

    def receive(self) -> bytes:
        data = super().receive()
        baudrate = SPEEDS.get(termios.tcgetattr(self._fd)[5], 0)
        self.deaf = {unit for unit in range(256) if unit not in self.slaves or self.slaves[unit][0] != baudrate}
        return data

    def reply(self, request: bytes) -> tuple[int, bytes]:
        unit = request[0]
        known = self.slaves.get(unit)
        pdu = request[1:-2] if known is None else known[1].answer(request[1:-2], time.monotonic())
        return unit, rtu(unit, pdu)


def climate(unit: int) -> Slave:
    return xy_md02(unit, lambda _: 24.5, lambda _: 60.4)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    slaves = {1: (9600, climate(1)), 3: (4800, renke_rs_ws_n01(3, lambda _: 4.5, lambda _: 71.0))}
    with Bus(tmp_path, slaves) as devices:
        yield devices


def scope(bus: RtuDevices, units: str = "1-4", timeout_s: float = 0.05, **more: object) -> Scope:
    port = SerialLink(type="serial", port=str(bus.path))
    settings = settings_of((4800, 9600), ("none",), (1,))
    return replace(Scope([port], settings, numbers(units, 0, 255), QUESTIONS, timeout_s), **more)  # type: ignore[arg-type]


def scanned(what: Scope, profiles: Mapping[str, Profile] = NONE) -> Results:
    scan = Scan(what, profiles, lambda _: None)
    scan.run()
    return scan.results


# ---------------------------------------------------------------- what is asked, in which order


def test_the_commonest_settings_come_first() -> None:
    found = settings_of((1200, 7800, 19200, 4800, 9600), ("even", "none"), (1, 2))
    assert [str(it) for it in found[:6]] == ["9600 8N1", "4800 8N1", "19200 8N1", "1200 8N1", "7800 8N1", "9600 8N2"]
    assert len(found) == len(set(found)) == 20


def test_the_usual_unit_is_asked_at_every_setting_before_any_other() -> None:
    settings = settings_of((9600, 4800), ("none",), (1,))
    asked = [(str(it.settings), it.units) for it in rounds(settings, (5, 1, 3))]
    assert asked == [("9600 8N1", (1,)), ("4800 8N1", (1,)), ("9600 8N1", (5, 3)), ("4800 8N1", (5, 3))]
    assert [it.units for it in rounds(settings, (7,))] == [(7,), (7,)]


@pytest.mark.parametrize(
    ("written", "found"), [("1", (1,)), ("1-3,7", (1, 2, 3, 7)), ("5, 1-5", (5, 1, 2, 3, 4)), ("247", (247,))]
)
def test_lists_of_numbers_are_read(written: str, found: tuple[int, ...]) -> None:
    assert numbers(written, 1, 247) == found


@pytest.mark.parametrize("written", ["", "x", "1-", "-5", "3-1", "0-4", "1-248", "1,,2", "²"])
def test_what_is_no_list_of_numbers_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="numbers"):
        numbers(written, 1, 247)


def test_numbers_are_said_as_they_are_written() -> None:
    assert words((7, 1, 2, 3, 9, 10)) == "1-3, 7, 9-10"


def test_a_range_of_addresses_is_one_of_its_last_number() -> None:
    assert hosts("10.0.0.9-11") == ("10.0.0.9", "10.0.0.10", "10.0.0.11")
    assert hosts("plc-1.example") == ("plc-1.example",)
    with pytest.raises(ValueError, match="numbers"):
        hosts("10.0.0.20-10")


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (None, Sign.ANSWERED),
        (Refused(2, ""), Sign.REFUSED),
        (NoReply("busy", ""), Sign.BUSY),
        (NoReply("device_failure", ""), Sign.FAILED),
        (NoReply("silent", ""), Sign.SILENT),
        (NoReply("gateway", ""), Sign.SILENT),
        (NoReply("checksum", ""), Sign.GARBLED),
        (NoReply("wrong_unit", ""), Sign.GARBLED),
    ],
)
def test_an_exception_is_a_sign_of_life_and_a_gateways_word_for_another_is_none(
    error: NoReply | Refused | None, meant: Sign
) -> None:
    assert sign(error) is meant


# ---------------------------------------------------------------- a serial port


def test_units_at_different_baud_rates_are_found_and_known_by_their_profile(bus: Bus) -> None:
    found = scanned(scope(bus), KNOWN).found
    assert [(it.unit, str(it.settings), it.matches[0].profile) for it in found] == [
        (1, "9600 8N1", "xy-md02"),
        (3, "4800 8N1", "renke-rs-ws-n01"),
    ]
    assert not any(it.doubled for it in found)


def test_nothing_is_written_and_no_other_unit_is_asked(bus: Bus) -> None:
    scanned(scope(bus, "1-4"), KNOWN)
    assert {request[1] for _, request in bus.asked} <= {1, 2, 3, 4}
    assert {request[0] for _, request in bus.asked} == {1, 2, 3, 4}


def test_a_unit_that_was_found_is_not_asked_again_with_other_stop_bits(bus: Bus) -> None:
    what = scope(bus, "1", settings=settings_of((9600,), ("none",), (1, 2)))
    assert [str(it.settings) for it in scanned(what).found] == ["9600 8N1"]


def test_a_scan_for_the_first_ends_with_it(bus: Bus) -> None:
    found = scanned(scope(bus, "1-200", first=True)).found
    assert [it.unit for it in found] == [1]
    assert {request[0] for _, request in bus.asked} == {1}


def test_a_unit_that_refuses_is_there(bus: Bus) -> None:
    bus.always[1] = exception(2)
    found = scanned(scope(bus, "1")).found[0]
    assert found.reaction.sign is Sign.REFUSED
    assert found.matches == ()


def test_a_slow_unit_is_found_by_its_late_reply(bus: Bus) -> None:
    bus.always[1] = late(0.09)
    found = scanned(scope(bus, "1", timeout_s=0.04)).found[0]
    assert (found.unit, found.reaction.sign) == (1, Sign.LATE)
    assert 0.09 <= found.reaction.reply_s < 0.3


def test_a_late_reply_of_one_unit_is_never_another_ones(bus: Bus) -> None:
    bus.always[1] = late(0.09)
    found = scanned(scope(bus, "1-2", timeout_s=0.04)).found
    assert [(it.unit, str(it.settings)) for it in found] == [(1, "9600 8N1")]


def test_replies_that_are_garbled_each_time_are_told_and_are_no_unit(bus: Bus) -> None:
    bus.always[1] = bad_crc
    results = scanned(scope(bus, "1"))
    assert results.found == []
    assert results.garbled == [Garbled(str(bus.path), USUAL, 1, "unit 1: a reply with a wrong checksum")]


def test_more_than_one_reply_to_one_request_is_told(bus: Bus) -> None:
    bus.always[1] = after(rtu(1, b"\x83\x02"))
    assert scanned(scope(bus, "1")).found[0].doubled


def test_noise_that_happens_once_does_not_hide_a_unit(bus: Bus) -> None:
    bus.then(instead(b"\x00\xff\x13"), instead(b"\x00\xff\x13"))
    results = scanned(scope(bus, "1"))
    assert [it.unit for it in results.found] == [1]
    assert results.garbled == []


def test_an_adapter_that_hears_itself_and_glitches_of_the_line_cost_no_time(tmp_path: Path) -> None:
    nobody = {unit: (9600, climate(unit)) for unit in range(1, 7)}
    with Bus(tmp_path, nobody) as bus:
        bus.always = dict.fromkeys((1, 2, 3), only_echo) | {unit: instead(b"\xff") for unit in (4, 5, 6)}
        what = scope(bus, "1-6", timeout_s=0.05, settings=(USUAL,))
        began = time.monotonic()
        results = scanned(what)
        took_s = time.monotonic() - began
    assert (results.found, results.garbled) == ([], [])
    assert took_s < 2.5 * what.estimate_s


def test_a_line_that_is_pulled_out_ends_the_scan_with_what_was_found(bus: Bus) -> None:
    pulled = threading.Event()

    def pull(share: float) -> None:
        if share > 0.5 and not pulled.is_set():
            pulled.set()
            bus.do(bus.unplug)

    scan = Scan(scope(bus, "1-4"), KNOWN, pull)
    scan.run()
    assert [it.unit for it in scan.results.found] == [1]
    assert isinstance(scan.results.ended, LinkDown)


def test_a_port_that_is_not_there_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan", "--port", str(tmp_path / "none"), "--state", str(tmp_path)]) == FAILED
    assert f"sitewarden: there is no port {tmp_path / 'none'}" in capsys.readouterr().err


def test_the_estimate_holds_where_nobody_answers(tmp_path: Path) -> None:
    with Bus(tmp_path, {}) as nobody:
        what = scope(nobody, "1-5", timeout_s=0.05)
        began = time.monotonic()
        assert scanned(what).found == []
        took_s = time.monotonic() - began
    assert what.requests == 2 * 5 * 2
    assert 0.9 * what.estimate_s <= took_s <= 1.5 * what.estimate_s


def test_the_progress_ends_at_all_of_it(bus: Bus) -> None:
    shown: list[float] = []
    scan = Scan(scope(bus, "1-4"), {}, shown.append)
    scan.run()
    assert shown == sorted(shown)
    assert shown[-1] == 1.0


# ---------------------------------------------------------------- TCP peers


def test_units_behind_a_peer_are_found_and_a_peer_that_is_not_there_is_told() -> None:
    with TcpDevices() as peer:
        peer.deaf = set(range(256)) - {2}
        peer.always[2] = lambda _, reply: [(0.0, reply)]
        parts = [TcpLink(type="tcp", host="127.0.0.1", port=peer.port)]
        results = scanned(Scope(parts, (), (1, 2, 3), (Question(Table.INPUT, 0),), 0.05))
    assert [(it.where, it.unit, it.settings) for it in results.found] == [(f"127.0.0.1:{peer.port}", 2, None)]
    gone = scanned(Scope(parts, (), (1,), QUESTIONS, 0.05))
    assert gone.found == []
    assert list(gone.unusable) == [f"127.0.0.1:{peer.port}"]
    assert "refused" in gone.unusable[f"127.0.0.1:{peer.port}"]


# ---------------------------------------------------------------- the command


def test_the_whole_of_a_scan_as_a_person_reads_it() -> None:
    where = "/dev/ttyUSB0"
    matches = tuple(
        Match(name, name.upper(), 12.3, known.points, settings_fit=False)
        for name, known in ((it.profile, it) for it in _matches_of_climate())
    )
    results = Results(
        found=[
            Found(where, 1, USUAL, Reaction(Sign.ANSWERED, "", 0.0231), False, matches),
            Found(
                where,
                7,
                USUAL,
                Reaction(Sign.REFUSED, "unit 7: exception 2 (illegal data address) to function 3", 0.03),
                True,
            ),
            Found(where, 9, Settings(4800, "even", 1), Reaction(Sign.LATE, "", 0.18), False),
        ],
        garbled=[
            Garbled(where, USUAL, 12, "unit 12: a reply with a wrong checksum"),
            Garbled(where, Settings(19200, "none", 1), 1, "unit 1: 6 bytes that are no reply"),
        ],
        unusable={"38400 8N1": "/dev/ttyUSB0 does not accept these settings"},
        requests=260,
    )
    asked = Scope(
        [SerialLink(type="serial", port=where)],
        settings_of((9600, 4800, 19200, 38400), ("none",), (1,)),
        numbers("1-32", 0, 255),
        QUESTIONS,
        0.1,
    )
    told = "\n".join((planned(asked), *lines(results, asked, 61.2, stopped=True))) + "\n"
    assert told == (TEXTS / "scan.txt").read_text(encoding="utf-8")


def _matches_of_climate() -> tuple[Match, ...]:
    from gateway.commissioning.matching import Seen, candidates  # noqa: PLC0415 - for this test alone

    return candidates({"xy-md02": KNOWN["xy-md02"]}, Seen({(Table.INPUT, 1): 245, (Table.INPUT, 2): 604}))


def test_the_command_finds_a_device_and_says_what_to_do_next(bus: Bus, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["scan", "--port", str(bus.path), "--baudrates", "9600", "--parities", "none", "--units", "1-2"]
    assert main([*command, "--timeout", "30ms", "--state", str(bus.path.parent)]) == OK
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split() == [
        str(bus.path),
        "1",
        "9600",
        "8N1",
        *told.out.splitlines()[1].split()[4:],
    ]
    assert "xy-md02 (fair)" in told.out
    assert told.out.splitlines()[-1] == f"next: sitewarden probe --port {bus.path} --baudrate 9600 --unit 1"
    assert told.err.startswith(f"scanning {bus.path}: 1 setting x 2 unit ids (1-2) x 2 questions, ")


def test_the_json_is_for_programs(bus: Bus, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["scan", "--port", str(bus.path), "--baudrates", "9600", "--parities", "none", "--units", "1", "--json"]
    assert main([*command, "--timeout", "30ms", "--state", str(bus.path.parent)]) == OK
    told = json.loads(capsys.readouterr().out)
    (found,) = told["found"]
    assert (found["unit"], found["baudrate"], found["parity"], found["stopbits"]) == (1, 9600, "none", 1)
    assert found["matches"][0]["values"] == {"temperature": 24.5, "humidity": 60.4}
    assert (told["stopped"], told["ended"]) == (False, None)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["--units", "0-300"], "argument --units: numbers from 1 to 255, the lower one first, not 0-300"),
        (["--parities", "some"], "argument --parities: write parities as in none,even,odd, not 'some'"),
        (["--stopbits", "3"], "argument --stopbits: numbers from 1 to 2, the lower one first, not 3"),
        (["--tcp", "10.0.0.1-99"], "argument --tcp: at most 64 peers at once, not 99"),
    ],
)
def test_what_cannot_be_scanned_is_refused_in_words(
    written: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    port = [] if "--tcp" in written else ["--port", "x"]
    with pytest.raises(SystemExit):
        main(["scan", *port, *written])
    assert capsys.readouterr().err.splitlines()[-1] == f"sitewarden scan: error: {said}"


def test_ctrl_c_ends_a_scan_with_what_was_found(bus: Bus) -> None:
    command = [sys.executable, "-m", "gateway", "scan", "--port", str(bus.path), "--baudrates", "9600"]
    command += ["--parities", "none", "--units", "1-247", "--timeout", "50ms"]
    answer, asked = bus.reply, threading.Event()

    def reply(request: bytes) -> tuple[int, bytes]:
        if request[0] == 3:
            asked.set()
        return answer(request)

    bus.reply = reply  # type: ignore[method-assign]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert asked.wait(20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == OK, err
    assert "xy-md02" in out
    assert "stopped after" in out
    assert "Traceback" not in err


SITE = """\
site: {{id: dc3}}
gateway: {{id: gw1}}
links:
  bus1: {{type: serial, port: {port}}}
devices:
  cold-1: {{driver: modbus, link: bus1, unit: 1, profile: xy-md02, zone: cold}}
"""


def test_a_port_that_a_running_daemon_attends_is_left_alone(
    bus: Bus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_id = tmp_path / "by-id"
    by_id.symlink_to(bus.path)
    with Daemon(tmp_path, SITE.format(port=bus.path)) as daemon:
        until = time.monotonic() + 20
        while daemon.status() is None:
            assert time.monotonic() < until
        assert main(["scan", "--port", str(by_id), "--state", str(daemon.state)]) == FAILED
        pid = daemon.pid
    assert capsys.readouterr().err.splitlines()[0] == (
        f"sitewarden: the running daemon (process {pid}, link bus1) attends {by_id}: a scan would keep it from its "
        "sensors, smoke detectors among them (stop it first: sudo systemctl stop sitewarden; one device can be looked "
        "at beside it: sitewarden probe)"
    )


def test_a_port_that_another_program_holds_is_told_with_its_name(
    bus: Bus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = os.open(bus.path, os.O_RDWR | os.O_NOCTTY)
    import fcntl  # noqa: PLC0415 - for this test alone

    fcntl.flock(port, fcntl.LOCK_EX)
    assert main(["scan", "--port", str(bus.path), "--state", str(tmp_path)]) == FAILED
    os.close(port)
    assert "is in use" in capsys.readouterr().err


def test_of_a_range_of_addresses_those_without_a_device_are_told_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with TcpDevices() as peer:
        command = ["scan", "--tcp", f"127.0.0.1-3:{peer.port}", "--units", "1", "--state", str(tmp_path)]
        assert main(command) == OK
        port = peer.port
    told = capsys.readouterr()
    assert told.err.startswith("scanning 3 TCP peers: 1 unit id (1) x 2 questions, 9.0 s, and seconds more")
    assert told.out.splitlines()[1].split()[:3] == [f"127.0.0.1:{port}", "1", "-"]
    assert (
        f"  127.0.0.2:{port}, 127.0.0.3:{port}: the connection was refused "
        "(the host runs: check `port`, and its Modbus service)"
    ) in told.out.splitlines()
