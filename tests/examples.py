"""How many examples a property is tried on: all of them in the whole suite, fewer in its quick part."""

from __future__ import annotations

from hypothesis import settings

USUALLY = 100
"""What hypothesis takes where nothing is said."""

QUICK = 30
"""What it takes instead in the quick part (`./dev test -m "not slow"`)."""


def fewer() -> None:
    """The quick part begins: from here on fewer examples are taken. Called before the tests are read."""
    settings.register_profile("quick", max_examples=QUICK)
    settings.load_profile("quick")


def examples(count: int) -> int:
    """`count`, or in the quick part the same share of it that every property keeps there."""
    return max(1, count * settings().max_examples // USUALLY)
