"""Hours of the week in the site's time zone, against a slow model, and over the two nights when clocks are changed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_hub import plan

from gateway.driver import point
from gateway.hours import DAYS, STRETCH_HINT, Hours, stretch
from gateway.hub.alarm import Target
from gateway.hub.decide import Hub
from gateway.model import DeviceAbout, Fact, Lane, Moment, Reading, Recovered, Tick, Trust
from gateway.rules.condition import Equals, SilentFor
from gateway.rules.judge import Rule, elapse, fresh, taken_up
from gateway.rules.lifecycle import Change

BERLIN, SHANGHAI = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Shanghai")


def ms(when: datetime) -> int:
    return round(when.timestamp() * 1000)


def hours(*written: str, zone: ZoneInfo = BERLIN) -> Hours:
    return Hours(tuple(map(stretch, written)), zone)


@pytest.mark.parametrize(
    ("written", "inside", "outside"),
    [
        ("mon-fri 06:00-22:00", "2026-11-20 21:59", "2026-11-20 22:00"),
        ("mon-fri 06:00-22:00", "2026-11-16 06:00", "2026-11-21 12:00"),
        ("fri 22:00-06:00", "2026-11-21 05:59", "2026-11-20 05:59"),
        ("sun", "2026-11-22 23:59", "2026-11-23 00:00"),
        ("sat-mon", "2026-11-23 12:00", "2026-11-24 00:00"),
        ("sun 20:00-24:00", "2026-11-22 23:59", "2026-11-23 00:00"),
    ],
)
def test_hours_are_those_of_the_wall(written: str, inside: str, outside: str) -> None:
    for wall, expected in ((inside, True), (outside, False)):
        assert hours(written).hold(ms(datetime.fromisoformat(wall).replace(tzinfo=BERLIN))) is expected, wall


def test_the_zone_decides() -> None:
    at = ms(datetime(2026, 11, 22, 16, 30, tzinfo=UTC))  # Monday 00:30 in Shanghai
    assert hours("mon", zone=SHANGHAI).hold(at)
    assert not hours("mon", zone=BERLIN).hold(at)


def test_in_the_nights_when_clocks_are_changed_the_hours_begin_and_end_by_the_wall() -> None:
    night = hours("sat 22:00-06:00")
    for day, length_h in ((datetime(2026, 3, 28, tzinfo=BERLIN), 7), (datetime(2026, 10, 24, tzinfo=BERLIN), 9)):
        begin = day.astimezone(UTC) + timedelta(hours=22)
        inside = [night.hold(ms(begin + timedelta(minutes=n))) for n in range(-60, length_h * 60 + 60)]
        assert inside == [False] * 60 + [True] * length_h * 60 + [False] * 60


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("monday", STRETCH_HINT),
        ("mon 6:00-22:00", STRETCH_HINT),
        ("", STRETCH_HINT),
        ("mon 06:00-24:01", "a day has the minutes from 00:00 to 24:00"),
        ("mon 24:00-06:00", "a day has the minutes from 00:00 to 24:00"),
        ("mon 06:60-07:00", "a day has the minutes from 00:00 to 24:00"),
        ("mon 06:00-06:00", "a stretch from a time to the same time is none; leave the times out for the whole day"),
    ],
)
def test_what_is_no_stretch_is_refused_with_a_hint(written: str, hint: str) -> None:
    with pytest.raises(ValueError, match="^" + hint):
        stretch(written)


_CLOCK = st.integers(0, 24 * 60 - 1)


@given(st.integers(0, 6), st.integers(0, 6), _CLOCK, _CLOCK, st.integers(0, 14 * 24 * 60))
def test_hours_are_what_a_walk_through_the_week_gives(first: int, last: int, begin: int, end: int, minute: int) -> None:
    if begin == end:
        return
    clocks = "-".join(f"{at // 60:02}:{at % 60:02}" for at in (begin, end))
    week = hours(f"{DAYS[first]}-{DAYS[last]} {clocks}", zone=SHANGHAI)
    monday = datetime(2026, 11, 16, tzinfo=SHANGHAI)
    days = [day % 7 for day in range(first, first + (last - first) % 7 + 1)]
    open_minutes = {
        (day * 1440 + begin + passed) % (7 * 1440) for day in days for passed in range((end - begin) % 1440)
    }
    assert week.hold(ms(monday + timedelta(minutes=minute))) is (minute % (7 * 1440) in open_minutes)


# -- a rule with hours, as the hub judges it

DOOR = "doors"
FRIDAY_NIGHT = datetime(2026, 11, 20, 21, 30, tzinfo=BERLIN)


class Night:
    """A hub with one rule: no door may be open during these hours."""

    def __init__(
        self,
        *,
        during: bool = True,
        trust: Trust = Trust.SYNCED,
        state: dict[str, str] | None = None,
        starts: datetime = FRIDAY_NIGHT,
    ) -> None:
        door = DeviceAbout("door-1", "", "contact", "gpio", "hall", (point("door", "door"),), ())
        rule = Rule(DOOR, Equals("open"), hours=hours("mon-sat 22:00-06:00"), during=during)
        target = Target(DOOR, "door-1", "door", "hall", "door")
        self.trust = trust
        self.at = starts
        site = replace(plan(), about=replace(plan().about, devices=(door,)), rules=((rule, (target,)),), outputs={})
        self._hub = Hub(replace(site, limits={"door-1": {}}, every_s={"door-1": 2.0}), self._now())
        self.changes: list[str] = []
        self.stored: dict[str, str] = dict(state or {})
        self._tell(Recovered("kept", None, self.stored))

    def _now(self) -> Moment:
        return Moment(ms(self.at) / 1000 - 1_700_000_000, ms(self.at), self.trust)

    def _tell(self, fact: Fact) -> None:
        for change in (decision := self._hub.handle(fact, self._now())).state:
            self.stored.pop(change.key, None)
            if change.text is not None:
                self.stored[change.key] = change.text
        events = (json.loads(record.text) for record in decision.records if record.lane is Lane.EVENT)
        self.changes += [f"{event['change']} {self.at:%H:%M}" for event in events if event.get("alarm") == DOOR]

    def until(self, clock: str, door: str = "") -> None:
        """Time passes, half a minute at a time, with what the door says."""
        while f"{self.at:%H:%M}" != clock:
            self.at += timedelta(seconds=30)
            if self._hub.wake <= self._now().mono:
                self._tell(Tick())
            if door:
                self._tell(Reading("door-1", self._now().mono, self._now().ts, {"door": door}, {}))


def test_outside_of_its_hours_a_rule_is_none_and_at_their_end_its_alarm_is_over() -> None:
    night = Night()
    night.until("05:59", "open")
    assert night.changes == ["raised 22:00"]
    night.until("08:00", "open")
    assert night.changes == ["raised 22:00", "cleared 06:00"]


def test_a_rule_can_be_one_outside_of_hours_too() -> None:
    night = Night(during=False)
    night.until("07:00", "open")
    assert night.changes == ["raised 21:30", "cleared 22:00", "raised 06:00"]


def test_while_the_clock_is_not_known_it_is_a_rule_at_any_time() -> None:
    night = Night(trust=Trust.UNSYNCED)
    night.until("21:40", "open")
    assert night.changes == ["raised 21:30"]


def test_hours_that_ended_while_the_gateway_was_off_end_their_alarm_at_the_start() -> None:
    before = Night()
    before.until("23:00", "open")
    after = Night(state=before.stored, starts=FRIDAY_NIGHT + timedelta(hours=9))
    after.until("06:31")
    assert after.changes == ["cleared 06:30"]


def test_silence_counts_from_the_beginning_of_the_hours() -> None:
    rule, life = Rule("quiet", SilentFor(60)), taken_up(fresh(0.0), 1000.0)
    assert elapse(rule, life, 1059.9)[1] is None
    assert elapse(rule, life, 1060.0)[1] is Change.RAISED
