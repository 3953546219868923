"""Two light beams at a door: who goes in, who goes out, and who does neither."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from gateway.derive.beams import ORDER_S, Beams, Passage, Timing

OUTER, INNER = True, False
GAP_S = 0.25
BLOCKED_S = 30.0


Edge = tuple[float, bool, bool]  # when, whether it is the outer beam's, whether it is broken


def body(at: float, first: bool, *, apart_s: float = 0.08, thick_s: float = 0.25) -> list[Edge]:
    """Somebody who walks through and breaks the `first` beam at `at`: synthetic, at 1.2 m/s by default."""
    return [
        (at, first, True),
        (at + apart_s, not first, True),
        (at + thick_s, first, False),
        (at + thick_s + apart_s, not first, False),
    ]


def walked(*bodies: Iterable[Edge]) -> Counter[Passage]:
    """What the beams count of these, all at one door."""
    beams = Beams(Timing(GAP_S, BLOCKED_S))
    found = (beams.feed(outer, broken, at) for at, outer, broken in sorted(edge for each in bodies for edge in each))
    return Counter(each for each in found if each is not None)


def spelt(edges: Iterable[Edge]) -> list[Passage]:
    """The obvious slow model: each time from free to free spelt out as a word, in which steps back are crossed out.

    It knows neither the gap between people nor beams that break at once.
    """
    words, word, levels = [], "", {OUTER: "-", INNER: "-"}
    for _, outer, broken in edges:
        levels[outer] = "#" if broken else "-"
        word += levels[OUTER] + levels[INNER] + " "
        if word.endswith("-- "):
            words.append(word)
            word = ""
    meanings = {"#- ## -# -- ": Passage.IN, "-# ## #- -- ": Passage.OUT}
    return [meanings.get(crossed_out(each), Passage.NONE) for each in words]


def crossed_out(word: str) -> str:
    """The word without each step that was taken back: `a b a` is `a`."""
    places = ["--", *word.split()]
    n = 0
    while n + 2 < len(places):
        if places[n] == places[n + 2]:
            del places[n + 1 : n + 3]
            n = max(0, n - 2)
        else:
            n += 1
    return "".join(f"{place} " for place in places[1:])


def test_the_beam_that_breaks_first_tells_the_way() -> None:
    assert walked(body(0, OUTER)) == {Passage.IN: 1}
    assert walked(body(0, INNER)) == {Passage.OUT: 1}


def test_people_behind_each_other_are_each_a_person() -> None:
    assert walked(body(0, OUTER), body(0.4, OUTER), body(0.8, OUTER)) == {Passage.IN: 3}


def test_people_who_meet_between_the_beams_one_after_the_other_are_two() -> None:
    assert walked(body(0, OUTER), body(0.36, INNER)) == {Passage.IN: 1, Passage.OUT: 1}


def test_people_whose_gap_the_beams_never_see_count_as_one() -> None:
    """The limit of two beams, as the documentation says."""
    assert walked(body(0, OUTER), body(0.3, OUTER)) == {Passage.IN: 1}


def test_who_turns_back_has_not_passed() -> None:
    turned = [(0.0, OUTER, True), (0.1, INNER, True), (0.6, INNER, False), (0.7, OUTER, False)]
    assert walked(turned) == {Passage.NONE: 1}


def test_who_hesitates_and_goes_on_has_passed_once() -> None:
    forth = [(0.0, OUTER, True), (0.1, INNER, True), (0.5, OUTER, False)]
    back_and_on = [
        (1.0, OUTER, True),
        (1.2, INNER, False),
        (1.5, INNER, True),
        (1.8, OUTER, False),
        (2.0, INNER, False),
    ]
    assert walked(forth, back_and_on) == {Passage.IN: 1}


def test_a_hand_in_one_beam_is_nobody() -> None:
    assert walked([(0, OUTER, True), (0.3, OUTER, False)], [(1, INNER, True), (1.3, INNER, False)]) == {Passage.NONE: 2}


def test_what_breaks_one_beam_after_the_other_but_never_both_is_nobody() -> None:
    """A ball, a hand: thinner than the beams are apart."""
    assert walked([(0, OUTER, True), (0.05, OUTER, False)], [(0.1, INNER, True), (0.15, INNER, False)])[Passage.IN] == 0


def test_what_follows_sooner_than_anybody_can_is_no_second_person() -> None:
    assert walked(body(0, OUTER), body(0.34, OUTER, apart_s=0.02, thick_s=0.1)) == {Passage.IN: 1, Passage.NONE: 1}


def test_lamps_that_fail_and_return_together_are_nobody() -> None:
    assert walked(body(0, OUTER, apart_s=ORDER_S / 2, thick_s=5.0)) == {Passage.NONE: 1}


def test_who_enters_in_the_moment_another_leaves_is_counted() -> None:
    assert walked(body(0, OUTER), body(0.25 + 0.08 + ORDER_S / 2, OUTER)) == {Passage.IN: 2}


def test_a_beam_that_stays_broken_is_a_fault_and_then_nobody() -> None:
    beams = Beams(Timing(GAP_S, BLOCKED_S))
    beams.feed(OUTER, True, 0.0)
    beams.feed(INNER, True, 0.1)
    for mono, blocked in [(15.0, False), (BLOCKED_S, True), (60.0, True)]:
        beams.feed(OUTER, True, mono)  # read again
        assert beams.blocked is blocked
    freed = [(beams.feed(outer, False, at), beams.blocked) for outer, at in ((OUTER, 61.0), (INNER, 61.2))]
    assert freed == [(None, True), (Passage.NONE, False)]
    assert [beams.feed(outer, broken, at) for at, outer, broken in body(70, OUTER)][-1] is Passage.IN


EDGES = st.lists(st.tuples(st.sampled_from([OUTER, INNER]), st.floats(ORDER_S * 2, 1)), max_size=80)


@given(EDGES)
def test_any_dance_between_the_beams_is_what_its_spelling_says(dance: list[tuple[bool, float]]) -> None:
    levels, now, edges = {OUTER: False, INNER: False}, 0.0, list[Edge]()
    for outer, pause_s in dance:
        now += pause_s
        levels[outer] = not levels[outer]
        edges.append((now, outer, levels[outer]))
    beams = Beams(Timing(gap_s=0, blocked_s=1000))
    found = [beams.feed(outer, broken, at) for at, outer, broken in edges]
    assert [each for each in found if each is not None] == spelt(edges)


@given(
    st.lists(
        st.tuples(st.sampled_from([OUTER, INNER]), st.floats(0.02, 0.2), st.floats(0.21, 2), st.floats(0.27, 20)),
        max_size=30,
    )
)
def test_everybody_who_leaves_room_behind_is_counted(people: list[tuple[bool, float, float, float]]) -> None:
    """Any walk, by anybody of any size, as long as both beams are free between two people."""
    now, bodies = 0.0, []
    for first, apart_s, thick_s, gap_s in people:
        bodies.append(body(now, first, apart_s=apart_s, thick_s=thick_s))
        now += thick_s + apart_s + gap_s
    ways = Counter(Passage.IN if first is OUTER else Passage.OUT for first, *_ in people)
    assert walked(*bodies) == ways
