"""A talk over the control socket: what is asked wrongly, too often or for too long, and what it never does."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.talking import talking
from gateway.control import MOST_TALKS, Control, ask, socket_path
from gateway.driver import Table
from gateway.errors import LinkDown, NoReply, Refused, SitewardenError
from gateway.model import Answer, Command, Fact, Passing, PollWanted, Question, Reading, ReadWanted, Reason, Reply
from gateway.talk import answered, fault_of, fault_told

WITHIN_S = 5.0
PASSED = (Passing(1.25, True, b"\x01"), Passing(1.5, False, b"\x02"))


class Daemon:
    """The hub and the links: what they are told, and what they answer."""

    def __init__(self) -> None:
        self.told: list[Fact] = []
        self.answer = Answer((1, 2), passed=PASSED, took_s=0.25)

    def post(self, fact: Fact) -> None:
        self.told.append(fact)
        if isinstance(fact, Command):
            known = fact.name in {"read", "probe", "capture"}
            fact.answer(Reply(fact.id, "done" if known else "refused", "" if known else "unknown command"))
        elif isinstance(fact, Question):
            fact.answer(self.answer)


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def state(tmp_path: Path, daemon: Daemon) -> Iterator[Path]:
    control = Control(socket_path(tmp_path), daemon.post, {})
    thread = threading.Thread(target=control.run)
    thread.start()
    until = time.monotonic() + WITHIN_S
    while True:
        try:
            ask(tmp_path, {"ask": "links"})
            break
        except SitewardenError:
            assert time.monotonic() < until
    yield tmp_path
    control.stop()
    thread.join(WITHIN_S)
    assert not thread.is_alive()


def test_one_talk_is_one_command_however_much_is_asked(state: Path, daemon: Daemon) -> None:
    with talking(state, "bus1", "probe", "unit 5 on bus1") as talk:
        for _ in range(3):
            assert talk.read(5, Table.INPUT, 0, 2) == [1, 2]
        assert talk.passed() == PASSED * 3
    command, *questions = daemon.told
    assert isinstance(command, Command)
    assert (command.name, command.args, command.source) == ("probe", {"of": "unit 5 on bus1"}, "local")
    for question in questions:
        assert isinstance(question, Question)
        assert (question.link, question.wanted) == ("bus1", ReadWanted(5, "input", 0, 2))


def test_a_poll_brings_values_and_reasons(state: Path, daemon: Daemon) -> None:
    reading = Reading("cold-1", 1.0, 1_763_775_600_123, {"temperature": 4.5}, {"humidity": Reason.SENSOR_FAULT})
    daemon.answer = Answer(reading)
    with talking(state, "bus1", "read", "cold-1") as talk:
        assert talk.poll("cold-1") == reading._replace(mono=0.0)
    assert isinstance(question := daemon.told[-1], Question)
    assert question.wanted == PollWanted("cold-1")


@pytest.mark.parametrize(
    "fault",
    [
        NoReply("silent", "no answer", "check"),
        Refused(2, "exception 2", "check"),
        LinkDown("gone", "plug it in"),
        SitewardenError("busy", "later"),
    ],
)
def test_an_error_is_the_same_at_the_other_end(state: Path, daemon: Daemon, fault: SitewardenError) -> None:
    daemon.answer = Answer(fault=fault)
    with talking(state, "bus1", "probe", "x") as talk, pytest.raises(type(fault)) as caught:
        talk.read(1, Table.COIL, 0, 1)
    assert type(caught.value) is type(fault)
    assert vars(caught.value) == vars(fault)


def test_nothing_can_be_written_this_way(state: Path, daemon: Daemon) -> None:
    with (
        talking(state, "bus1", "probe", "x") as talk,
        pytest.raises(SitewardenError, match="this command changes noth"),
    ):
        talk.write(1, Table.HOLDING, 0, (1,))
    assert not any(isinstance(fact, Question) for fact in daemon.told)


def test_only_what_looks_may_talk(state: Path) -> None:
    with pytest.raises(SitewardenError, match=r"unknown command \(read, probe and capture can begin a talk\)"):
        talking(state, "bus1", "acknowledge", "x").__enter__()


def test_only_so_many_talk_at_once_and_the_others_are_served_meanwhile(state: Path) -> None:
    talks = [talking(state, "bus1", "probe", "x") for _ in range(MOST_TALKS)]
    for talk in talks:
        talk.__enter__()
    with pytest.raises(SitewardenError, match="too many look at devices at once"):
        talking(state, "bus1", "probe", "x").__enter__()
    assert ask(state, {"ask": "links"})["links"] == {}
    for talk in talks:
        talk.__exit__(None, None, None)
    until = time.monotonic() + WITHIN_S
    while True:
        try:
            with talking(state, "bus1", "probe", "x"):
                break
        except SitewardenError:
            assert time.monotonic() < until, "their places are never free again"


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"\xff\n",
        b"[1]\n",
        b"1e999999\n",
        b"x" * 9000,
        b'{"read": {"unit": 1, "table": "nix", "address": 0, "size": 1}}\n',
        b'{"read": {"unit": "1", "table": "coil", "address": 0, "size": 1}}\n',
        b'{"listen": true}\n',
        b'{"listen": NaN}\n',
        b'{"listen": 1' + b"0" * 400 + b"}\n",
        b'{"listen": -1}\n',
        b'{"write": 1}\n',
    ],
)
def test_a_garbled_line_is_answered_or_ends_the_talk_and_asks_no_device(
    state: Path, daemon: Daemon, line: bytes
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(WITHIN_S)
        client.connect(str(socket_path(state)))
        begin = {"ask": "talk", "name": "probe", "link": "bus1", "of": "x", "issuer": "ada"}
        client.sendall(json.dumps(begin).encode() + b"\n")
        assert client.recv(100) == b"{}\n"
        said = b""
        with suppress(ConnectionResetError, BrokenPipeError):  # it hung up with the rest unread
            client.sendall(line)
            client.shutdown(socket.SHUT_WR)
            said = client.recv(4096)
    told: dict[str, Any] = json.loads(said) if said else {"error": "not a question"}
    assert told["error"] == "not a question"
    assert not any(isinstance(fact, Question) for fact in daemon.told)


def test_what_a_line_tells_is_what_was_answered() -> None:
    line = json.loads(json.dumps(answered(Answer((1, 0), passed=PASSED, took_s=0.5))))
    assert line == {"passed": [[1.25, True, "01"], [1.5, False, "02"]], "took_s": 0.5, "found": [1, 0]}
    assert fault_of(line) is None
    assert fault_told(SitewardenError("what")) == {"error": "what", "hint": ""}
