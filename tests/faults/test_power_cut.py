"""A power cut at any moment, on a disk that is honest and on one that lies: some hundred states (all: power_cut.py)."""

from __future__ import annotations

import shutil

import pytest
from power_cut import cuts

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="writes and syncs are traced by strace")


@needs_strace
def test_whatever_a_power_cut_leaves_opens_and_an_honest_disk_misses_nothing_that_was_reported() -> None:
    told, _ = cuts(300, 1)
    assert told["honest disk: kept, nothing reported is missing"] == 150
    assert sum(count for what, count in told.items() if what.startswith("lying")) == 150
    assert told["lying disk: kept, the end is missing"] > 20  # the cuts do hurt
