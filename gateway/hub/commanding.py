"""What people and platforms ask for, as commands: each done once, answered, and recorded.

- A repetition is answered and not done again (answered.py).
- What changes something is in force at once, stored with its id in one decision, and answered when that is on the disk
  (owed.py). What takes longer is answered when it is known what became of it (writes.py, reads.py,
  reloads.py).
- A signed one is taken once: its counter is stored with what it leads to, done or refused (counters.py).
- What comes too often is refused (limits.py). So that refusals do not flood the journal, the first of a kind are told
  one by one, and the others counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway import records
from gateway.hub.acts import ACTS, LOOKS, SILENCE, fits
from gateway.hub.alarming import Alarming
from gateway.hub.answered import ANOTHER, AnsweredCommands, is_new
from gateway.hub.counters import Counters
from gateway.hub.detectors import ABOUT_DETECTORS
from gateway.hub.holding import HOLDS, SET_OUTPUT
from gateway.hub.limits import Limits, Told
from gateway.hub.numbering import Numbering
from gateway.hub.owed import Owed
from gateway.hub.plan import Plan, Reconfigured
from gateway.hub.points import Points
from gateway.hub.reads import READ_NOW, Reads
from gateway.hub.recheck import RESET, recheck
from gateway.hub.reloads import RELOAD, Reloads
from gateway.hub.writes import NOT_READY, WRITE_POINT, SettingPoint, Writes
from gateway.model import (
    NEED_SIGNATURE,
    Adjusted,
    Answered,
    Command,
    Decision,
    Moment,
    Reading,
    ReloadRefused,
    Reply,
    Row,
    SoonRead,
    Trust,
    TurnedAway,
)
from gateway.records import MAX_REASON

NOT_CHECKED = "its expiry was not checked: this gateway's clock is not set"
_ANSWERED_LATER = (WRITE_POINT, RELOAD, READ_NOW)


class Commanding:
    """The commands of one run. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic)."""

    def __init__(
        self,
        plan: Plan,
        numbering: Numbering,
        points: Points,
        alarming: Alarming,
        derived: Callable[[Command, Moment], Decision | str],
        of_detectors: Callable[[Command, Moment], Decision | str],
    ) -> None:
        self._numbering = numbering
        self._alarming = alarming
        self._derived = derived
        self._of_detectors = of_detectors
        self._points = points
        self._of_derived = _of_derived(plan)
        self._commands = AnsweredCommands()
        self._owed = Owed(plan.run)
        self._limits = Limits()
        self._counters = Counters()
        self._refusals = Told()
        self._reads = Reads(plan.about.devices, numbering)
        self._reloads = Reloads(numbering, self._commands)
        self._writes = Writes(plan.settings, _switched(plan), plan.run, numbering, self._commands, points)

    @property
    def wake(self) -> float:
        """When (monotonic) `elapse` may lead to something."""
        return min(self._writes.wake, self._owed.wake, self._reads.wake)

    @property
    def awaits_stored(self) -> bool:
        """Whether somebody waits until the disk has taken a request; may be read by any thread."""
        return self._writes.awaits_stored or self._owed.waits

    @property
    def untold(self) -> int:
        """Refusals that are on no record."""
        return self._refusals.count

    def take(self, command: Command, now: Moment) -> Decision:
        """What a command leads to."""
        if self._commands.clashes(command):
            return self._refused(command, ANOTHER, "another", now)
        if self._writes.joined(command) or self._reloads.joined(command) or self._reads.joined(command):
            return Decision()
        owed = self._owed.again(command)
        known = self._commands.answered(command)
        if owed is not None or known is not None:  # a platform repeats what it had no answer to
            decision = self._told(command, Reply(command.id, "repeated", ""), "repeated", now)
            return decision._replace(replies=((command.answer, known),) if owed is None and known else owed or ())
        if command.signed is not None and not self._counters.known and _waits_for_counters(command, now):
            return self._refused(command, NOT_READY, "refused", now)
        used_up = self._counters.refusal(command)
        too_soon = "" if used_up else self._limits.refusal(command, now.mono)
        if used_up or too_soon:
            return self._refused(command, used_up or too_soon, "signature" if used_up else "rate", now)
        decision = self._taken(command, now)
        return decision._replace(state=decision.state + self._counters.take(command))

    def _taken(self, command: Command, now: Moment) -> Decision:
        """What one leads to that is neither known nor too soon."""
        doubt = NOT_CHECKED if command.expires is not None and now.trust is Trust.UNSYNCED else ""
        decision, refusal = self._act(command, doubt, now)
        if refusal:
            return self._refused(command, refusal, "refused", now)
        if command.name in _ANSWERED_LATER:
            return decision  # answered when it is known what became of it
        return decision.then(self._done(command, doubt, now))

    def _done(self, command: Command, doubt: str, now: Moment) -> Decision:
        """Its event and its answer, which waits for the disk where something has changed."""
        changes = command.name not in LOOKS
        reply = Reply(command.id, "done", doubt if changes else str(command.args.get("of", "")))
        event = self._numbering.event(records.command(command, reply), now)
        if not changes:
            return Decision((event,), replies=((command.answer, reply),))
        self._owed.owe(command, reply, event.seq, now)
        return Decision((event,), tuple(self._commands.remember(command, reply, now)))

    def _refused(self, command: Command, why: str, kind: str, now: Moment) -> Decision:
        """Nothing is done: it is answered at once, and told unless such refusals are too many to be told one by one."""
        reply = Reply(command.id, "refused", why)
        decision = self._told(command, reply, kind, now)
        lasting = kind == "refused" and why != NOT_READY and bool(decision.records)
        state = tuple(self._commands.remember(command, reply, now)) if lasting else ()
        return decision._replace(state=state, replies=((command.answer, reply),))

    def _told(self, asked: Command | TurnedAway, reply: Reply, kind: str, now: Moment) -> Decision:
        untold = self._refusals.worth(asked.source, kind, now.mono)
        if untold is None:
            return Decision()
        return Decision((self._numbering.event(records.command(asked, reply, untold), now),))

    def turned_away(self, fact: TurnedAway, now: Moment) -> Decision:
        """An uplink has refused one by itself."""
        return self._told(fact, Reply(fact.id, "refused", fact.why), fact.kind, now)

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
        if command.name == READ_NOW:
            asked = self._reads.request(command, now)
            return (Decision(), asked) if isinstance(asked, str) else (asked, "")
        if command.name in LOOKS and command.source == "local":
            return Decision(), ""
        known = (*ACTS, SILENCE, *sorted(HOLDS | ABOUT_DETECTORS), *_ANSWERED_LATER, *sorted(self._of_derived))
        if command.name not in known:
            return Decision(), f"unknown command {command.name!r}; known: {', '.join(known)}"
        return self._about_site(command, now)

    def _about_site(self, command: Command, now: Moment) -> tuple[Decision, str]:
        """What a command about derived points, detectors, alarms or outputs leads to, or why it is refused."""
        if command.name in self._of_derived or command.name in ABOUT_DETECTORS:
            about = self._of_detectors if command.name in ABOUT_DETECTORS else self._about_derived
            followed = about(command, now)
            return (Decision(), followed) if isinstance(followed, str) else (followed, "")
        if command.name == RESET:
            refused = recheck(command, self._alarming.inputs(command.args.get("alarm")), self._points, now)
            if refused:
                return Decision(), refused
        return self._alarming.act(command, now)

    def _about_derived(self, command: Command, now: Moment) -> Decision | str:
        """What a command about derived points leads to: it names a device, or the zone of one, and says why."""
        reason, zone = command.args.get("reason"), command.args.get("zone")
        if not isinstance(reason, str) or not reason.strip() or not fits(reason):
            return f"{command.name} needs a reason, of at most {MAX_REASON} printable characters"
        takers = self._of_derived[command.name]
        if "device" not in command.args and isinstance(zone, str):
            found = [device for device, at in takers.items() if zone in {device, at}]
            if len(found) != 1:
                which = "several devices take" if found else "no device takes"
                known = ", ".join(found or sorted(set(takers.values())))
                return f"in the zone {zone[:70]} {which} {command.name}; there are: {known or 'none'}"
            command = command._replace(args={**command.args, "device": found[0]})
        return self._derived(command, now)

    def answered(self, fact: Answered, now: Moment) -> Decision:
        """An uplink has answered one by itself, which is on record all the same."""
        if fact.reply.result == "refused":
            return self._told(fact.command, fact.reply, "refused", now)
        return Decision((self._numbering.event(records.command(fact.command, fact.reply), now),))

    def adjusted(self, fact: Adjusted, now: Moment) -> Decision:
        """A link has told what became of a write to a setting."""
        return self._writes.adjusted(fact, now)

    def read(self, fact: SoonRead, reading: Reading | None, now: Moment) -> Decision:
        """A link has asked a device, which said `reading`, as it is recorded."""
        return self._reads.done(fact, reading, now)

    def reload_refused(self, fact: ReloadRefused, now: Moment) -> Decision:
        """The configuration that was asked for cannot be had."""
        return self._reloads.refused(fact, now)

    def reloaded(self, fact: Reconfigured, before: str, now: Moment) -> Decision:
        """It is in use in place of the one with the hash `before`."""
        self._of_derived = _of_derived(fact.plan)
        self._reads.change(fact.plan.about.devices)
        self._writes.change(fact.plan.settings, _switched(fact.plan))
        return self._reloads.done(fact, before, now)

    def stored(self, rows: tuple[Row, ...], now: Moment) -> Decision:
        """These rows are on the disk."""
        if not self.awaits_stored:
            return Decision()
        return Decision(writes=self._writes.stored(rows, now), replies=self._owed.stored(rows))

    def unstored(self, rows: tuple[Row, ...], now: Moment) -> Decision:
        """The disk does not take these rows."""
        return self._writes.unstored(rows, now).then(Decision(replies=self._owed.unstored(rows)))

    def elapse(self, now: Moment) -> Decision:
        """What follows from the passing of time alone."""
        decision = self._writes.elapse(now).then(self._reads.elapse(now))
        return decision.then(Decision(replies=self._owed.elapse(now)))

    def stop(self) -> Decision:
        """The run ends: who still waits for the disk is answered without it."""
        return Decision(replies=self._owed.end())

    def restore(self, stored: Mapping[str, str], now: Moment) -> Decision:
        """The journal has told what was asked for in the run before."""
        state = (*self._commands.restore(stored, now), *self._counters.restore(stored))
        return Decision(state=state).then(self._writes.recovered(stored, now))


def _waits_for_counters(command: Command, now: Moment) -> bool:
    """Whether it has to be known first what was taken; a siren goes on where the clock says that this is new."""
    is_siren = command.name == SET_OUTPUT and command.args.get("value") == "on"
    return command.name in NEED_SIGNATURE and not (is_siren and is_new(command, now))


def _switched(plan: Plan) -> set[SettingPoint]:
    return {SettingPoint(output.device, output.point) for output in plan.outputs}


def _of_derived(plan: Plan) -> dict[str, dict[str, str]]:
    """The commands that derived points take here: by name the devices that take it, each with its zone."""
    zones = {it.device: it.zone for it in plan.about.devices}
    found: dict[str, dict[str, str]] = {}
    for device, derivation in plan.derivations.items():
        for name in derivation.commands:
            found.setdefault(name, {})[device] = zones.get(device, "")
    return found
