"""What people and platforms ask for, as commands: each done once, answered, and recorded.

A repetition is answered and not done again (answered.py). What takes longer than a decision is answered when it is
known what became of it (writes.py, reloads.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway import records
from gateway.hub.acts import ACTS, LOOKS, SILENCE
from gateway.hub.alarming import Alarming
from gateway.hub.answered import ANOTHER, AnsweredCommands
from gateway.hub.holding import HOLDS
from gateway.hub.numbering import Numbering
from gateway.hub.plan import Plan, Reconfigured
from gateway.hub.points import Points
from gateway.hub.reloads import RELOAD, Reloads
from gateway.hub.writes import NOT_READY, WRITE_POINT, SettingPoint, Writes
from gateway.model import Adjusted, Answered, Command, Decision, Moment, ReloadRefused, Reply, Row, Trust

NOT_CHECKED = "its expiry was not checked: this gateway's clock is not set"
_ANSWERED_LATER = (WRITE_POINT, RELOAD)


class Commanding:
    """The commands of one run. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic)."""

    def __init__(
        self,
        plan: Plan,
        numbering: Numbering,
        points: Points,
        alarming: Alarming,
        derived: Callable[[Command, Moment], Decision | str],
    ) -> None:
        self._numbering = numbering
        self._alarming = alarming
        self._derived = derived
        self._of_derived = _of_derived(plan)
        self._commands = AnsweredCommands()
        self._reloads = Reloads(numbering, self._commands)
        self._writes = Writes(plan.settings, _switched(plan), plan.run, numbering, self._commands, points)

    @property
    def wake(self) -> float:
        """When (monotonic) `elapse` may lead to something."""
        return self._writes.wake

    @property
    def awaits_stored(self) -> bool:
        """Whether somebody waits until the disk has taken a request; may be read by any thread."""
        return self._writes.awaits_stored

    def take(self, command: Command, now: Moment) -> Decision:
        """What a command leads to."""
        if self._commands.clashes(command):
            another = Reply(command.id, "refused", ANOTHER)
            event = self._numbering.event(records.command(command, another), now)
            return Decision((event,), replies=((command.answer, another),))
        if self._writes.joined(command) or self._reloads.joined(command):
            return Decision()
        known = self._commands.answered(command)
        if known is not None:  # a platform repeats what it had no answer to
            return Decision(replies=((command.answer, known),))
        doubt = NOT_CHECKED if command.expires is not None and now.trust is Trust.UNSYNCED else ""
        decision, refusal = self._act(command, doubt, now)
        if command.name in _ANSWERED_LATER and not refusal:
            return decision  # answered when it is known what became of it
        about = str(command.args.get("of", "")) if command.name in LOOKS else ""
        reply = Reply(command.id, "refused" if refusal else "done", refusal or doubt or about)
        event = self._numbering.event(records.command(command, reply), now)
        return decision._replace(
            records=(*decision.records, event),
            state=(*decision.state, *(() if refusal is NOT_READY else self._commands.remember(command, reply, now))),
            replies=((command.answer, reply),),
        )

    def _act(self, command: Command, doubt: str, now: Moment) -> tuple[Decision, str]:
        """What the command leads to, and why it is refused ("" if it is not)."""
        if command.expires is not None and command.expires < now.ts and now.trust is not Trust.UNSYNCED:
            return Decision(), "expired"
        if command.name == WRITE_POINT:
            requested = self._writes.request(command, doubt, now)
            return (Decision(), requested) if isinstance(requested, str) else (requested, "")
        if command.name == RELOAD:
            passed_on = self._reloads.request(command)
            return (Decision(), passed_on) if isinstance(passed_on, str) else (passed_on, "")
        if command.name in LOOKS and command.source == "local":
            return Decision(), ""
        if command.name in self._of_derived:
            followed = self._derived(command, now)
            return (Decision(), followed) if isinstance(followed, str) else (followed, "")
        known = (*ACTS, SILENCE, *sorted(HOLDS), *_ANSWERED_LATER, *sorted(self._of_derived))
        if command.name not in known:
            return Decision(), f"unknown command {command.name!r}; known: {', '.join(known)}"
        return self._alarming.act(command, now)

    def answered(self, fact: Answered, now: Moment) -> Decision:
        """An uplink has answered one by itself, which is on record all the same."""
        return Decision((self._numbering.event(records.command(fact.command, fact.reply), now),))

    def adjusted(self, fact: Adjusted, now: Moment) -> Decision:
        """A link has told what became of a write to a setting."""
        return self._writes.adjusted(fact, now)

    def reload_refused(self, fact: ReloadRefused, now: Moment) -> Decision:
        """The configuration that was asked for cannot be had."""
        return self._reloads.refused(fact, now)

    def reloaded(self, fact: Reconfigured, before: str, now: Moment) -> Decision:
        """It is in use in place of the one with the hash `before`."""
        self._of_derived = _of_derived(fact.plan)
        self._writes.change(fact.plan.settings, _switched(fact.plan))
        return self._reloads.done(fact, before, now)

    def stored(self, rows: tuple[Row, ...], now: Moment) -> Decision:
        """These rows are on the disk."""
        return Decision(writes=self._writes.stored(rows, now)) if self._writes.awaits_stored else Decision()

    def unstored(self, rows: tuple[Row, ...], now: Moment) -> Decision:
        """The disk does not take these rows."""
        return self._writes.unstored(rows, now)

    def elapse(self, now: Moment) -> Decision:
        """What follows from the passing of time alone."""
        return self._writes.elapse(now)

    def restore(self, stored: Mapping[str, str], now: Moment) -> Decision:
        """The journal has told what was asked for in the run before."""
        state = tuple(self._commands.restore(stored, now))
        return Decision(state=state).then(self._writes.recovered(stored, now))


def _switched(plan: Plan) -> set[SettingPoint]:
    return {SettingPoint(output.device, output.point) for output in plan.outputs}


def _of_derived(plan: Plan) -> frozenset[str]:
    """The commands that derived points take here."""
    return frozenset().union(*(each.commands for each in plan.derivations.values()))
