"""Commands as the hub takes them: answered when the disk has them, held to rates, refused on record without a flood."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_deriving import Site
from test_hub import SIREN, T0, Stepped

from gateway.errors import LinkDown
from gateway.hub.limits import ISSUER_BURST, MOST, THING_BURST, TOLD_BURST, Paces
from gateway.hub.owed import NOT_STORED, STORE_S
from gateway.hub.reads import GRACE_S, READ_S
from gateway.model import (
    Answer,
    Answered,
    Calibration,
    Command,
    Decision,
    Reading,
    Reply,
    Row,
    SoonRead,
    Stopping,
    Stored,
    Tick,
    TurnedAway,
    Unstored,
    Write,
)
from gateway.refine.quality import Check
from gateway.rules.following import Times
from gateway.uplink import contract

ALARM = "any-smoke@smoke-1.smoke"


class Slow(Stepped):
    """A hub whose disk takes what it is told when the test says so."""

    def __init__(self, **changed: Any) -> None:
        super().__init__(**changed)
        self.replies: list[Reply] = []

    def given(
        self, name: str, id_: str = "c1", source: str = "platform", issuer: str = "ada", /, **args: Any
    ) -> Decision:
        """A command comes, and is not on the disk yet."""
        command = Command(id_, name, args, issuer, source, None, self.replies.append)
        decision = self.hub.handle(command, self.now())
        self.records += decision.records
        return self.answer(decision)

    def answer(self, decision: Decision) -> Decision:
        for answer, reply in decision.replies:
            answer(reply)
        return decision

    def disk(self, kind: type[Stored | Unstored], decision: Decision) -> None:
        self.answer(self.tell(kind(tuple(Row(1, "run2", record) for record in decision.records))))

    def outcomes(self) -> list[tuple[str, str, int]]:
        """Of the commands on record: name, result, and how many like it were not told."""
        told = (event for event in self.events() if event["event"] == "command")
        return [(event["name"], event["result"], event.get("untold", 0)) for event in told]


def ringing() -> Slow:
    hub = Slow()
    hub.read("smoke-1", smoke="alarm")
    return hub


@pytest.mark.promise("stored-before-done")
def test_that_it_is_done_is_said_when_it_is_on_the_disk() -> None:
    hub = ringing()
    decision = hub.given("acknowledge", alarm=ALARM)
    assert hub.replies == []
    assert hub.hub.awaits_stored
    changed = [change.key for change in decision.state]
    assert any(key.startswith("alarm/") for key in changed), "effect"
    assert "command/platform/ada/c1" in changed, "and id, in one decision"
    hub.disk(Stored, decision)
    assert hub.replies == [Reply("c1", "done", "")]
    assert not hub.hub.awaits_stored


def test_after_a_second_without_the_disk_the_answer_says_so_and_a_repetition_says_how_it_stands() -> None:
    hub = ringing()
    decision = hub.given("acknowledge", alarm=ALARM)
    assert hub.hub.wake <= hub.mono + STORE_S
    hub.answer(hub.tell(Tick(), after_s=STORE_S - 0.01))
    assert hub.replies == []
    hub.answer(hub.tell(Tick(), after_s=0.01))
    unstored = Reply("c1", "not_stored", NOT_STORED)
    assert hub.replies == [unstored]
    hub.given("acknowledge", alarm=ALARM)
    assert hub.replies == [unstored] * 2
    hub.disk(Stored, decision)
    assert hub.replies == [unstored] * 2, "each is answered once"
    hub.given("acknowledge", alarm=ALARM)
    assert hub.replies[2:] == [Reply("c1", "done", "")]


def test_a_repetition_before_the_disk_has_it_waits_with_the_first() -> None:
    hub = ringing()
    decision = hub.given("acknowledge", alarm=ALARM)
    hub.given("acknowledge", alarm=ALARM)
    assert hub.replies == []
    hub.disk(Stored, decision)
    assert [reply.result for reply in hub.replies] == ["done", "done"]


def test_a_disk_that_is_known_to_fail_is_not_waited_for() -> None:
    hub = ringing()
    hub.disk(Unstored, hub.given("acknowledge", alarm=ALARM))
    assert [reply.result for reply in hub.replies] == ["not_stored"]


def test_what_the_disk_passes_over_is_waited_for_no_longer() -> None:
    hub = ringing()
    hub.disk(Unstored, hub.given("acknowledge", alarm=ALARM))
    waits = [hub.hub.awaits_stored]
    hub.disk(Stored, hub.read("smoke-2", smoke="alarm"))
    waits.append(hub.hub.awaits_stored)
    assert waits == [True, False]
    assert [reply.result for reply in hub.replies] == ["not_stored"]


def test_who_waits_when_the_run_ends_is_answered() -> None:
    hub = ringing()
    hub.given("acknowledge", alarm=ALARM)
    hub.answer(hub.tell(Stopping("stopped")))
    assert [reply.result for reply in hub.replies] == ["not_stored"]


def test_a_siren_that_is_switched_by_command_waits_for_no_disk() -> None:
    hub = Slow()
    decision = hub.given("set_output", output="siren", value="on", for_s=60, reason="a drill")
    assert decision.writes == (Write(*SIREN, "on"),)
    assert hub.replies == []


def test_a_refusal_is_answered_at_once() -> None:
    hub = Slow()
    hub.given("acknowledge", alarm="nix")
    assert hub.replies == [Reply("c1", "refused", "there is no alarm 'nix'")]


def test_one_issuer_is_held_to_a_rate_which_costs_the_others_nothing() -> None:
    hub = Slow()
    burst = int(ISSUER_BURST)
    for number in range(burst + 20):
        hub.given("acknowledge", f"c{number}", alarm=f"nix-{number}")
    assert [reply.detail.partition(" by ")[0] for reply in hub.replies[burst:]] == ["too many commands"] * 20
    hub.given("acknowledge", "d1", "platform", "eve", alarm="nix")
    assert hub.replies[-1].detail == "there is no alarm 'nix'"
    hub.mono += 2
    hub.given("acknowledge", "d2", alarm="nix")
    assert hub.replies[-1].detail == "there is no alarm 'nix'", "nor for long"


def test_what_came_too_soon_is_done_when_it_is_asked_again() -> None:
    hub = ringing()
    for number in range(int(ISSUER_BURST)):
        hub.given("acknowledge", f"c{number}", alarm=f"nix-{number}")
    hub.given("acknowledge", "mine", alarm=ALARM)
    assert hub.replies[-1].result == "refused"
    hub.mono += 5
    hub.disk(Stored, hub.given("acknowledge", "mine", alarm=ALARM))
    assert hub.replies[-1] == Reply("mine", "done", "")


def test_what_a_platform_asked_before_holds_up_no_siren_and_no_confirmation() -> None:
    hub = Slow(times=Times())
    hub.read("smoke-1", smoke="alarm")
    for number in range(100):
        hub.given("confirm", f"k{number}", alarm=f"nix-{number}")
        hub.given("acknowledge", f"c{number}", alarm=f"nix-{number}")
    hub.replies.clear()
    hub.given("set_output", "on2", output="siren", value="on", for_s=60, reason="people inside")
    hub.given("confirm", "yes", alarm=ALARM)
    assert not hub.replies, "taken: it is answered when the disk has it"
    assert hub.outcomes()[-2:] == [("set_output", "done", 0), ("confirm", "done", 0)]


def test_a_noise_is_ended_however_much_was_asked_before() -> None:
    hub = ringing()
    for number in range(50):
        hub.given("acknowledge", f"c{number}", alarm=ALARM)
    hub.given("silence", "quiet", alarm=ALARM)
    assert "too many" not in hub.replies[-1].detail


def test_whatever_a_person_on_the_spot_was_refused_is_on_record() -> None:
    hub = Slow()
    for number in range(50):
        hub.given("acknowledge", f"c{number}", "local", alarm="nix")
    assert hub.outcomes() == [("acknowledge", "refused", 0)] * 50


def test_a_relay_is_not_made_to_chatter_and_can_always_be_switched_off() -> None:
    hub = Slow()
    for number in range(20):
        hub.given("set_output", f"on{number}", output="siren", value="on", for_s=60, reason="x")
        hub.given("set_output", f"off{number}", output="siren", value="off", for_s=60, reason="x")
        hub.mono += 1
    refused = [reply.id for reply in hub.replies if reply.result == "refused"]
    assert len(refused) >= 20 - THING_BURST - 2
    assert all(id_.startswith("on") for id_ in refused)


def test_on_the_spot_nothing_but_a_setting_is_held_to_a_rate() -> None:
    hub = ringing()
    for number in range(100):
        hub.given("silence", f"s{number}", "local", alarm=ALARM)
        hub.given("set_output", f"o{number}", "local", output="siren", value="on", for_s=60, reason="x")
        hub.given("write_point", f"w{number}", "local", device="cold-1", point="x", value=1, reason="x")
    assert {reply.id[0] for reply in hub.replies if "too many" in reply.detail} == {"w"}


def test_refusals_are_told_one_by_one_at_first_then_counted_and_the_count_goes_with_the_next() -> None:
    hub = Slow()
    burst = int(TOLD_BURST)
    for _ in range(burst + 30):
        hub.tell(TurnedAway("platform", "", "", "", "malformed", "not a command"))
    hub.tell(TurnedAway("platform", "c1", "reset", "ada", "not_allowed", "reset is not among ..."))
    assert hub.outcomes() == [("", "refused", 0)] * burst + [("reset", "refused", 0)], "another kind is told"
    hub.tell(TurnedAway("platform", "", "", "", "malformed", "not a command"), after_s=60)
    assert hub.outcomes()[-1] == ("", "refused", 30)
    assert hub.hub._report(hub.now()).counts["refusals_untold"] == 30


def test_what_an_uplink_refuses_by_itself_is_counted_too_when_it_comes_too_often() -> None:
    hub = Slow()
    resend = Command("r", "resend", {}, "ada", "platform", None, hub.replies.append)
    for number in range(int(TOLD_BURST) + 10):
        hub.tell(Answered(resend._replace(id=f"r{number}"), Reply(f"r{number}", "refused", "args must be ...")))
    assert hub.outcomes() == [("resend", "refused", 0)] * int(TOLD_BURST)
    hub.tell(Answered(resend, Reply("r", "done", "2 records go again")))
    assert hub.outcomes()[-1] == ("resend", "done", 0), "what is done is always told"


def test_a_repetition_is_on_record_and_not_done_again() -> None:
    hub = ringing()
    hub.disk(Stored, hub.given("acknowledge", alarm=ALARM))
    hub.given("acknowledge", alarm=ALARM)
    assert hub.outcomes() == [("acknowledge", "done", 0), ("acknowledge", "repeated", 0)]
    assert [event.get("change") for event in hub.events()].count("acknowledged") == 1


def test_allowances_are_kept_for_so_many_and_no_more() -> None:
    paces = Paces(0.1, 5.0)
    for number in range(10 * MOST):
        assert paces.allows(number, 0.0)
    assert len(paces._paces) == MOST


# ---------------------------------------------------------------- a device that is asked now


def asked_now(hub: Slow, id_: str = "c1", device: str = "cold-1") -> Decision:
    return hub.given("read_now", id_, device=device)


@pytest.mark.promise("read-now")
def test_a_device_that_is_asked_now_is_recorded_as_ever_and_what_is_recorded_is_the_answer() -> None:
    checks = {"cold-1": {"temperature": Check(Calibration(offset=0.5), low=-40.0)}}
    hub = Slow(checks=checks)
    (wanted,) = asked_now(hub).reads
    assert (wanted.link, wanted.device, wanted.until) == ("bus1", "cold-1", hub.mono + READ_S)
    said = Reading("cold-1", hub.mono + 1, T0, {"temperature": -18.5}, {})
    decision = hub.answer(hub.tell(SoonRead(wanted.key, Answer(said)), after_s=1))
    recorded = json.loads(decision.records[0].text)
    assert recorded == {"device": "cold-1", "values": {"temperature": -18.0}}
    (reply,) = hub.replies
    assert json.loads(contract.reply(reply)) == {
        "id": "c1", "result": "done", "detail": "", "ts": T0, "values": {"temperature": -18.0},
    }  # fmt: skip
    assert hub.outcomes() == [("read_now", "done", 0)]
    assert hub.status().points[0].value == -18.0


def test_a_device_that_cannot_be_asked_fails_with_the_reason_and_one_that_is_never_heard_too() -> None:
    hub = Slow()
    (wanted,) = asked_now(hub).reads
    hub.answer(hub.tell(SoonRead(wanted.key, Answer(fault=LinkDown("its link is down")))))
    asked_now(hub, "c2")
    hub.answer(hub.tell(Tick(), after_s=READ_S + GRACE_S))
    assert [(reply.result, reply.detail.partition(" (")[0]) for reply in hub.replies] == [
        ("failed", "its link is down"),
        ("failed", "nothing was heard within 15 s"),
    ]
    assert hub.outcomes() == [("read_now", "failed", 0)] * 2


def test_a_device_is_asked_by_one_at_a_time_and_a_repetition_waits_with_the_first() -> None:
    hub = Slow()
    (wanted,) = asked_now(hub).reads
    assert asked_now(hub) == Decision()
    assert asked_now(hub, "c2").reads == ()
    assert hub.replies == [Reply("c2", "refused", "cold-1 is being asked already")]
    hub.answer(hub.tell(SoonRead(wanted.key, Answer(Reading("cold-1", hub.mono, T0, {"temperature": 1.0}, {})))))
    assert [(reply.id, reply.result) for reply in hub.replies[1:]] == [("c1", "done")] * 2


@pytest.mark.parametrize(
    ("args", "why"),
    [({}, "args must be"), ({"device": 7}, "args must be"), ({"device": "attic"}, "attic is no device here")],
)
def test_what_cannot_be_read_is_refused(args: dict[str, Any], why: str) -> None:
    hub = Slow()
    assert hub.given("read_now", **args).reads == ()
    assert hub.replies[0].detail.startswith(why)


# ---------------------------------------------------------------- derived points


def test_a_command_about_derived_points_needs_a_reason_and_finds_the_device_by_its_zone() -> None:
    hub = Site()
    assert hub.command("set_openings", zone="sorting", to=7).detail.startswith("set_openings needs a reason")
    assert hub.command("set_openings", zone="attic", to=7, reason="x").detail == (
        "in the zone attic no device takes set_openings; there are: sorting"
    )
    assert hub.command("set_openings", zone="sorting", to=7, reason="counted").result == "done"
    assert hub.command("set_openings", zone="smoke-1", to=8, reason="counted").result == "done"
    assert hub.told("smoke-1", "openings") == [7, 8]
    told = hub.events()[-1]
    assert (told["issuer"], told["reason"]) == ("Ada", "counted")
    assert told["args"] == {"zone": "smoke-1", "to": 8}
