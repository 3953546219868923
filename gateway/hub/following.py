"""The high alarms that somebody still has to confirm or to acknowledge, and the steps that are due.

What is followed is stored under `follow/<alarm>` with the decision that changed it. After another boot the time that
has passed is known by the wall clock; where that is not known either, the ten minutes begin anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import inf
from typing import NamedTuple

from gateway.hub import moments
from gateway.model import AlarmView, Moment, Priority, StateChange
from gateway.records import encode
from gateway.rules.following import Followed, Times
from gateway.rules.lifecycle import UNSEEN, Change

PREFIX = "follow/"

_BACK = frozenset({Change.UNSHELVED, Change.IN_SERVICE, Change.UNSUPPRESSED})


class Due(NamedTuple):
    """A step that an alarm has come to."""

    alarm: str
    step: Change


class Following:
    """The alarms that are followed. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic s)."""

    def __init__(self, times: Times, boot: str) -> None:
        self._times = times
        self._boot = boot
        self._followed: dict[str, Followed] = {}
        self.wake = inf

    def note(self, view: AlarmView, change: Change, now: Moment) -> Iterator[StateChange]:
        """An alarm has changed: the state to store."""
        followed = self._followed.get(view.alarm)
        if view.priority is Priority.HIGH and view.rule:
            followed = _begun(followed, view, change, now.mono)
        if followed is not None:
            unseen, is_hidden = view.state in UNSEEN, view.hidden is not None
            confirmed = followed.confirmed or change is Change.CONFIRMED
            followed = followed._replace(seen=is_hidden or not unseen, confirmed=confirmed)
            yield from self._keep(view.alarm, followed, now, may_be_back=is_hidden and unseen)

    def waits(self, alarm: str) -> bool:
        """Whether an alarm waits for the platform's confirmation."""
        followed = self._followed.get(alarm)
        return followed is not None and not followed.confirmed

    def mark(self, alarm: str) -> str:
        """What is said of an alarm that is followed: the last step, or that it is confirmed; empty if neither."""
        followed = self._followed.get(alarm)
        if followed is None:
            return ""
        return followed.made[-1] if followed.made else Change.CONFIRMED if followed.confirmed else ""

    def calls(self, alarm: str, step: Change) -> bool:
        """Whether an alarm has come to a step, and is still there."""
        followed = self._followed.get(alarm)
        return followed is not None and followed.calls(step)

    def elapse(self, mono: float) -> Iterator[Due]:
        """The steps that are due; they count as made."""
        for alarm, followed in list(self._followed.items()) if mono >= self.wake else ():
            due = [step for at, step in followed.coming(self._times) if at <= mono]
            if due:
                self._followed[alarm] = followed._replace(made=(*followed.made, *due))
                yield from (Due(alarm, step) for step in due)
        self._set_wake()

    def change(self, times: Times, known: Mapping[str, AlarmView], now: Moment) -> Iterator[StateChange]:
        """Other times and priorities from now on; what is followed goes on as far as its alarm is `known`, and high.

        The state to store, or to remove.
        """
        self._times = times
        for alarm in [it for it in self._followed if it not in known or known[it].priority is not Priority.HIGH]:
            del self._followed[alarm]
            yield StateChange(PREFIX + alarm, None)
        yield from self._take_up(known, now)
        self._set_wake()

    def restore(self, stored: Mapping[str, str], known: Mapping[str, AlarmView], now: Moment) -> Iterator[StateChange]:
        """What was followed in the run before, as far as its alarm is `known`; the state to remove."""
        for key, text in stored.items():
            alarm = key.removeprefix(PREFIX)
            if not key.startswith(PREFIX) or alarm in self._followed:
                continue
            followed = self._recalled(text, now) if alarm in known else None
            if followed is None:
                yield StateChange(key, None)
            else:
                self._followed[alarm] = followed
        yield from self._take_up(known, now)
        self._set_wake()

    def _take_up(self, known: Mapping[str, AlarmView], now: Moment) -> Iterator[StateChange]:
        """Those that have become high by another configuration, and that nobody has seen."""
        for alarm, view in known.items():
            is_seen = view.state not in UNSEEN or view.hidden is not None
            if (
                view.priority is Priority.HIGH
                and view.rule
                and view.seq
                and not is_seen
                and alarm not in self._followed
            ):
                yield from self._keep(alarm, Followed(now.mono), now, may_be_back=False)

    def _keep(self, alarm: str, followed: Followed, now: Moment, *, may_be_back: bool) -> Iterator[StateChange]:
        if followed.over(self._times) and not may_be_back:
            self._followed.pop(alarm, None)
            yield StateChange(PREFIX + alarm, None)
        else:
            self._followed[alarm] = followed
            since = moments.stored(followed.since, now, self._boot)
            text = encode([since, followed.confirmed, followed.seen, list(followed.made)])
            yield StateChange(PREFIX + alarm, text)
        self._set_wake()

    def _recalled(self, text: str, now: Moment) -> Followed | None:
        """What is followed as it was stored; None where the text is not one of ours."""
        try:
            kept, confirmed, seen, made = json.loads(text)
            since = moments.recalled(kept, self._boot, now)
            passed = now.mono if since is None else min(since, now.mono)
            return Followed(passed, bool(confirmed), bool(seen), tuple(Change(step) for step in made))
        except (ValueError, TypeError):
            return None

    def _set_wake(self) -> None:
        coming = (at for each in self._followed.values() for at, _ in each.coming(self._times))
        self.wake = min(coming, default=inf)


def _begun(followed: Followed | None, view: AlarmView, change: Change, mono: float) -> Followed | None:
    """How a high alarm is followed after a change: from when on somebody has to see it."""
    if change is Change.RAISED:
        return followed or Followed(mono)
    if change is Change.RE_ALARMED and followed is None:  # it was seen long ago, and the platform knows of it
        return Followed(mono, confirmed=True)
    if change in _BACK and view.state in UNSEEN and view.hidden is None:
        return Followed(mono) if followed is None else followed.anew(mono)
    return followed
