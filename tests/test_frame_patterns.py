"""Patterns of lines: those with a single way on are taken and never take long; the others are refused in words."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from itertools import pairwise
from string import ascii_lowercase

import pytest
from examples import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.frame_pattern import MOST, group_names


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (r"(?P<a>ST|US),(?P<b>[+-]\d+(?:\.\d*)?) *(?P<c>kg|g)?", ("a", "b", "c")),
        (r"[^,]*,[^,]*,(?P<a>\d{3})\d\d", ("a",)),
        (r"(?:,-?\d+)*", ()),
        (r"\x02(?P<t>[+\-]?[0-9.]{1,6})\xB0C", ("t",)),
        (r"a|b|", ()),
        (r"[]]?", None),
    ],
)
def test_a_pattern_with_one_way_on_is_taken(pattern: str, names: tuple[str, ...] | None) -> None:
    if names is None:
        with pytest.raises(ValueError, match="an empty set"):
            group_names(pattern)
    else:
        assert group_names(pattern) == names


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (r"(?:a+)+b", "a repetition may contain what may also follow it, as 'a' here"),
        (r"(?:a|a)*b", "two ways of an alternative may begin alike, as 'a' here"),
        (r"(?:a|b|ab)*c", "two ways of an alternative may begin alike"),
        (r".*,\d", "say exactly what may stand there, as [^,]* before a comma in place of .*"),
        (r"\d+\d", "a repetition may contain what may also follow it, as '0' here"),
        (r"\d{2,3}\d", "a repetition may contain what may also follow it"),
        (r"\s*\s*x", "a repetition may contain what may also follow it"),
        (r"(?:a?)*", "what may also follow it, as 'a' here"),
        (
            r"(?:[^,]{2}(?:)?\w)*",
            "what is repeated or left out may be nothing by itself",
        ),  # found by trying: takes for ever
        (r"(?:a?){3}", "what may also follow it, as 'a' here"),
        (r"(?:|a)a", "an alternative that may be nothing begins as what may follow it"),
        (r"(?:|b|)a", "two ways of an alternative may be nothing"),
        (r"(a)", "write a group as (?P<name>...) or (?:...), at character 2"),
        (r"(?=a)a", "write a group as (?P<name>...) or (?:...)"),
        (r"(?P<a>x)\1", r"\1 is not known here"),
        (r"(?P<a>x)(?P<a>y)", "the group a stands there twice"),
        (r"^a$", "a ^ that means nothing here"),
        (r"a++", "one repetition right behind another"),
        (r"a*?", "one repetition right behind another"),
        (r"a{3,2}", "a count that cannot be"),
        (r"(?:a", "a ( without its )"),
        (r"a)", "a ) without its ("),
        (r"[a-", "it ends in the middle"),
        (r"[z-a]", "a range that cannot be"),
        ("a\\", "it ends in the middle"),
        ("℃", r"write it as \xNN"),
        ("a" * (MOST + 1), "too long"),
    ],
)
def test_a_pattern_that_could_take_long_or_is_none_is_refused(pattern: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        group_names(pattern)


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "c",
        r"\d",
        r"\w",
        "[ab]",
        "[^a]",
        ".",
        r"\s",
        "(?:a|b)",
        "(?:ab|c)",
        "(?:b*)",
        "(?:)",
        "(?:|a)",
        "(?:,a+)",
    ]
)
PIECES = st.builds(
    "".join, st.lists(st.builds("".join, st.tuples(ATOMS, st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,3}"]))))
)
NASTY = st.builds(
    lambda part, times, tail: part * times + tail,
    st.sampled_from(["a", "ab", ",a", "b", "1", " "]),
    st.integers(0, 2000),
    st.sampled_from(["", "!", "\n"]),
)


@given(PIECES, NASTY)
@settings(max_examples=examples(300), deadline=None)
def test_what_is_taken_never_takes_long(pattern: str, line: str) -> None:
    try:
        group_names(pattern)
    except ValueError:
        return
    compiled = re.compile(pattern, re.ASCII)
    began = time.process_time()
    compiled.fullmatch(line)
    assert time.process_time() - began < 0.05


def test_what_is_refused_would_take_long() -> None:
    line = "a" * 22 + "!"
    began = time.process_time()
    assert re.compile(r"(?:a+)+b").fullmatch(line) is None
    assert time.process_time() - began > 0.05


@given(st.text(max_size=60))
def test_any_text_is_a_pattern_or_refused_in_words(text: str) -> None:
    try:
        names = group_names(text)
    except ValueError:
        return
    assert tuple(re.compile(text, re.ASCII).groupindex) == names


# ---------------------------------------------------------------- many letters, and groups in groups

COUNTS = st.sampled_from(["", "", "?", "*", "+", "{2}", "{1,2}"])
PIECES_OF_LETTERS = st.recursive(
    st.builds("".join, st.tuples(st.sampled_from(["X", "X", "[XY]", "(?:X|Y)", "(?:X|)", "(?:)", "\\d"]), COUNTS)),
    lambda inner: st.builds(
        lambda parts, link, count: f"(?:{link.join(parts)}){count}",
        st.lists(inner, min_size=1, max_size=3),
        st.sampled_from(["", "", "|"]),
        COUNTS,
    ),
    max_leaves=4,
)
"""Pieces of a pattern about two letters, X and Y."""


def in_a_row(piece: str) -> str:
    """The piece again and again, with two other letters each time: long enough for what doubles with each."""
    pairs = pairwise(ascii_lowercase)
    row = [piece.replace("X", x).replace("Y", y.upper()) for x, y in pairs]
    return "".join(row[: min(23, MOST // max(len(it) for it in row))])


def in_each_other(piece: str) -> str:
    """The piece in itself, where its first letter stands, again and again: as deep as groups may be, and less."""
    nested = piece
    for _ in range(18 // max(1, piece.count("("))):
        if len(nested) + len(piece) <= MOST:
            nested = nested.replace("X", piece, 1)
    return nested.replace("X", "a").replace("Y", "b")


LINES_OF_LETTERS = st.builds(
    lambda letters, times, tail: letters * times + tail,
    st.sampled_from(["", "a", "ab", ascii_lowercase, "aBcD"]),
    st.integers(0, 200),
    st.sampled_from(["", "!", "\n"]),
)


@pytest.mark.parametrize("grown", [in_a_row, in_each_other])
@given(piece=PIECES_OF_LETTERS, line=LINES_OF_LETTERS)
@example(piece="(?:X?)?", line="!")  # two ways to be nothing, each
@example(piece="(?:X){2}", line="!")  # groups in groups
@settings(max_examples=examples(300), deadline=None)
def test_neither_checking_a_pattern_nor_matching_it_ever_takes_long(
    grown: Callable[[str], str], piece: str, line: str
) -> None:
    pattern = grown(piece)
    began = time.process_time()
    try:
        group_names(pattern)
    except ValueError:
        return
    finally:
        assert time.process_time() - began < 0.2, "the check"
    compiled = re.compile(pattern, re.ASCII)
    began = time.process_time()
    compiled.fullmatch(line)
    assert time.process_time() - began < 0.05, "the match"


def test_groups_are_in_each_other_up_to_a_depth() -> None:
    assert group_names("(?:" * 19 + "(?P<a>x)" + ")" * 19) == ("a",)
    with pytest.raises(ValueError, match="more than 20 groups in each other"):
        group_names("(?:" * 20 + "(?P<a>x)" + ")" * 20)
