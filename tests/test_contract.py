"""The contract: everything the gateway can say validates, topics equal the AsyncAPI document, commands are checked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from payloads import Payloads
from uplink_scene import ABOUT, ROOT, RUN, TS, alarm, reading

from gateway import records
from gateway.derive.totals import EVENTS
from gateway.hub.detector_text import told_of
from gateway.hub.timekeeping import Era, Settled
from gateway.model import (
    AlarmLoad,
    AlarmState,
    Command,
    DeviceBack,
    DeviceHealth,
    DeviceLost,
    Dropped,
    HealthReport,
    Hidden,
    Hiding,
    JournalFailed,
    JournalHealth,
    JournalRestored,
    Lane,
    LinkBack,
    LinkHealth,
    LinkLost,
    PreviousRun,
    Reading,
    Reason,
    Record,
    Reply,
    RoomDied,
    Trust,
    TurnedAway,
    UplinkDown,
    UplinkHealth,
    UplinkUp,
    Value,
    Write,
)
from gateway.rules.overlay import NOBODY, Note
from gateway.untrusted import MAX_BYTES, parsed
from gateway.uplink import contract
from gateway.uplink.commands import Refusal, Terms, command

CONTRACT = Path(contract.__file__).parent.parent / "contract"
NAMES = ("status", "about", "about-device", "telemetry", "event", "alarm", "health", "command", "reply", "stored")
TOPICS = contract.Topics.of(ABOUT)


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((CONTRACT / f"{name}.schema.json").read_text()))


def check(name: str, payload: bytes) -> Any:
    parsed = json.loads(payload, object_pairs_hook=once)
    validator(name).validate(parsed)
    return parsed


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len({key for key, _ in pairs}) == len(pairs), f"a field stands twice: {pairs}"
    return dict(pairs)


SHELVED = Hidden(Hiding.SHELVED, "maria", "defrosting", TS)


BY_MARIA: dict[str, Any] = {"issuer": "maria", "reason": "counted"}


def event_texts() -> Iterator[str]:
    view = alarm(AlarmState.UNACK_ACTIVE)
    asked = Command("c-1", "acknowledge", {"alarm": "room-1-warm"}, "maria", "platform", TS, print)
    yield records.started("0.1.0", "a1b2", "kept", PreviousRun("aa11", 12, 1200))
    yield records.started("0.1.0", "a1b2", "unknown", None)
    yield records.event("stopped", why="stopped by the operator", telemetry=1200)
    yield records.configured("a1b2", "c3d4", asked, ("device cold-3 added", "rule room-1-warm changed"))
    for change in ("raised", "cleared", "acknowledged", "reset"):
        for state in AlarmState:
            yield records.alarm(replace(view, state=state), change, "" if change == "raised" else "maria")
    for hidden in (SHELVED, Hidden(Hiding.OUT_OF_SERVICE, "maria", "defrosting")):
        yield records.alarm(replace(view, hidden=hidden, chattering=True), "raised")
        for change in ("shelved", "unshelved", "out_of_service", "in_service"):
            yield records.alarm(replace(view, hidden=hidden), change, "maria", "defrosting")
    for step in ("confirmed", "unconfirmed", "re_alarmed", "escalated", "report_overdue"):
        yield records.alarm(replace(view, report=step), step)
    told = replace(view, say_in={"zh": "请离开"}, tell=("shift leader",))
    yield records.alarm(told, "raised")
    yield records.alarm(replace(told, silenced=True), "silenced", "maria", "on the telephone")
    yield records.alarm(replace(told, test=True), "raised")
    yield told_of("test/sorting", Note("maria", "monthly test"), begun=True, until=TS)
    yield told_of("test/sorting", NOBODY, begun=False)
    yield told_of("disabled/smoke-1.smoke", Note("maria", "painting"), begun=True, until=TS)
    yield records.event("detector", device="smoke-1", point="smoke", zone="sorting", change="tested")
    yield records.alarm(told, "resounded")
    for value in (None, "alarm", True, 3, (52.5, 13.4)):
        yield records.alarm(replace(view, value=value, alarm="any-smoke@smoke-1.smoke"), "raised")
    for result in ("switched", "failed"):
        yield records.output(Write("gpio", "siren", "siren", "on"), result, "any-smoke@smoke-1.smoke")
    yield records.output(Write("gpio", "siren", "siren", "on"), "switched", "test of evacuate", (3.0, 1.0), trial=True)
    for trial in ("", "evacuate"):
        yield records.held("siren", "siren", "on", ("maria", "painting"), trial, TS)
        yield records.let_go("siren", "siren", ("maria", "painting"), trial)
    for reply in (
        Reply("c-1", "done", ""),
        Reply("c-1", "refused", "already acknowledged"),
        Reply("c-1", "repeated", ""),
    ):
        yield records.command(asked._replace(args={"alarm": "room-1-warm", "reason": "seen"}), reply, 3)
    yield records.command(TurnedAway("platform", "", "", "", "malformed", "not a command"), Reply("", "refused", "no"))
    wanted = records.Wanted("cold-1", "setpoint", -18.5, "c-1", "maria", "platform", "the new goods")
    yield records.write(wanted, "requested", was=4.0)
    for result in ("done", "failed", "outcome_unknown"):
        yield records.write(wanted, result, back=-18.5, detail="more")
    yield records.event("clock_stepped", by_ms=-3_600_000)
    for name in EVENTS.values():
        yield records.event(name, device="door-1", point="people_in", before=65_530, value=4, counted=10, untold=0)
    place, since = [52.5, 13.4], TS - 30_000
    yield records.event("trip_started", device="truck", trip=7, begin=since, position=place)
    yield records.event("trip_ended", device="truck", trip=7, begin=since, end=TS, distance=12_345, position=place)
    for crossing in ("fence_entered", "fence_left"):
        yield records.event(crossing, device="truck", fence="depot", name="Depot", since=since, position=place)
    yield records.event("position_lost", device="truck", position=place, age_s=30.1)
    yield records.event("position_lost", device="truck")
    yield records.event("position_back", device="truck", position=place)
    for why, more in (("below_zero", {}), ("daily_reset", {"late": True}), ("closed", {}), ("set", BY_MARIA)):
        yield records.event("occupancy_corrected", device="shop", why=why, was=-3, now=0, **more)
    yield records.event("alarm_removed", alarm="room-1-warm")
    for change in ("began", "ended"):
        yield records.event("flood", change=change, last_10_min=11)
    yield records.event("alarms_batched", alarms=["room-1-warm", "any-smoke@smoke-1.smoke"], events=3)
    for era in (Era("aa11", Trust.UNSYNCED, -5, 1, 1), Era("aa11", Trust.RTC, 5, 1, 1, 7, 0)):
        yield Settled(era, 3_600_000, 12_345).text("5b3a2f90-1c1e-4f0e-9d51-0c7a3f6d2e11")
    for fact in (
        LinkLost("bus1", "the port is gone", "plug it in"),
        LinkBack("bus1", 0.0),
        DeviceLost("cold-1", "no reply", "check its address"),
        DeviceBack("cold-1", 12.5),
        UplinkUp("platform", "5"),
        UplinkUp("platform", "3.1.1"),
        UplinkDown("platform", "refused", "is it running?"),
        JournalFailed("disk full", "make room", 3),
        JournalRestored(4.0),
        Dropped("aa11", Lane.TELEMETRY, 1, 5, 5, ("platform",), "max_size"),
        Dropped("", Lane.EVENT, 1, 1, 1, (), "the journal is behind"),
        RoomDied("hub", "ValueError: x", 1),
    ):
        yield records.gateway_fact(fact)


@pytest.mark.parametrize("name", NAMES)
def test_every_schema_is_a_valid_schema(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((CONTRACT / f"{name}.schema.json").read_text()))


@pytest.mark.promise("schemas")
def test_every_event_validates_and_no_field_of_it_hides_the_envelope() -> None:
    seen = set()
    for seq, text in enumerate(event_texts(), 1):
        record = Record(Lane.EVENT, seq, TS, Trust.SYNCED, 0, text)
        for hist in (False, True):
            payload = check("event", contract.event(RUN, record, hist))
            assert (payload["run"], payload["seq"], payload["ts"], payload["hist"]) == (RUN, seq, TS, hist)
        seen.add(payload["event"])
    declared = json.loads((CONTRACT / "event.schema.json").read_text())["properties"]["event"]["enum"]
    assert seen == set(declared)


def test_an_event_with_a_field_too_many_or_too_few_is_no_event() -> None:
    payload = json.loads(contract.event(RUN, Record(Lane.EVENT, 1, TS, Trust.GPS, 0, next(event_texts())), False))
    assert validator("event").is_valid(payload)
    assert not validator("event").is_valid({**payload, "more": 1})
    assert not validator("event").is_valid({key: value for key, value in payload.items() if key != "journal"})
    assert not validator("event").is_valid({**payload, "event": "gap"})


def test_telemetry_validates_with_every_form_of_value_and_every_reason() -> None:
    values: dict[str, Value] = {"temperature": -18.2, "smoke": "alarm", "position": (52.5, 13.4), "people_in": 3}
    first = Reading("cold-1", 0.0, TS, values, {f"p{number}": reason for number, reason in enumerate(Reason)})
    texts = [
        records.telemetry(first),
        records.telemetry(Reading("cold-1", 0.0, TS, {}, {"x": Reason.SILENT}, test=True)),
    ]
    made = [Record(Lane.TELEMETRY, seq, TS + seq, Trust.RTC, 0, text) for seq, text in enumerate(texts, 1)]
    payload = check("telemetry", contract.telemetry(RUN, Trust.RTC, True, made))
    assert [record["seq"] for record in payload["records"]] == [1, 2]
    assert [record.get("test") for record in payload["records"]] == [None, True]
    assert payload["records"][0]["values"]["position"] == [52.5, 13.4]
    assert (payload["tq"], payload["hist"], payload["records"][1]["ts"]) == ("rtc", True, TS + 2)


def test_status_about_alarm_and_reply_validate() -> None:
    for state in ("online", "stopped", "lost"):
        check("status", contract.status(state, RUN, TS, "0.1.0"))
    about = check("about", contract.about(ABOUT, "platform"))
    assert about["devices"] == ["cold-1"]
    device = check("about-device", contract.about_device(ABOUT.devices[0]))
    assert device["points"][0] == {
        "point": "temperature",
        "kind": "temperature",
        "form": "gauge",
        "unit": "°C",
        "writable": False,
    }
    told = replace(alarm(AlarmState.UNACK_ACTIVE), say_in={"zh": "请离开"}, tell=("shift leader",), silenced=True)
    payload = check("alarm", contract.alarm(told))
    assert (payload["say_in"], payload["tell"], payload["silenced"]) == ({"zh": "请离开"}, ["shift leader"], True)
    rule = replace(ABOUT.devices[0].rules[0], tell=("shift leader",))
    device = check("about-device", contract.about_device(replace(ABOUT.devices[0], rules=(rule,))))
    assert device["rules"][0]["tell"] == ["shift leader"]
    for state in AlarmState:
        payload = contract.alarm(alarm(state))
        if state is AlarmState.NORMAL:
            assert payload == b""
        else:
            assert check("alarm", payload)["state"] == state
        hidden = contract.alarm(replace(alarm(state), hidden=SHELVED))
        assert check("alarm", hidden)["hidden"] == {"how": "shelved", "by": "maria", "why": "defrosting", "until": TS}
    for result in ("done", "refused", "not_stored", "failed", "outcome_unknown"):
        check("reply", contract.reply(Reply("c-1", result, "too late")))


def test_health_validates_before_and_after_the_rooms_have_spoken() -> None:
    report = HealthReport(TS, Trust.UNSYNCED, RUN, 1.5, (), None, (), {})
    check("health", contract.health(report))
    load = AlarmLoad(1, 1, ("warm",), ("warm",), 0, 1, 12, True, (("any-smoke@smoke-1.smoke", 3),))
    told = check("health", contract.health(replace(report, alarms=load)))
    assert told["alarms"]["most_in_a_day"] == {"any-smoke@smoke-1.smoke": 3}
    cold = DeviceHealth("cold-1", "ok", 5, {"silent": 1}, 12.34, 7, 11.11, 22.22, 1.0, 1.0004)
    link = LinkHealth("bus1", True, (cold, DeviceHealth("x", "lost")), requests=7, failures={"silent": 1}, load=0.12345)
    journal = JournalHealth("ok", 10, 4096, 0, 3, {"platform": 4}, 0)
    uplinks = (UplinkHealth("platform", "online", "5", 1, 10, 9, TS), UplinkHealth("b", "gone", "", 0, 0, 0, None))
    full = check("health", contract.health(replace(report, links=(link,), journal=journal, uplinks=uplinks)))
    told = full["links"][0]
    assert told["load"] == 0.123
    assert (told["requests"], told["failures"]) == (7, {"silent": 1})
    alone = check("health", contract.health(replace(report, links=(replace(link, devices=(cold,)),))))["links"][0]
    assert "requests" not in alone, "they are those of its only device"
    assert alone["devices"][0]["requests"] == 7
    assert told["devices"][0] == {
        "device": "cold-1",
        "state": "ok",
        "polls": 5,
        "requests": 7,
        "failures": {"silent": 1},
        "every_s": 1.0,
        "interval_s": 1.0,
        "response_ms": 12.3,
        "response_p50_ms": 11.1,
        "response_p95_ms": 22.2,
    }


def test_the_asyncapi_document_names_exactly_the_topics_and_schemas_of_the_code() -> None:
    document = yaml.safe_load((CONTRACT / "asyncapi.yaml").read_text())
    addresses = {name: channel["address"] for name, channel in document["channels"].items()}
    filled = {
        name: address.format(site="dc3", gateway="gw1", device="d", alarm="a") for name, address in addresses.items()
    }
    assert filled == {
        "status": TOPICS.status,
        "about": TOPICS.about,
        "aboutDevice": TOPICS.about_device("d"),
        "telemetry": TOPICS.telemetry,
        "event": TOPICS.event,
        "alarm": TOPICS.alarm("a"),
        "health": TOPICS.health,
        "command": TOPICS.command,
        "reply": TOPICS.reply,
        "stored": TOPICS.stored,
    }
    files = set()
    for name, channel in document["channels"].items():
        files.add(channel["messages"][name]["payload"]["schema"]["$ref"].removeprefix("./"))
        assert set(channel["parameters"]) == {part[1:-1] for part in channel["address"].split("/") if part[0] == "{"}
    assert files == {path.name for path in CONTRACT.glob("*.schema.json")}
    used = {operation["channel"]["$ref"].rpartition("/")[2] for operation in document["operations"].values()}
    assert used == set(document["channels"])


def test_an_alarm_of_several_points_is_one_level_of_a_topic() -> None:
    topic = TOPICS.alarm("any-smoke@smoke-1.smoke")
    assert topic == f"{ROOT}/alarm/any-smoke@smoke-1.smoke"
    assert TOPICS.alarm_of(topic) == "any-smoke@smoke-1.smoke"
    assert TOPICS.device_of(topic) is None
    for wrong in ("a/b", "a+", "#", ""):
        with pytest.raises(ValueError, match="level"):
            TOPICS.alarm(wrong)


@given(st.text(max_size=40))
def test_any_text_can_be_published(text: str) -> None:
    record = reading(1, text=records.encode({"device": "cold-1", "values": {"state": text}}))
    parsed = json.loads(contract.telemetry(RUN, Trust.SYNCED, False, [record]))
    assert parsed["records"][0]["seq"] == 1


# ---------------------------------------------------------------- commands

GOOD = {"id": "c-1", "name": "acknowledge", "args": {"alarm": "x"}, "issuer": "maria", "expires": TS}


def ask(payload: bytes, *, retain: bool = False, allowed: tuple[str, ...] = ("acknowledge",)) -> Command | Refusal:
    return command(payload, retain, Terms("platform", allowed), print)


def test_a_good_command_reaches_the_hub_and_validates() -> None:
    validator("command").validate(GOOD)
    asked = ask(json.dumps(GOOD).encode())
    assert isinstance(asked, Command)
    assert (asked.id, asked.name, asked.args, asked.issuer) == ("c-1", "acknowledge", {"alarm": "x"}, "maria")
    assert (asked.source, asked.expires) == ("platform", TS)


@pytest.mark.promise("command-never-retained")
def test_a_command_that_is_not_allowed_is_refused_by_its_id() -> None:
    refused = ask(json.dumps(GOOD).encode(), allowed=("reset",))
    assert isinstance(refused, Refusal)
    assert refused.id == "c-1"


@pytest.mark.promise("command-never-retained")
def test_a_retained_command_is_never_obeyed() -> None:
    assert isinstance(ask(json.dumps(GOOD).encode(), retain=True), Refusal)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        json.dumps({**GOOD, "id": "a b"}).encode(),
        json.dumps({**GOOD, "id": 5}).encode(),
        json.dumps({**GOOD, "id": "x" * 65}).encode(),
        json.dumps({**GOOD, "name": "Ack/+"}).encode(),
        json.dumps({**GOOD, "args": []}).encode(),
        json.dumps({**GOOD, "issuer": "a\nb"}).encode(),
        json.dumps({**GOOD, "issuer": ""}).encode(),
        json.dumps({**GOOD, "expires": True}).encode(),
        json.dumps({**GOOD, "expires": -1}).encode(),
        json.dumps({**GOOD, "expires": 1e300}).encode(),
        json.dumps({**GOOD, "expires": None}).encode(),
        json.dumps({**GOOD, "more": 1}).encode(),
        json.dumps({key: value for key, value in GOOD.items() if key != "issuer"}).encode(),
        b'{"id":"c-1","name":"acknowledge","issuer":"m","expires":1,"args":{"a":NaN}}',
        b'{"id":"c-1","name":"acknowledge","issuer":"m","expires":1,"args":{"a":1e999}}',
        b'{"id":"c-1","name":"acknowledge","issuer":"m","expires":1,"args":{"a":"\\ud800"}}',
        b'{"id":"c-1","name":"acknowledge","issuer":"m","expires":1,"expires":2}',
        b'{"id":"c-1","name":"acknowledge","issuer":"m","expires":' + b"9" * 5000 + b"}",
        b'{"id":"c-1","name":"acknowledge","issuer":"m","expires":1,"args":{"a":1' + b"0" * 400 + b"}}",
        b'{"id":"c-1","name":"acknowledge","issuer":"m","expires":1,"args":{"a":9007199254740993}}',
        b'{"id":"c-1","args":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"id":"c-1","x":"' + b"y" * MAX_BYTES + b'"}',
    ],
)
def test_a_malformed_command_is_refused_and_never_an_error(payload: bytes) -> None:
    refused = ask(payload)
    assert isinstance(refused, Refusal)
    assert refused.why


def test_brackets_inside_strings_are_no_depth() -> None:
    assert isinstance(ask(json.dumps({**GOOD, "args": {"alarm": '[[[[[[[[[[[[\\"{{{{'}}).encode()), Command)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_never_become_a_command_or_an_error(payload: bytes) -> None:
    assert isinstance(ask(payload), Refusal)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "more"]), json_values))
def test_what_passes_the_check_validates_against_the_schema(fields: dict[str, Any]) -> None:
    asked = {**GOOD, **fields}
    if isinstance(ask(json.dumps(asked).encode()), Command):
        validator("command").validate(asked)


# ---------------------------------------------------------------- every payload of every test


def test_the_gateway_says_what_it_is_not_wherever_it_describes_itself() -> None:
    told = check("about", contract.about(ABOUT, "platform"))["notice"]
    for words in (
        "no fire alarm control unit",
        "EN 54",
        "must not be the only means",
        "certified system",
        "Local fire",
    ):
        assert words in told


@pytest.mark.promise("schemas")
def test_a_payload_that_breaks_the_contract_is_noticed_wherever_it_is_built(payloads: Payloads) -> None:
    contract.event(RUN, Record(Lane.EVENT, 1, TS, Trust.SYNCED, 0, '{"event":"no_such_event"}'), False)
    contract.telemetry(RUN, Trust.SYNCED, False, [Record(Lane.TELEMETRY, 0, TS, Trust.SYNCED, 0, reading(1).text)])
    contract.reply(Reply("c-1", "perhaps", ""))
    wrong, payloads.wrong = payloads.wrong, []
    assert {complaint.partition(":")[0] for complaint in wrong} == {"event", "telemetry", "reply"}
    for seq in (1, 2):
        contract.telemetry(RUN, Trust.SYNCED, False, [reading(seq)])
    assert payloads.wrong == []


@pytest.mark.parametrize(
    "payload", [b'{"a":"' + b'\\"' * 8000, b'"\\' * 8000, b'"a' * 8000], ids=["quotes", "ends", "many"]
)
def test_a_string_that_never_ends_costs_no_more_than_one_that_does(payload: bytes) -> None:
    began = time.thread_time()
    for _ in range(10):
        with pytest.raises(ValueError, match="not a command"):
            parsed(payload, "a command")
    assert time.thread_time() - began < 0.5, "one of these took a second"
