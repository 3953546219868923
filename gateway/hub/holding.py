"""What a person does with outputs for a time: one is set, or a response is tried without an alarm.

Both are owners like alarms (rules/responses.py) whose time ends by itself. They are stored with the decision that took
them up: one that is set goes on after a restart, for the rest of its time; a trial ends with the run that it was in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple

from gateway import records
from gateway.hub.claim_text import Kept, kept_of, kept_text
from gateway.hub.outputs import PREFIX, Outputs, Switch
from gateway.model import Command, Json, Moment, Priority
from gateway.records import MAX_REASON
from gateway.rules.overlay import Note
from gateway.rules.responses import PERSON, RANKS, TRIAL, Claim, OutputPoint, Response, Way

SET_OUTPUT, TEST_RESPONSE = "set_output", "test_response"
HOLDS = frozenset({SET_OUTPUT, TEST_RESPONSE})
"""The commands."""

LONGEST_SET_S, LONGEST_TRIAL_S = 86_400.0, 600.0
_SET, _TRIAL = "set:", "test:"  # no alarm's id has a colon
_VALUES = ("on", "off", "auto")


class Held(NamedTuple):
    """What follows from an act, or from the end of what it was about: texts of events, and what is to be written."""

    told: tuple[str, ...] = ()
    switches: tuple[Switch, ...] = ()


class _Hold(NamedTuple):
    words: str
    note: Note
    outputs: tuple[OutputPoint, ...]
    until: float  # monotonic
    trial: str = ""  # the response


class Holding:
    """What people hold in this run. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic s)."""

    def __init__(
        self, outputs: Outputs, known: Iterable[OutputPoint], responses: Mapping[str, Response], boot: str
    ) -> None:
        self._outputs = outputs
        self._known = {f"{output.device}.{output.point}": output for output in known}
        self._responses = responses
        self._boot = boot
        self._holds: dict[str, _Hold] = {}

    @property
    def wake(self) -> float:
        """When (monotonic) the next of them ends."""
        return min((hold.until for hold in self._holds.values()), default=inf)

    def act(self, command: Command, now: Moment) -> Held | str:
        """What follows, or why it is refused."""
        reason = command.args.get("reason", "")
        if not isinstance(reason, str) or len(reason) > MAX_REASON or not reason.isprintable():
            return f"reason must be at most {MAX_REASON} printable characters"
        note = Note(command.issuer, reason)
        return self._set(command.args, note, now) if command.name == SET_OUTPUT else self._try(command.args, note, now)

    def _set(self, args: Mapping[str, Json], note: Note, now: Moment) -> Held | str:
        if not note.why.strip():
            return "set_output needs a reason"
        found, value = self._found(args.get("output")), args.get("value")
        if isinstance(found, str):
            return found
        if value not in _VALUES:
            return "set_output needs value: on, off, or auto to leave it to the alarms again"
        name = f"{found.device}.{found.point}"
        if value == "auto":
            return self._let_go(_SET + name, now) if _SET + name in self._holds else f"nobody has set {name}"
        for_s = _seconds(args.get("for_s"), LONGEST_SET_S)
        if for_s is None:
            return f"set_output needs for_s, for how many seconds, {LONGEST_SET_S:g} at most"
        holder = self._outputs.holder(found, now.mono)
        if holder is not None and holder.rank == RANKS[Priority.HIGH] and holder.way.value != value:
            return f"the high alarm {holder.words} wants it {holder.way.value}"
        return self._take_set(Kept(note, name, str(value), now.mono + for_s), now)

    def _take_set(self, kept: Kept, now: Moment) -> Held:
        output, owner = self._known[kept.output], _SET + kept.output
        hold = _Hold(f"set by {kept.note.by}: {kept.note.why}", kept.note, (output,), kept.until)
        self._outputs.store(PREFIX + owner, kept_text(kept, self._boot, now))
        return self._take(owner, hold, {output: Claim(hold.words, Way(kept.value), PERSON, now.mono)}, now)

    def _try(self, args: Mapping[str, Json], note: Note, now: Moment) -> Held | str:
        name = args.get("response")
        response = self._responses.get(name) if isinstance(name, str) else None
        if response is None:
            return f"there is no response {str(name)[:70]!r}; there are: {', '.join(self._responses) or 'none'}"
        if not response.outputs:
            return f"the response {response.id} switches nothing"
        for_s = _seconds(args.get("for_s"), LONGEST_TRIAL_S)
        if for_s is None:
            return f"test_response needs for_s, for how many seconds, {LONGEST_TRIAL_S:g} at most"
        owner, words = _TRIAL + response.id, f"test of {response.id} by {note.by}"
        hold = _Hold(words, note, tuple(response.outputs), now.mono + for_s, response.id)
        claims = {output: Claim(words, way, TRIAL, now.mono) for output, way in response.outputs.items()}
        kept = Kept(note, "", "", hold.until)
        self._outputs.store(PREFIX + owner, kept_text(kept, self._boot, now))
        return self._take(owner, hold, claims, now)

    def _take(self, owner: str, hold: _Hold, claims: Mapping[OutputPoint, Claim], now: Moment) -> Held:
        self._holds[owner] = hold
        until_ts = now.ts + round((hold.until - now.mono) * 1000)
        told = tuple(
            records.held(output.device, output.point, claim.way.value, hold.note, hold.trial, until_ts)
            for output, claim in claims.items()
        )
        return Held(told, tuple(self._outputs.claim(owner, claims, now.mono)))

    def elapse(self, now: Moment) -> Held:
        """What follows because the time of some is over."""
        over = [owner for owner, hold in self._holds.items() if hold.until <= now.mono]
        return _both([self._let_go(owner, now) for owner in over])

    def _let_go(self, owner: str, now: Moment) -> Held:
        hold = self._holds.pop(owner)
        self._outputs.store(PREFIX + owner, None)
        told = tuple(records.let_go(output.device, output.point, hold.note, hold.trial) for output in hold.outputs)
        return Held(told, tuple(self._outputs.release(owner, now.mono)))

    def change(self, known: Iterable[OutputPoint], responses: Mapping[str, Response], now: Moment) -> Held:
        """What follows from other outputs and responses: what people hold goes on where it is as it was."""
        before, self._responses = self._responses, responses
        self._known = {f"{output.device}.{output.point}": output for output in known}
        there = set(self._known.values())
        over = [
            owner
            for owner, hold in self._holds.items()
            if not there.issuperset(hold.outputs)
            or (hold.trial and _outputs_of(responses, hold.trial) != _outputs_of(before, hold.trial))
        ]
        return _both([self._let_go(owner, now) for owner in over])

    def restore(self, stored: Mapping[str, str], now: Moment) -> Held:
        """What the run before held: what was set goes on, where there is time left; a trial has ended with that run."""
        done = []
        for key, text in stored.items():
            owner = key.removeprefix(PREFIX)
            if key.startswith(PREFIX) and ":" in owner and owner not in self._holds:
                done.append(self._resume(owner, kept_of(text, self._boot, LONGEST_SET_S, now), now))
        return _both(done)

    def _resume(self, owner: str, kept: Kept | None, now: Moment) -> Held:
        if kept is not None and kept.output in self._known and kept.until > now.mono:
            return self._take_set(kept, now)
        self._outputs.store(PREFIX + owner, None)
        if kept is None:
            return Held()
        trial = owner.removeprefix(_TRIAL) if owner.startswith(_TRIAL) else ""
        tried = self._responses[trial].outputs if trial in self._responses else ()
        about = tried if trial else [self._known[kept.output]] if kept.output in self._known else []
        return Held(tuple(records.let_go(it.device, it.point, kept.note, trial) for it in about))

    def _found(self, written: Json | None) -> OutputPoint | str:
        """The output that is meant, or why none is."""
        if not isinstance(written, str):
            return "set_output needs output, as device or device.point"
        if written in self._known:
            return self._known[written]
        of_device = [output for output in self._known.values() if output.device == written]
        if len(of_device) == 1:
            return of_device[0]
        names = [name for name, output in self._known.items() if output in of_device] or list(self._known)
        which = "several outputs" if of_device else "no such output"
        return f"{written[:70]} is {which}; there are: {', '.join(names) or 'none'}"


def _outputs_of(responses: Mapping[str, Response], name: str) -> Mapping[OutputPoint, Way] | None:
    return responses[name].outputs if name in responses else None


def _both(held: Iterable[Held]) -> Held:
    told: list[str] = []
    switches: list[Switch] = []
    for each in held:
        told += each.told
        switches += each.switches
    return Held(tuple(told), tuple(switches))


def _seconds(given: Json | None, most_s: float) -> float | None:
    """A number of seconds that is possible; None for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if 0 < given <= most_s else None
