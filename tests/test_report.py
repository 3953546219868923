"""Report by exception: what of a reading is recorded, point by point, and what a configuration can say about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeAlias

from config_site import SITE, loaded, written
from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.decide import Hub
from gateway.hub.numbering import MAX_NOT_STORED
from gateway.hub.plan import plan_of
from gateway.model import Lane, Moment, Reading, Reason, Recovered, Tick, Trust, Value
from gateway.refine.exception import REPEAT_S, Limit, Reporter, Sending

EVERY_S = 10.0
Points: TypeAlias = dict[str, Value | Reason]


def reading(mono: float, **points: Value | Reason) -> Reading:
    values = {name: value for name, value in points.items() if not isinstance(value, Reason)}
    bad = {name: reason for name, reason in points.items() if isinstance(reason, Reason)}
    return Reading("cold-1", mono, 0, values, bad)


def parts(reporter: Reporter, mono: float, **points: Value | Reason) -> tuple[Points, Points]:
    """What is sent, and what is only recorded."""
    sent, local = (
        {} if part is None else {**part.values, **part.bad} for part in reporter.worth(reading(mono, **points))
    )
    return sent, local


def recorded(reporter: Reporter, mono: float, **points: Value | Reason) -> Points:
    sent, local = parts(reporter, mono, **points)
    assert not sent.keys() & local.keys(), "stored twice"
    return sent | local


def test_a_record_carries_the_points_that_moved_and_leaves_the_others_out() -> None:
    reporter = Reporter({"temperature": Limit(0.2, 300.0), "humidity": Limit(2.0, 300.0)}, EVERY_S)
    assert recorded(reporter, 0, temperature=4.0, humidity=80.0) == {"temperature": 4.0, "humidity": 80.0}
    assert recorded(reporter, 10, temperature=4.2, humidity=78.0) == {}
    assert recorded(reporter, 20, temperature=4.3, humidity=79.0) == {"temperature": 4.3}
    assert recorded(reporter, 30, temperature=4.4, humidity=77.9) == {"humidity": 77.9}


def test_a_slow_drift_is_recorded_once_it_has_left_the_deadband() -> None:
    reporter = Reporter({"temperature": Limit(0.5, 86400.0)}, EVERY_S)
    values = [recorded(reporter, 10.0 * n, temperature=4 + n / 8) for n in range(11)]
    assert [n for n, kept in enumerate(values) if kept] == [0, 5, 10]


def test_a_point_that_does_not_move_is_recorded_after_max_every_in_spite_of_jitter() -> None:
    reporter = Reporter({"temperature": Limit(1.0, 60.0)}, EVERY_S)
    jitter = [0.0, 0.03, -0.02, 0.01, -0.03, 0.02, -0.01]
    times = [10.0 * n + jitter[n % 7] for n in range(1, 20)]
    assert [n for n, mono in enumerate(times) if recorded(reporter, mono, temperature=4.0)] == [0, 6, 12, 18]


def test_each_bad_point_is_recorded_on_its_change_and_then_once_a_minute() -> None:
    reporter = Reporter({}, EVERY_S)
    kept = [recorded(reporter, 10.0 * n, temperature=4.0, probe=Reason.NO_REPLY) for n in range(13)]
    assert [n for n, one in enumerate(kept) if "probe" in one] == [0, 6, 12]
    assert all(one["temperature"] == 4.0 for one in kept), "a point beside it is none of its business"
    assert recorded(reporter, 130, temperature=4.0, probe=Reason.SENSOR_FAULT)["probe"] is Reason.SENSOR_FAULT


def test_the_first_good_value_after_a_bad_one_is_recorded_even_if_it_is_the_old_one() -> None:
    reporter = Reporter({"temperature": Limit(1.0, 300.0)}, EVERY_S)
    assert recorded(reporter, 0, temperature=4.0)
    assert recorded(reporter, 10, temperature=Reason.NO_REPLY)
    assert recorded(reporter, 20, temperature=4.0)
    assert not recorded(reporter, 30, temperature=4.0)


def test_a_point_without_a_report_is_recorded_at_each_reading() -> None:
    reporter = Reporter({"door": Limit()}, EVERY_S)
    assert recorded(reporter, 0, temperature=4.0, door="open") == {"temperature": 4.0, "door": "open"}
    assert recorded(reporter, 10, temperature=4.0, door="open") == {"temperature": 4.0}
    assert recorded(reporter, 20, door="open") == {}
    assert recorded(Reporter({}, EVERY_S), 0, temperature=4.0)


_POINT = st.one_of(st.floats(-50, 50), st.sampled_from(list(Reason)), st.none())


@given(st.floats(0, 5), st.floats(10, 100), st.lists(st.tuples(st.floats(0, 40), _POINT), max_size=40))
def test_what_was_recorded_last_is_never_further_off_or_older_than_allowed(
    deadband: float, max_every_s: float, story: list[tuple[float, float | Reason | None]]
) -> None:
    """The law that lets a reader of the records know the value between them."""
    reporter, mono = Reporter({"x": Limit(deadband, max_every_s)}, EVERY_S), 0.0
    known: tuple[float | Reason, float] | None = None
    for after_s, point in story:
        mono += after_s
        kept = recorded(reporter, mono, **({} if point is None else {"x": point}))
        if point is None:
            assert not kept
            continue
        if kept:
            assert kept == {"x": point}
            known = point, mono
        assert known is not None, "the first is always recorded"
        last, since = known
        if isinstance(point, Reason) or isinstance(last, Reason):
            assert last is point
            assert mono - since < REPEAT_S
        else:
            assert abs(point - last) <= deadband * 1.000001
            assert mono - since < max_every_s


# ---------------------------------------------------------------- sent less often than recorded


def coarse(deadband: float = 1.0, max_every_s: float = 600.0) -> Limit:
    """Recorded when it moves by more than 0.1 and each minute, sent less often."""
    return Limit(0.1, 60.0, Sending(deadband, max_every_s))


def test_what_moves_a_little_is_recorded_and_only_what_moves_much_is_sent() -> None:
    reporter = Reporter({"temperature": coarse()}, EVERY_S)
    values = [4.0, 4.05, 4.2, 4.5, 5.2, 5.25, 4.0]
    told = [parts(reporter, 10.0 * n, temperature=value) for n, value in enumerate(values)]
    assert [list(sent.values()) for sent, _ in told] == [[4.0], [], [], [], [5.2], [], [4.0]]
    assert [list(local.values()) for _, local in told] == [[], [], [4.2], [4.5], [], [], []]


def test_what_does_not_move_is_recorded_and_sent_each_at_its_own_pace() -> None:
    reporter = Reporter({"temperature": coarse(max_every_s=300.0)}, EVERY_S)
    told = [parts(reporter, 10.0 * n, temperature=4.0) for n in range(61)]
    assert [n for n, (sent, _) in enumerate(told) if sent] == [0, 30, 60]
    assert [n for n, (_, local) in enumerate(told) if local] == [6, 12, 18, 24, 36, 42, 48, 54]


def test_the_points_of_one_reading_part_ways() -> None:
    reporter = Reporter({"temperature": coarse(), "humidity": Limit(1.0, 600.0)}, EVERY_S)
    parts(reporter, 0, temperature=4.0, humidity=50.0, door="shut")
    sent, local = parts(reporter, 10, temperature=4.5, humidity=60.0, door="shut")
    assert (sent, local) == ({"humidity": 60.0, "door": "shut"}, {"temperature": 4.5})


def test_a_bad_point_and_the_first_good_value_after_it_are_sent() -> None:
    reporter = Reporter({"temperature": coarse()}, EVERY_S)
    assert parts(reporter, 0, temperature=4.0)[0]
    assert parts(reporter, 10, temperature=Reason.NO_REPLY) == ({"temperature": Reason.NO_REPLY}, {})
    assert parts(reporter, 20, temperature=Reason.NO_REPLY) == ({}, {})
    assert parts(reporter, 70, temperature=Reason.NO_REPLY)[0], "one a minute"
    assert parts(reporter, 80, temperature=4.0) == ({"temperature": 4.0}, {})


def test_the_value_that_an_alarm_changes_with_is_sent_however_little_it_has_moved() -> None:
    reporter = Reporter({"temperature": coarse(), "humidity": Limit(1.0, 600.0)}, EVERY_S)
    parts(reporter, 0, temperature=4.0, humidity=50.0)
    for point in ("temperature", "humidity", "nothing"):
        reporter.urge(point)
    assert parts(reporter, 10, temperature=4.01, humidity=50.0)[0] == {"temperature": 4.01, "humidity": 50.0}
    assert parts(reporter, 20, temperature=4.02, humidity=50.0) == ({}, {}), "once"


class Slow:
    """The law said plainly: everything is remembered, and looked at each time."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.recorded: list[tuple[float, float | Reason]] = []
        self.sent: list[tuple[float, float | Reason]] = []

    def take(self, mono: float, point: float | Reason, is_urgent: bool) -> str:
        sending = self.limit.sending
        assert sending is not None
        if self._is_news(self.sent, mono, point, *sending) or (is_urgent and not isinstance(point, Reason)):
            self.sent.append((mono, point))
            self.recorded.append((mono, point))
            return "sent"
        if self._is_news(self.recorded, mono, point, self.limit.deadband, self.limit.max_every_s):
            self.recorded.append((mono, point))
            return "local"
        return ""

    def _is_news(
        self, told: list[tuple[float, float | Reason]], mono: float, point: float | Reason, band: float, every: float
    ) -> bool:
        if not told:
            return True
        since, last = told[-1]
        if isinstance(point, Reason):
            return last is not point or mono >= since + REPEAT_S - EVERY_S / 2
        if isinstance(last, Reason) or mono >= since + max(every - EVERY_S / 2, EVERY_S / 2):
            return True
        return abs(point - last) > band * 1.000001 if band else point != last


_NUMBERS = st.integers(-40, 40).map(lambda n: n / 8)  # exact in binary, so that the model may subtract
_HALVES = st.integers(0, 4).map(lambda n: n / 2)
_STEP = st.tuples(st.integers(1, 40), st.one_of(_NUMBERS, st.sampled_from(list(Reason))), st.booleans())


@given(_HALVES, _HALVES, st.integers(10, 60), st.integers(0, 120), st.lists(_STEP, max_size=60))
def test_recording_and_sending_do_what_a_slow_model_does(
    deadband: float, more: float, every: int, longer: int, story: list[tuple[int, float | Reason, bool]]
) -> None:
    limit = Limit(deadband, every, Sending(deadband + more, every + longer))
    reporter, slow, mono = Reporter({"x": limit}, EVERY_S), Slow(limit), 0.0
    is_urgent = False
    for after_s, point, alarm_changes in story:
        mono += after_s
        if alarm_changes:
            reporter.urge("x")
        is_urgent = is_urgent or alarm_changes
        sent, local = parts(reporter, mono, x=point)
        expected = slow.take(mono, point, is_urgent)
        is_urgent = is_urgent and isinstance(point, Reason)
        assert ("sent" if sent else "local" if local else "") == expected
        assert (sent | local) == ({"x": point} if expected else {})


def test_a_device_says_it_by_point_the_site_by_kind_and_states_are_recorded_when_they_change(tmp_path: Path) -> None:
    text = SITE.replace(
        "profile: thermo, zone: cold/room-1}",
        "profile: thermo, zone: cold/room-1, "
        "report: {temperature: {deadband: 0.2, max_every: 5m, send: {max_every: 1h}}}}",
    )
    text += "report:\n  temperature: {deadband: 1}\n  smoke: {max_every: 30s}\n"
    text += "  humidity: {deadband: 3, max_every: 10m, send: {deadband: 5}}\n"
    limits = plan_of(loaded(written(tmp_path, text)), "run1").limits
    assert limits["cold-1"] == {
        "temperature": Limit(0.2, 300.0, Sending(0.2, 3600.0)),
        "humidity": Limit(3.0, 600.0, Sending(5.0, 600.0)),
    }
    assert limits["smoke-1"] == {"smoke": Limit(0.0, 30.0)}
    assert limits["siren"] == {"output": Limit(0.0, REPEAT_S)}
    assert limits["gps-1"] == {}


def test_a_text_is_recorded_when_it_changes(tmp_path: Path) -> None:
    sheet = "model: x\npoints: {maker: {kind: text, address: 1}, temperature: {kind: temperature, address: 2}}\n"
    assert plan_of(loaded(written(tmp_path, thermo=sheet)), "run1").limits["cold-1"] == {"maker": Limit()}


# ---------------------------------------------------------------- in the hub: two lanes, each with its numbers


class Told:
    """A hub whose rules and reports a test writes, and the records that it makes."""

    def __init__(self, folder: Path, rules: str) -> None:
        text = SITE.replace(
            "profile: thermo, zone: cold/room-1}",
            "profile: thermo, zone: cold/room-1, report: "
            "{temperature: {deadband: 0.1, max_every: 60s, send: {deadband: 1, max_every: 10m}}}}",
        )
        start, rest = text.split("rules:\n")
        kept = rest[rest.index("responses:") :] if "responses:" in rest else ""
        self.mono = 1000.0
        self.hub = Hub(plan_of(loaded(written(folder, f"{start}rules:\n{rules}\n{kept}")), "run1"), self.now())
        self.hub.handle(Recovered("new", None, {}), self.now())

    def now(self) -> Moment:
        return Moment(self.mono, 1_795_300_000_000 + int(self.mono * 1000), Trust.SYNCED)

    def read(self, after_s: float, **values: Value) -> list[tuple[str, int, dict[str, Value]]]:
        """Lane, number and values of the readings' records; of an event its name in place of the values."""
        self.mono += after_s
        now = self.now()
        made = self.hub.handle(Reading("cold-1", now.mono, now.ts, values, {}), now).records
        told = ((record.lane, record.seq, json.loads(record.text)) for record in made)
        return [(lane, seq, text["values"]) for lane, seq, text in told if lane is not Lane.EVENT]


NO_RULE = "  never: {point: cold-1.temperature, above: 90, for: 0s}"
WARM = "  warm: {point: cold-1.temperature, above: -15, clear_below: -15.2, for: 0s, clear_for: 0s}"
LONG_WARM = "  warm: {point: cold-1.temperature, above: -15, clear_below: -15, for: 30s, clear_for: 0s}"


def test_what_is_sent_is_numbered_without_holes_whatever_is_only_stored(tmp_path: Path) -> None:
    told = Told(tmp_path, NO_RULE)
    records = [one for n in range(200) for one in told.read(10.0, temperature=-20 + n % 7 / 5, humidity=40.0 + n // 90)]
    for lane in (Lane.TELEMETRY, Lane.LOCAL):
        numbers = [seq for of, seq, _ in records if of is lane]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 20
    assert {name for lane, _, values in records if lane is Lane.LOCAL for name in values} == {"temperature"}


def test_the_value_that_raises_and_the_one_that_clears_an_alarm_are_sent(tmp_path: Path) -> None:
    told = Told(tmp_path, WARM)
    told.read(0, temperature=-15.05)
    assert told.read(10, temperature=-14.99) == [("telemetry", 2, {"temperature": -14.99})]
    assert told.read(10, temperature=-14.98) == []
    assert told.read(10, temperature=-15.15) == [("local", 1, {"temperature": -15.15})]
    assert told.read(10, temperature=-15.21) == [("telemetry", 3, {"temperature": -15.21})]


def test_of_an_alarm_that_time_alone_raises_the_next_value_is_sent(tmp_path: Path) -> None:
    told = Told(tmp_path, LONG_WARM)
    told.read(0, temperature=-14.0)
    told.mono += 31
    raised = [json.loads(record.text) for record in told.hub.handle(Tick(), told.now()).records]
    assert [event["change"] for event in raised if not event["alarm"].startswith("no-data@")] == ["raised"]
    assert told.read(1, temperature=-14.01) == [("telemetry", 2, {"temperature": -14.01})]
    assert told.read(1, temperature=-14.02) == []


def test_while_the_journal_is_behind_what_is_local_is_a_gap_of_its_own(tmp_path: Path) -> None:
    told = Told(tmp_path, NO_RULE)
    told.hub._numbering.not_stored = MAX_NOT_STORED
    told.read(0, temperature=-20.0)
    told.read(10, temperature=-19.5)
    told.read(10, temperature=-19.0)
    told.hub._numbering.not_stored = 0
    now = told.now()
    made = told.hub.handle(Reading("cold-1", now.mono, now.ts, {"temperature": -18.7}, {}), now).records
    gap, record = made
    assert (record.lane, record.seq) == (Lane.TELEMETRY, 2)
    assert json.loads(gap.text)["lane"] == "telemetry"
    told.mono += 10
    now = told.now()
    made = told.hub.handle(Reading("cold-1", now.mono, now.ts, {"temperature": -18.5}, {}), now).records
    gap, record = made
    assert (record.lane, record.seq) == (Lane.LOCAL, 3)
    assert {**json.loads(gap.text), "lane": "local", "first": 1, "last": 2, "records": 2} == json.loads(gap.text)
