"""The rules that devices bring along. One of the site on the same point, or with the same id, takes its place."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.draft import Draft
from gateway.config.schema import Rule
from gateway.config.targets import targets
from gateway.driver import UsualRule


def add_usual_rules(draft: Draft) -> None:
    """Add to the draft's rules what its devices bring along."""
    judged = {place for rule in draft.rules.values() for place in _places(rule, draft)}
    for device, part in draft.devices.items():
        if device in draft.without_usual_rules:
            continue
        for usual in part.built.usual_rules:
            rule_id = f"{device}-{usual.name}"
            if (device, usual.point) not in judged and rule_id not in draft.tree.section("rules"):
                draft.rules[rule_id] = _rule(device, usual)


def _places(rule: Rule, draft: Draft) -> Iterator[tuple[str, str]]:
    return ((device, point.name) for device, point in targets(rule, draft.devices))


def _rule(device: str, usual: UsualRule) -> Rule:
    return Rule(
        point=f"{device}.{usual.point}",
        above=usual.above,
        below=usual.below,
        equals=usual.equals,
        clear_below=usual.clear if usual.above is not None else None,
        clear_above=usual.clear if usual.below is not None else None,
        for_=usual.for_s,
        clear_for=usual.clear_for_s,
        priority=usual.priority,
        latch=usual.latch,
        text=usual.text,
    )
