"""The rules that devices bring along. One of the site on the same point, or with the same id, takes its place.

What tells of smoke or fire has rules on several words, which one of the site on another word does not replace. Every
smoke point brings them, whatever its driver; where a fire zone is made of it, that judges what is an alarm.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from gateway.config.draft import Draft
from gateway.config.schema import Rule
from gateway.config.targets import parts, targets
from gateway.driver import Derived, UsualRule
from gateway.model import Priority
from gateway.units import FIRE_KINDS

MOST_ID = 64
"""Characters of an id, at most: of a device whose id is as long as that, a rule's id has the beginning."""


def add_usual_rules(draft: Draft) -> None:
    """Add to the draft's rules what its devices bring along."""
    judged = {place for rule in draft.rules.values() for place in _places(rule, draft)}
    for device, part in draft.devices.items():
        if device in draft.without_usual_rules:
            continue
        for usual in (*part.built.usual_rules, *_of_smoke(device, draft)):
            rule_id = f"{device[: MOST_ID - 1 - len(usual.name)]}-{usual.name}"
            is_judged = (device, usual.point, "") in judged or (device, usual.point, usual.equals) in judged
            if not is_judged and rule_id not in draft.tree.section("rules"):
                draft.rules[_free(rule_id, draft)] = _rule(device, usual)


def _free(rule_id: str, draft: Draft) -> str:
    """The id, or one like it: of two long device ids that begin alike."""
    numbered = (f"{rule_id[: MOST_ID - 4]}-{number:03}" for number in range(2, 1000))
    return next(each for each in chain((rule_id,), numbered) if each not in draft.rules)


def _places(rule: Rule, draft: Draft) -> Iterator[tuple[str, str, object]]:
    """The points that a rule of the site judges, and the word that it waits for; "": whichever."""
    for term, _ in parts(rule, ()):
        for device, point in targets(term, draft.devices):
            if point.kind not in FIRE_KINDS:
                yield device, point.name, ""
            elif term is rule and rule.enabled and rule.during is None and rule.not_during is None:
                yield device, point.name, term.equals


def _of_smoke(device: str, draft: Draft) -> Iterator[UsualRule]:
    points = [point.name for point in draft.devices[device].built.points if point.kind == "smoke"]
    zones = (part.built for name, part in draft.devices.items() if isinstance(part.built, Derived))
    in_zone = any(device in zone.sources for zone in zones if any(it.kind == "fire" for it in zone.points))
    for point in points:
        text = "the smoke detector is faulty: it may see no smoke"
        yield UsualRule(f"{point}-fault", point, Priority.MEDIUM, text, equals="fault")
        if not in_zone:
            yield UsualRule(f"{point}-alarm", point, Priority.HIGH, "smoke", equals="alarm", latch=True)


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
