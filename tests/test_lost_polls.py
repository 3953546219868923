"""An excursion is an alarm however many polls are lost: of the rule, or on the values that do not come."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from config_site import SITE, loaded, written
from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.decide import Hub
from gateway.hub.plan import Plan, plan_of
from gateway.model import Fact, Lane, LinkBack, Moment, Reading, Reason, Recovered, Tick, Trust

EVERY_S, FOR_S, PATIENCE_S, LOOK_S = 10, 60, 30, 10
RULE = "rules:\n  warm: {point: cold-1.temperature, above: -15, for: 60s, clear_for: 60s}\n"


def warm_room() -> Plan:
    with TemporaryDirectory() as folder:
        return plan_of(loaded(written(Path(folder), SITE.partition("rules:")[0] + RULE)), "run")


class Room:
    """A cold room that is read every ten seconds, where a poll can be lost."""

    def __init__(self) -> None:
        self.mono = 0.0
        self.changes: list[str] = []
        self._hub = Hub(warm_room(), self._now())
        self._hub.handle(Recovered("kept", None, {}), self._now())
        self._hub.handle(LinkBack("bus1", 0.0), self._now())

    def _now(self) -> Moment:
        return Moment(self.mono, 1_800_000_000_000 + round(self.mono * 1000), Trust.SYNCED)

    def pass_s(self, seconds: int, temperature: float | None) -> None:
        """So many seconds, at the end of which it is read; None: in vain."""
        for second in range(1, seconds + 1):
            self.mono += 1.0
            good = {} if temperature is None else {"temperature": temperature, "humidity": 50.0}
            bad = {} if good else dict.fromkeys(("temperature", "humidity"), Reason.NO_REPLY)
            facts: list[Fact] = [Reading("cold-1", self.mono, 0, good, bad)] if second == seconds else []
            for fact in [*facts, Tick()]:
                for record in self._hub.handle(fact, self._now()).records:
                    event = json.loads(record.text) if record.lane is Lane.EVENT else {}
                    if event.get("alarm") in {"warm", "no-data@cold-1"}:
                        self.changes.append(f"{event['alarm']} {event['change']} {self.mono:.0f}")


def test_one_lost_poll_in_fifty_delays_no_alarm() -> None:
    room = Room()
    for poll in range(1, 8):
        room.pass_s(EVERY_S, None if poll == 4 else -10.0)
    assert room.changes == ["warm raised 70"]


def test_what_is_missing_for_long_begins_the_delay_anew_and_is_an_alarm_itself() -> None:
    room = Room()
    for temperature in (-10.0, -10.0, -10.0, None, None, None, -10.0, -10.0):
        room.pass_s(EVERY_S, temperature)
    assert [change.rpartition(" ")[0] for change in room.changes] == ["no-data@cold-1 raised", "no-data@cold-1 cleared"]
    room.pass_s(EVERY_S, -10.0)
    for _ in range(4):
        room.pass_s(EVERY_S, -10.0)
    assert room.changes[-1] == "warm raised 130"


def test_an_alarm_that_stands_ends_by_good_values_alone() -> None:
    room = Room()
    for _ in range(7):
        room.pass_s(EVERY_S, -10.0)
    for temperature in (-20.0, -20.0, -20.0, -20.0, -20.0, None, -20.0, -20.0):
        room.pass_s(EVERY_S, temperature)
    assert room.changes == ["warm raised 70"], "a lost poll begins the way back anew"
    for _ in range(5):
        room.pass_s(EVERY_S, -20.0)
    assert room.changes[1:] == ["warm cleared 200"]


@given(st.lists(st.booleans(), min_size=10, max_size=10))
def test_whatever_is_lost_something_is_said_in_time(lost: list[bool]) -> None:
    room = Room()
    room.pass_s(EVERY_S, -10.0)
    for is_lost in lost:
        room.pass_s(EVERY_S, None if is_lost else -10.0)
        if room.mono >= EVERY_S + FOR_S + PATIENCE_S + LOOK_S:
            assert room.changes, f"nothing was said by {room.mono:.0f} s"
