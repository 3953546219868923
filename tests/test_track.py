"""The track of a lorry through the hub: what is believed of its positions, its trips, its fences, and restarts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from config_site import written
from hypothesis import given, settings
from hypothesis import strategies as st
from test_motion import HOME, away

import drivers
from gateway.cli.status import lines
from gateway.config.load import load
from gateway.config.schema import Config
from gateway.derive.derivation import Outcome
from gateway.derive.fence import Fence
from gateway.derive.geo import Circle, Position, distance
from gateway.derive.track import Ignition, Receiver, Track
from gateway.errors import ConfigError
from gateway.hub.decide import Hub
from gateway.hub.plan import Reconfigured, plan_of
from gateway.model import (
    Command,
    Decision,
    HealthReport,
    Json,
    Lane,
    Moment,
    PreviousRun,
    Reading,
    Reason,
    Recovered,
    Status,
    StatusQuery,
    Tick,
    Trust,
    Value,
)

SITE = """\
site: {id: fleet}
gateway: {id: truck-07}
links:
  gps: {type: serial, port: /dev/ttyUSB0}
  gpio: {type: gpio, factory: mock}
fences:
  depot: {name: Our depot, centre: [52.5, 13.4], radius: 100}
devices:
  gps-1: {driver: gps_nmea, link: gps, zone: truck}
  key: {driver: contact, link: gpio, pin: 17, kind: contact, zone: truck}
  lorry: {driver: track, of: gps-1, zone: truck}
"""
T0 = 1_800_000_000_000
BEFORE = PreviousRun("run1", 7, 99)


def site(folder: Path, text: str = SITE) -> Config:
    return load(written(folder, text), find_driver=drivers.find, profile_folders=(drivers.profile_folder(),))


class Lorry:
    """A hub that is told where a lorry is, second by second."""

    def __init__(self, config: Config, stored: Mapping[str, str] | None = None) -> None:
        self.config = config
        self.mono = 1000.0
        self.state: dict[str, str] = dict(stored or {})
        self.events: list[dict[str, Any]] = []
        self.telemetry: list[tuple[Lane, dict[str, Any]]] = []
        self.hub = Hub(plan_of(config, "run2"), self.now)
        self.tell(Recovered("kept", BEFORE, self.state))

    @property
    def now(self) -> Moment:
        return Moment(self.mono, T0 + round(self.mono * 1000), Trust.SYNCED)

    def tell(self, fact: Any) -> Decision:
        decision = self.hub.handle(fact, self.now)
        for change in decision.state:
            self.state.pop(change.key, None)
            if change.text is not None:
                self.state[change.key] = change.text
        for record in decision.records:
            said = json.loads(record.text)
            if "event" in said:
                self.events.append(said)
            else:
                self.telemetry.append((record.lane, said))
        return decision

    def at(self, place: Position | Reason, speed: float = 0.0, seconds: float = 1.0, **more: Value) -> None:
        """So much later it is there."""
        self.mono += seconds
        while self.hub.wake <= self.mono:
            self.tell(Tick())
            if self.hub.wake <= self.mono:
                break
        if isinstance(place, Reason):
            values, bad = {}, {"position": place, "speed": place}
        else:
            values, bad = {"position": place, "speed": speed, "satellites": 9, "hdop": 1.0, **more}, {}
        self.tell(Reading("gps-1", self.mono, self.now.ts, values, bad))

    def drive(self, start_m: float, end_m: float, speed: float = 20.0) -> None:
        """Along a meridian."""
        metres = start_m
        while metres != end_m:
            step = min(speed, abs(end_m - metres))
            metres += step if end_m > metres else -step
            self.at(away(metres), speed)

    def stand(self, metres: float, seconds: int) -> None:
        for _ in range(seconds):
            self.at(away(metres), 0.05)

    def points(self) -> dict[str, tuple[Value | None, str]]:
        answers: list[Status] = []
        self.tell(StatusQuery(answers.append))
        return {it.point: (it.value, it.quality) for it in answers[0].points if it.device == "lorry"}

    def said(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]


def test_a_day_of_a_lorry(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.stand(0, 400)
    assert lorry.points()["motion"] == ("parked", "good")
    assert lorry.points()["fence"] == ("depot", "good")
    lorry.drive(0, 5000)
    lorry.stand(5000, 200)
    assert lorry.points()["motion"] == ("stopped", "good")
    lorry.drive(5000, 8000)
    lorry.stand(8000, 310)
    assert lorry.points() == {
        "position": (away(8000), "good"),
        "speed": (0.05, "good"),
        "course": (None, "waiting"),
        "motion": ("parked", "good"),
        "trip_distance": (pytest.approx(8000, abs=1), "good"),
        "odometer": (pytest.approx(8000, abs=1), "good"),
        "trips": (1, "good"),
        "fence": ("-", "good"),
        "positioning": ("normal", "good"),
    }
    (begun,), (ended,), (left,) = (lorry.said(name) for name in ("trip_started", "trip_ended", "fence_left"))
    assert begun["trip"] == ended["trip"] == 1
    assert begun["begin"] == ended["begin"]
    assert ended["distance"] == pytest.approx(8000, abs=1)
    assert ended["end"] - ended["begin"] == pytest.approx((5000 / 20 + 200 + 3000 / 20) * 1000, abs=2000)
    assert left["fence"] == "depot"
    assert left["name"] == "Our depot"
    assert 130 < left["position"][0] * 0 + (left["position"][0] - HOME[0]) * 111_195 < 170, "where it was, not later"


def test_a_parked_lorry_stays_where_it_is_and_drives_nothing(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.stand(0, 400)
    for second in range(600):
        lorry.at(away(13, second * 77.0), 0.2)
    assert lorry.points()["odometer"][0] == 0
    assert lorry.points()["position"][0] == HOME
    lorry.drive(0, 100, 10.0)
    assert lorry.points()["position"][0] == away(100)
    assert lorry.points()["odometer"][0] == pytest.approx(100, abs=1)


def test_a_lorry_that_stands_drives_nothing_though_its_speed_scatters_too(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    for second in range(3600):
        lorry.at(away(14.0 * (second % 3 - 1)), speed=1.4 if second % 100 == 0 else 0.05)
    assert (lorry.points()["motion"][0], lorry.points()["odometer"][0]) == ("stopped", 0)


def test_what_is_not_believed_is_bad_with_its_reason_and_counted(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.drive(0, 1000)
    for place, more, reason in (
        (away(1020), {"satellites": 3}, "poor_fix"),
        (away(1040), {"hdop": 7.5}, "poor_fix"),
        (away(9000), {}, "too_fast"),
        (Reason.NO_FIX, {}, "no_fix"),
    ):
        lorry.at(place, 20.0, **more)
        assert lorry.points()["position"] == (away(1000), reason)
    answers: list[Status] = []
    lorry.tell(StatusQuery(answers.append))
    assert "lorry   satellites 1, hdop 1, speed 1, no_fix 1" in "\n".join(
        lines(json.loads(json.dumps(asdict(answers[0]))))
    )
    lorry.mono += 60
    reports = [it for it in lorry.tell(Tick()).notices if isinstance(it, HealthReport)]
    assert reports[0].doubted == {"lorry": {"satellites": 1, "hdop": 1, "speed": 1, "no_fix": 1}}


def test_after_a_jump_that_others_confirm_the_odometer_goes_on_from_there(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.drive(0, 1000)
    lorry.drive(50_000, 50_200)
    assert lorry.points()["position"] == (away(50_200), "good")
    assert lorry.points()["odometer"][0] == pytest.approx(980 + 120, abs=2)


@pytest.mark.parametrize(("speed", "seconds"), [(20.0, 30), (0.0, 300)])
def test_no_position_for_too_long_is_an_alarm_that_says_where_it_was_last(
    tmp_path: Path, speed: float, seconds: int
) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.drive(0, 200) if speed else lorry.stand(0, 400)
    last = lorry.points()["position"][0]
    for _ in range(seconds - 1):
        lorry.at(Reason.NO_FIX)
    assert not lorry.said("position_lost")
    assert lorry.points()["positioning"] == ("normal", "good")
    for _ in range(3):
        lorry.at(Reason.NO_FIX)
    (lost,) = lorry.said("position_lost")
    assert tuple(lost["position"]) == last
    assert lost["age_s"] == pytest.approx(seconds, abs=1.5)
    (alarm,) = lorry.said("alarm")
    assert (alarm["alarm"], alarm["change"]) == ("lorry-no-fix", "raised")
    assert lorry.points()["position"] == (last, "no_fix"), "the last one is shown as old"
    lorry.at(away(300), speed)
    assert tuple(lorry.said("position_back")[0]["position"]) == away(300)
    assert lorry.said("alarm")[-1]["change"] == "cleared"


def test_a_receiver_that_says_nothing_is_an_alarm_too(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.drive(0, 200)
    lorry.mono += 31
    lorry.tell(Tick())
    assert lorry.said("position_lost")
    assert [event["alarm"] for event in lorry.said("alarm")] == ["lorry-no-fix"]


def test_a_receiver_that_never_had_a_fix_is_an_alarm_after_five_minutes(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    for _ in range(302):
        lorry.at(Reason.NO_FIX)
    (lost,) = lorry.said("position_lost")
    assert "position" not in lost


def test_an_alarm_without_a_position_stays_over_a_restart_and_a_reload(tmp_path: Path) -> None:
    before = Lorry(site(tmp_path))
    before.drive(0, 200)
    for _ in range(40):
        before.at(Reason.NO_FIX)
    assert [event["change"] for event in before.said("alarm")] == ["raised"]
    after = Lorry(before.config, before.state)
    after.at(Reason.NO_FIX)
    command = Command("1", "reload", {}, "maria", "local", None, print)
    plan = plan_of(before.config, "run2")
    after.tell(Reconfigured(plan, command, (), frozenset({"lorry"}), frozenset({"gps", "gpio"})))
    after.at(Reason.NO_FIX)
    assert not after.said("alarm"), "nobody knows yet that there is a position"
    after.at(away(300), 20.0)
    assert [event["change"] for event in after.said("alarm")] == ["cleared"]


def test_a_receiver_that_was_just_switched_on_has_five_minutes_to_find_itself(tmp_path: Path) -> None:
    before = Lorry(site(tmp_path))
    before.drive(0, 200)
    after = Lorry(before.config, before.state)
    for _ in range(60):
        after.at(Reason.NO_FIX)
    assert not after.said("position_lost"), "a cold start takes longer than half a minute"
    for _ in range(241):
        after.at(Reason.NO_FIX)
    (lost,) = after.said("position_lost")
    assert distance(tuple(lost["position"]), away(200)) <= 100, "about where the run before has seen it last"
    assert "age_s" not in lost, "this run has not seen it"


def test_a_position_of_which_the_receiver_says_that_it_has_no_dilution_is_not_believed(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    values: dict[str, Value] = {"position": away(0), "speed": 0.0, "satellites": 9}
    lorry.tell(Reading("gps-1", lorry.mono, lorry.now.ts, values, {"hdop": Reason.NO_FIX}))
    assert lorry.points()["position"] == (None, "poor_fix")
    lorry.tell(Reading("gps-1", lorry.mono + 20, lorry.now.ts, values, {"hdop": Reason.NO_REPLY}))
    assert lorry.points()["position"] == (away(0), "good"), "it was not asked in time: nobody knows"
    lorry.tell(Reading("gps-1", lorry.mono + 21, lorry.now.ts, {"satellites": 9}, {"hdop": Reason.NO_FIX}))
    lorry.tell(Reading("gps-1", lorry.mono + 22, lorry.now.ts, {"position": away(0)}, {}))
    assert lorry.points()["position"] == (away(0), "poor_fix"), "told in a sentence of its own"


def test_odometer_trip_motion_and_fences_survive_a_restart(tmp_path: Path) -> None:
    before = Lorry(site(tmp_path))
    before.stand(0, 400)
    before.drive(0, 2040)
    after = Lorry(before.config, before.state)
    after.drive(2040, 4000)
    after.stand(4000, 301)
    assert after.points()["odometer"][0] == pytest.approx(4000, abs=150), "what a power cut may cost, and a second"
    (ended,) = after.said("trip_ended")
    assert (ended["trip"], ended["begin"]) == (1, before.said("trip_started")[0]["begin"])
    assert not after.said("trip_started"), "it is the same trip"
    assert not after.said("fence_left"), "it was outside before"


def test_a_trip_that_is_known_of_late_goes_on_too(tmp_path: Path) -> None:
    before = Lorry(site(tmp_path))
    before.drive(0, 2040)
    before.stand(2040, 130)
    after = Lorry(before.config)
    after.hub = Hub(plan_of(before.config, "run3"), after.now)
    after.stand(2040, 10)
    after.tell(Recovered("kept", BEFORE, before.state))
    after.stand(2040, 301)
    (ended,) = after.said("trip_ended")
    assert (ended["trip"], ended["begin"]) == (1, before.said("trip_started")[0]["begin"])
    assert ended["distance"] == pytest.approx(2040, abs=100)


def test_a_lorry_that_left_while_the_gateway_was_off_has_left_a_fence(tmp_path: Path) -> None:
    before = Lorry(site(tmp_path))
    before.stand(0, 400)
    after = Lorry(before.config, before.state)
    after.stand(3000, 40)
    assert [event["fence"] for event in after.said("fence_left")] == ["depot"]
    assert after.points()["odometer"][0] == 0, "nobody knows its way"


def test_in_which_fence_it_is_at_first_is_stored_too(tmp_path: Path) -> None:
    before = Lorry(site(tmp_path))
    before.stand(0, 3)
    assert json.loads(before.state["derived/lorry"])["fences"] == {"depot": True}


def test_other_fences_are_known_after_a_reload_and_nothing_is_forgotten(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    lorry.stand(0, 10)
    lorry.drive(0, 2000)
    lorry.stand(2000, 10)
    config = site(tmp_path, SITE.replace("fences:\n", "fences:\n  shop: {centre: [52.51799, 13.4], radius: 60}\n"))
    command = Command("1", "reload", {}, "maria", "local", None, print)
    lorry.tell(Reconfigured(plan_of(config, "run2"), command, (), frozenset({"lorry"}), frozenset({"gps", "gpio"})))
    lorry.stand(2000, 40)
    assert lorry.points()["fence"] == ("shop", "good")
    assert lorry.points()["odometer"][0] == pytest.approx(2000, abs=1)
    assert lorry.points()["trips"][0] == 1


def test_the_ignition_begins_a_trip(tmp_path: Path) -> None:
    config = site(tmp_path, SITE.replace("of: gps-1,", "of: gps-1, ignition: key.contact,"))
    lorry = Lorry(config)
    lorry.stand(0, 310)
    for word in ("off", "on"):
        lorry.tell(Reading("key", lorry.mono, lorry.now.ts, {"contact": word}, {}))
    assert lorry.points()["motion"][0] == "moving"
    assert len(lorry.said("trip_started")) == 1


def test_a_router_over_modbus_has_a_track_without_telling_its_speed(tmp_path: Path) -> None:
    gps = "  gps-1: {driver: modbus, link: gps, unit: 1, profile: teltonika-rut, zone: truck}"
    text = SITE.replace("  gps-1: {driver: gps_nmea, link: gps, zone: truck}", gps)
    lorry = Lorry(site(tmp_path, text))
    receiver = next(it for it in lorry.config.devices["gps-1"].built.points if it.kind == "position").name
    assert receiver == "position"
    for number in range(40):
        lorry.mono += 10
        values: dict[str, Value] = {"position": away(150.0 * number), "satellites": 8}
        lorry.tell(Reading("gps-1", lorry.mono, lorry.now.ts, values, {}))
    found = lorry.points()
    assert "course" not in found
    assert found["speed"][0] == pytest.approx(15, abs=0.1)
    assert found["motion"][0] == "moving"
    assert found["odometer"][0] == pytest.approx(150 * 39, abs=200)


def test_a_receiver_that_does_not_tell_its_speed_has_that_of_its_positions(tmp_path: Path) -> None:
    lorry = Lorry(site(tmp_path))
    for second in range(60):
        lorry.mono += 1
        lorry.tell(Reading("gps-1", lorry.mono, lorry.now.ts, {"position": away(12.0 * second)}, {}))
    assert lorry.points()["motion"][0] == "moving"
    assert lorry.points()["speed"][0] == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("of: gps-1", "of: gps-2", "devices.lorry.of: there is no device 'gps-2'; there are gps-1, key"),
        ("of: gps-1", "of: key", "devices.lorry.of: key tells no position; there are gps-1"),
        (
            "of: gps-1",
            "of: gps-1, ignition: gps-1.speed",
            "devices.lorry.ignition: gps-1 has no contact 'speed'; it needs a point that is on or off",
        ),
        (
            "of: gps-1",
            "of: gps-1, ignition: key",
            "devices.lorry.ignition: key has no contact ''; write key.contact",
        ),
        ("of: gps-1", "every: 1s", "devices.lorry.of: is missing"),
    ],
)
def test_what_a_track_cannot_be_made_of_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site(tmp_path, SITE.replace(old, new))
    assert any(told in problem for problem in caught.value.problems), caught.value.problems


# ---------------------------------------------------------------- whatever comes

TRACK = Receiver("gps-1", "position", "speed", "course", "satellites", "hdop")
values = st.one_of(
    st.floats(), st.integers(), st.booleans(), st.text(max_size=3), st.tuples(st.floats(-90, 90), st.floats(-180, 180))
)
names = st.sampled_from(["position", "speed", "course", "satellites", "hdop", "contact"])
facts = st.tuples(
    st.floats(0, 400),
    st.sampled_from(["gps-1", "key", "other"]),
    st.dictionaries(names, values, max_size=6),
    st.dictionaries(names, st.sampled_from(list(Reason)), max_size=2),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
stored = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("odometer", "trips", "trip_distance", "motion", "fences", "begin", "position"), json_values
    ),
)


def told(track: Track, story: list[Any]) -> Iterator[Outcome]:
    mono = 0.0
    for after, device, good, bad in story:
        mono += after
        now = Moment(mono, T0 + round(mono * 1000), Trust.SYNCED)
        if track.wake <= mono:
            yield track.elapse(now)
        yield track.take(Reading(device, mono, now.ts, good, bad), now)


@given(st.lists(facts, max_size=30), stored | json_values)
@settings(deadline=None)
def test_whatever_is_said_and_stored_is_survived_and_can_be_stored_again(story: list[Any], before: Json) -> None:
    fence = Fence("depot", "Depot", Circle(HOME, 100.0))
    track = Track(TRACK, (fence,), Ignition("key", "contact"))
    track.restore(before, Moment(0.0, T0, Trust.SYNCED))
    odometer = 0.0
    for outcome in told(track, story):
        now = outcome.values.get("odometer", odometer)
        assert isinstance(now, int | float)
        assert now >= odometer, "it only grows"
        odometer = now
        json.dumps([outcome.events, dict(outcome.values)], allow_nan=False)
    again = Track(TRACK, (fence,))
    kept = json.loads(json.dumps(track.stored(), allow_nan=False))
    again.restore(kept, Moment(0.0, T0, Trust.SYNCED))
    assert again.stored() == kept
