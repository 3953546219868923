"""Deciding: one fact at a time, from what happened to everything that follows from it.

- `handle` is synchronous and total: it waits for nothing, does no I/O and knows no thread.
- Whatever changes an alarm, an output or the stored state leaves in the same Decision as its event.
- Only `now` tells the time; every delay runs on its monotonic part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from gateway import records
from gateway.errors import SitewardenError
from gateway.hub.acts import ACTS, LOOKS, done
from gateway.hub.alarms import STATE_PREFIX, Alarms, Changed
from gateway.hub.answered import AnsweredCommands
from gateway.hub.numbering import Numbering
from gateway.hub.outputs import Outputs, Switch
from gateway.hub.own import (
    JOURNAL_DAMAGED,
    JOURNAL_FAILED,
    ROOM_DIED,
    Certificates,
    Troubles,
    journal_damaged,
    journal_failed,
    journal_works,
    refusals,
    room_died,
)
from gateway.hub.plan import Plan
from gateway.hub.points import Points
from gateway.hub.sensorcare import SensorCare
from gateway.hub.timekeeping import Timekeeper, Turned
from gateway.hub.unheard import Unheard
from gateway.hub.writes import NOT_READY, WRITE_POINT, SettingPoint, Writes
from gateway.model import (
    Adjusted,
    AlarmsKnown,
    AlarmView,
    Answer,
    Answered,
    CertificatesRead,
    Command,
    Decision,
    DeviceBack,
    DeviceLost,
    Dropped,
    Fact,
    HealthReport,
    JournalFailed,
    JournalHealth,
    JournalRestored,
    JournalSetAside,
    Lane,
    LinkBack,
    LinkHealth,
    LinkLost,
    Moment,
    Notice,
    PollWanted,
    Question,
    Reading,
    Record,
    Recovered,
    Reply,
    RoomDied,
    StateChange,
    Status,
    StatusQuery,
    Stopping,
    Stored,
    Tick,
    TimeKnown,
    TimePassed,
    Trust,
    Unstored,
    UplinkDown,
    UplinkHealth,
    UplinkUp,
    Write,
)
from gateway.refine.exception import Reporter
from gateway.refine.quality import Quality
from gateway.rules.lifecycle import Change

HEALTH_EVERY_S = 60.0
FIRST_HEALTH_S = 5.0
RECOVERY_WAIT_S = 5.0  # how long the hub waits for the journal before it says that it starts without

NOT_CHECKED = "its expiry was not checked: this gateway's clock is not set"


class Hub:
    """All decisions of one run. Only one thread may call `handle`; a Tick is due at `wake` (monotonic)."""

    def __init__(self, plan: Plan, now: Moment) -> None:
        self._plan = plan
        self._start = now
        self._numbering = Numbering(plan.run, plan.uplinks)
        self._points = Points(plan.about.devices, plan.every_s)
        self._alarms = Alarms(plan.rules, plan.responses, now, plan.own, plan.boot)
        self._certificates = Certificates()
        self._unheard = Unheard(plan.watched, now.mono)
        self._quality = {device: Quality(checks) for device, checks in plan.checks.items()}
        self._care = SensorCare(plan.about.devices, plan.stuck_after_s)
        self._outputs = Outputs(plan.outputs)
        self._reporters = {device: Reporter(limits, plan.every_s[device]) for device, limits in plan.limits.items()}
        self.started = False  # whether the run's first event has been made
        self._links: dict[str, LinkHealth] = {}
        self._uplinks: dict[str, UplinkHealth] = {}
        self._journal: JournalHealth | None = None
        self._commands = AnsweredCommands()
        outputs = {SettingPoint(output.device, output.point) for output in plan.outputs}
        self._writes = Writes(plan.settings, outputs, plan.run, self._numbering, self._commands, self._points)
        self._health_due = now.mono + FIRST_HEALTH_S
        self._time = Timekeeper(plan.run, plan.boot, now)
        self._readings = 0
        self._handlers: dict[type, Callable[[Any, Moment], Decision]] = {
            Reading: self._reading,
            Tick: self._tick,
            Stored: self._stored,
            Unstored: self._unstored,
            Command: self._command,
            Adjusted: self._writes.adjusted,
            Answered: self._answered,
            StatusQuery: self._status_query,
            Question: self._question,
            Recovered: self._recovered,
            LinkBack: self._link_back,
            Stopping: self._stopping,
            LinkHealth: self._health,
            JournalHealth: self._health,
            UplinkHealth: self._health,
            LinkLost: self._link_lost,
            DeviceLost: self._gateway_fact,
            DeviceBack: self._gateway_fact,
            UplinkUp: self._gateway_fact,
            UplinkDown: self._gateway_fact,
            JournalFailed: self._journal_failed,
            JournalRestored: self._journal_restored,
            JournalSetAside: self._journal_set_aside,
            CertificatesRead: self._certificates_read,
            Dropped: self._gateway_fact,
            RoomDied: self._room_died,
            TimeKnown: self._time_known,
        }
        self.wake = now.mono

    @property
    def not_stored(self) -> int:
        """Records that the journal has not confirmed; may be read by any thread."""
        return self._numbering.not_stored

    @property
    def awaits_stored(self) -> bool:
        """Whether somebody waits until the disk has taken a request; may be read by any thread."""
        return self._writes.awaits_stored

    def handle(self, fact: Fact, now: Moment) -> Decision:
        """Everything that follows from `fact` at the moment `now`."""
        turned = self._time.look(now, self._numbering.last)
        if now.trust is not self._time.trust:
            now = now._replace(trust=self._time.trust)
        clock = None if turned is None else self._clock_turned(turned, now)
        decision = self._handlers[type(fact)](fact, now)
        if clock is not None:
            decision = _joined(clock, decision)
        if decision.records and now.mono >= self._time.save_at:
            decision = decision._replace(state=decision.state + self._time.save(now))
        wakes = (self._alarms, self._outputs, self._unheard, self._writes)
        self.wake = min(self._health_due, *(each.wake for each in wakes))
        if not self.started:
            self.wake = min(self.wake, self._start.mono + RECOVERY_WAIT_S)
        return decision

    # -- readings and time

    def _reading(self, reading: Reading, now: Moment) -> Decision:
        self._readings += 1
        quality = self._quality.get(reading.device)
        if quality is not None:
            reading = quality.refined(reading)
        watch = self._care.watches.get(reading.device)
        if watch is not None:
            watch.take(reading)
        self._points.take(reading)
        made: list[Record] = []
        reporter = self._reporters.get(reading.device)
        changes = self._alarms.take(reading)
        self._urge(changes)
        if reporter is not None:
            made += self._numbering.readings(reporter.worth(reading), now)
        for switch in self._outputs.failed(reading):
            made.append(self._output_event(switch, "failed", now))
        if not changes:
            return Decision(tuple(made))
        decision = self._alarm_changes(changes, now)
        return decision._replace(records=(*made, *decision.records))

    def _tick(self, _: Tick, now: Moment) -> Decision:
        changes = tuple(self._alarms.elapse(now))
        self._urge(changes)
        decision = self._alarm_changes(changes, now)
        made = decision.records
        if not self.started and now.mono >= self._start.mono + RECOVERY_WAIT_S:
            made = (self._started_event(Recovered("unknown", None, {}), now), *made)
        writes = (*decision.writes, *self._outputs.due_retries(now.mono))
        decision = _joined(decision._replace(records=made, writes=writes), self._writes.elapse(now))
        if now.mono >= self._unheard.wake:
            decision = _joined(decision, self._own_alarms(self._unheard.look(self._points, now.mono), now))
        if now.mono < self._health_due:
            return decision
        self._health_due = now.mono + HEALTH_EVERY_S
        return _joined(decision, self._minute(now))

    def _minute(self, now: Moment) -> Decision:
        """What is due each minute: a look at dates, at sensors that do not move and at refusals, and the health."""
        troubles = self._certificates.judged(now) | self._care.judged(now) | refusals(self._uplinks.values())
        decision = self._own_alarms(troubles, now) if self.started else Decision()
        return decision._replace(notices=(*decision.notices, self._report(now)))

    # -- the clock

    def _time_known(self, fact: TimeKnown, now: Moment) -> Decision:
        turned = self._time.heard(fact, now, self._numbering.last)
        return Decision() if turned is None else self._clock_turned(turned, now._replace(trust=self._time.trust))

    def _clock_turned(self, turned: Turned, now: Moment) -> Decision:
        """The events of a jump and of what is known by now, the state to store, and what the senders need."""
        made: list[Record] = []
        state = list(turned.state)
        notices: list[Notice] = list(turned.corrections)
        if turned.by_ms:
            made.append(self._numbering.event(records.event("clock_stepped", by_ms=turned.by_ms), now))
        for settled in turned.settled:
            made.append(self._numbering.event(settled.text(self._plan.boot), now))
            for view in self._alarms.corrected(settled.era.has_event, settled.by_ms):
                state.append(self._alarms.numbered(view, now))
                notices.append(view)
        return Decision(tuple(made), tuple(state), notices=tuple(notices))

    # -- alarms and outputs

    def _urge(self, changes: Iterable[Changed]) -> None:
        """The value that an alarm was raised or cleared by is sent; where time alone has done that, the next one."""
        for changed in changes:
            reporter = self._reporters.get(changed.view.device)
            if reporter is not None and changed.change in {Change.RAISED, Change.CLEARED}:
                reporter.urge(changed.view.point)

    def _alarm_changes(self, changes: Iterable[Changed], now: Moment) -> Decision:
        made: list[Record] = []
        state: list[StateChange] = []
        writes: list[Write] = []
        notices: list[Notice] = []
        for changed in changes:
            text = records.alarm(changed.view, changed.change, *changed.note)
            event = self._numbering.event(text, now, (changed.mono, changed.ts))
            since = event.ts if changed.view.since == changed.ts else changed.view.since
            view = replace(changed.view, since=since, seq=event.seq, run=self._plan.run)
            made.append(event)
            state.append(self._alarms.numbered(view, now))
            notices.append(view)
            for switch in self._respond(view, now):
                writes.append(switch.write)
                made.append(self._output_event(switch, "switched", now))
        return Decision(tuple(made), tuple(state), tuple(writes), tuple(notices)) if made else Decision()

    def _own_alarms(self, troubles: Troubles, now: Moment) -> Decision:
        """What this means for the gateway's own alarms."""
        told = (self._alarms.tell(alarm, trouble, now.mono, now.ts) for alarm, trouble in troubles.items())
        return self._alarm_changes((changed for changed in told if changed is not None), now)

    def _respond(self, view: AlarmView, now: Moment) -> list[Switch]:
        response_id = self._alarms.response(view.alarm)
        if response_id is None:
            return []
        return self._outputs.respond(view, self._plan.responses[response_id], now.mono)

    def _output_event(self, switch: Switch, result: str, now: Moment) -> Record:
        return self._numbering.event(records.output(switch.write, result, switch.why), now)

    def _link_lost(self, fact: LinkLost, now: Moment) -> Decision:
        self._unheard.lost(fact, now.mono)
        return self._gateway_fact(fact, now)

    def _link_back(self, fact: LinkBack, now: Moment) -> Decision:
        self._unheard.back(fact, now.mono)
        writes = self._outputs.reopened(fact.link)
        if fact.down_s == 0:
            return Decision(writes=writes)
        return self._gateway_fact(fact, now)._replace(writes=writes)

    # -- the journal

    def _recovered(self, fact: Recovered, now: Moment) -> Decision:
        made = [] if self.started else [self._started_event(fact, now)]
        state: list[StateChange] = []
        notices: list[Notice] = []
        writes: list[Write] = []
        for restored in self._alarms.restore(fact.state, now):
            if isinstance(restored, StateChange):
                state.append(restored)
                alarm = restored.key.removeprefix(STATE_PREFIX)
                if not self._alarms.has(alarm):
                    made.append(self._numbering.event(records.event("alarm_removed", alarm=alarm), now))
                continue
            notices.append(restored)
            for switch in self._respond(restored, now):
                writes.append(switch.write)
                made.append(self._output_event(switch, "switched", now))
        state += self._commands.restore(fact.state)
        decision = Decision(tuple(made), tuple(state), tuple(writes), (*notices, AlarmsKnown()))
        decision = _joined(decision, self._writes.recovered(fact.state, now))
        if any(isinstance(notice, AlarmView) and notice.alarm == JOURNAL_FAILED for notice in notices):
            decision = _joined(decision, self._own_alarms(journal_works(), now))  # what failed was an earlier run's
        if fact.aside:
            decision = _joined(decision, self._journal_set_aside(JournalSetAside(fact.aside), now))
        decision = _joined(decision, self._own_alarms(self._certificates.judged(now), now))
        turned = self._time.recovered(fact.state, now, self._numbering.last)
        if self._time.floor_ts:
            decision = decision._replace(notices=(*decision.notices, TimePassed(self._time.floor_ts)))
        return _joined(decision, self._clock_turned(turned, now._replace(trust=self._time.trust)))

    def _started_event(self, fact: Recovered, now: Moment) -> Record:
        self.started = True
        text = records.started(self._plan.version, self._plan.about.config, fact.fate, fact.previous)
        return self._numbering.started(text, self._start, now)

    def _journal_failed(self, fact: JournalFailed, now: Moment) -> Decision:
        return _joined(self._gateway_fact(fact, now), self._own_alarms(journal_failed(fact), now))

    def _journal_restored(self, fact: JournalRestored, now: Moment) -> Decision:
        return _joined(self._gateway_fact(fact, now), self._own_alarms(journal_works(), now))

    def _journal_set_aside(self, fact: JournalSetAside, now: Moment) -> Decision:
        decision = Decision()
        for trouble in (journal_damaged(fact.aside), None):
            decision = _joined(decision, self._own_alarms({JOURNAL_DAMAGED: trouble}, now))
        return decision

    def _room_died(self, fact: RoomDied, now: Moment) -> Decision:
        decision = self._gateway_fact(fact, now)
        for trouble in (room_died(fact), None):
            decision = _joined(decision, self._own_alarms({ROOM_DIED: trouble}, now))
        return decision

    def _stored(self, fact: Stored, now: Moment) -> Decision:
        self._numbering.stored(len(fact.rows) - fact.told)
        return Decision(writes=self._writes.stored(fact.rows, now)) if self._writes.awaits_stored else Decision()

    def _unstored(self, fact: Unstored, now: Moment) -> Decision:
        self._numbering.stored(len(fact.rows))
        return self._writes.unstored(fact.rows, now)

    # -- people and platforms

    def _command(self, command: Command, now: Moment) -> Decision:
        if self._writes.joined(command):
            return Decision()
        known = self._commands.answered(command)
        if known is not None:  # a platform repeats what it had no answer to
            return Decision(replies=((command.answer, known),))
        doubt = NOT_CHECKED if command.expires is not None and now.trust is Trust.UNSYNCED else ""
        decision, refusal = self._act(command, doubt, now)
        if command.name == WRITE_POINT and not refusal:
            return decision  # answered when it is known what became of it
        about = str(command.args.get("of", "")) if command.name in LOOKS else ""
        reply = Reply(command.id, "refused" if refusal else "done", refusal or doubt or about)
        event = self._numbering.event(records.command(command, reply), now)
        return decision._replace(
            records=(*decision.records, event),
            state=(*decision.state, *(() if refusal is NOT_READY else self._commands.remember(command, reply))),
            replies=((command.answer, reply),),
        )

    def _answered(self, fact: Answered, now: Moment) -> Decision:
        return Decision((self._numbering.event(records.command(fact.command, fact.reply), now),))

    def _act(self, command: Command, doubt: str, now: Moment) -> tuple[Decision, str]:
        """What the command leads to, and why it is refused ("" if it is not)."""
        if command.expires is not None and command.expires < now.ts and now.trust is not Trust.UNSYNCED:
            return Decision(), "expired"
        if command.name == WRITE_POINT:
            requested = self._writes.request(command, doubt, now)
            return (Decision(), requested) if isinstance(requested, str) else (requested, "")
        if command.name in LOOKS and command.source == "local":
            return Decision(), ""
        if command.name not in ACTS:
            return Decision(), f"unknown command {command.name!r}; known: {', '.join((*ACTS, WRITE_POINT))}"
        changed = done(self._alarms, command, now)
        if isinstance(changed, str):
            return Decision(), changed
        return self._alarm_changes((changed,), now), ""

    def _status_query(self, query: StatusQuery, now: Moment) -> Decision:
        query.answer(
            Status(
                about=self._plan.about,
                run=self._plan.run,
                ts=now.ts,
                trust=now.trust,
                uptime_s=now.mono - self._start.mono,
                points=self._points.status(now.mono),
                alarms=self._alarms.standing(),
                outputs=self._outputs.wanted(),
                health=self._report(now),
            )
        )
        return Decision()

    def _question(self, question: Question, _: Moment) -> Decision:
        """Passed on to its link, which a device names."""
        if isinstance(question.wanted, PollWanted):
            name = question.wanted.device
            links = {it.device: it.link for it in self._plan.about.devices}
            if name not in links:
                fault = SitewardenError(f"there is no device {name} here", f"there are: {', '.join(links)}")
                question.answer(Answer(fault=fault))
                return Decision()
            question = question._replace(link=links[name])
        return Decision(questions=(question,))

    # -- the gateway itself

    def _gateway_fact(self, fact: records.GatewayFact, now: Moment) -> Decision:
        return Decision((self._numbering.event(records.gateway_fact(fact), now),))

    def _certificates_read(self, fact: CertificatesRead, now: Moment) -> Decision:
        self._certificates.read(fact)
        return self._own_alarms(self._certificates.judged(now), now) if self.started else Decision()

    def _health(self, fact: LinkHealth | JournalHealth | UplinkHealth, _: Moment) -> Decision:
        if isinstance(fact, LinkHealth):
            self._links[fact.link] = fact
        elif isinstance(fact, UplinkHealth):
            self._uplinks[fact.uplink] = fact
        else:
            self._journal = fact
        return Decision()

    def _report(self, now: Moment) -> HealthReport:
        numbering = self._numbering
        return HealthReport(
            ts=now.ts,
            trust=now.trust,
            run=self._plan.run,
            uptime_s=round(now.mono - self._start.mono, 3),
            links=tuple(self._links.values()),
            journal=self._journal,
            uplinks=tuple(self._uplinks.values()),
            counts={
                "readings": self._readings,
                "telemetry": numbering.last[Lane.TELEMETRY],
                "events": numbering.last[Lane.EVENT],
                "not_stored": numbering.not_stored,
                "dropped": numbering.dropped,
            },
            certificates=self._certificates.all,
        )

    def _stopping(self, fact: Stopping, now: Moment) -> Decision:
        made = [] if self.started else [self._started_event(Recovered("unknown", None, {}), now)]
        made += self._numbering.open_gaps(now)
        text = records.event("stopped", why=fact.why, telemetry=self._numbering.last[Lane.TELEMETRY])
        last = self._numbering.event(text, now)
        return Decision((*made, last), self._time.save(now), notices=(self._report(now),))


def _joined(first: Decision, second: Decision) -> Decision:
    """Both, in this order; with all they lead to."""
    return Decision(
        first.records + second.records,
        first.state + second.state,
        first.writes + second.writes,
        first.notices + second.notices,
        first.replies + second.replies,
        first.questions + second.questions,
    )
