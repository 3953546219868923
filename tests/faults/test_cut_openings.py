"""A power cut in the middle of a start: some hundred states (all: cut_openings.py)."""

from __future__ import annotations

import shutil

import pytest
from cut_openings import BEGINNINGS, cuts

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="writes and syncs are traced by strace")


@needs_strace
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_start_that_is_cut_off_costs_nothing_of_what_was_there_before_it(beginning: str) -> None:
    told = cuts(beginning, 100, 1)
    assert sum(told.values()) == 100
    assert set(told) <= {"no file": {"new", "kept"}, "older": {"kept"}, "damaged": {"salvaged", "kept"}}[beginning]
    assert beginning != "damaged" or told["salvaged"] > 50  # most cuts are before the first start had done it
