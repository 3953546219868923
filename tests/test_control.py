"""The hub's thread and the control socket together, as a person meets them."""

from __future__ import annotations

import json
import os
import pwd
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from test_hub import plan

from gateway.clock import SystemClock
from gateway.control import MAX_REQUEST, MOST_WAITING, Control, ask, socket_path, status
from gateway.errors import SitewardenError
from gateway.hub import numbering
from gateway.hub.room import BEHIND, MAX_BATCH, MAX_IDLE_S, NOT_STORED_BEHIND, HubRoom
from gateway.model import (
    Adjust,
    Answer,
    Command,
    Decision,
    Fact,
    Json,
    Lane,
    LinkHealth,
    LinkLost,
    Moment,
    Notice,
    Question,
    Reading,
    Record,
    Recovered,
    Reply,
    Row,
    SoonRead,
    Stored,
    Write,
)

WITHIN_S = 5.0
USER = pwd.getpwuid(os.getuid()).pw_name
TOO_BIG = "not a request: a number is too big"


class Told:
    """The other rooms: they only note what they are told, from the run's first event on."""

    def __init__(self) -> None:
        self.writes: SimpleQueue[Write | Adjust] = SimpleQueue()
        self.questions: SimpleQueue[Question] = SimpleQueue()
        self.reloads: SimpleQueue[Command] = SimpleQueue()
        self.journal_inbox: SimpleQueue[Decision] = SimpleQueue()
        self.uplink_inbox: SimpleQueue[Record | Notice] = SimpleQueue()
        self.stored: Callable[[Stored], None] | None = None

    def write(self, write: Write | Adjust) -> None:
        self.writes.put(write)

    def ask(self, question: Question) -> None:
        self.questions.put(question)

    def reload(self, command: Command) -> None:
        self.reloads.put(command)

    def journal(self, decision: Decision) -> None:
        if not any('"event":"started"' in record.text for record in decision.records):
            self.journal_inbox.put(decision)
        if self.stored is not None:  # a disk that takes everything at once
            self.stored(Stored(tuple(Row(0, "run2", record) for record in decision.records)))

    def uplinks(self, message: Record | Notice) -> None:
        self.uplink_inbox.put(message)


def reading(device: str, **values: Any) -> Reading:
    now = SystemClock().now()
    return Reading(device, now.mono, now.ts, values, {})


@pytest.fixture
def hub() -> Iterator[tuple[HubRoom, Told]]:
    told = Told()
    room = HubRoom(plan(), SystemClock(), told)
    told.stored = room.post
    room.post(Recovered("new", None, {}))
    thread = threading.Thread(target=room.run)
    thread.start()
    yield room, told
    room.stop()
    thread.join(WITHIN_S)
    assert not thread.is_alive()


@pytest.fixture
def state_dir(tmp_path: Path, hub: tuple[HubRoom, Told]) -> Iterator[Path]:
    control = Control(socket_path(tmp_path), hub[0].post, {"bus1": {"type": "serial", "port": "/dev/ttyUSB0"}})
    thread = threading.Thread(target=control.run)
    thread.start()
    deadline = SystemClock().mono() + WITHIN_S
    while True:
        try:
            ask(tmp_path, {"ask": "status"})
            break
        except SitewardenError:
            assert SystemClock().mono() < deadline
    yield tmp_path
    control.stop()
    thread.join(WITHIN_S)
    assert not thread.is_alive()
    assert not socket_path(tmp_path).exists()


def test_smoke_reaches_the_siren_through_the_hubs_thread(hub: tuple[HubRoom, Told]) -> None:
    room, told = hub
    room.post(reading("smoke-1", smoke="alarm"))
    assert told.writes.get(timeout=WITHIN_S) == Write("gpio", "siren", "output", "on")
    assert json.loads(told.journal_inbox.get(timeout=WITHIN_S).records[-1].text)["event"] == "output"


def test_the_first_events_wait_a_second_for_the_journal_and_the_output_does_not() -> None:
    told = Told()
    room = HubRoom(plan(), SystemClock(), told)
    thread = threading.Thread(target=room.run)
    thread.start()
    began = SystemClock().mono()
    room.post(LinkLost("bus1", "gone", "look"))
    room.post(reading("smoke-1", smoke="alarm"))
    told.writes.get(timeout=0.9)
    assert told.uplink_inbox.empty()
    told_first = told.uplink_inbox.get(timeout=WITHIN_S)
    assert isinstance(told_first, Record)
    assert "link_lost" in told_first.text
    assert SystemClock().mono() - began < 2
    assert told.uplink_inbox.empty(), "what the alarm is waits longer: the run before may have told it"
    room.stop()
    thread.join(WITHIN_S)


def test_what_waited_for_the_first_event_comes_before_what_came_with_it() -> None:
    told = ToldAll()
    room = HubRoom(plan(), SystemClock(), told)
    thread = threading.Thread(target=room.run)
    thread.start()
    room.post(reading("smoke-1", smoke="alarm"))
    told.writes.get(timeout=WITHIN_S)
    room.post(Recovered("salvaged", None, {}, "journal.db.bad-1"))
    events: list[Record] = []
    while len(events) < 5:
        decision = told.journal_inbox.get(timeout=WITHIN_S)
        events += [record for record in decision.records if record.lane is Lane.EVENT]
    room.stop()
    thread.join(WITHIN_S)
    assert [record.seq for record in events] == [1, 2, 3, 4, 5]
    assert [json.loads(record.text)["event"] for record in events] == ["started", "alarm", "output", "alarm", "alarm"]


class ToldAll(Told):
    """The other rooms; they note the run's first event, too."""

    def journal(self, decision: Decision) -> None:
        self.journal_inbox.put(decision)


def test_smoke_and_commands_overtake_other_readings() -> None:
    told = Told()
    room = HubRoom(plan(), SystemClock(), told)
    room.post(Recovered("new", None, {}))
    order: list[str] = []
    for number in range(1000):
        room.post(reading("cold-1", temperature=float(number)))
    room.post(reading("smoke-1", smoke="alarm"))
    room.post(
        Command(
            "1", "acknowledge", {"alarm": "any-smoke@smoke-1.smoke"}, "A", "local", None, lambda _: order.append("")
        )
    )
    room.stop()
    room.run()
    first = told.journal_inbox.get(timeout=0)
    assert [json.loads(record.text).get("event") for record in first.records] == [None, "alarm", "output"]
    assert json.loads(told.journal_inbox.get(timeout=0).records[-1].text)["event"] == "command"
    assert order == [""]


def test_what_a_device_says_when_it_is_asked_now_does_not_overtake_what_it_said_before() -> None:
    told = Told()
    room = HubRoom(plan(), SystemClock(), told)
    room.post(Recovered("new", None, {}))
    for number in range(5):
        room.post(reading("cold-1", temperature=float(number)))
    room.post(SoonRead("", Answer(reading("cold-1", temperature=5.0))))
    room.stop()
    room.run()
    telemetry = told.journal_inbox.get(timeout=0)
    said = [json.loads(record.text)["values"]["temperature"] for record in telemetry.records]
    assert said == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]


def test_telemetry_is_passed_on_in_one_piece_when_the_inbox_is_drained() -> None:
    told = Told()
    room = HubRoom(plan(), SystemClock(), told)
    room.post(Recovered("new", None, {}))
    for number in range(100):
        room.post(reading("cold-1", temperature=float(number)))
    room.stop()
    room.run()
    telemetry, stopped = told.journal_inbox.get(timeout=0), told.journal_inbox.get(timeout=0)
    assert [record.seq for record in telemetry.records] == list(range(1, 101))
    assert json.loads(stopped.records[-1].text)["event"] == "stopped"


class HeardClock(SystemClock):
    """Tells when it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = threading.Event()

    def mono(self) -> float:
        self.is_read.set()
        return super().mono()


def test_health_wakes_nobody_and_is_known_when_somebody_asks() -> None:
    clock = HeardClock()
    room = HubRoom(plan(), clock, Told())
    room.post(Recovered("new", None, {}))
    thread = threading.Thread(target=room.run)
    thread.start()
    while clock.is_read.wait(0.2):
        clock.is_read.clear()  # until it rests
    room.post(LinkHealth("gpio", True, (), opens=7))
    assert not clock.is_read.wait(0.2)
    assert [link.opens for link in status(room.post, WITHIN_S).health.links] == [7]
    room.stop()
    thread.join(WITHIN_S)


class StandingClock(SystemClock):
    """Whoever asks for the wall time, from `stand` on, waits until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.stand, self.asked, self.go = threading.Event(), threading.Event(), threading.Event()

    def now(self) -> Moment:
        if self.stand.is_set():
            self.asked.set()
            assert self.go.wait(WITHIN_S)
        return super().now()


def test_readings_that_the_hub_has_taken_in_and_not_judged_yet_hold_polls_back() -> None:
    clock = StandingClock()
    room = HubRoom(plan(), clock, Told())
    room.post(Recovered("new", None, {}))
    for _ in range(BEHIND + 1):
        room.post(reading("cold-1", temperature=4.0))
    clock.stand.set()
    thread = threading.Thread(target=room.run)
    thread.start()
    assert clock.asked.wait(WITHIN_S)
    assert room.behind()
    clock.go.set()
    until = clock.mono() + WITHIN_S
    while room.behind():
        assert clock.mono() < until
    room.stop()
    thread.join(WITHIN_S)


def test_the_hub_wakes_for_what_is_stored_while_it_holds_polls_back() -> None:
    told, clock = Told(), SystemClock()
    room = HubRoom(plan(), clock, told)
    room.post(Recovered("new", None, {}))
    one = reading("cold-1", temperature=4.0)
    for _ in range(NOT_STORED_BEHIND + 1):
        room.post(one)
    thread = threading.Thread(target=room.run)
    thread.start()
    posted = [told.journal_inbox.get(timeout=WITHIN_S)]
    while sum(len(decision.records) for decision in posted) <= NOT_STORED_BEHIND:
        posted.append(told.journal_inbox.get(timeout=WITHIN_S))
    assert room.behind()
    room.post(Stored(tuple(Row(record.seq, "run", record) for decision in posted for record in decision.records)))
    until = clock.mono() + MAX_IDLE_S / 2
    while room.behind():
        assert clock.mono() < until
    room.stop()
    thread.join(WITHIN_S)


def test_what_is_stored_meanwhile_counts_however_full_the_inbox_is(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = 4 * MAX_BATCH
    monkeypatch.setattr(numbering, "MAX_NOT_STORED", bound)

    class Prompt(Told):
        """A journal that stores at once."""

        def journal(self, decision: Decision) -> None:
            super().journal(decision)
            room.post(Stored(tuple(Row(record.seq, "run", record) for record in decision.records)))

    told = Prompt()
    room = HubRoom(plan(), SystemClock(), told)
    room.post(Recovered("new", None, {}))
    one = reading("cold-1", temperature=4.0)
    for _ in range(bound + 2 * MAX_BATCH):
        room.post(one)
    room.stop()
    room.run()
    lanes = [record.lane for _ in range(told.journal_inbox.qsize()) for record in told.journal_inbox.get().records]
    assert lanes.count(Lane.TELEMETRY) == bound + 2 * MAX_BATCH, "no gap"


def test_status_tells_points_alarms_and_outputs(hub: tuple[HubRoom, Told], state_dir: Path) -> None:
    hub[0].post(reading("smoke-1", smoke="alarm"))
    hub[1].writes.get(timeout=WITHIN_S)
    status = ask(state_dir, {"ask": "status"})
    assert status["alarms"][0]["state"] == "unack_active"
    assert status["outputs"] == {"siren.output": "on"}
    smoke = next(entry for entry in status["points"] if entry["device"] == "smoke-1")
    assert (smoke["value"], smoke["quality"]) == ("alarm", "good")


def test_a_person_acknowledges_through_the_socket(hub: tuple[HubRoom, Told], state_dir: Path) -> None:
    hub[0].post(reading("smoke-1", smoke="alarm"))
    hub[1].writes.get(timeout=WITHIN_S)
    alarm = "any-smoke@smoke-1.smoke"
    request: dict[str, Json] = {"ask": "command", "name": "acknowledge", "args": {"alarm": alarm}, "issuer": "Ada"}
    assert Reply(**ask(state_dir, request)).result == "done"
    assert Reply(**ask(state_dir, request)).detail == "already acknowledged"


def test_a_person_is_answered_after_a_second_where_the_disk_hangs(hub: tuple[HubRoom, Told], state_dir: Path) -> None:
    room, told = hub
    told.stored = None  # from now on it takes nothing
    room.post(reading("smoke-1", smoke="alarm"))
    began = SystemClock().mono()
    request: dict[str, Json] = {"ask": "command", "name": "set_output", "issuer": "Ada"}
    off: dict[str, Json] = {**request, "args": {"output": "siren", "value": "auto"}}
    assert ask(state_dir, off)["result"] == "refused", "what changes nothing waits for no disk"
    assert SystemClock().mono() - began < 0.9
    acknowledged: dict[str, Json] = {**request, "name": "acknowledge", "args": {"alarm": "any-smoke@smoke-1.smoke"}}
    reply = ask(state_dir, acknowledged)
    assert reply["result"] == "not_stored"
    assert reply["detail"].startswith("it is in force, but not on the disk yet")
    assert 0.9 < SystemClock().mono() - began < 5
    assert status(room.post, 2).alarms[0].state == "ack_active"


@pytest.mark.parametrize(("given", "recorded"), [("boss", f"boss (user {USER})"), (USER, USER)])
def test_the_record_names_the_user_whatever_name_is_given(
    hub: tuple[HubRoom, Told], state_dir: Path, given: str, recorded: str
) -> None:
    ask(state_dir, {"ask": "command", "name": "acknowledge", "args": {"alarm": "nix"}, "issuer": given})
    (event,) = hub[1].journal_inbox.get(timeout=WITHIN_S).records
    assert json.loads(event.text)["issuer"] == recorded


@pytest.mark.parametrize("given", ["", "Ada\nok", "\x1b[2J", "A" * 129, 7, None])
def test_a_name_that_could_not_come_over_an_uplink_is_refused(
    hub: tuple[HubRoom, Told], state_dir: Path, given: Json
) -> None:
    talk: dict[str, Json] = {"ask": "talk", "name": "probe", "link": "bus1", "of": "x"}
    act: dict[str, Json] = {"ask": "command", "name": "acknowledge", "args": {"alarm": "nix"}}
    for request in (act, talk):
        with pytest.raises(SitewardenError, match="the name must be 1 to 128 printable characters"):
            ask(state_dir, {**request, "issuer": given})
    assert hub[1].journal_inbox.empty()


@pytest.mark.parametrize(
    "request_",
    [
        {"ask": "command", "name": "a\nb", "args": {}, "issuer": "ada"},
        {"ask": "command", "name": "x" * 65, "args": {}, "issuer": "ada"},
        {"ask": "talk", "name": "probe", "link": "bus1", "of": "x\ny", "issuer": "ada"},
    ],
)
def test_what_would_garble_the_record_is_no_request(state_dir: Path, request_: dict[str, Json]) -> None:
    with pytest.raises(SitewardenError, match="not a request"):
        ask(state_dir, request_)


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (b"\n", "not a request: Expecting value: line 2 column 1 (char 1)"),
        (b"[" * 9000 + b"\n", "a request is nested at most 8 deep"),
        (b"[1]\n", "not a request: an object is expected"),
        (b'{"ask":"command","name":"shelve","args":{"for_s":1' + b"0" * 400 + b"}}\n", TOO_BIG),
        (b'{"ask":"command","name":"shelve","args":{"for_s":NaN}}\n', "not a request: NaN is not JSON"),
        (b'{"ask":"everything"}\n', "not a request"),
        (b'{"ask":"command","name":1}\n', "not a request"),
        (b"x" * (MAX_REQUEST + 1), "the request is too long"),
    ],
)
def test_a_garbled_request_gets_a_clear_answer(state_dir: Path, sent: bytes, error: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(WITHIN_S)
        client.connect(str(socket_path(state_dir)))
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert json.loads(client.recv(4096))["error"] == error
    assert ask(state_dir, {"ask": "status"})["run"] == "run2"


def test_a_client_that_hangs_up_does_no_harm(state_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(socket_path(state_dir)))
    assert ask(state_dir, {"ask": "status"})["run"] == "run2"


def test_a_client_that_sends_a_byte_now_and_then_holds_up_the_others_for_two_seconds_at_most(state_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow:
        slow.connect(str(socket_path(state_dir)))
        slow.settimeout(0.2)
        until = SystemClock().mono() + WITHIN_S
        answer = b""
        while not answer:
            assert SystemClock().mono() < until, "it is not served for ever"
            with suppress(BrokenPipeError):
                slow.sendall(b"x")
            with suppress(TimeoutError, ConnectionResetError):
                answer = slow.recv(4096) or b"closed"
    assert ask(state_dir, {"ask": "status"})["run"] == "run2"


def test_only_the_owner_and_the_group_may_ask(state_dir: Path) -> None:
    assert socket_path(state_dir).stat().st_mode & 0o777 == 0o660


def test_without_a_daemon_the_hint_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(SitewardenError, match=r"no daemon is running .* sitewarden run"):
        ask(tmp_path, {"ask": "status"})


def test_so_many_wait_for_what_takes_long_and_no_more(tmp_path: Path) -> None:
    asked: SimpleQueue[Fact] = SimpleQueue()
    control = Control(socket_path(tmp_path), asked.put, {})
    thread = threading.Thread(target=control.run)
    thread.start()
    request = json.dumps({"ask": "command", "name": "reload", "args": {}, "issuer": "ada"}).encode() + b"\n"
    with ExitStack() as clients:
        for _ in range(MOST_WAITING):
            clients.enter_context(client_of(tmp_path, request))
            command = asked.get(timeout=WITHIN_S)
            assert isinstance(command, Command)
            clients.callback(command.answer, Reply("", "done", ""))
        one_more = clients.enter_context(client_of(tmp_path, request))
        assert json.loads(one_more.makefile().readline())["error"] == "too many wait for their commands"
        assert asked.empty(), "it was not carried out"
    control.stop()
    thread.join(WITHIN_S)
    assert not thread.is_alive()


def client_of(folder: Path, request: bytes) -> socket.socket:
    """A client that has asked this; the socket is there within seconds."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(WITHIN_S)
    deadline = SystemClock().mono() + WITHIN_S
    while True:
        try:
            client.connect(str(socket_path(folder)))
            break
        except OSError:
            assert SystemClock().mono() < deadline
    client.sendall(request)
    return client
