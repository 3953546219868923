"""The hub goes on by another configuration: what lives on, what begins anew, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from test_hub import SIREN, Stepped, plan

from gateway.hub.plan import Plan, Reconfigured
from gateway.hub.unheard import Watched, no_data
from gateway.hub.unheard import alarms_of as alarms_of_watched
from gateway.model import AlarmState, AlarmView, Command, Decision, Json, LinkBack, ReloadRefused, Reply, Tick, Write
from gateway.rules.condition import Above, Equals, Term
from gateway.rules.overlay import Suppression

HOUR_S = 3600.0


class Desk(Stepped):
    """A hub, and what is asked of it here."""

    def wait(self, seconds: float) -> Decision:
        """What follows from the passing of time."""
        return self.tell(Tick(), seconds)

    def change(self, site: Plan, anew: Iterable[str] = ()) -> Decision:
        """Another configuration, taken over."""
        command = Command("r1", "reload", {}, "ada", "local", None, lambda _: None)
        links = frozenset(device.link for device in site.about.devices)
        return self.tell(Reconfigured(site, command, ("something changed",), frozenset(anew), links))

    def standing(self) -> set[str]:
        """The alarms that are not at rest."""
        return {alarm.alarm for alarm in self.status().alarms}


def limit(above: float, clear: float) -> Plan:
    """With another limit of the rule `warm`, which has an on-delay of a minute."""
    site = plan()
    (warm, on), *others = site.rules
    return replace(site, rules=((replace(warm, condition=Above(above, clear)), on), *others))


def without(rule: str) -> Plan:
    site = plan()
    return replace(site, rules=tuple((it, on) for it, on in site.rules if it.id != rule))


def events(decision: Decision, name: str) -> list[dict[str, Any]]:
    told = [json.loads(record.text) for record in decision.records]
    return [event for event in told if event.get("event") == name]


def states(decision: Decision) -> dict[str, AlarmState]:
    return {view.alarm: view.state for view in decision.notices if isinstance(view, AlarmView)}


def switched(decision: Decision) -> list[Write]:
    return [write for write in decision.writes if isinstance(write, Write)]


def test_a_delay_of_a_rule_that_is_as_it_was_goes_on() -> None:
    hub = Desk()
    hub.read("cold-1", temperature=-10.0)
    hub.wait(40)
    hub.change(without("quiet"))
    assert events(hub.wait(19), "alarm") == []
    assert [it["change"] for it in events(hub.wait(2), "alarm")] == ["raised"]


def test_a_delay_goes_on_through_a_storm_of_other_words() -> None:
    hub = Desk()
    hub.read("cold-1", temperature=-10.0)
    for number in range(6):
        hub.wait(9)
        words = tuple((replace(rule, text=f"words {number}"), targets) for rule, targets in plan().rules)
        hub.change(replace(plan(), rules=words))
    assert [it["change"] for it in events(hub.wait(7), "alarm")] == ["raised"]


def test_a_delay_of_a_changed_rule_begins_anew() -> None:
    hub = Desk()
    hub.read("cold-1", temperature=-10.0)
    hub.wait(40)
    hub.change(limit(-12, -13))
    hub.read("cold-1", temperature=-10.0)
    assert events(hub.wait(59), "alarm") == []
    assert [it["change"] for it in events(hub.wait(2), "alarm")] == ["raised"]


def test_an_alarm_whose_limit_changes_stands_until_a_value_says_otherwise() -> None:
    hub = Desk()
    hub.read("cold-1", temperature=-10.0)
    assert states(hub.wait(61)) == {"warm": AlarmState.UNACK_ACTIVE}
    decision = hub.change(limit(-5, -6))
    assert events(decision, "alarm") == []
    assert states(decision) == {"warm": AlarmState.UNACK_ACTIVE}, "in its new words"
    assert [it["change"] for it in events(hub.read("cold-1", temperature=-10.0), "alarm")] == ["cleared"]


def test_an_output_stays_on_for_an_alarm_that_stands_and_is_not_written_again() -> None:
    hub = Desk()
    assert switched(hub.read("smoke-1", smoke="alarm")) == [Write(*SIREN, "on")]
    assert switched(hub.change(limit(-5, -6))) == []
    assert switched(hub.read("smoke-2", smoke="alarm")) == []
    assert switched(hub.tell(LinkBack("gpio", 1.0))) == [Write(*SIREN, "on")]


def test_an_output_whose_device_begins_anew_is_written_again() -> None:
    hub = Desk()
    hub.read("smoke-1", smoke="alarm")
    assert switched(hub.change(plan(), anew=["siren"])) == [Write(*SIREN, "on")]


def test_what_an_alarm_that_is_gone_had_switched_is_switched_back_and_told() -> None:
    hub = Desk()
    hub.read("smoke-1", smoke="alarm")
    decision = hub.change(without("any-smoke"))
    assert [it["alarm"] for it in events(decision, "alarm_removed")] == ["any-smoke@smoke-1.smoke"]
    assert switched(decision) == [Write(*SIREN, "off")]
    assert [it["value"] for it in events(decision, "output")] == ["off"]
    assert states(decision) == {"any-smoke@smoke-1.smoke": AlarmState.NORMAL}, "so its topic is cleared"
    removed = {it.key for it in decision.state if it.text is None}
    assert "alarm/any-smoke@smoke-1.smoke" in removed


def test_what_a_person_has_laid_over_an_alarm_stays() -> None:
    hub = Desk()
    args: dict[str, Json] = {"alarm": "warm", "reason": "defrosting", "for_s": HOUR_S}
    hub.tell(Command("1", "shelve", args, "ada", "local", None, lambda _: None))
    hub.change(limit(-5, -6))
    hub.read("cold-1", temperature=0.0)
    [raised] = events(hub.wait(61), "alarm")
    assert (raised["hidden"]["how"], raised["hidden"]["by"]) == ("shelved", "ada")


def test_what_the_plant_explained_is_explained_by_the_new_rule_alone() -> None:
    site = plan()
    (warm, on), *others = site.rules
    defrost = Suppression(Term("smoke-2", "smoke", Equals("defrost")), HOUR_S)
    explained = replace(site, rules=((replace(warm, suppression=defrost), on), *others))
    hub = Desk(rules=explained.rules)
    hub.read("smoke-2", smoke="defrost")
    hub.read("cold-1", temperature=0.0)
    assert "hidden" in events(hub.wait(61), "alarm")[0]
    assert hub.change(explained).notices[1:] == (), "it is as it was"
    assert events(hub.wait(1), "alarm") == []
    hub.change(plan())
    [told] = events(hub.wait(1), "alarm")
    assert (told["change"], "hidden" in told) == ("unsuppressed", False)


def watching(site: Plan, *devices: str) -> Plan:
    watched = {name: Watched("bus1", ("temperature",), 30.0, smoke=False) for name in devices}
    return replace(site, watched=watched, own=(*site.own, *alarms_of_watched(watched)))


def test_a_device_that_is_added_has_the_time_to_be_heard() -> None:
    hub = Desk()
    hub.tell(LinkBack("bus1", 0.0))
    hub.wait(HOUR_S)
    hub.change(watching(plan(), "cold-1"), anew=["cold-1"])
    hub.wait(29)
    assert no_data("cold-1") not in hub.standing()
    hub.wait(20)
    assert no_data("cold-1") in hub.standing()


def test_the_last_event_says_who_asked_and_both_hashes() -> None:
    hub = Desk()
    site = plan()
    decision = hub.change(replace(site, about=replace(site.about, config="def")))
    [told] = events(decision, "configured")
    assert told == {
        "event": "configured",
        "config": "def",
        "before": "abc",
        "by": "ada",
        "source": "local",
        "changed": ["something changed"],
    }
    assert any(notice == replace(site.about, config="def") for notice in decision.notices)


def test_a_reload_is_asked_for_once_and_each_who_asks_is_answered() -> None:
    hub, replies = Desk(), list[Reply]()
    command = Command("c1", "reload", {}, "ada", "platform", None, replies.append)
    assert hub.tell(command).reloads == (command,)
    assert hub.tell(command).reloads == (), "it is under way"
    decision = hub.tell(ReloadRefused(command, "site.yaml:1:1: no"))
    for answer, reply in decision.replies:
        answer(reply)
    assert replies == [Reply("c1", "refused", "site.yaml:1:1: no")] * 2
    [told] = events(decision, "command")
    assert (told["name"], told["result"], told["detail"]) == ("reload", "refused", "site.yaml:1:1: no")
    again = hub.tell(command)
    assert again.reloads == ()
    assert [reply.result for _, reply in again.replies] == ["refused"], "a repeated one is answered"


def reload(id_: str, replies: list[Reply], source: str = "platform", issuer: str = "ada") -> Command:
    return Command(id_, "reload", {}, issuer, source, None, replies.append)


def taken_over(hub: Desk, command: Command) -> Decision:
    decision = hub.tell(Reconfigured(plan(), command, ("site changed",), frozenset(), frozenset({"bus1", "gpio"})))
    for answer, reply in decision.replies:
        answer(reply)
    return decision


def test_who_asks_while_one_is_under_way_waits_for_one_more_and_all_are_answered_with_its_result() -> None:
    hub, replies = Desk(), list[Reply]()
    first = reload("c0", replies)
    assert hub.tell(first).reloads == (first,)
    for number in range(1, 5):
        assert hub.tell(reload(f"c{number}", replies)).reloads == ()
    following = taken_over(hub, first)
    assert [reply.id for reply in replies] == ["c0"], "the file may have changed after that one had read it"
    assert [command.id for command in following.reloads] == ["c1"]
    last = hub.tell(ReloadRefused(following.reloads[0], "site.yaml:1:1: no"))
    assert last.reloads == ()
    assert [(reply.id, reply.result) for _, reply in last.replies] == [(f"c{n}", "refused") for n in range(1, 5)]
    assert [event["id"] for event in events(last, "command")] == ["c1", "c2", "c3", "c4"], "each is on record"


def test_a_storm_of_hangups_is_one_that_runs_and_one_that_waits() -> None:
    hub, replies = Desk(), list[Reply]()
    asked = [reload(f"s{number}", replies, "local", "SIGHUP") for number in range(1000)]
    assert [command.id for one in asked for command in hub.tell(one).reloads] == ["s0"]
    assert [command.id for command in taken_over(hub, asked[0]).reloads] == ["s1"]
    last = taken_over(hub, asked[1])
    assert last.reloads == ()
    assert len(last.replies) == 32, "no more answers are kept in mind"
    assert [event["event"] for event in hub.events()].count("configured") == 2


def test_so_many_platforms_wait_and_no_more() -> None:
    hub, replies = Desk(), list[Reply]()
    for number in range(30):
        decision = hub.tell(reload(f"c{number}", replies, issuer=f"platform-{number}"))
        for answer, reply in decision.replies:
            answer(reply)
    assert [reply.id for reply in replies] == [f"c{number}" for number in range(17, 30)]
    assert {reply.detail.partition(" wait")[0] for reply in replies} == {"too many"}
