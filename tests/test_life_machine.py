"""Whatever happens, alarms and outputs are what a slow model makes of it that looks at every second.

Readings good and bad, faults, acts of people, what explains an alarm, hours over a night in which the clock is put
forward, restarts whose journal answers before or after the first reading, and configurations read again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from test_hub import SIREN, Stepped, plan

from gateway.hours import Hours, stretch
from gateway.hub.alarm import Target
from gateway.hub.decide import Hub
from gateway.hub.plan import Reconfigured
from gateway.hub.recheck import RECHECKED_S
from gateway.model import (
    AlarmState,
    Command,
    Decision,
    LinkBack,
    LinkLost,
    Moment,
    PreviousRun,
    Priority,
    Reason,
    Recovered,
    Tick,
    Trust,
    Write,
)
from gateway.rules.condition import Above, Below, Equals, Term
from gateway.rules.judge import Rule
from gateway.rules.overlay import Suppression
from gateway.rules.responses import OutputPoint, Response, Way

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = int(datetime(2026, 3, 28, 23, 30, tzinfo=UTC).timestamp() * 1000)  # at 01:00 UTC the clock is put forward
OPEN = Hours((stretch("sun 01:30-04:30"),), BERLIN)
LAMP = OutputPoint("gpio", "lamp", "output")
DEFROST_S = 900
START = 1000.0  # what the monotonic clock shows when the night begins

RULES = (
    Rule("warm", Above(8, 7), 10.0, 10.0, Priority.MEDIUM, response="light", hold_chattering=False,
         suppression=Suppression(Term("ctl", "defrost", Equals("on")), DEFROST_S)),
    Rule("cold", Below(0, 1), 0.0, 60.0, Priority.LOW, response="light", hold_chattering=False),
    Rule("hot", Above(12, 11), 5.0, 0.0, Priority.HIGH, latch=True, response="evacuate", hold_chattering=False),
    Rule("smoke", Equals("alarm"), priority=Priority.HIGH, latch=True, response="evacuate", hold_chattering=False),
    Rule("door", Equals("alarm"), priority=Priority.MEDIUM, response="light", hours=OPEN, hold_chattering=False),
)  # fmt: skip
PLACES = {
    "warm": ("cold-1", "temperature"),
    "cold": ("cold-1", "temperature"),
    "hot": ("cold-1", "temperature"),
    "smoke": ("smoke-1", "smoke"),
    "door": ("smoke-2", "smoke"),
}
BY_ID = {each.id: each for each in RULES}
SITE: dict[str, Any] = {
    "rules": tuple((BY_ID[name], (Target(name, *place, "hall", place[1]),)) for name, place in PLACES.items()),
    "responses": {
        "light": Response("light", {LAMP: Way("on")}),
        "evacuate": Response("evacuate", {SIREN: Way("on"), LAMP: Way("on")}),
    },
    "outputs": {SIREN: "off", LAMP: "off"},
    "boot": "b1",
}
TEMPERATURES = st.sampled_from([-5.0, 0.5, 3.0, 7.5, 9.0, 11.5, 20.0])
READINGS = st.one_of(
    st.tuples(st.just("cold-1"), TEMPERATURES),
    st.tuples(st.sampled_from(["smoke-1", "smoke-2"]), st.sampled_from(["alarm", "normal"])),
    st.tuples(st.just("ctl"), st.sampled_from(["on", "off"])),
)
POINTS = {"cold-1": "temperature", "smoke-1": "smoke", "smoke-2": "smoke", "ctl": "defrost"}


@dataclass
class Life:
    """One alarm of the model: three words instead of six states."""

    rule: Rule
    active: bool = False
    seen: bool = True
    latched: bool = False
    contrary_since: int | None = None
    raised: int = 0
    shelved_until: int = 0
    out_of_service: bool = False
    explained_since: int | None = None

    @property
    def state(self) -> AlarmState:
        if self.active:
            return AlarmState.ACK_ACTIVE if self.seen else AlarmState.UNACK_ACTIVE
        if self.latched:
            return AlarmState.LATCHED_ACK if self.seen else AlarmState.LATCHED_UNACK
        return AlarmState.NORMAL if self.seen else AlarmState.RTN_UNACK

    greater: Life | None = None  # on the same point, which says more

    def is_hidden(self, now: int) -> bool:
        return self.is_hidden_itself(now) or (
            self.greater is not None
            and self.greater.active
            and not self.greater.is_hidden(now)
            and self.state is not AlarmState.NORMAL
        )

    def is_hidden_itself(self, now: int) -> bool:
        explained = self.explained_since is not None and now < self.explained_since + DEFROST_S
        return explained or self.out_of_service or now < self.shelved_until

    def wants(self, output: OutputPoint, now: int) -> bool:
        calls = self.state not in {AlarmState.NORMAL, AlarmState.RTN_UNACK} and not self.is_hidden_itself(now)
        return calls and output in SITE["responses"][self.rule.response].outputs

    def second(self, now: int) -> None:
        """What has been contrary for long enough turns."""
        delay = self.rule.off_delay_s if self.active else self.rule.on_delay_s
        if self.contrary_since is not None and now - self.contrary_since >= delay:
            self.turn()

    def turn(self) -> None:
        self.active, self.contrary_since = not self.active, None
        if self.active:
            self.raised += 1
            self.seen = self.seen and self.latched
        else:
            self.latched = self.rule.latch

    def take(self, value: float | str, now: int) -> None:
        contrary = self.rule.condition.holds(value, self.active) is not self.active
        self.contrary_since = (self.contrary_since if self.contrary_since is not None else now) if contrary else None
        self.second(now)


@dataclass
class Model:
    """All alarms, second by second."""

    lives: dict[str, Life] = field(default_factory=lambda: {each.id: Life(each) for each in RULES})

    def __post_init__(self) -> None:
        self.lives["warm"].greater = self.lives["hot"]

    def applies(self, life: Life, now: int) -> bool:
        return life.rule.hours is None or life.rule.hours.hold(NIGHT + now // 60 * 60_000)

    def pass_time(self, begin: int, end: int) -> None:
        for now in range(begin + 1, end + 1):
            for life in self.lives.values():
                if self.applies(life, now):
                    life.second(now)
                else:
                    life.contrary_since = None
                    if life.active:
                        life.turn()

    def read(self, device: str, value: float | str, now: int) -> None:
        for name, (own, _) in PLACES.items():
            if own == device and self.applies(self.lives[name], now):
                self.lives[name].take(value, now)
        if device == "ctl":
            warm = self.lives["warm"]
            begun = now if warm.explained_since is None else warm.explained_since
            warm.explained_since = begun if value == "on" else None

    def bad(self, device: str) -> None:
        for name, (own, _) in PLACES.items():
            if own == device:
                self.lives[name].contrary_since = None
        if device == "ctl":
            self.lives["warm"].explained_since = None


class Night(Stepped):
    """A run that begins so many seconds after the night has begun."""

    def __init__(self, now: int, stored: dict[str, str]) -> None:
        self.mono, self.trust, self.records, self.stored = START + now, Trust.SYNCED, [], dict(stored)
        self.hub = Hub(replace(plan(), **SITE), self.now())

    def now(self) -> Moment:
        return Moment(self.mono, NIGHT + round((self.mono - START) * 1000), self.trust)


class Site(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.model, self.now, self.number = Model(), 0, 0
        self.told: list[dict[str, Any]] = []
        self.said: dict[str, tuple[int, Any]] = {}  # the last good word of each device, in this run
        self.hub = self.run({})
        self.follow(self.hub.tell(Recovered("new", None, {})))

    def run(self, stored: dict[str, str]) -> Stepped:
        """A run that begins at this moment, with outputs at their safe values."""
        self.physical = dict.fromkeys(SITE["outputs"], "off")
        return Night(self.now, stored)

    def follow(self, decision: Decision) -> None:
        for write in decision.writes:
            assert isinstance(write, Write)
            self.physical[OutputPoint(write.link, write.device, write.point)] = str(write.value)

    def let_pass(self, seconds: int) -> None:
        end = START + self.now + seconds
        while self.hub.hub.wake <= end:
            self.hub.mono = max(self.hub.mono, self.hub.hub.wake)
            self.follow(self.hub.tell(Tick()))
        self.hub.mono = end
        self.follow(self.hub.tell(Tick()))
        self.model.pass_time(self.now, self.now + seconds)
        self.now += seconds

    @rule(seconds=st.sampled_from([1, 4, 5, 6, 10, 11, 60, 600, 3600]))
    def wait(self, seconds: int) -> None:
        self.let_pass(seconds)

    @rule(reading=READINGS)
    def read(self, reading: tuple[str, Any]) -> None:
        device, value = reading
        self.follow(self.hub.read(device, **{POINTS[device]: value}))
        self.model.read(device, value, self.now)
        self.said[device] = self.now, value

    @rule(device=st.sampled_from(sorted(POINTS)), reason=st.sampled_from([Reason.NO_REPLY, Reason.OUT_OF_RANGE]))
    def lose(self, device: str, reason: Reason) -> None:
        values: dict[str, Any] = {POINTS[device]: reason}
        self.follow(self.hub.read(device, **values))
        self.model.bad(device)

    @rule()
    def link_comes_back(self) -> None:
        self.follow(self.hub.tell(LinkLost("gpio", "gone", "look")))
        self.physical = dict.fromkeys(SITE["outputs"], "off")
        self.follow(self.hub.tell(LinkBack("gpio", 3.0)))

    def command(self, name: str, **args: Any) -> bool:
        decision = self.hub.ask(name, **args)
        self.follow(decision)
        return decision.replies[0][1].result == "done"

    @rule(alarm=st.sampled_from(sorted(PLACES)))
    def acknowledge(self, alarm: str) -> None:
        life = self.model.lives[alarm]
        assert self.command("acknowledge", alarm=alarm) is not life.seen
        life.seen = True

    @rule(alarm=st.sampled_from(sorted(PLACES)))
    def reset(self, alarm: str) -> None:
        life = self.model.lives[alarm]
        possible = life.latched and life.seen and not life.active and self.is_known_calm(alarm)
        assert self.command("reset", alarm=alarm, reason="x") is possible, (
            "not while it stands, nor before somebody has seen it, nor while nothing is heard of its detector"
        )
        life.latched = life.latched and not possible

    def is_known_calm(self, alarm: str) -> bool:
        """Whether a look at the detector has nothing against a reset."""
        device, kind = PLACES[alarm]
        at, word = self.said.get(device, (-1_000, "alarm"))
        return kind != "smoke" or (self.now - at <= RECHECKED_S and word == "normal")

    @rule(alarm=st.sampled_from(sorted(PLACES)), for_s=st.sampled_from([60, 3600]))
    def shelve(self, alarm: str, for_s: int) -> None:
        done = self.command("shelve", alarm=alarm, for_s=for_s, reason="x")
        assert done is (PLACES[alarm][1] != "smoke")
        self.model.lives[alarm].shelved_until = self.now + for_s if done else 0

    @rule(alarm=st.sampled_from(sorted(PLACES)))
    def service(self, alarm: str) -> None:
        life = self.model.lives[alarm]
        assert self.command("in_service" if life.out_of_service else "out_of_service", alarm=alarm, reason="x")
        life.out_of_service = not life.out_of_service

    @rule()
    def reload(self) -> None:
        self.number += 1
        asked = Command(f"r{self.number}", "reload", {}, "Ada", "local", None, lambda _: None)
        again = self.hub.hub._plan
        self.follow(self.hub.tell(Reconfigured(again, asked, (), frozenset(), frozenset({"gpio", "bus1"}))))

    @rule(
        down_s=st.sampled_from([0, 7, 1200]),
        first=st.lists(READINGS, max_size=4, unique_by=lambda reading: reading[0]),
        answer_s=st.sampled_from([0, 3]),
    )
    def crash(self, down_s: int, first: list[tuple[str, Any]], answer_s: int) -> None:
        """The next run reads some devices first, each once, and knows what stood only then."""
        before = self.hub
        self.told += before.events()
        for life in self.model.lives.values():
            life.contrary_since = None
        self.now += down_s
        self.hub = self.run(dict(before.stored))
        for device, value in first:
            self.follow(self.hub.read(device, **{POINTS[device]: value}))
        for life in self.model.lives.values():
            if life.active and not self.model.applies(life, self.now):
                life.turn()
        for device, value in first:
            self.model.read(device, value, self.now)
        self.said = {device: (self.now, value) for device, value in first}
        self.let_pass(answer_s)
        self.follow(self.hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), dict(before.stored))))
        self.let_pass(0)

    @invariant()
    def alarms_are_those_of_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        views = {view.alarm: view for view in self.hub.status().alarms if view.rule}
        for name, life in self.model.lives.items():
            view = views.get(name)
            assert (AlarmState.NORMAL if view is None else view.state) is life.state, name
            assert (view is not None and view.hidden is not None) is life.is_hidden(self.now), name

    @invariant()
    def an_alarm_is_told_as_often_as_it_came(self) -> None:
        if not hasattr(self, "model"):
            return
        events = [it for it in (*self.told, *self.hub.events()) if it.get("change") == "raised"]
        for name, life in self.model.lives.items():
            assert sum(it["alarm"] == name for it in events) == life.raised, name

    @invariant()
    def an_output_is_on_for_those_alone_who_want_it(self) -> None:
        if not hasattr(self, "model"):
            return
        for output, value in self.physical.items():
            wanted = any(life.wants(output, self.now) for life in self.model.lives.values())
            assert (value == "on") is wanted, output.device


TestSite = Site.TestCase
TestSite.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
