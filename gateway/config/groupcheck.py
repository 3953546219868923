"""Whether a rule that is made of several conditions makes one condition."""

from __future__ import annotations

from gateway.config.draft import Draft
from gateway.config.problems import Where, listed
from gateway.config.schema import Rule
from gateway.config.targets import GROUPS, group, targets

_OWN = ("point", "kind", "above", "below", "outside", "inside", "equals", "changes_faster_than", "silent_for")


def check_group(draft: Draft, rule: Rule, where: Where) -> None:
    """Note what is wrong with the group of a rule; the conditions in it are looked at one by one elsewhere."""
    tree = draft.tree
    written = [key for key in GROUPS if getattr(rule, key)]
    if rule.at_least is not None and "of" not in written:
        tree.blame_key((*where, "at_least"), "goes with of; add `of:` with the conditions that it counts")
    if not written:
        return
    if len(written) > 1:
        tree.blame_key(where, f"has {listed(written)}; keep one of them")
    if rule.of and rule.at_least is None:
        tree.blame_key((*where, "of"), "says what is counted; add `at_least:` with how many of it have to hold")
    own = [key for key in _OWN if getattr(rule, key) is not None]
    if own:
        tree.blame_key((*where, own[0]), f"stands beside {written[0]}; move it into one of the conditions there")
    _check_count(draft, rule, where)


def _check_count(draft: Draft, rule: Rule, where: Where) -> None:
    made_of = group(rule)
    if rule.at_least is None or made_of is None or len(draft.devices) < len(draft.tree.section("devices")):
        return
    count = sum(len(targets(term, draft.devices)) for term in made_of.terms)
    if 0 < count < rule.at_least:
        draft.tree.blame(
            (*where, "at_least"), f"must be at most {count}, so many points there are, not {rule.at_least}"
        )
