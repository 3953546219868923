"""Settings that are written by command: the request is stored first, then written once, then told what became of it.

- Before anything is sent, request and id are on the disk, with the reply that holds if the gateway stops in between:
  `outcome_unknown`. So a repeated id is answered, and never carried out a second time. Where the disk does not take it
  within STORE_S, nothing is written.
- One write to a setting at a time. One of which nothing is heard for WRITE_S is answered with `outcome_unknown`; what
  is heard of it later is recorded all the same. After BLOCK_S more it is in nobody's way.
- The request and its outcome are events: who, why, what was there before as far as it is known, and what read back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from gateway import records
from gateway.hub.answered import LONGEST_MS, AnsweredCommands, key_of, too_far_ahead
from gateway.hub.numbering import Numbering
from gateway.hub.points import Points
from gateway.model import Adjust, Adjusted, Command, Decision, Lane, Moment, Reply, Row, StateChange, Value

WRITE_POINT = "write_point"
"""The command's name."""

STORE_S = 2.0
"""Seconds that the disk has to take a request; later nothing is written."""

WRITE_S = 30.0
"""Seconds after which a write of which nothing is heard is said to be unknown."""

BLOCK_S = 300.0
"""Seconds for which a setting takes no other write after one whose outcome is unknown."""

NOT_READY = "the journal has not said yet what was asked before; ask again in a few seconds"
TOO_FAR_AHEAD = f"expires must be within {LONGEST_MS // 60_000} minutes from now, for as long an id is remembered"
STOPPED = "the gateway stopped before it was known what became of it"
_NOT_STORED = "the request could not be stored; nothing was written"
_NOT_HEARD = f"nothing was heard of it within {WRITE_S:g} s"
_PREFIX = "write/"
_ARGS = frozenset({"device", "point", "value", "reason"})
_MOST_REASON = 200  # characters
_MOST_VALUE = 1e300  # an integer can be more than any float is


class SettingPoint(NamedTuple):
    """A setting of a device."""

    device: str
    point: str


class Setting(NamedTuple):
    """Where it is, and why it cannot have a value, "" if it can."""

    link: str
    refusal: Callable[[Value], str]


@dataclass(slots=True)
class _Pending:
    """A write that is under way."""

    command: Command
    what: records.Wanted
    link: str
    seq: int  # of the event of its request
    until: float  # monotonic
    doubt: str
    answers: list[Callable[[Reply], None]] = field(default_factory=list)
    sent: bool = False
    blocks_until: float = inf  # monotonic: until then nobody else writes to the setting


class Writes:
    """The writes of one run. Owned and changed by the hub alone."""

    def __init__(
        self,
        settings: Mapping[SettingPoint, Setting],
        outputs: Collection[SettingPoint],
        run: str,
        numbering: Numbering,
        commands: AnsweredCommands,
        points: Points,
    ) -> None:
        self._settings = settings
        self._outputs = outputs
        self._run = run
        self._numbering = numbering
        self._commands = commands
        self._points = points
        self._pending: dict[str, _Pending] = {}
        self._ready = False  # whether it is known what was asked before

    def change(self, settings: Mapping[SettingPoint, Setting], outputs: Collection[SettingPoint]) -> None:
        """Other settings from now on; what is under way ends as it would."""
        self._settings, self._outputs = settings, outputs

    @property
    def awaits_stored(self) -> bool:
        """Whether a request waits for the disk; may be read by any thread."""
        return any(not it.sent for it in tuple(self._pending.values()))

    @property
    def wake(self) -> float:
        """When (monotonic) `elapse` is next worth a call."""
        return min((it.until for it in self._pending.values()), default=inf)

    def joined(self, command: Command) -> bool:
        """Whether this is a repetition of one that is under way; it gets the same answer."""
        pending = self._pending.get(key_of(command))
        if pending is None or pending.until == inf:  # answered already
            return False
        pending.answers.append(command.answer)
        return True

    def request(self, command: Command, doubt: str, now: Moment) -> Decision | str:
        """The decision that stores the request, or why it is refused."""
        if not self._ready:
            return NOT_READY
        if too_far_ahead(command, now):
            return TOO_FAR_AHEAD
        wanted = _wanted(command)
        if isinstance(wanted, str):
            return wanted
        setting = self._settings.get(SettingPoint(wanted.device, wanted.point))
        refusal = self._not_writable(wanted) if setting is None else _refusal(setting, wanted.value)
        if setting is None or refusal:
            return f"{wanted.device}.{wanted.point} = {wanted.value}: {refusal}"
        if any(it.what[:2] == wanted[:2] and now.mono < it.blocks_until for it in self._pending.values()):
            return f"a write to {wanted.device}.{wanted.point} is under way"
        was = self._points.value(wanted.device, wanted.point)
        event = self._numbering.event(records.write(wanted, "requested", was=was, detail=doubt), now)
        key = key_of(command)
        self._pending[key] = _Pending(
            command, wanted, setting.link, event.seq, now.mono + STORE_S, doubt, [command.answer]
        )
        state = StateChange(_PREFIX + key, records.encode(wanted))
        unknown = Reply(command.id, "outcome_unknown", STOPPED)
        return Decision((event,), (state, *self._remember(command, unknown, now)))

    def _remember(self, command: Command, reply: Reply, now: Moment) -> Iterator[StateChange]:
        """Until nobody can ask for it again."""
        until = now.ts + LONGEST_MS if command.expires is None else command.expires
        return self._commands.remember(command, reply, now, until)

    def _not_writable(self, wanted: records.Wanted) -> str:
        where = SettingPoint(wanted.device, wanted.point)
        if where in self._outputs:
            return "an output is switched by responses, or by set_output"
        if not self._points.has(*where):
            return "there is no such point"
        return "it is not among the settings that the configuration of its device names"

    def stored(self, rows: Iterable[Row], now: Moment) -> tuple[Adjust, ...]:
        """What is to be written now that these rows are on the disk."""
        return tuple(self._send(key, it, now) for key, it in self._waiting_for(rows))

    def _send(self, key: str, pending: _Pending, now: Moment) -> Adjust:
        pending.sent, pending.until = True, now.mono + WRITE_S
        return Adjust(pending.link, pending.what.device, pending.what.point, pending.what.value, key)

    def unstored(self, rows: Iterable[Row], now: Moment) -> Decision:
        """The disk does not take these rows."""
        return self._all(self._finish(key, "failed", None, _NOT_STORED, now) for key, _ in self._waiting_for(rows))

    def _waiting_for(self, rows: Iterable[Row]) -> list[tuple[str, _Pending]]:
        waiting = {it.seq: (key, it) for key, it in self._pending.items() if not it.sent}
        if not waiting:
            return []
        seqs = (row.record.seq for row in rows if row.run == self._run and row.record.lane is Lane.EVENT)
        return [waiting[seq] for seq in seqs if seq in waiting]

    def adjusted(self, fact: Adjusted, now: Moment) -> Decision:
        """The link has told what became of it."""
        return self._finish(fact.key, fact.result, fact.back, fact.detail, now)

    def elapse(self, now: Moment) -> Decision:
        """What follows from the time alone."""
        late = [(key, it) for key, it in self._pending.items() if it.until <= now.mono]
        return self._all(
            self._unheard(it, now) if it.sent else self._finish(key, "failed", None, _NOT_STORED, now)
            for key, it in late
        )

    def _unheard(self, pending: _Pending, now: Moment) -> Decision:
        """Answered, but kept: the link may still tell."""
        pending.until, pending.blocks_until = inf, now.mono + BLOCK_S
        decision = self._told(pending, "outcome_unknown", None, _NOT_HEARD, now)
        pending.answers.clear()
        return decision

    def _finish(self, key: str, result: str, back: Value | None, detail: str, now: Moment) -> Decision:
        pending = self._pending.pop(key, None)
        if pending is None:
            return Decision()
        decision = self._told(pending, result, back, detail, now)
        return decision._replace(state=(*decision.state, StateChange(_PREFIX + key, None)))

    def _told(self, pending: _Pending, result: str, back: Value | None, detail: str, now: Moment) -> Decision:
        event = self._numbering.event(records.write(pending.what, result, back=back, detail=detail), now)
        reply = Reply(pending.command.id, result, detail or pending.doubt)
        remembered = tuple(self._remember(pending.command, reply, now))
        return Decision((event,), remembered, replies=tuple((answer, reply) for answer in pending.answers))

    def recovered(self, stored: Mapping[str, str], now: Moment) -> Decision:
        """The journal has told what was under way when the run before ended: nobody knows what became of that."""
        self._ready = True
        return self._all(
            Decision(
                (self._numbering.event(records.write(wanted, "outcome_unknown", detail=STOPPED), now),),
                (StateChange(key, None),),
            )
            for key, wanted in _left(stored)
        )

    @staticmethod
    def _all(decisions: Iterable[Decision]) -> Decision:
        made = tuple(decisions)
        return Decision(
            tuple(it for each in made for it in each.records),
            tuple(it for each in made for it in each.state),
            replies=tuple(it for each in made for it in each.replies),
        )


def _refusal(setting: Setting, value: Value) -> str:
    """What the driver has against `value`; that it failed over it, where it did."""
    try:
        return setting.refusal(value)
    except Exception as error:  # noqa: BLE001 - a driver's bug stays its own: this is the thread that switches the siren
        return f"its driver failed over it: {type(error).__name__}: {error}"[:_MOST_REASON]


def _wanted(command: Command) -> records.Wanted | str:
    """What is asked for, or what is wrong with the arguments."""
    args = command.args
    if args.keys() != _ARGS:
        return "args must be device, point, value and reason, and nothing else"
    device, point, value, reason = args["device"], args["point"], args["value"], args["reason"]
    if not isinstance(device, str) or not isinstance(point, str):
        return "device and point must be their names"
    if not isinstance(value, int | float) or isinstance(value, bool):
        return f"value must be a number, not {str(value)[:50]!r}"
    if not -_MOST_VALUE <= value <= _MOST_VALUE:
        return "value is too big, or no number"
    if not isinstance(reason, str) or not reason.strip() or len(reason) > _MOST_REASON or not reason.isprintable():
        return f"reason must say why, in 1 to {_MOST_REASON} printable characters"
    return records.Wanted(device, point, value, command.id, command.issuer, command.source, reason)


def _left(stored: Mapping[str, str]) -> Iterator[tuple[str, records.Wanted]]:
    for key, text in stored.items():
        if key.startswith(_PREFIX):
            device, point, value, id_, by, source, reason = json.loads(text)
            yield key, records.Wanted(device, point, value, id_, by, source, reason)
