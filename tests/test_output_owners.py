"""Whatever happens in whatever order, no output is on without an owner, nor off while a high alarm wants it on.

The hub beside a slow, obvious model: a list of everybody who wants an output, looked through anew at every moment. What
the outputs really are is what was written to them, from their safe values at each start on.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from test_hub import SIREN, Stepped, plan

from gateway.hub.alarm import Target
from gateway.hub.plan import Reconfigured
from gateway.model import AlarmState, AlarmView, Command, Decision, PreviousRun, Priority, Recovered, Tick, Write
from gateway.rules.condition import Equals
from gateway.rules.judge import Rule
from gateway.rules.responses import Pulse, Response, Until, Way

LAMP = SIREN._replace(device="lamp")
FAN = SIREN._replace(device="fan")
OUTPUTS = (SIREN, LAMP, FAN)
RESPONSES = {
    "fire": Response("fire", {SIREN: Way("on", Pulse(3.0, 1.0), audible=True), LAMP: Way("on"), FAN: Way("off")}),
    "heat": Response("heat", {SIREN: Way("on", at_most_s=20.0, audible=True), FAN: Way("on")}, until=Until.RESET),
    "door": Response("door", {SIREN: Way("on", Pulse(0.5, 4.5), 30.0), LAMP: Way("on")}, until=Until.ACKNOWLEDGED),
}
OTHERS = {
    "fire": RESPONSES["fire"],
    "heat": Response("heat", {LAMP: Way("on", Pulse(1.0, 1.0), audible=True)}),
    "door": Response("door", {FAN: Way("on", at_most_s=10.0)}, until=Until.RESET),
}
PRIORITIES = {"fire": Priority.HIGH, "heat": Priority.MEDIUM, "door": Priority.LOW}
RANKS = {Priority.HIGH: 0, "person": 1, Priority.MEDIUM: 2, Priority.LOW: 3, "trial": 4}
DEVICES = {"fire-1": "fire", "fire-2": "fire", "heat-1": "heat", "door-1": "door"}
RULES = tuple(
    (
        Rule(device, Equals("alarm"), priority=PRIORITIES[of], latch=of == "fire", response=of),
        (Target(device, device, "contact", ""),),
    )
    for device, of in DEVICES.items()
)
SITE: dict[str, Any] = {
    "rules": RULES,
    "responses": RESPONSES,
    "outputs": dict.fromkeys(OUTPUTS, "off"),
    "limits": {},
    "every_s": {},
    "boot": "b1",
}
ALARMS, NAMES = st.sampled_from(list(DEVICES)), st.sampled_from(list(RESPONSES))
S = AlarmState
WANTED_IN = {
    Until.CLEARED: {S.UNACK_ACTIVE, S.ACK_ACTIVE, S.LATCHED_UNACK, S.LATCHED_ACK},
    Until.ACKNOWLEDGED: {S.UNACK_ACTIVE, S.RTN_UNACK, S.LATCHED_UNACK},
    Until.RESET: set(S) - {S.NORMAL},
}


@dataclass
class Wish:
    """Somebody who wants outputs, since when, and for how long at most."""

    who: str
    rank: int
    response: Response
    since: float
    ends: float = float("inf")
    silenced: bool = False

    def ends_never(self) -> bool:
        return all(way.at_most_s == float("inf") for way in self.response.outputs.values())

    def says(self, output: object, mono: float) -> tuple[str, bool] | None:
        """What it wants of an output, and whether that is on at this moment; None: nothing."""
        way = self.response.outputs.get(output)  # type: ignore[call-overload]
        if way is None or mono >= self.ends - 1e-6 or mono >= self.since + way.at_most_s - 1e-6:
            return None
        if self.silenced and way.audible:
            return None
        if way.pulse is None:
            return way.value, way.value == "on"
        within = (mono - self.since + 1e-6) % (way.pulse.on_s + way.pulse.off_s)
        return "on", within < way.pulse.on_s


@dataclass
class Model:
    """Everybody who wants something, in the order in which they came."""

    wishes: list[Wish] = field(default_factory=list)

    def wish(self, who: str) -> Wish | None:
        return next((wish for wish in self.wishes if wish.who == who), None)

    def put(self, wish: Wish) -> None:
        """In the place of what the same one wanted before, else at the end."""
        before = self.wish(wish.who)
        if before is None:
            self.wishes.append(wish)
        else:
            self.wishes[self.wishes.index(before)] = wish

    def drop(self, who: str) -> None:
        self.wishes = [wish for wish in self.wishes if wish.who != who]

    def on(self, output: object, mono: float) -> bool:
        said = [(wish.rank, says) for wish in self.wishes if (says := wish.says(output, mono)) is not None]
        best = min((rank for rank, _ in said), default=None)
        return next((is_on for rank, (_, is_on) in said if rank == best), False)

    def wanted_by_high(self, output: object, mono: float) -> bool:
        """Whether a high alarm wants it on, and it is not between two pulses."""
        highs = [wish.says(output, mono) for wish in self.wishes if wish.rank == 0]
        return any(says == ("on", True) for says in highs)


_SECONDS = st.floats(0.0, 30.0).map(lambda seconds: round(seconds, 3))  # not nearer to an edge than it is sharp


class Site(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.model = Model()
        self.responses = RESPONSES
        self.physical: dict[object, str] = dict.fromkeys(OUTPUTS, "off")
        self.hub = Stepped(**SITE)
        self.views: dict[str, AlarmView] = {}
        self.number = 0
        self.recovered = True

    def follow(self, decision: Decision) -> Decision:
        for write in decision.writes:
            assert isinstance(write, Write)
            self.physical[write[:3]] = str(write.value)
        for view in decision.notices:
            if isinstance(view, AlarmView):
                self._alarm(view)
        return decision

    def _alarm(self, view: AlarmView) -> None:
        """The model learns of an alarm's new state."""
        self.views[view.alarm] = view
        response = self.responses[DEVICES[view.alarm]]
        if view.state not in WANTED_IN[response.until] or view.hidden is not None:
            self.model.drop(view.alarm)
        elif self.model.wish(view.alarm) is None:
            rank = RANKS[PRIORITIES[DEVICES[view.alarm]]]
            self.model.put(Wish(view.alarm, rank, response, self.hub.mono))

    def command(self, name: str, **args: Any) -> bool:
        self.number += 1
        decision = self.follow(self.hub.ask(name, **args))
        return decision.replies[0][1].result == "done"

    @rule(device=ALARMS, value=st.sampled_from(["alarm", "normal"]))
    def read(self, device: str, value: str) -> None:
        state = self.views[device].state if device in self.views else S.NORMAL
        raised = value == "alarm" and state not in {S.UNACK_ACTIVE, S.ACK_ACTIVE}
        self.follow(self.hub.read(device, contact=value))
        wish = self.model.wish(device)
        if raised and wish is not None:  # it comes anew, and sounds
            wish.since, wish.silenced = self.hub.mono, False

    @rule(alarm=ALARMS, act=st.sampled_from(["acknowledge", "reset", "out_of_service", "in_service"]))
    def act(self, alarm: str, act: str) -> None:
        self.command(act, alarm=alarm, reason="x")

    @rule(alarm=st.none() | ALARMS)
    def silence(self, alarm: str | None) -> None:
        done = self.command("silence", **({} if alarm is None else {"alarm": alarm}))
        for wish in self.model.wishes if done else []:
            sounds = any(
                way.audible and wish.says(output, self.hub.mono) for output, way in wish.response.outputs.items()
            )
            if wish.who in DEVICES and sounds and alarm in {None, wish.who}:
                wish.silenced = True

    @rule(name=NAMES, for_s=st.sampled_from([0.5, 5.0, 40.0]))
    def test(self, name: str, for_s: float) -> None:
        assert self.command("test_response", response=name, for_s=for_s)
        self.model.put(Wish(f"test {name}", RANKS["trial"], self.responses[name], self.hub.mono, self.hub.mono + for_s))

    @rule(output=st.sampled_from(OUTPUTS), value=st.sampled_from(["on", "off", "auto"]), for_s=st.floats(0.1, 60.0))
    def set(self, output: Any, value: str, for_s: float) -> None:
        who = f"set {output.device}"
        args = {"output": output.device, "value": value, "for_s": for_s, "reason": "x"}
        if not self.command("set_output", **args):
            assert value == "auto" or any(wish.rank == 0 for wish in self.model.wishes), (
                "refused for a high alarm alone"
            )
        elif value == "auto":
            self.model.drop(who)
        else:
            wanted = Response("", {output: Way(value)})
            self.model.put(Wish(who, RANKS["person"], wanted, self.hub.mono, self.hub.mono + for_s))

    @rule(seconds=_SECONDS | st.sampled_from([0.5, 1.0, 3.0, 4.0, 20.0, 30.0]))
    def wait(self, seconds: float) -> None:
        end = self.hub.mono + seconds
        while self.hub.hub.wake <= end:
            self.hub.mono = max(self.hub.mono, self.hub.hub.wake)
            self.follow(self.hub.tell(Tick()))
            self.look()
        self.hub.mono = end
        self.follow(self.hub.tell(Tick()))

    @rule(down_s=_SECONDS, late=st.booleans())
    def crash(self, down_s: float, late: bool) -> None:
        """All outputs go to their safe values; the journal tells the new run what was, sooner or later."""
        before = self.hub
        self.physical = dict.fromkeys(OUTPUTS, "off")
        self.hub = Stepped(recovered=False, **{**SITE, "responses": self.responses})
        self.hub.mono, self.hub.stored = before.mono + down_s, dict(before.stored)
        for wish in [wish for wish in self.model.wishes if wish.who.startswith("test ")]:
            self.model.drop(wish.who)
        kept, self.model.wishes = self.model.wishes, []
        self.recovered = False
        if late:
            self.wait(1.0)
        self.recovered = True
        for wish in kept:
            if wish.who in DEVICES and not wish.silenced and wish.ends_never():
                wish.since = self.hub.mono  # nothing hangs on since when
        before_views, self.views = self.views, {}
        self.model.wishes = self._in_new_order(kept)
        self.follow(self.hub.tell(Recovered("kept", PreviousRun("run1", 7, 99), dict(before.stored))))
        self.views = before_views | self.views

    def _in_new_order(self, kept: list[Wish]) -> list[Wish]:
        """What people set comes back first, as stored; then the alarms, in the order of the journal's keys."""
        order = list(self.hub.stored)
        keys = {wish.who: f"alarm/{wish.who}" for wish in kept if wish.who in DEVICES}
        alarms = sorted((wish for wish in kept if wish.who in keys), key=lambda wish: order.index(keys[wish.who]))
        people = [wish for wish in kept if wish.who not in keys and wish.ends > self.hub.mono]
        return people + alarms

    @rule(other=st.booleans(), anew=st.sets(st.sampled_from(["siren", "lamp", "fan"])))
    def reload(self, other: bool, anew: Collection[str]) -> None:
        """Another configuration: `heat` and `door` switch otherwise; devices that are new are at their safe values."""
        before, self.responses = self.responses, OTHERS if other else RESPONSES
        for device in anew:
            self.physical[SIREN._replace(device=device)] = "off"
        asked = Command(f"r{self.number}", "reload", {}, "Ada", "local", None, lambda _: None)
        self.number += 1
        for wish in list(self.model.wishes):
            name = DEVICES.get(wish.who) or wish.who.removeprefix("test ")
            if wish.who.startswith("test ") and before[name].outputs != self.responses[name].outputs:
                self.model.drop(wish.who)
            elif wish.who in DEVICES:
                wish.response = self.responses[name]
                if self.views[wish.who].state not in WANTED_IN[wish.response.until]:
                    self.model.drop(wish.who)
        for alarm, view in self.views.items():
            self._alarm(view)
            assert view.alarm == alarm
        site = replace(plan(), **{**SITE, "responses": self.responses})
        self.follow(self.hub.tell(Reconfigured(site, asked, (), frozenset(anew), frozenset({"gpio"}))))

    @invariant()
    def look(self) -> None:
        if not hasattr(self, "model"):
            return
        mono = self.hub.mono
        self.model.wishes = [wish for wish in self.model.wishes if wish.ends > mono]
        for output in OUTPUTS:
            is_on = self.physical[output] == "on"
            assert is_on == self.model.on(output, mono), (output.device, mono, self.model.wishes)
            if self.model.wanted_by_high(output, mono):
                first = next(wish for wish in self.model.wishes if wish.rank == 0 and wish.says(output, mono))
                assert is_on or first.says(output, mono) != ("on", True)
        held = {key for key in self.hub.stored if key.startswith(("claim/set:", "claim/test:"))}
        if self.recovered:
            assert len(held) == sum(wish.who not in DEVICES for wish in self.model.wishes)


TestOutputs = Site.TestCase
TestOutputs.settings = settings(max_examples=examples(120), stateful_step_count=30, deadline=None)


def test_the_model_knows_the_plan_it_is_held_against() -> None:
    assert plan().outputs.keys() <= set(OUTPUTS)
