"""Asking without waiting, for a link in good order that shares its thread with others.

`ask` sends, `take_reply` takes, `conclude` polls. At the first thing that is not as it was they say so, and the poll
is made by waiting, where it harms no other link.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.links.asking import Asking
from gateway.links.device import Attended
from gateway.model import Fact, Moment

_STRAYS = 2  # after so many a driver is known to ask now this, now that
_STEADY = 3  # polls in a row that went as the ones before: then a link is in good order


class Ahead:
    """A link's devices, asked ahead one after the other. Owned by the thread that attends the link."""

    def __init__(self, asking: Asking, tell: Callable[[Fact], None]) -> None:
        self._asking = asking
        self._tell = tell
        self._under_way: tuple[Attended, float] | None = None  # who was asked ahead, and when
        self._strays = 0  # polls on a shared thread that asked something else, and so kept it waiting

    @property
    def in_good_order(self) -> bool:
        """Whether the devices answer, and their drivers ask the same each time."""
        return self._asking.steady >= _STEADY and self._strays < _STRAYS

    @property
    def deadline(self) -> float:
        """Until when (monotonic s) a reply may come to what was asked ahead; infinity if nothing was."""
        ahead = self._asking.foresight
        return math.inf if ahead is None else ahead.deadline

    def begin(self) -> None:
        """The link is open: nothing is under way."""
        self._under_way = None

    def ask(self, now: float) -> bool:
        """Send what the device whose turn it is will ask; False if that is not known. Raises LinkDown."""
        each, ahead = self._asking.whose_turn(now), self._asking.foresight
        if each is None:
            return True
        if not each.script or ahead is None or self._asking.lost(each):
            return False  # before its turn is noted: it is asked once
        if not self._asking.admitted(each, now):
            return True
        self._under_way = each, now
        ahead.count_for(each.tally)
        ahead.begin(each.script)
        return True

    def take_reply(self) -> bool:
        """Take what has come, and ask on; False at anything unusual. Raises LinkDown."""
        ahead = self._asking.foresight
        return ahead is not None and self._under_way is not None and ahead.advance()

    def conclude(self, arrived: Moment, tell: Callable[[Fact], None]) -> bool:
        """Poll the device that was asked ahead, if all it asks has been answered; False at anything unusual.

        `tell` gets what it says, and may pass it on when the link is attended no further in this round.
        """
        ahead = self._asking.foresight
        if ahead is None or not ahead.complete:
            return True
        self._finish_turn(tell, arrived)
        self._strays += ahead.strayed
        return self._asking.steady > 0

    def take_back(self) -> None:
        """Attend by waiting again, and end the poll that is under way, if one is. Raises LinkDown."""
        self._finish_turn(self._tell)
        self._asking.steady = 0

    def _finish_turn(self, tell: Callable[[Fact], None], arrived: Moment | None = None) -> None:
        """Poll the device that was asked ahead, if one was, with what has come; waits for the rest."""
        if self._under_way is not None:
            each, asked_at = self._under_way
            self._under_way = None
            self._asking.ask(each, asked_at, tell, arrived)
