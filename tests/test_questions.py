"""What people ask of a link beside its polls, over real wires: answered, and in nobody's way."""

from __future__ import annotations

import time
from pathlib import Path
from queue import SimpleQueue

from link_scene import DAY_S, EVERY_S, TIMEOUT_S, Lines, Says, Siren, Thermometer, Told, device, polling, serial_line
from modbus_responder import RtuDevices, answer, late, rtu, silent, value_of

from gateway.config import schema
from gateway.driver import Table
from gateway.errors import LinkDown, NoReply, Refused
from gateway.links.choice import link as chosen
from gateway.links.listening import MOST_LISTENERS
from gateway.links.port import Link
from gateway.links.questions import MOST_WAITING, PATIENCE_S
from gateway.model import (
    Answer,
    DeviceLost,
    LinkBack,
    LinkHealth,
    LinkLost,
    ListenWanted,
    Passing,
    PollWanted,
    Question,
    Reading,
    ReadWanted,
)

WITHIN_S = 5.0
FOUR = ReadWanted(7, "holding", 100, 4)


class Asked:
    """A question that was put to a running poller, and its answer."""

    def __init__(self, told: Told, wanted: ReadWanted | PollWanted | ListenWanted, within_s: float = WITHIN_S) -> None:
        self.answers: SimpleQueue[Answer] = SimpleQueue()
        told.poller.post(Question("bus1", wanted, time.monotonic() + within_s, self.answers.put))

    @property
    def answer(self) -> Answer:
        return self.answers.get(timeout=WITHIN_S)


def request(wanted: ReadWanted) -> bytes:
    function = {"holding": 3, "input": 4}[wanted.table]
    return rtu(wanted.unit, bytes((function,)) + wanted.address.to_bytes(2) + wanted.size.to_bytes(2))


# ---------------------------------------------------------------- asking


def test_registers_of_any_unit_are_read_between_the_polls_with_the_bytes_that_passed(line: Link) -> None:
    with polling(line, device("cold-1", Thermometer(1))) as told:
        told.good("cold-1")
        before = time.monotonic()
        given = Asked(told, FOUR).answer
    assert given.fault is None
    assert given.found == tuple(value_of(7, 3, 100 + i) for i in range(4))
    sent = b"".join(it.data for it in given.passed if it.sent)
    received = b"".join(it.data for it in given.passed if not it.sent)
    assert sent == request(FOUR)
    assert received == rtu(7, answer(7, request(FOUR)[1:-2]))
    assert 0 < given.took_s < 1.0
    assert before < given.passed[0].mono <= given.passed[-1].mono < time.monotonic()


def test_a_device_is_asked_beside_its_schedule_and_that_is_no_reading_of_it(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("cold-1", Thermometer(1), every=60.0)) as told:
        told.good("cold-1")
        given = Asked(told, PollWanted("cold-1")).answer
        assert isinstance(given.found, Reading)
        assert given.found.values == Thermometer(1).right
        bus.then(*[silent] * 4)
        for _ in range(4):
            fault = Asked(told, PollWanted("cold-1")).answer.fault
            assert isinstance(fault, NoReply)
            assert fault.fault == "silent"
    assert not [fact for fact in told.all() if isinstance(fact, Reading | DeviceLost)][1:]


def test_what_cannot_be_asked_is_answered_in_words(bus: RtuDevices, line: Link) -> None:
    devices = device("siren", Siren(3), 60.0), device("odd", Says(lambda: 1 // 0), 60.0)
    with polling(line, *devices) as told:
        told.next(LinkBack)
        bus.then(lambda _, reply: [(0.0, rtu(7, b"\x83\x02"))])
        assert isinstance(Asked(told, FOUR).answer.fault, Refused)
        said = [
            str(Asked(told, wanted).answer.fault)
            for wanted in (PollWanted("siren"), PollWanted("odd"), ReadWanted(1, "holding", 65535, 2))
        ]
    assert said == [
        "siren cannot be asked: it talks by itself, or is only switched (`sitewarden status` shows what it said last)",
        "its driver failed: ZeroDivisionError (see the log, and please report it)",
        "this cannot be asked: 2 values from address 65535 on do not lie in 0 to 65535 (see unit, address and count)",
    ]


def test_a_link_without_devices_can_be_asked_and_one_that_talks_cannot(tmp_path: Path, bus: RtuDevices) -> None:
    with polling(serial_line(bus.path)) as told:
        told.next(LinkBack)
        assert Asked(told, FOUR).answer.fault is None
    with RtuDevices(tmp_path) as gps, polling(serial_line(gps.path), device("people", Lines())) as told:
        told.next(LinkBack)
        fault = Asked(told, FOUR).answer.fault
    assert str(fault) == "nothing on this link speaks Modbus (`sitewarden capture` shows what it says)"


# ---------------------------------------------------------------- in nobody's way


def test_questions_count_for_the_load_of_the_link_and_for_no_device(bus: RtuDevices, line: Link) -> None:
    bus.deaf.add(7)
    with polling(line, device("cold-1", Thermometer(1), every=DAY_S)) as told:
        told.good("cold-1")

        def health() -> LinkHealth:
            return told.poller._attendance.health("bus1", up=True, opens=1, noise_bytes=0)

        health()
        began = time.monotonic()
        taken_s = sum(Asked(told, FOUR).answer.took_s for _ in range(3))
        ended, lasted_s = health(), time.monotonic() - began
    assert ended.load is not None
    assert ended.load >= 0.9 * taken_s / lasted_s > 0.0
    assert (ended.requests, ended.failures) == (len(bus.asked), {"silent": 3})
    assert (ended.devices[0].requests, ended.devices[0].failures) == (1, {})


def test_questions_to_a_silent_unit_leave_the_polls_their_pace(bus: RtuDevices, line: Link) -> None:
    bus.deaf.add(7)
    with polling(line, device("smoke-1", Thermometer(1), safety=True)) as told:
        told.good("smoke-1")
        began = time.monotonic()
        asked = 0
        while time.monotonic() - began < 12 * EVERY_S:
            assert isinstance(Asked(told, FOUR).answer.fault, NoReply)
            asked += 1
        lasted = time.monotonic() - began
    assert 2 <= asked <= lasted / (5 * TIMEOUT_S) + 1, "a fifth of the time at most"
    readings = [fact for fact in told.all() if isinstance(fact, Reading) and fact.mono > began]
    assert not any(reading.bad for reading in readings)
    assert len(readings) >= 0.8 * lasted / EVERY_S - 2, "a busy machine costs some"


def test_a_question_waits_while_polls_are_due_and_then_goes_before_one(line: Link) -> None:
    with polling(line, *(device(f"busy-{unit}", Thermometer(unit), 0.0001) for unit in range(1, 4))) as told:
        told.good("busy-3")
        began = time.monotonic()
        assert Asked(told, FOUR).answer.fault is None
        assert PATIENCE_S <= time.monotonic() - began < PATIENCE_S + 2.0


def test_a_safety_poll_never_waits_for_a_question(line: Link) -> None:
    with polling(line, *(device(f"smoke-{unit}", Thermometer(unit), 0.0001, safety=True) for unit in (1, 2))) as told:
        told.good("smoke-2")
        fault = Asked(told, FOUR, within_s=PATIENCE_S + 0.5).answer.fault
    what = "the link had no time for it (its polls come first: `sitewarden status` shows its load)"
    assert str(fault) == what


def test_a_late_reply_to_a_question_is_nobodys_value(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("cold-1", Thermometer(1))) as told:
        told.good("cold-1")
        for _ in range(3):
            bus.then(late(1.5 * TIMEOUT_S))
            Asked(told, ReadWanted(1, "input", 1, 2)).answer  # noqa: B018 - until it is answered
            told.reading("cold-1")
    right = Thermometer(1).right
    assert all(fact.values == right for fact in told.all() if isinstance(fact, Reading) and not fact.bad)


def test_while_the_link_is_down_nothing_is_asked(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("cold-1", Thermometer(1), 60.0), retry_s=(60.0,)) as told:
        told.good("cold-1")
        bus.deaf.add(7)
        assert isinstance(Asked(told, FOUR).answer.fault, NoReply)  # and now the bus rests
        waiting = [Asked(told, FOUR) for _ in range(3)]
        assert Asked(told, ListenWanted(lambda _: None)).answer == Answer()  # so all have arrived
        bus.do(bus.unplug)
        told.next(LinkLost)
        assert all(isinstance(each.answer.fault, LinkDown) for each in waiting)
        fault = Asked(told, FOUR).answer.fault
    assert str(fault) == "its link is down (see `sitewarden status` and the daemon's log)"


def test_only_so_many_may_wait(bus: RtuDevices, line: Link) -> None:
    bus.deaf.add(7)
    with polling(line, device("cold-1", Thermometer(1))) as told:
        told.good("cold-1")
        answers = [Asked(told, FOUR, within_s=0.5) for _ in range(MOST_WAITING + 3)]
        faults = [str(each.answer.fault) for each in answers]
    assert "too many ask at once (try again when the others have finished)" in faults
    assert all(faults)


# ---------------------------------------------------------------- listening in


def test_who_listens_hears_every_byte_of_every_exchange(bus: RtuDevices, line: Link) -> None:
    with polling(line, device("cold-1", Thermometer(1))) as told:
        told.good("cold-1")
        heard: SimpleQueue[Passing] = SimpleQueue()
        assert Asked(told, ListenWanted(heard.put)).answer == Answer()
        for _ in range(3):
            told.good("cold-1")
    passed = [heard.get() for _ in range(heard.qsize())]
    asked = [frame for _, frame in bus.asked]
    assert [it.data for it in passed if it.sent] == asked[-sum(it.sent for it in passed) :]
    reply = rtu(1, answer(1, asked[-1][1:-2]))
    assert b"".join(it.data for it in passed if not it.sent).count(reply) >= 3
    assert [it.mono for it in passed] == sorted(it.mono for it in passed)


def test_listening_ends_when_its_time_is_over_or_nobody_wants_more(line: Link) -> None:
    with polling(line, device("cold-1", Thermometer(1))) as told:
        told.good("cold-1")
        once: list[Passing] = []

        def hear_once(passing: Passing) -> bool:
            once.append(passing)
            return False

        assert Asked(told, ListenWanted(hear_once)).answer == Answer()
        brief: list[Passing] = []
        assert Asked(told, ListenWanted(brief.append), within_s=0.25).answer == Answer()
        until = time.monotonic() + 0.25
        for _ in range(6):
            told.good("cold-1")
    assert len(once) == 1
    assert len(brief) >= 2
    assert all(it.mono <= until for it in brief)


def test_only_so_many_may_listen(line: Link) -> None:
    with polling(line, device("cold-1", Thermometer(1))) as told:
        told.good("cold-1")
        faults = [Asked(told, ListenWanted(lambda _: None)).answer.fault for _ in range(MOST_LISTENERS + 1)]
    assert faults[:-1] == [None] * MOST_LISTENERS
    assert str(faults[-1]) == "4 listen to this link already (try again when one of them has finished)"


def test_pins_cannot_be_listened_to() -> None:
    gpio = chosen("gpio", schema.GpioLink(type="gpio", factory="mock"), (), Path())
    with polling(gpio) as told:
        told.next(LinkBack)
        fault = Asked(told, ListenWanted(lambda _: None)).answer.fault
        assert Asked(told, FOUR).answer.fault is not None
    assert str(fault) == "no bytes pass on this link (`sitewarden status` shows the levels of pins)"


def test_a_question_names_tables_as_drivers_do() -> None:
    assert {Table(name) for name in ("coil", "discrete", "holding", "input")} == set(Table)
