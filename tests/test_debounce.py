"""How long a contact must hold, and when it chatters: against a slow obvious model, over made-up edges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.links.debounce import CALM_S, CHATTER_EDGES, CHATTER_WITHIN_S, Change, Debounce

MOMENTS = st.lists(st.integers(min_value=1, max_value=400), max_size=60)  # ms between edges


def slow_model(edges: list[tuple[float, bool]], hold_s: float, end: float) -> list[Change]:
    """Each spell of a level that lasted for the hold and is another than the one that counted before."""
    counts, changes = False, []
    for number, (at, high) in enumerate(edges):
        until = edges[number + 1][0] if number + 1 < len(edges) else end
        if high != counts and until - at >= hold_s:
            counts = high
            changes.append(Change(high, at))
    return changes


@given(MOMENTS, st.sampled_from([0, 20, 100]))
def test_a_level_counts_once_it_has_lasted_and_since_its_edge(gaps_ms: list[int], hold_ms: int) -> None:
    pin, at, high, edges, changes = (
        Debounce(hold_ms, high=False),
        0.0,
        False,
        list[tuple[float, bool]](),
        list[Change](),
    )
    for gap in gaps_ms:
        at, high = at + gap, not high
        edges.append((at, high))
        changes += pin.edge(high, at)
    changes += pin.settle(at + 1000)
    assert changes == slow_model(edges, hold_ms, at + 1000)


@given(MOMENTS)
def test_what_is_told_is_in_the_order_of_its_times(gaps_ms: list[int]) -> None:
    pin, at, high, told = Debounce(50, high=False), 0.0, False, [0.0]
    for gap in gaps_ms:
        at, high = at + gap, not high
        told += [change.mono for change in pin.edge(high, at)]
        if pin.due is None:  # only then is the present told
            told.append(at)
    assert told == sorted(told)


def test_many_edges_in_a_short_time_are_chatter_until_it_is_calm() -> None:
    pin, step_s = Debounce(0.02, high=False), CHATTER_WITHIN_S / CHATTER_EDGES
    for number in range(CHATTER_EDGES - 1):
        pin.edge(number % 2 == 0, number * step_s)
    last = (CHATTER_EDGES - 1) * step_s
    assert not pin.chatters(last)
    pin.edge(CHATTER_EDGES % 2 == 1, last)
    assert pin.chatters(last)
    assert pin.chatters(last + CALM_S * 0.99)
    assert not pin.chatters(last + CALM_S)


def test_a_contact_that_bounces_does_not_chatter() -> None:
    pin = Debounce(0.02, high=False)
    for number in range(21):
        pin.edge(number % 2 == 0, number * 0.001)
    assert pin.settle(0.05) == [Change(high=True, mono=0.02)]
    assert not pin.chatters(0.05)


def test_a_level_that_is_read_again_is_no_edge() -> None:
    pin = Debounce(0.02, high=False)
    for number in range(2 * CHATTER_EDGES):
        pin.edge(False, number * 0.001)
    assert not pin.chatters(0.08)
