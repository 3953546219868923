"""Settings written by command: stored before they are sent, sent once, and told what became of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from test_modbus_settings import THERMOSTAT
from test_modbus_table import table

from gateway.driver import point
from gateway.hub.answered import ANOTHER, LONGEST_MS, MOST, REMEMBERED, AnsweredCommands
from gateway.hub.decide import Hub
from gateway.hub.plan import Plan
from gateway.hub.writes import BLOCK_S, NOT_READY, STOPPED, STORE_S, TOO_FAR_AHEAD, WRITE_S, Setting, SettingPoint
from gateway.model import (
    About,
    Adjust,
    Adjusted,
    Command,
    Decision,
    DeviceAbout,
    Fact,
    Lane,
    Moment,
    Reading,
    Recovered,
    Reply,
    Row,
    Stored,
    Tick,
    Trust,
    Unstored,
)
from gateway.rules.responses import OutputPoint

T0 = 1_800_000_000_000
DRIVER = table(THERMOSTAT, settings=("setpoint", "delay"), outputs=("do1",))
WANTED: dict[str, Any] = {"device": "cold-1", "point": "setpoint", "value": -18.5, "reason": "the new goods"}


def plan() -> Plan:
    cold = DeviceAbout("cold-1", "", "modbus", "bus1", "cold-store", DRIVER.points, ())
    counter = DeviceAbout("door-1", "", "people_counter", "usb", "door", (point("people", "people"),), ())
    return Plan(
        about=About("site", "Site", "gw1", "0", "abc", ("cold-store",), (cold, counter)),
        rules=(),
        responses={},
        outputs={OutputPoint("bus1", "cold-1", "do1"): "off"},
        settings={
            SettingPoint("cold-1", name): Setting("bus1", lambda value, name=name: DRIVER.refusal(name, value))  # type: ignore[misc]
            for name in DRIVER.settings
        },
        limits={"cold-1": {}, "door-1": {}},
        every_s={"cold-1": 10.0, "door-1": 10.0},
        safety_devices=frozenset({"cold-1"}),
        version="0",
        uplinks=("platform",),
        run="run2",
    )


class Desk:
    """A hub and somebody who asks it to write; the test plays journal, link and time."""

    def __init__(
        self,
        state: Mapping[str, str] | None = None,
        *,
        recovered: bool = True,
        settings: Mapping[SettingPoint, Setting] | None = None,
    ) -> None:
        self.mono = 1000.0
        self.state = dict(state or {})
        planned = plan() if settings is None else replace(plan(), settings=settings)
        self.hub = Hub(planned, self.now())
        self.replies: list[Reply] = []
        self.events: list[dict[str, Any]] = []
        if recovered:
            self.tell(Recovered("kept", None, dict(self.state)))

    def now(self) -> Moment:
        return Moment(self.mono, T0 + int(self.mono * 1000), Trust.SYNCED)

    def tell(self, fact: Fact, after_s: float = 0.0) -> Decision:
        self.mono += after_s
        decision = self.hub.handle(fact, self.now())
        self.events += [json.loads(it.text) for it in decision.records if it.lane is Lane.EVENT]
        for change in decision.state:
            if change.text is None:
                self.state.pop(change.key, None)
            else:
                self.state[change.key] = change.text
        for answer, reply in decision.replies:
            answer(reply)
        return decision

    def ask(
        self, id_: str = "c1", source: str = "platform", expires_in_s: float | None = None, **change: Any
    ) -> Decision:
        expires = None if expires_in_s is None else self.now().ts + round(expires_in_s * 1000)
        return self.tell(Command(id_, "write_point", WANTED | change, "ada", source, expires, self.replies.append))

    def stored(self, decision: Decision) -> Decision:
        return self.tell(Stored(tuple(Row(n, "run2", it) for n, it in enumerate(decision.records, 1))))

    def sent(self, **change: Any) -> Adjust:
        (write,) = self.stored(self.ask(**change)).writes
        assert isinstance(write, Adjust)
        return write

    @property
    def results(self) -> list[str]:
        return [it["result"] for it in self.events if it["event"] == "write"]


def test_a_write_is_stored_before_it_is_sent_and_answered_with_what_read_back() -> None:
    desk = Desk()
    now = desk.now()
    desk.tell(Reading("cold-1", now.mono, now.ts, {"setpoint": 4.0}, {}))
    requested = desk.ask()
    assert (requested.writes, requested.replies) == ((), ())
    assert json.loads(requested.records[0].text) == {
        "event": "write",
        "device": "cold-1",
        "point": "setpoint",
        "value": -18.5,
        "id": "c1",
        "by": "ada",
        "source": "platform",
        "reason": "the new goods",
        "result": "requested",
        "detail": "",
        "was": 4.0,
    }
    assert desk.hub.awaits_stored
    (write,) = desk.stored(requested).writes
    assert isinstance(write, Adjust)
    assert write[:4] == ("bus1", "cold-1", "setpoint", -18.5)
    assert desk.replies == []
    desk.tell(Adjusted(write.key, "done", -18.5, ""))
    assert desk.replies == [Reply("c1", "done", "")]
    assert desk.events[-1]["result"] == "done"
    assert desk.events[-1]["back"] == -18.5
    assert [key for key in desk.state if key.startswith(("command/", "write/"))] == ["command/platform/ada/c1"]


def test_what_failed_is_told_with_what_read_back() -> None:
    desk = Desk()
    desk.tell(Adjusted(desk.sent().key, "failed", 4.0, "it reads back 4.0"))
    assert desk.replies == [Reply("c1", "failed", "it reads back 4.0")]
    assert (desk.events[-1]["result"], desk.events[-1]["back"]) == ("failed", 4.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"device": "cold-9"}, "cold-9.setpoint = -18.5: there is no such point"),
        ({"point": "t"}, "cold-1.t = -18.5: it is not among the settings that the configuration of its device names"),
        ({"point": "restart"}, "cold-1.restart = -18.5: there is no such point"),
        (
            {"point": "do1", "value": 1},
            "cold-1.do1 = 1: an output is switched by responses, or by set_output",
        ),
        ({"value": -18.55}, "cold-1.setpoint = -18.55: must be in steps of 0.1"),
        ({"value": 99}, "cold-1.setpoint = 99: must be from -30 to 10 °C, not 99"),
        ({"value": "on"}, "value must be a number, not 'on'"),
        ({"value": 10**400}, "value is too big, or no number"),
        ({"value": float("nan")}, "value is too big, or no number"),
        ({"value": True}, "value must be a number, not 'True'"),
        ({"reason": " "}, "reason must say why, in 1 to 200 printable characters"),
        ({"reason": "x" * 201}, "reason must say why, in 1 to 200 printable characters"),
        ({"point": 7}, "device and point must be their names"),
        ({"force": True}, "args must be device, point, value and reason, and nothing else"),
    ],
)
def test_what_may_not_be_written_is_refused_and_recorded(change: dict[str, Any], says: str) -> None:
    desk = Desk()
    assert desk.ask(**change).writes == ()
    assert desk.replies == [Reply("c1", "refused", says)]
    assert [desk.events[-1][it] for it in ("event", "result", "detail", "issuer")] == [
        "command",
        "refused",
        says,
        "ada",
    ]
    assert not desk.hub.awaits_stored


def test_a_driver_that_fails_over_a_value_costs_a_refusal_and_not_the_hub() -> None:
    def refusal(value: object) -> str:
        raise ZeroDivisionError(f"no {value}")

    where = SettingPoint("cold-1", "setpoint")
    desk = Desk(settings={where: Setting("bus1", refusal)})
    desk.ask()
    failed = "cold-1.setpoint = -18.5: its driver failed over it: ZeroDivisionError: no -18.5"
    assert desk.replies == [Reply("c1", "refused", failed)]


def test_a_repeated_id_is_answered_and_never_carried_out_again() -> None:
    desk = Desk()
    write = desk.sent()
    assert desk.ask() == Decision(), "while it is under way, the repetition waits for the same answer"
    desk.tell(Adjusted(write.key, "done", -18.5, ""))
    assert desk.replies == [Reply("c1", "done", "")] * 2
    assert [json.loads(it.text)["result"] for it in desk.ask().records] == ["repeated"]
    assert desk.replies == [Reply("c1", "done", "")] * 3
    assert desk.results == ["requested", "done"]


def test_an_id_is_that_of_one_request_over_one_uplink() -> None:
    desk = Desk()
    desk.tell(Command("c1", "acknowledge", {"alarm": "x"}, "ada", "other", None, desk.replies.append))
    write = desk.sent()
    desk.ask(value=-10.0)
    assert desk.replies[1:] == [Reply("c1", "refused", ANOTHER)], "while it is under way"
    assert (desk.events[-1]["event"], desk.events[-1]["detail"]) == ("command", ANOTHER)
    desk.tell(Adjusted(write.key, "done", -18.5, ""))
    for changed in ({"value": -10.0}, {"point": "delay", "value": 60}, {"reason": "others"}):
        assert desk.ask(**changed).writes == ()
        assert desk.replies[-1] == Reply("c1", "refused", ANOTHER)
    assert Desk(desk.state).ask(value=-10.0).replies[0][1].detail == ANOTHER, "after a restart, too"
    desk.ask()
    assert desk.replies[-1] == Reply("c1", "done", "")
    assert desk.ask(source="other-2").records, "over another uplink it is another request"


def test_a_write_is_remembered_until_it_has_expired() -> None:
    desk = Desk()
    desk.tell(Adjusted(desk.sent(expires_in_s=600).key, "done", -18.5, ""))
    expires = desk.now().ts + 600_000
    again = Command("c1", "write_point", WANTED, "ada", "platform", expires, desk.replies.append)
    other = Command("", "acknowledge", {}, "eve", "platform", None, print)
    for number in range(2 * REMEMBERED):
        others = desk.hub._commanding._commands
        for change in others.remember(other._replace(id=str(number)), Reply("", "refused", "no"), desk.now()):
            desk.state.pop(change.key, None) if change.text is None else desk.state.update({change.key: change.text})
    desk.replies.clear()
    assert len([key for key in desk.state if key.startswith("command/")]) == REMEMBERED
    for hub in (desk, Desk(desk.state)):
        hub.mono = desk.mono
        hub.tell(again._replace(answer=hub.replies.append))
        assert hub.replies == [Reply("c1", "done", "")]
    desk.mono += 601
    desk.ask("last", value=1e6)
    desk.replies.clear()
    desk.tell(again)
    assert desk.replies == [Reply("c1", "refused", "expired")]


def test_more_writes_than_can_be_asked_for_are_not_remembered() -> None:
    commands, state = AnsweredCommands(), dict[str, str]()
    now = Desk().now()
    for number in range(MOST + 10):
        command = Command(str(number), "write_point", {}, "ada", "platform", None, print)
        for change in commands.remember(command, Reply(str(number), "done", ""), now, now.ts + LONGEST_MS):
            state.pop(change.key, None)
            if change.text is not None:
                state[change.key] = change.text
    assert len(state) == MOST
    assert "command/platform/ada/9" not in state


def test_a_write_that_expires_too_far_ahead_is_refused_since_its_id_could_not_be_remembered() -> None:
    desk = Desk()
    desk.ask(expires_in_s=LONGEST_MS / 1000 + 1)
    assert desk.replies == [Reply("c1", "refused", TOO_FAR_AHEAD)]
    assert desk.ask("c2", expires_in_s=LONGEST_MS / 1000).records


def test_after_a_crash_in_between_the_reply_is_that_nobody_knows() -> None:
    before = Desk()
    before.sent()
    after = Desk(before.state)
    assert after.events[-1] | {"detail": ""} == before.events[-1] | {"result": "outcome_unknown"}
    assert after.events[-1]["detail"] == STOPPED
    after.ask()
    assert after.replies == [Reply("c1", "outcome_unknown", STOPPED)]
    assert after.results == ["outcome_unknown"]
    assert not [key for key in after.state if key.startswith("write/")], "it is told once"


def test_a_write_on_the_spot_is_recorded_as_unknown_after_a_crash_too() -> None:
    before = Desk()
    before.sent(source="local")
    assert Desk(before.state).results == ["outcome_unknown"]


def test_before_the_journal_has_told_what_was_asked_nothing_is_written() -> None:
    known = Desk()
    known.tell(Adjusted(known.sent().key, "done", -18.5, ""))
    desk = Desk(known.state, recovered=False)
    desk.ask()
    assert desk.replies == [Reply("c1", "refused", NOT_READY)]
    desk.tell(Recovered("kept", None, known.state))
    desk.ask()
    assert desk.replies[1:] == [Reply("c1", "done", "")]


def test_what_the_disk_does_not_take_is_not_written() -> None:
    desk = Desk()
    requested = desk.ask()
    assert desk.hub.wake <= desk.mono + STORE_S
    assert desk.tell(Unstored(tuple(Row(1, "run2", it) for it in requested.records))).writes == ()
    assert desk.replies == [Reply("c1", "failed", "the request could not be stored; nothing was written")]
    requested = desk.ask("c2")
    desk.tell(Tick(), STORE_S)
    assert desk.replies[1:] == [Reply("c2", "failed", "the request could not be stored; nothing was written")]
    assert desk.stored(requested).writes == (), "too late"


def test_a_write_of_which_nothing_is_heard_is_unknown_and_its_outcome_recorded_when_it_comes() -> None:
    desk = Desk()
    write = desk.sent()
    desk.tell(Tick(), WRITE_S)
    unknown = Reply("c1", "outcome_unknown", "nothing was heard of it within 30 s")
    assert desk.replies == [unknown]
    desk.ask("c2")
    assert desk.replies[-1] == Reply("c2", "refused", "a write to cold-1.setpoint is under way")
    desk.ask()
    assert desk.replies[-1] == unknown
    desk.tell(Adjusted(write.key, "done", -18.5, ""))
    desk.ask()
    assert desk.replies[-1] == Reply("c1", "done", "")
    assert desk.results == ["requested", "outcome_unknown", "done"]


def test_a_write_of_which_nothing_is_ever_heard_is_in_nobodys_way_for_long() -> None:
    desk = Desk()
    first = desk.sent()
    desk.tell(Tick(), WRITE_S)
    desk.tell(Tick(), BLOCK_S)
    second = desk.sent(id_="c2", value=-20.0)
    desk.tell(Adjusted(second.key, "done", -20.0, ""))
    assert desk.replies[1:] == [Reply("c2", "done", "")]
    desk.tell(Adjusted(first.key, "failed", -20.0, "it reads back -20.0"))
    assert desk.results == ["requested", "outcome_unknown", "requested", "done", "failed"]


def test_two_settings_may_be_written_at_a_time_but_none_twice() -> None:
    desk = Desk()
    desk.sent()
    assert desk.sent(id_="c2", point="delay", value=60).point == "delay"
    desk.ask("c3", value=4)
    assert desk.replies == [Reply("c3", "refused", "a write to cold-1.setpoint is under way")]


def test_an_expired_write_is_not_done() -> None:
    desk = Desk()
    desk.tell(Command("c1", "write_point", WANTED, "ada", "platform", desk.now().ts - 1, desk.replies.append))
    assert desk.replies == [Reply("c1", "refused", "expired")]
