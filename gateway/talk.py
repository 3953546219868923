"""A longer talk over the control socket: one person's questions to a link, one after the other, or listening in on it.

It begins with `{"ask": "talk", "name": "probe", "link": "bus1", "of": "unit 5 on bus1", "issuer": ...}`, which the hub
records once, whatever is asked then, line by line:

    {"read": {"unit": 5, "table": "input", "address": 0, "size": 2}}    {"poll": "cold-1"}    {"listen": 60}

Each is answered by one line; listening by a line for everything that passes, until the time is over or the client goes.

- A client that reads slowly never slows the link: what it leaves lying beyond MOST_KEPT pieces is lost to it, counted.
- A talk ends when the client says nothing for IDLE_S, or hangs up. Every wait has its deadline.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any

from gateway.driver import Table
from gateway.errors import LinkDown, NoReply, Refused, SitewardenError
from gateway.model import Answer, Fact, Json, ListenWanted, Passing, PollWanted, Question, Reading, ReadWanted
from gateway.records import encode
from gateway.untrusted import parsed

QUESTION_S = 15.0
"""For how long a question may wait for the polls to leave it time."""

IDLE_S = 60.0
MOST_KEPT = 2000
LONGEST_LISTEN_S = 3600.0
_SEND_S = 10.0
_GRACE_S = 5.0  # for an exchange that began just before its question's time was over
_LOOK_S = 0.5  # how often it is looked whether a client that listens is still there
_MAX_LINE = 4096


class Talk:
    """One client's talk about one link ("" where only a device is asked); `run` is a thread of its own."""

    def __init__(self, client: socket.socket, link: str, post: Callable[[Fact], None]) -> None:
        self._client = client
        self._link = link
        self._post = post
        self._lost = 0

    def run(self) -> None:
        """Answer until the client goes."""
        with self._client:
            try:
                self._say({})
                for line in self._lines():
                    self._serve(line)
            except (OSError, ValueError):  # it has gone, was silent too long, or does not speak as agreed
                return

    def end(self) -> None:
        """Hang up; from any thread."""
        try:
            self._client.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _lines(self) -> Iterator[Mapping[str, Any]]:
        data = b""
        self._client.settimeout(IDLE_S)
        while chunk := self._client.recv(_MAX_LINE):
            *lines, data = (data + chunk).split(b"\n")
            if len(data) > _MAX_LINE:
                return
            for line in lines:
                yield parsed(line, "a question", _MAX_LINE)
                self._client.settimeout(IDLE_S)

    def _serve(self, request: Mapping[str, Any]) -> None:
        match request:
            case {"read": {"unit": int(unit), "table": str(table), "address": int(address), "size": int(size)}}:
                known = table in {it.value for it in Table}
                wanted = ReadWanted(unit, table, address, size) if known else None
            case {"poll": str(device)}:
                self._say(answered(self._ask(PollWanted(device), QUESTION_S)))
                return
            case {"listen": float(seconds) | int(seconds)} if seconds > 0 and not isinstance(seconds, bool):
                self._listen(min(float(seconds), LONGEST_LISTEN_S))
                return
            case _:
                wanted = None
        if wanted is None:
            self._say(fault_told(SitewardenError("not a question", "ask with `read`, `poll` or `listen`")))
        else:
            self._say(answered(self._ask(wanted, QUESTION_S)))

    def _ask(self, wanted: ReadWanted | PollWanted | ListenWanted, for_s: float) -> Answer:
        answers: SimpleQueue[Answer] = SimpleQueue()
        self._post(Question(self._link, wanted, time.monotonic() + for_s, answers.put))
        try:
            return answers.get(timeout=QUESTION_S + _GRACE_S)
        except Empty:
            return Answer(fault=SitewardenError("the link did not answer", "see the daemon's log"))

    def _listen(self, seconds: float) -> None:
        heard: SimpleQueue[Passing] = SimpleQueue()
        gone = False

        def hear(passing: Passing) -> bool:
            if heard.qsize() < MOST_KEPT:
                heard.put(passing)
            else:
                self._lost += 1
            return not gone

        until = time.monotonic() + seconds
        try:
            answer = self._ask(ListenWanted(hear), seconds)
            self._say(answered(answer))
            while answer.fault is None and (left_s := until - time.monotonic()) > 0 and not self._has_gone():
                self._pass_on(heard, min(left_s, _LOOK_S))
            self._say({"end": True})
        finally:
            gone = True

    def _pass_on(self, heard: SimpleQueue[Passing], within_s: float) -> None:
        try:
            passing = heard.get(timeout=within_s)
        except Empty:
            return
        if self._lost:
            lost, self._lost = self._lost, 0
            self._say({"lost": lost})
        self._say({"passed": piece(passing)})

    def _has_gone(self) -> bool:
        """Whether the client has hung up; what it says while it listens ends it, too."""
        return bool(select.select([self._client], [], [], 0)[0])

    def _say(self, line: Json) -> None:
        self._client.settimeout(_SEND_S)
        self._client.sendall(encode(line).encode() + b"\n")


# ---------------------------------------------------------------- answers as JSON, and back


def answered(answer: Answer) -> dict[str, Json]:
    """An answer as one line says it."""
    line: dict[str, Json] = {"passed": [piece(it) for it in answer.passed], "took_s": answer.took_s}
    if answer.fault is not None:
        return line | fault_told(answer.fault)
    if isinstance(answer.found, Reading):
        reading = answer.found
        return line | {"ts": reading.ts, "values": dict(reading.values), "bad": dict(reading.bad)}
    return line | {"found": None if answer.found is None else list(answer.found)}


def fault_told(fault: SitewardenError) -> dict[str, Json]:
    """An error as one line says it."""
    told: dict[str, Json] = {"error": fault.what, "hint": fault.hint}
    match fault:
        case NoReply():
            told["no_reply"] = fault.fault
        case Refused():
            told["refused"] = fault.code
        case LinkDown():
            told["link_down"] = True
    return told


def fault_of(line: Mapping[str, Any]) -> SitewardenError | None:
    """The error that a line tells, if it does."""
    match line:
        case {"no_reply": str(name), "error": str(what), "hint": str(hint)}:
            return NoReply(name, what, hint)
        case {"refused": int(code), "error": str(what), "hint": str(hint)}:
            return Refused(code, what, hint)
        case {"link_down": True, "error": str(what), "hint": str(hint)}:
            return LinkDown(what, hint)
        case {"error": str(what), "hint": str(hint)}:
            return SitewardenError(what, hint)
    return None


def piece(passing: Passing) -> list[Json]:
    """What passed, as a line says it: monotonic seconds, whether it was sent, and the bytes in hex."""
    return [round(passing.mono, 6), passing.sent, passing.data.hex()]


def piece_of(told: Any) -> Passing:  # noqa: ANN401 - JSON from the daemon
    """The same back."""
    mono, sent, data = told
    return Passing(float(mono), bool(sent), bytes.fromhex(data))
