"""All alarms of a device at once give what each rule gives by itself on each value."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from gateway.hub.alarm import Target
from gateway.hub.alarms import Alarms
from gateway.model import Moment, Reading, Reason, Trust, Value
from gateway.rules.condition import Above, Below, Condition, Equals, Outside, SilentFor
from gateway.rules.judge import Rule, elapse, fresh, judge, unknown
from gateway.rules.lifecycle import Change

POINTS = "a", "b"

_LIMIT = st.sampled_from([-1.0, 0.0, 2.0, 5.0])
_ABOVE = st.builds(lambda limit, less: Above(limit, limit - less), _LIMIT, st.sampled_from([0.0, 1.0]))
_BELOW = st.builds(lambda limit, more: Below(limit, limit + more), _LIMIT, st.sampled_from([0.0, 1.0]))
_OTHER: st.SearchStrategy[Condition] = st.sampled_from(
    [Outside(Below(0.0, 1.0), Above(5.0, 4.0)), Equals("on"), Equals(2), SilentFor(5.0)]
)
_RULE = st.builds(
    Rule,
    id=st.just("rule"),
    condition=st.one_of(_ABOVE, _BELOW, _OTHER),
    on_delay_s=st.sampled_from([0.0, 2.0]),
    off_delay_s=st.sampled_from([0.0, 2.0]),
    latch=st.booleans(),
)
_RULES = st.lists(st.tuples(_RULE, st.sampled_from(POINTS)), min_size=3, max_size=6)
_NUMBER = st.sampled_from([-2, -1.0, 0, 0.5, 2, 2.0, 3, 5.0, 6])
_ANY = st.one_of(_NUMBER, st.sampled_from([True, "on", (52.0, 13.0)]), st.just(Reason.NO_REPLY))
_READ = st.one_of(
    st.fixed_dictionaries({"a": _NUMBER, "b": _NUMBER}),
    st.fixed_dictionaries({"b": _NUMBER}, optional={"a": _ANY}),
)
_STEPS = st.lists(st.one_of(_READ, st.just("time")), min_size=8, max_size=16)


class _OneByOne:
    """Every rule by itself, on every value."""

    def __init__(self, rules: list[tuple[Rule, str]]) -> None:
        self._rules = rules
        self._lives = [fresh(0.0) for _ in rules]

    def take(self, values: Mapping[str, Value], bad: Mapping[str, Reason], mono: float) -> list[tuple[int, Change]]:
        changes = []
        for name, value in values.items():
            for number, (rule, point) in enumerate(self._rules):
                if point == name:
                    self._lives[number], change = judge(rule, self._lives[number], value, mono)
                    changes += [(number, change)] if change is not None else []
        for number, (rule, point) in enumerate(self._rules):
            if point in bad:
                self._lives[number] = unknown(rule, self._lives[number])
        return changes

    def elapse(self, mono: float) -> list[tuple[int, Change]]:
        changes = []
        for number, (rule, _) in enumerate(self._rules):
            self._lives[number], change = elapse(rule, self._lives[number], mono)
            changes += [(number, change)] if change is not None else []
        return changes


@given(_RULES, _STEPS)
def test_alarms_taken_together_change_as_each_by_itself(
    rules: list[tuple[Rule, str]], steps: list[dict[str, Value] | str]
) -> None:
    targets = [(rule, (Target(str(n), "d", point, "hall"),)) for n, (rule, point) in enumerate(rules)]
    alarms, model = Alarms(tuple(targets), {}, Moment(0.0, 0, Trust.SYNCED)), _OneByOne(rules)
    for second, step in enumerate(steps, 1):
        mono = float(second)
        if isinstance(step, str):
            found, expected = list(alarms.elapse(Moment(mono, 0, Trust.SYNCED))), model.elapse(mono)
        else:
            bad = {name: value for name, value in step.items() if isinstance(value, Reason)}
            good = {name: value for name, value in step.items() if name not in bad}
            found, expected = alarms.take(Reading("d", mono, 0, good, bad)), model.take(good, bad, mono)
        assert [(int(changed.view.alarm), changed.change) for changed in found] == expected
