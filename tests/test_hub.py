"""The hub decides: stepped with facts and moments, without a thread."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.schema import Uplink
from gateway.driver import point
from gateway.hub import numbering
from gateway.hub.alarm import Target
from gateway.hub.decide import Hub
from gateway.hub.detectors import alarms_of as alarms_of_detectors
from gateway.hub.own import OF_GATEWAY, alarms_of
from gateway.hub.plan import Plan, Reconfigured
from gateway.model import (
    JOURNAL_FAILED,
    About,
    AlarmState,
    Answer,
    Answered,
    Command,
    Decision,
    DeviceAbout,
    Dropped,
    Fact,
    Json,
    Lane,
    LinkBack,
    LinkLost,
    Moment,
    PollWanted,
    PreviousRun,
    Priority,
    Question,
    Reading,
    ReadWanted,
    Reason,
    Record,
    Recovered,
    Reply,
    Row,
    Status,
    StatusQuery,
    Stopping,
    Stored,
    Tick,
    TimePassed,
    Trust,
    Unstored,
    Write,
)
from gateway.refine.exception import Limit
from gateway.rules.condition import Above, Equals, SilentFor
from gateway.rules.judge import Rule
from gateway.rules.responses import OutputPoint, Response, Way

OF_PLATFORM = alarms_of("platform", Uplink(url=("mqtts://h:8883",), ca_file="ca", cert_file="c", key_file="k"))
SIREN = OutputPoint("gpio", "siren", "output")
T0 = 1_800_000_000_000


def plan() -> Plan:
    devices = (
        DeviceAbout("cold-1", "", "modbus", "bus1", "cold-store", (point("temperature", "temperature"),), ()),
        DeviceAbout("smoke-1", "", "contact", "gpio", "sorting", (point("smoke", "smoke"),), ()),
        DeviceAbout("smoke-2", "", "contact", "gpio", "sorting", (point("smoke", "smoke"),), ()),
        DeviceAbout("siren", "", "relay", "gpio", "sorting", (point("output", "output", writable=True),), ()),
    )
    about = About("site", "Site", "gw1", "0", "abc", ("cold-store", "sorting"), devices)
    smoke = Rule("any-smoke", Equals("alarm", "fault"), priority=Priority.HIGH, latch=True, response="evacuate")
    return Plan(
        about=about,
        rules=(
            (Rule("warm", Above(-15, -16), 60.0), (Target("warm", "cold-1", "temperature", "cold-store"),)),
            (Rule("quiet", SilentFor(300)), (Target("quiet", "cold-1", "temperature", "cold-store"),)),
            (
                smoke,
                tuple(
                    Target(f"any-smoke@{name}.smoke", name, "smoke", "sorting", "smoke")
                    for name in ("smoke-1", "smoke-2")
                ),
            ),
        ),
        responses={"evacuate": Response("evacuate", {SIREN: Way("on")}, "Leave by the nearest exit")},
        outputs={SIREN: "off"},
        limits={
            "cold-1": {},
            **{name: {"smoke": Limit()} for name in ("smoke-1", "smoke-2")},
            "siren": {"output": Limit()},
        },
        every_s={"cold-1": 10.0, "smoke-1": 2.0, "smoke-2": 2.0, "siren": 2.0},
        safety_devices=frozenset({"smoke-1", "smoke-2", "siren"}),
        version="0",
        uplinks=("platform",),
        run="run2",
        own=(*OF_GATEWAY, *OF_PLATFORM, *alarms_of_detectors(("smoke-1", "smoke-2"))),
    )


class Stepped:
    """A hub, a moment that only the test moves, and what became of the facts."""

    def __init__(
        self,
        state: dict[str, str] | None = None,
        *,
        recovered: bool = True,
        trust: Trust = Trust.SYNCED,
        **changed: Any,  # of the plan
    ) -> None:
        self.mono = 1000.0
        self.trust = trust
        self.wall_shift_ms = 0
        self.hub = Hub(replace(plan(), **changed), self.now())
        self.records: list[Record] = []
        self.stored: dict[str, str] = dict(state or {})
        if recovered:
            self.tell(Recovered("kept", PreviousRun("run1", 7, 99), self.stored))

    def now(self) -> Moment:
        return Moment(self.mono, T0 + int(self.mono * 1000) + self.wall_shift_ms, self.trust)

    def tell(self, fact: Fact | Reconfigured, after_s: float = 0.0) -> Decision:
        self.mono += after_s
        decision = self.hub.handle(fact, self.now())
        if isinstance(fact, Command):  # the disk takes it at once
            rows = tuple(Row(0, "run2", record) for record in decision.records)
            decision = decision.then(self.hub.handle(Stored(rows), self.now()))
        self.records += decision.records
        for change in decision.state:
            if change.text is None:
                self.stored.pop(change.key, None)
            else:
                self.stored[change.key] = change.text
        return decision

    def read(self, device: str, after_s: float = 0.0, **values: Any) -> Decision:
        self.mono += after_s
        now = self.now()
        good = {name: value for name, value in values.items() if not isinstance(value, Reason)}
        bad = {name: value for name, value in values.items() if isinstance(value, Reason)}
        return self.tell(Reading(device, now.mono, now.ts, good, bad))

    def ask(self, name: str, **args: Any) -> Decision:
        return self.tell(Command(f"c{len(self.records)}", name, args, "Ada", "local", None, lambda _: None))

    def command(self, name: str, **args: Any) -> Reply:
        ((_, reply),) = self.ask(name, **args).replies
        return reply

    def status(self) -> Status:
        answers: list[Status] = []
        self.tell(StatusQuery(answers.append))
        return answers[0]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(record.text) for record in self.records if record.lane is Lane.EVENT]

    def stored_alarms(self) -> list[str]:
        return [key for key in self.stored if key.startswith("alarm/")]


def test_the_first_event_of_a_run_names_the_run_before_it() -> None:
    hub = Stepped()
    first = hub.records[0]
    assert (first.lane, first.seq) == (Lane.EVENT, 1)
    assert json.loads(first.text) == {
        "event": "started",
        "version": "0",
        "config": "abc",
        "journal": "kept",
        "previous": {"run": "run1", "event": 7, "telemetry": 99},
    }


def test_smoke_switches_the_siren_on_in_the_same_decision_as_its_event() -> None:
    hub = Stepped()
    decision = hub.read("smoke-1", smoke="alarm")
    assert decision.writes == (Write("gpio", "siren", "output", "on"),)
    texts = [json.loads(record.text) for record in decision.records if record.lane is Lane.EVENT]
    assert [text["event"] for text in texts] == ["alarm", "output"]
    assert texts[0]["alarm"] == "any-smoke@smoke-1.smoke"
    assert texts[0]["say"] == "Leave by the nearest exit"
    assert "alarm/any-smoke@smoke-1.smoke" in {change.key for change in decision.state}


def test_without_a_journal_the_run_says_that_it_started_after_five_seconds() -> None:
    hub = Stepped(recovered=False)
    assert hub.hub.wake <= 1000.0
    hub.tell(Tick(), 4.9)
    assert hub.records == []
    hub.tell(Tick(), 0.2)
    assert hub.events()[0]["journal"] == "unknown"
    hub.tell(Recovered("kept", None, {}))
    assert len(hub.events()) == 1


def test_the_siren_stays_on_until_the_last_latched_alarm_is_reset() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    assert hub.read("smoke-2", smoke="alarm").writes == ()
    assert hub.read("smoke-1", smoke="normal").writes == ()
    assert hub.command("reset", alarm="any-smoke@smoke-1.smoke", reason="dust").detail == "acknowledge it first"
    assert hub.command("acknowledge", alarm="any-smoke@smoke-1.smoke").result == "done"
    assert hub.command("reset", alarm="any-smoke@smoke-1.smoke", reason="dust").result == "done"
    assert hub.status().outputs == {"siren.output": "on"}
    hub.read("smoke-2", smoke="normal")
    hub.command("acknowledge", alarm="any-smoke@smoke-2.smoke")
    hub.command("reset", alarm="any-smoke@smoke-2.smoke", reason="dust")
    assert hub.status().outputs == {"siren.output": "off"}
    assert not hub.stored_alarms()
    assert hub.events()[-3]["by"] == "Ada"


def test_a_link_that_comes_back_gets_its_outputs_switched_again() -> None:
    hub = Stepped()
    assert hub.tell(LinkBack("gpio", 0.0)).writes == ()
    hub.read("smoke-1", smoke="alarm")
    hub.tell(LinkLost("gpio", "gone", "look"))
    assert hub.tell(LinkBack("gpio", 3.0)).writes == (Write("gpio", "siren", "output", "on"),)


def test_an_output_that_fails_is_said_once_and_tried_again_each_second() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    hub.read("siren", output=Reason.WRITE_FAILED)
    hub.read("siren", 0.1, output=Reason.WRITE_FAILED)
    failures = [event for event in hub.events() if event["event"] == "output" and event["result"] == "failed"]
    assert len(failures) == 1
    assert hub.tell(Tick(), 0.5).writes == ()
    assert hub.tell(Tick(), 0.6).writes == (Write("gpio", "siren", "output", "on"),)
    hub.read("siren", output="on")
    assert hub.tell(Tick(), 5.0).writes == ()


def test_an_output_that_says_it_is_not_what_it_should_be_is_written_again() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    hub.read("siren", 0.1, output="off")
    assert hub.events()[-1]["result"] == "switched", "a poll that was on its way is no failure"
    hub.read("siren", 1.0, output="off")
    assert hub.events()[-1]["result"] == "failed"
    assert hub.tell(Tick(), 1.1).writes == (Write("gpio", "siren", "output", "on"),)
    hub.read("siren", 0.1, output="off")
    assert hub.tell(Tick(), 1.1).writes == (Write("gpio", "siren", "output", "on"),), "until it is right"
    hub.read("siren", 0.1, output="on")
    assert hub.tell(Tick(), 5.0).writes == ()
    hub.read("siren", 0.1, output="off")
    assert hub.tell(Tick(), 1.1).writes == (Write("gpio", "siren", "output", "on"),), "it dropped out"


def test_a_failed_write_is_tried_again_although_a_poll_succeeds() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    hub.read("siren", 0.1, output=Reason.WRITE_FAILED)
    hub.read("siren", 0.1, output="off")
    assert hub.tell(Tick(), 1.1).writes == (Write("gpio", "siren", "output", "on"),)


def test_an_alarm_restored_after_its_first_reading_is_not_ended_by_a_delay_of_before() -> None:
    first = Stepped()
    first.read("cold-1", temperature=-10.0)
    first.tell(Tick(), 61)
    assert first.status().alarms[0].alarm == "warm"
    hub = Stepped(first.stored, recovered=False)
    hub.read("cold-1", temperature=-10.0)
    hub.tell(Recovered("kept", None, dict(first.stored)), 0.5)
    hub.tell(Tick(), 120)
    assert hub.status().alarms[0].state is AlarmState.UNACK_ACTIVE
    assert "cleared" not in [event.get("change") for event in hub.events()]


def test_a_restart_neither_forgets_nor_raises_again() -> None:
    first = Stepped()
    first.read("smoke-1", smoke="alarm")
    second = Stepped(first.stored)
    assert second.status().alarms[0].state is AlarmState.UNACK_ACTIVE
    assert second.status().alarms[0].run == "run2"
    assert second.status().outputs == {"siren.output": "on"}
    second.read("smoke-1", smoke="alarm")
    assert [event["event"] for event in second.events()] == ["started", "output"]
    second.read("smoke-1", smoke="normal")
    assert second.events()[-1]["state"] == "latched_unack"


def test_the_stored_state_of_a_rule_that_is_gone_is_removed() -> None:
    hub = Stepped({"alarm/old-rule": '{"state":"unack_active"}', "alarm/warm": "garbage"})
    assert not hub.stored_alarms()
    assert hub.status().alarms == ()
    assert {"event": "alarm_removed", "alarm": "old-rule"} in hub.events(), "and the platform is told"


def test_a_point_that_a_device_does_not_have_is_not_shown() -> None:
    hub = Stepped()
    hub.read("cold-1", temperature=-18.0, ghost=1.0)
    hub.read("cold-1", ghost=Reason.NO_REPLY)
    assert [point.point for point in hub.status().points if point.device == "cold-1"] == ["temperature"]
    assert hub.status().points[0].quality == "good"


def test_a_bad_value_is_shown_with_its_reason_and_the_age_of_the_last_good_one() -> None:
    hub = Stepped()
    hub.read("cold-1", temperature=-18.0)
    hub.read("cold-1", 10, temperature=Reason.NO_REPLY)
    temperature = hub.status().points[0]
    assert (temperature.value, temperature.age_s, temperature.quality) == (-18.0, 10.0, "no_reply")
    hub.read("cold-1", 10, temperature=-17.0)
    temperature = hub.status().points[0]
    assert (temperature.value, temperature.age_s, temperature.quality) == (-17.0, 0.0, "good")


def test_a_bad_value_restarts_a_delay_that_was_running() -> None:
    hub = Stepped()
    hub.read("cold-1", temperature=-10.0)
    hub.read("cold-1", 50, temperature=Reason.NO_REPLY)
    hub.tell(Tick(), 20)
    assert hub.status().alarms == ()
    hub.read("cold-1", temperature=-10.0)
    hub.tell(Tick(), 59.9)
    assert hub.status().alarms == ()
    hub.tell(Tick(), 0.1)
    assert [alarm.alarm for alarm in hub.status().alarms] == ["warm"]


def test_a_value_that_is_not_renewed_is_stale_not_good() -> None:
    hub = Stepped()
    assert hub.status().points[0].quality == "waiting"
    hub.read("cold-1", temperature=-18.0)
    assert hub.status().points[0].quality == "good"
    hub.mono += 31
    assert hub.status().points[0].quality == "stale"


def test_silence_becomes_an_alarm_by_time_alone() -> None:
    hub = Stepped()
    hub.read("cold-1", temperature=-18.0)
    hub.tell(Tick(), 100)
    hub.read("cold-1", temperature=Reason.NO_REPLY)
    assert hub.hub.wake <= 1300.0
    hub.tell(Tick(), 200)
    assert hub.events()[-1]["alarm"] == "quiet"


def test_a_state_is_recorded_on_change_and_each_minute_and_a_gauge_always() -> None:
    hub = Stepped()
    for _ in range(61):
        hub.read("smoke-1", 2, smoke="normal")
        hub.read("cold-1", temperature=-18.0)
    texts = [record.text for record in hub.records if record.lane is Lane.TELEMETRY]
    assert sum("smoke-1" in text for text in texts) == 3
    assert sum("cold-1" in text for text in texts) == 61


def test_a_point_that_stays_bad_is_recorded_on_the_change_and_each_minute() -> None:
    hub = Stepped()
    hub.read("cold-1", temperature=-18.0)
    for _ in range(12):
        hub.read("cold-1", 10, temperature=Reason.NO_REPLY)
    hub.read("cold-1", 10, temperature=Reason.SENSOR_FAULT)
    hub.read("cold-1", 10, temperature=-18.0)
    texts = [json.loads(record.text) for record in hub.records if record.lane is Lane.TELEMETRY]
    assert [next(iter(text.get("bad", {"": "good"}).values())) for text in texts] == [
        "good", "no_reply", "no_reply", "sensor_fault", "good",
    ]  # fmt: skip


@pytest.mark.promise("identity-once")
@pytest.mark.promise("numbers-without-holes")
def test_no_number_is_used_twice_and_none_is_left_out() -> None:
    hub = Stepped()
    for index in range(50):
        hub.read("cold-1", 30, temperature=-18.0 + index % 7)
        hub.read("smoke-1", smoke="alarm" if index % 3 == 0 else "normal")
    for lane in Lane:
        numbers = sorted(record.seq for record in hub.records if record.lane is lane)
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> int:
    """A bound on what may wait for the journal that is reached sooner than the usual one."""
    monkeypatch.setattr(numbering, "MAX_NOT_STORED", 500)
    return 500


@pytest.mark.promise("gap-named")
def test_telemetry_that_the_journal_never_takes_is_dropped_as_a_counted_gap_and_events_are_not(bound: int) -> None:
    hub = Stepped()
    for index in range(bound + 10):
        hub.read("cold-1", 1, temperature=-18.0 - index)
    assert hub.status().health.counts["dropped"] == 11  # `started` waits, too
    assert hub.read("smoke-1", smoke="alarm").writes, "judging goes on"
    rows = tuple(Row(number, "run2", record) for number, record in enumerate(hub.records))
    hub.tell(Stored(rows))
    decision = hub.read("cold-1", 1, temperature=-18.0)
    gap = json.loads(decision.records[0].text)
    assert gap["event"] == "gap"
    assert (gap["lane"], gap["first"], gap["last"], gap["records"]) == ("telemetry", bound, bound + 11, 12)
    assert json.loads(decision.records[1].text)["device"] == "cold-1"


def test_records_that_are_sent_from_memory_while_the_disk_fails_are_not_waited_for() -> None:
    hub = Stepped()
    for index in range(100):
        hub.read("cold-1", 1, temperature=-18.0 - index)
    waiting = hub.hub.not_stored
    rows = tuple(Row(number, "run2", record) for number, record in enumerate(hub.records[-100:]))
    hub.tell(Unstored(rows[:60]))
    assert hub.hub.not_stored == waiting - 60
    hub.tell(Stored(rows, told=60))
    assert hub.hub.not_stored == waiting - 100
    hub.tell(Dropped("run2", Lane.TELEMETRY, 1, 60, 60, (), JOURNAL_FAILED))
    assert hub.events()[-1]["event"] == "gap"
    assert hub.hub.not_stored == waiting - 100 + 1  # the gap's own event


def test_a_clock_that_jumps_is_an_event_and_disturbs_no_delay() -> None:
    hub = Stepped()
    hub.read("cold-1", temperature=-10.0)
    hub.wall_shift_ms = -3_600_000
    hub.tell(Tick(), 30)
    assert hub.events()[-1] == {"event": "clock_stepped", "by_ms": -3_600_000}
    hub.tell(Tick(), 29.9)
    assert hub.status().alarms == ()
    hub.tell(Tick(), 0.1)
    assert [alarm.alarm for alarm in hub.status().alarms] == ["warm"]


def test_the_last_trusted_time_that_the_journal_holds_is_told_as_passed() -> None:
    hub = Stepped(recovered=False)
    assert TimePassed(T0) in hub.tell(Recovered("kept", None, {"clock/trusted": str(T0)})).notices
    assert not any(isinstance(n, TimePassed) for n in Stepped(recovered=False).tell(Recovered("new", None, {})).notices)


@pytest.mark.promise("command-never-retained")
def test_a_command_is_refused_with_a_reason_when_expired_unknown_or_malformed() -> None:
    hub = Stepped()
    replies: list[Reply] = []
    for command in (
        Command("1", "acknowledge", {"alarm": "warm"}, "x", "platform", 5, replies.append),
        Command("2", "open_the_gates", {}, "x", "platform", None, replies.append),
        Command("3", "acknowledge", {}, "x", "platform", None, replies.append),
        Command("4", "acknowledge", {"alarm": "nix"}, "x", "platform", None, replies.append),
        Command("5", "acknowledge", {"alarm": "warm"}, "x", "platform", None, replies.append),
    ):
        for answer, reply in hub.tell(command).replies:
            answer(reply)
    assert [reply.result for reply in replies] == ["refused"] * 5
    assert [reply.detail for reply in replies] == [
        "expired",
        (
            "unknown command 'open_the_gates'; known: acknowledge, reset, shelve, unshelve, out_of_service, "
            "in_service, confirm, silence, disable, enable, set_output, test_mode, test_response, write_point, "
            "reload, read_now"
        ),
        "args needs the id of an alarm under 'alarm'",
        "there is no alarm 'nix'",
        "this alarm does not stand",
    ]


@pytest.mark.parametrize("name", ["read", "probe", "capture"])
def test_what_a_person_looks_at_beside_the_daemon_is_recorded_once(name: str) -> None:
    hub = Stepped()
    replies: list[Reply] = []
    decision = hub.tell(Command("1", name, {"of": "unit 5 on bus1"}, "ada", "local", None, replies.append))
    (record,) = decision.records
    assert json.loads(record.text) == {
        "event": "command",
        "id": "1",
        "name": name,
        "issuer": "ada",
        "source": "local",
        "result": "done",
        "detail": "unit 5 on bus1",
    }
    refused = hub.tell(Command("2", name, {}, "ada", "platform", None, replies.append))
    assert [reply.result for _, reply in refused.replies] == ["refused"]


def test_a_question_goes_to_the_link_that_it_names_or_its_device() -> None:
    hub = Stepped()
    answers: list[Answer] = []
    of_device = Question("", PollWanted("cold-1"), 1.0, answers.append)
    of_unit = Question("bus1", ReadWanted(1, "input", 0, 2), 1.0, answers.append)
    assert hub.tell(of_device) == Decision(questions=(of_device._replace(link="bus1"),))
    assert hub.tell(of_unit) == Decision(questions=(of_unit,))
    assert not answers
    assert hub.tell(of_device._replace(wanted=PollWanted("cold-9"))) == Decision()
    there = "there is no device cold-9 here (there are: cold-1, smoke-1, smoke-2, siren)"
    assert [str(answer.fault) for answer in answers] == [there]


def test_what_an_uplink_has_answered_by_itself_is_on_record() -> None:
    hub = Stepped()
    asked = Command("9", "resend", {"run": "r", "lane": "event", "from": 1, "to": 2}, "p", "platform", None, print)
    (event,) = hub.tell(Answered(asked, Reply("9", "done", "event 1 to 2 of run r: 2 records go again"))).records
    told = json.loads(event.text)
    assert (told["event"], told["name"], told["issuer"], told["source"]) == ("command", "resend", "p", "platform")
    assert (told["result"], told["detail"]) == ("done", "event 1 to 2 of run r: 2 records go again")


@pytest.mark.promise("command-once")
def test_a_repeated_command_is_answered_again_and_carried_out_once() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    replies: list[Reply] = []
    again = Command("7", "acknowledge", {"alarm": "any-smoke@smoke-1.smoke"}, "p", "platform", None, replies.append)
    for _ in range(2):
        for answer, reply in hub.tell(again).replies:
            answer(reply)
    assert [reply.result for reply in replies] == ["done", "done"]
    assert [event["result"] for event in hub.events() if event["event"] == "command"] == ["done", "repeated"]


@pytest.mark.promise("command-once")
def test_a_repeated_command_is_not_carried_out_after_a_restart_either() -> None:
    hub = Stepped()
    hub.read("smoke-1", smoke="alarm")
    replies: list[Reply] = []
    again = Command("7", "acknowledge", {"alarm": "any-smoke@smoke-1.smoke"}, "p", "platform", None, replies.append)
    hub.tell(again)
    hub.read("smoke-1", smoke="normal")
    hub.command("reset", alarm="any-smoke@smoke-1.smoke", reason="dust")
    hub.read("smoke-1", smoke="alarm")
    restarted = Stepped(hub.stored)
    for answer, reply in restarted.tell(again).replies:
        answer(reply)
    assert replies == [Reply("7", "done", "")]
    assert restarted.status().alarms[0].state is AlarmState.UNACK_ACTIVE, "nobody has seen the new alarm"


def test_only_the_latest_commands_are_remembered() -> None:
    hub = Stepped()
    for number in range(300):
        hub.tell(Command(str(number), "acknowledge", {"alarm": "nix"}, "p", "platform", None, print), after_s=60)
    kept = [key for key in hub.stored if key.startswith("command/")]
    assert kept == [f"command/platform/p/{number}" for number in range(300 - 256, 300)]
    assert [key for key in Stepped(hub.stored).stored if key.startswith("command/")] == kept


def test_with_a_clock_that_is_not_set_no_command_is_taken_for_expired() -> None:
    hub = Stepped(trust=Trust.UNSYNCED)
    hub.read("smoke-1", smoke="alarm")
    decision = hub.tell(Command("1", "acknowledge", {"alarm": "any-smoke@smoke-1.smoke"}, "p", "platform", 5, print))
    assert decision.replies[0][1].result == "done"
    assert "expiry was not checked" in decision.replies[0][1].detail


def test_what_one_fact_leads_to_is_in_the_order_of_its_numbers() -> None:
    hub = Stepped()
    for step in (
        hub.read("smoke-1", smoke="alarm"),
        hub.tell(Command("1", "acknowledge", {"alarm": "any-smoke@smoke-1.smoke"}, "p", "platform", None, print)),
        hub.read("smoke-1", smoke="normal"),
        hub.tell(
            Command("2", "reset", {"alarm": "any-smoke@smoke-1.smoke", "reason": "dust"}, "p", "platform", None, print)
        ),
        hub.tell(Stopping("by hand")),
    ):
        numbers = [record.seq for record in step.records if record.lane is Lane.EVENT]
        assert numbers == sorted(numbers) != []


def test_a_gap_that_is_open_when_the_run_ends_is_told_before_it(bound: int) -> None:
    hub = Stepped()
    for index in range(bound + 10):
        hub.read("cold-1", 1, temperature=-18.0 - index)
    hub.tell(Stopping("by hand"))
    assert [event["event"] for event in hub.events()[-2:]] == ["gap", "stopped"]


def test_the_last_event_of_a_run_numbers_its_telemetry() -> None:
    hub = Stepped()
    hub.read("cold-1", temperature=-18.0)
    hub.tell(Stopping("by hand"))
    assert hub.events()[-1] == {"event": "stopped", "why": "by hand", "telemetry": 1}


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.sampled_from(["smoke-1", "smoke-2"]), st.sampled_from(["alarm", "normal"])),
        st.tuples(st.just("bad"), st.sampled_from(["smoke-1", "smoke-2"]), st.sampled_from(list(Reason))),
        st.tuples(
            st.sampled_from(["acknowledge", "reset", "out_of_service", "in_service", "shelve"]),
            st.sampled_from(["smoke-1", "smoke-2"]),
            st.just(""),
        ),
        st.tuples(st.sampled_from(["restart", "link"]), st.just(""), st.just("")),
    ),
    max_size=40,
)


@given(_STEPS)
def test_no_story_loses_an_active_alarm_or_leaves_the_siren_without_an_owner(steps: list[tuple[str, str, str]]) -> None:
    """The model remembers only the last good word of each detector, its latch, and whether it is out of service."""
    restless = tuple((replace(rule, hold_chattering=False), targets) for rule, targets in plan().rules)
    hub = Stepped(rules=restless)
    siren, smoke, latched = "off", {"smoke-1": "normal", "smoke-2": "normal"}, {"smoke-1": False, "smoke-2": False}
    hidden: set[str] = set()
    for number, (what, device, word) in enumerate(steps):
        if what == "restart":
            hub, siren = Stepped(hub.stored, recovered=False, rules=restless), "off"
            decision = hub.tell(Recovered("kept", None, dict(hub.stored)))
        elif what == "link":
            siren = "off"
            decision = hub.tell(LinkBack("gpio", 1.0))
        elif what == "read":
            smoke[device] = word
            latched[device] |= word == "alarm"
            decision = hub.read(device, 1, smoke=word)
        elif what == "bad":
            decision = hub.read(device, 1, smoke=Reason(word))
        else:
            alarm = f"any-smoke@{device}.smoke"
            before = {view.alarm: view.state for view in hub.status().alarms}.get(alarm)
            args: dict[str, Json] = {"alarm": alarm, "reason": "cleaning", "for_s": 60}
            decision = hub.tell(Command(f"c{number}", what, args, "A", "local", None, print))
            if what == "reset" and before is AlarmState.LATCHED_ACK:
                ((_, reply),) = decision.replies
                latched[device] = "has not been heard lately" in reply.detail
            hidden = (
                hidden | {device} if what == "out_of_service" else hidden - {device} if what == "in_service" else hidden
            )
        for write in decision.writes:
            siren = str(write.value)
        views = hub.status().alarms
        assert {view.device for view in views if view.hidden is not None} == hidden
        standing = {view.device for view in views if view.state is not AlarmState.NORMAL}
        assert standing == {name for name, is_latched in latched.items() if is_latched}
        active = {v.device for v in hub.status().alarms if v.state in {AlarmState.UNACK_ACTIVE, AlarmState.ACK_ACTIVE}}
        assert active == {name for name, said in smoke.items() if said == "alarm"}
        assert siren == ("on" if standing - hidden else "off")
