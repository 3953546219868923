"""What the rules are about and does not come is an alarm of its own: of the device, or of its link."""

from __future__ import annotations

import json
from dataclasses import replace

from test_hub import T0, plan

from gateway.hub.decide import Hub
from gateway.hub.plan import Plan
from gateway.hub.unheard import Watched, alarms_of
from gateway.model import (
    AlarmState,
    AlarmView,
    Decision,
    Fact,
    Lane,
    LinkBack,
    LinkLost,
    Moment,
    Priority,
    Reading,
    Reason,
    Recovered,
    Tick,
    Trust,
    Value,
)

WATCHED = {
    "cold-1": Watched("bus1", ("temperature",), 30.0, smoke=False),
    "smoke-1": Watched("gpio", ("smoke",), 30.0, smoke=True),
    "smoke-2": Watched("gpio", ("smoke",), 60.0, smoke=True),
}


def watching() -> Plan:
    before = plan()
    return replace(before, watched=WATCHED, own=(*before.own, *alarms_of(WATCHED)))


class Site:
    """A hub, second by second; `alarms` are those of the gateway's own that stand."""

    def __init__(self, state: dict[str, str] | None = None) -> None:
        self.mono = 0.0
        self.alarms: dict[str, AlarmView] = {}
        self.stored: dict[str, str] = {}
        self.raised: list[str] = []
        self._hub = Hub(watching(), self._now())
        self.tell(Recovered("kept", None, state or {}))
        for link in ("bus1", "gpio"):
            self.tell(LinkBack(link, 0.0))

    def _now(self) -> Moment:
        return Moment(self.mono, T0 + int(self.mono * 1000), Trust.SYNCED)

    def tell(self, fact: Fact) -> Decision:
        decision = self._hub.handle(fact, self._now())
        for notice in decision.notices:
            if isinstance(notice, AlarmView) and not notice.rule:
                self.alarms.pop(notice.alarm, None)
                if notice.state in {AlarmState.UNACK_ACTIVE, AlarmState.ACK_ACTIVE}:
                    self.alarms[notice.alarm] = notice
        for event in (json.loads(record.text) for record in decision.records if record.lane is Lane.EVENT):
            if event.get("change") == "raised" and "@" in event["alarm"]:
                self.raised.append(f"{event['alarm']} after {self.mono:.0f} s")
        for change in decision.state:
            self.stored.pop(change.key, None)
            if change.text is not None:
                self.stored[change.key] = change.text
        return decision

    def live(self, seconds: int, *devices: str, bad: str = "") -> None:
        """Time passes; these devices give a good value each second, and `bad` gives a bad one."""
        values: dict[str, tuple[str, Value]] = {
            "cold-1": ("temperature", -18.0),
            "smoke-1": ("smoke", "normal"),
            "smoke-2": ("smoke", "normal"),
        }
        for _ in range(seconds):
            self.mono += 1.0
            for device in devices:
                name, value = values[device]
                self.tell(Reading(device, self.mono, 0, {name: value}, {}))
            if bad:
                self.tell(Reading(bad, self.mono, 0, {}, {values[bad][0]: Reason.NO_REPLY}))
            self.tell(Tick())


ALL = ("cold-1", "smoke-1", "smoke-2")


def test_a_site_whose_devices_answer_has_no_alarm() -> None:
    site = Site()
    site.live(200, *ALL)
    assert site.raised == []


def test_a_device_that_gives_no_good_value_is_an_alarm_after_half_a_minute_until_it_does() -> None:
    site = Site()
    site.live(100, *ALL)
    site.live(60, "smoke-1", "smoke-2", bad="cold-1")
    assert site.raised == ["no-data@cold-1 after 130 s"]
    assert site.alarms["no-data@cold-1"].priority is Priority.MEDIUM
    site.live(10, *ALL)
    assert site.alarms == {}


def test_one_that_was_never_heard_is_an_alarm_too_and_smoke_a_high_one() -> None:
    site = Site()
    site.live(100, "cold-1")
    assert site.raised == ["no-data@smoke-1 after 30 s", "no-data@smoke-2 after 60 s"]
    assert site.alarms["no-data@smoke-1"].priority is Priority.HIGH


def test_a_link_that_is_down_is_one_alarm_and_not_one_for_each_device() -> None:
    site = Site()
    site.live(50, *ALL)
    site.tell(LinkLost("gpio", "the header is gone", "plug it in"))
    site.live(100, "cold-1")
    assert site.raised == ["link-down@gpio after 80 s"]
    site.tell(LinkBack("gpio", 100.0))
    site.live(10, "cold-1", "smoke-2")
    assert site.alarms == {}
    site.live(30, "cold-1", "smoke-2")
    assert site.raised[1:] == ["no-data@smoke-1 after 180 s"], "what stays away when the link is back has its own"


def test_a_link_that_is_lost_for_a_moment_is_none() -> None:
    site = Site()
    site.live(50, *ALL)
    site.tell(LinkLost("gpio", "the header is gone", "plug it in"))
    site.live(20, "cold-1")
    site.tell(LinkBack("gpio", 20.0))
    site.live(50, *ALL)
    assert site.raised == []


def test_a_restart_neither_ends_nor_repeats_it() -> None:
    before = Site()
    before.live(60, "smoke-1", "smoke-2")
    assert before.raised == ["no-data@cold-1 after 30 s"]
    after = Site(before.stored)
    after.live(100, "smoke-1", "smoke-2")
    assert after.raised == []
    assert list(after.alarms) == ["no-data@cold-1"]
    after.live(10, *ALL)
    assert after.alarms == {}
