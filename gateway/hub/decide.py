"""Deciding: one fact at a time, from what happened to everything that follows from it.

- `handle` is synchronous and total: it waits for nothing, does no I/O and knows no thread.
- Whatever changes an alarm, an output or the stored state leaves in the same Decision as its event.
- Only `now` tells the time; every delay runs on its monotonic part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gateway import records
from gateway.errors import SitewardenError
from gateway.hub.alarming import Alarming
from gateway.hub.commanding import Commanding
from gateway.hub.deriving import Consequence, Deriving
from gateway.hub.detectors import Detectors, Turnover
from gateway.hub.numbering import Numbering
from gateway.hub.plan import Plan, Reconfigured
from gateway.hub.points import Points
from gateway.hub.reporting import Reporting
from gateway.hub.selfcare import SelfCare
from gateway.hub.sensorcare import SensorCare
from gateway.hub.timekeeping import Timekeeper, Turned
from gateway.hub.timesources import TimeSources
from gateway.hub.unheard import Unheard
from gateway.model import (
    Adjusted,
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
    PollWanted,
    Question,
    Reading,
    Record,
    Recovered,
    ReloadRefused,
    RoomDied,
    SoonRead,
    Status,
    StatusQuery,
    Stopping,
    Stored,
    Tick,
    TimeKnown,
    TimePassed,
    TurnedAway,
    Unstored,
    UplinkDown,
    UplinkHealth,
    UplinkUp,
)
from gateway.refine.quality import Quality

HEALTH_EVERY_S = 60.0
FIRST_HEALTH_S = 5.0
RECOVERY_WAIT_S = 5.0  # how long what is told waits for the journal (early.py); outputs wait for nothing


class Hub:
    """All decisions of one run. Only one thread may call `handle`; a Tick is due at `wake` (monotonic)."""

    def __init__(self, plan: Plan, now: Moment) -> None:
        self._plan = plan
        self._start = now
        self._numbering = Numbering(plan.run, plan.uplinks)
        self._points = Points(plan.about.devices, plan.every_s)
        self._detectors = Detectors(plan.about.devices, plan.every_s, plan.boot)
        self._alarming = Alarming(plan, self._numbering, now, self._detectors.is_of_test)
        self._self_care = SelfCare(self._numbering, self._alarming)
        self._unheard = Unheard(plan.watched, now.mono)
        self._quality = {device: Quality(checks) for device, checks in plan.checks.items()}
        self._deriving = Deriving(plan.derivations, plan.sources)
        self._care = SensorCare(plan.about.devices, plan.stuck_after_s, plan.every_s)
        self.started = False  # whether the run's first event has been made
        self._reporting = Reporting(plan.run, self._numbering, now)
        self._commanding = Commanding(
            plan, self._numbering, self._points, self._alarming, self._acted, self._told_of_detectors
        )
        self._health_due = now.mono + FIRST_HEALTH_S
        self._time = Timekeeper(plan.run, plan.boot, now)
        self._time_sources = TimeSources(plan.about.devices)
        self._readings = 0
        self._handlers: dict[type, Callable[[Any, Moment], Decision]] = {
            Reading: self._reading,
            Tick: self._tick,
            Stored: self._stored,
            Unstored: self._unstored,
            Command: self._commanding.take,
            Adjusted: self._commanding.adjusted,
            Answered: self._commanding.answered,
            TurnedAway: self._commanding.turned_away,
            StatusQuery: self._status_query,
            ReloadRefused: self._commanding.reload_refused,
            Reconfigured: self._reconfigured,
            Question: self._question,
            SoonRead: self._read,
            Recovered: self._recovered,
            LinkBack: self._link_back,
            Stopping: self._stopping,
            LinkHealth: self._health,
            JournalHealth: self._health,
            UplinkHealth: self._health,
            LinkLost: self._link_lost,
            DeviceLost: self._self_care.note,
            DeviceBack: self._self_care.note,
            UplinkUp: self._self_care.note,
            UplinkDown: self._self_care.note,
            JournalFailed: self._self_care.journal_failed,
            JournalRestored: self._self_care.journal_restored,
            JournalSetAside: self._self_care.journal_set_aside,
            CertificatesRead: self._certificates_read,
            Dropped: self._self_care.note,
            RoomDied: self._self_care.room_died,
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
        return self._commanding.awaits_stored

    def handle(self, fact: Fact | Reconfigured, now: Moment) -> Decision:
        """Everything that follows from `fact` at the moment `now`."""
        turned = self._time.look(now, self._numbering.last)
        if now.trust is not self._time.trust:
            now = now._replace(trust=self._time.trust)
        clock = None if turned is None else self._clock_turned(turned, now)
        decision = self._handlers[type(fact)](fact, now)
        if clock is not None:
            decision = clock.then(decision)
        if decision.records and now.mono >= self._time.save_at:
            decision = decision._replace(state=decision.state + self._time.save(now))
        wakes = (self._alarming, self._deriving, self._detectors, self._unheard, self._commanding)
        self.wake = min(self._health_due, *(each.wake for each in wakes))
        if not self.started:
            self.wake = min(self.wake, self._start.mono + RECOVERY_WAIT_S)
        return decision

    # -- readings and time

    def _reading(self, reading: Reading, now: Moment) -> Decision:
        known = self._time_sources.told(reading)
        if known is None:
            return self._refined(self._believed(reading), now)
        dated = self._time_known(known, now)
        return dated.then(self._refined(self._believed(reading), now._replace(trust=self._time.trust)))

    def _read(self, fact: SoonRead, now: Moment) -> Decision:
        """A device was asked by command: recorded as usual, and answered with what is recorded."""
        found = fact.answer.found
        if not isinstance(found, Reading):
            return self._commanding.read(fact, None, now)
        reading = self._believed(found)
        decision = self._refined(reading, now)
        if reading.device in self._detectors.devices:
            reading, _ = self._detectors.shown(reading)
        return decision.then(self._commanding.read(fact, reading, now))

    def _believed(self, reading: Reading) -> Reading:
        """With its values calibrated, or bad where they cannot be believed."""
        self._readings += 1
        quality = self._quality.get(reading.device)
        return reading if quality is None else quality.refined(reading)

    def _refined(self, reading: Reading, now: Moment) -> Decision:
        return (
            self._detected(reading, now) if reading.device in self._detectors.devices else self._derived(reading, now)
        )

    def _derived(self, reading: Reading, now: Moment) -> Decision:
        if reading.device in self._deriving.concerned:
            return self._followed(self._deriving.take(reading, now), now)
        return self._judged(reading, now)

    def _detected(self, reading: Reading, now: Moment) -> Decision:
        """What a smoke detector says, as it is shown; what was silenced sounds again with a new signal."""
        shown, begun = self._detectors.shown(reading)
        decision = self._derived(shown, now)
        if not begun:
            return decision
        proofs = tuple(self._numbering.event(text, now) for text in self._detectors.proved(begun))
        for detector in begun:
            if shown.values.get(detector.point) == "alarm":
                decision = decision.then(self._alarming.signalled(detector.zone, now))
        return decision.then(Decision(proofs))

    def _told_of_detectors(self, command: Command, now: Moment) -> Decision | str:
        """What a command about detectors leads to, or why it is refused."""
        before = {view.alarm: view for view in self._alarming.standing}
        turned = self._detectors.act(command, now)
        return turned if isinstance(turned, str) else self._turned(turned, before, now)

    def _turned(self, turned: Turnover, before: Mapping[str, AlarmView], now: Moment) -> Decision:
        """What detectors show from now on, judged; with the events, the state, and the marks of standing alarms."""
        if turned == Turnover():
            return Decision()
        decision = Decision(tuple(self._numbering.event(text, now) for text in turned.told), turned.state)
        for reading in turned.readings:
            decision = decision.then(self._derived(reading, now))
        decision = decision.then(self._alarming.tell(self._detectors.troubles, now))
        return decision.then(self._alarming.marked_anew(before))

    def _followed(self, found: Consequence, now: Moment) -> Decision:
        """Readings with all that was derived from them, judged one after the other; with events and state."""
        decision = Decision(state=found.state)
        for reading in found.readings:
            decision = decision.then(self._judged(reading, now))
        events = tuple(self._numbering.event(text, now) for text in found.events)
        return decision.then(Decision(events)) if events else decision

    def _acted(self, command: Command, now: Moment) -> Decision | str:
        """What a command about derived points leads to, or why it is refused."""
        found = self._deriving.act(command, now)
        return found if isinstance(found, str) else self._followed(found, now)

    def _judged(self, reading: Reading, now: Moment) -> Decision:
        if reading.device in self._detectors.tested:
            reading = reading._replace(test=True)
        watch = self._care.watches.get(reading.device)
        if watch is not None:
            watch.take(reading)
        self._points.take(reading)
        return self._alarming.take(reading, self._points.heard, now)

    def _tick(self, _: Tick, now: Moment) -> Decision:
        decision = Decision()
        if not self.started and now.mono >= self._start.mono + RECOVERY_WAIT_S:
            decision = Decision((self._started_event(Recovered("unknown", None, {}), now),))
            decision = decision.then(self._alarming.go_ahead(now))
            decision = decision.then(self._followed(self._deriving.restore(None, now), now))
        if now.mono >= self._deriving.wake:
            decision = decision.then(self._followed(self._deriving.elapse(now), now))
        if now.mono >= self._detectors.wake:
            before = {view.alarm: view for view in self._alarming.standing}
            decision = decision.then(self._turned(self._detectors.elapse(now), before, now))
        decision = decision.then(self._alarming.elapse(now)).then(self._commanding.elapse(now))
        if now.mono >= self._unheard.wake:
            decision = decision.then(self._alarming.tell(self._unheard.look(self._points, now.mono), now))
        if now.mono < self._health_due:
            return decision
        self._health_due = now.mono + HEALTH_EVERY_S
        return decision.then(self._minute(now))

    def _minute(self, now: Moment) -> Decision:
        """What is due each minute: a look at dates, at sensors that do not move and at refusals, and the health."""
        troubles = self._self_care.judged(self._reporting.uplinks, now) | self._care.judged(now)
        decision = self._alarming.tell(troubles, now) if self.started else Decision()
        return decision._replace(notices=(*decision.notices, self._report(now)))

    # -- the clock

    def _time_known(self, fact: TimeKnown, now: Moment) -> Decision:
        turned = self._time.heard(fact, now, self._numbering.last)
        return Decision() if turned is None else self._clock_turned(turned, now._replace(trust=self._time.trust))

    def _clock_turned(self, turned: Turned, now: Moment) -> Decision:
        """The events of a jump and of what is known by now, the state to store, and what the senders need."""
        decision = Decision(state=tuple(turned.state), notices=tuple(turned.corrections))
        if turned.by_ms:
            stepped = self._numbering.event(records.event("clock_stepped", by_ms=turned.by_ms), now)
            decision = decision.then(Decision((stepped,)))
        for settled in turned.settled:
            event = self._numbering.event(settled.text(self._plan.boot), now)
            decision = decision.then(Decision((event,)))
            decision = decision.then(self._alarming.correct(settled.era.has_event, settled.by_ms, now))
        return decision

    # -- links

    def _link_lost(self, fact: LinkLost, now: Moment) -> Decision:
        self._unheard.lost(fact, now.mono)
        return self._self_care.note(fact, now)

    def _link_back(self, fact: LinkBack, now: Moment) -> Decision:
        self._unheard.back(fact, now.mono)
        decision = self._alarming.reopened(fact.link, now.mono)
        return decision if fact.down_s == 0 else self._self_care.note(fact, now).then(decision)

    # -- the journal

    def _recovered(self, fact: Recovered, now: Moment) -> Decision:
        decision = Decision() if self.started else Decision((self._started_event(fact, now),))
        turned_before = self._detectors.restore(fact.state, now)  # first: what it marks is told of alarms
        fails = self._self_care.journal_fails
        decision = decision.then(self._alarming.restore(fact.state, now))
        failed = self._self_care.journal_fails and not fails
        decision = decision.then(self._turned(turned_before, {}, now))
        decision = decision.then(self._followed(self._deriving.restore(fact.state, now), now))
        decision = decision.then(self._commanding.restore(fact.state, now))
        decision = decision.then(self._self_care.recovered(fact.aside, now, failed_before=failed))
        turned = self._time.recovered(fact.state, now, self._numbering.last)
        if self._time.floor_ts:
            decision = decision._replace(notices=(*decision.notices, TimePassed(self._time.floor_ts)))
        return decision.then(self._clock_turned(turned, now._replace(trust=self._time.trust)))

    def _started_event(self, fact: Recovered, now: Moment) -> Record:
        self.started = True
        text = records.started(self._plan.version, self._plan.about.config, fact.fate, fact.previous)
        return self._numbering.started(text, self._start, now)

    def _stored(self, fact: Stored, now: Moment) -> Decision:
        self._numbering.stored(len(fact.rows) - fact.told)
        return self._commanding.stored(fact.rows, now)

    def _unstored(self, fact: Unstored, now: Moment) -> Decision:
        self._numbering.stored(len(fact.rows))
        return self._commanding.unstored(fact.rows, now)

    # -- people and platforms

    def _reconfigured(self, fact: Reconfigured, now: Moment) -> Decision:
        """Everything that is decided goes on by another configuration, in one decision."""
        before, self._plan = self._plan, fact.plan
        plan, anew = self._plan, fact.anew
        self._points.change(plan.about.devices, plan.every_s, anew)
        self._quality = {
            device: self._quality[device]
            if device not in anew and before.checks.get(device) == checks
            else Quality(checks)
            for device, checks in plan.checks.items()
        }
        self._care.change(plan.about.devices, plan.stuck_after_s, plan.every_s, anew)
        self._time_sources.change(plan.about.devices, anew)
        self._unheard.change(plan.watched, fact.links, anew, now.mono)
        self._reporting.keep(fact.links, plan.uplinks)
        self._self_care.keep(plan.uplinks)
        self._numbering.serve(plan.uplinks)
        decision = self._commanding.reloaded(fact, before.about.config, now)
        detectors = self._detectors.change(plan.about.devices, plan.every_s, now)
        changed = self._alarming.change(plan, anew, now)
        derived = self._deriving.change(plan.derivations, plan.sources, anew, now)
        decision = Decision(notices=(plan.about,)).then(decision).then(changed).then(self._followed(derived, now))
        decision = decision.then(self._turned(detectors, {}, now))
        return decision.then(Decision(notices=self._alarming.briefing(fact.joined, self._time.floor_ts)))

    def _status_query(self, query: StatusQuery, now: Moment) -> Decision:
        query.answer(
            Status(
                about=self._plan.about,
                run=self._plan.run,
                ts=now.ts,
                trust=now.trust,
                uptime_s=now.mono - self._start.mono,
                points=self._points.status(now.mono),
                alarms=self._alarming.standing,
                outputs=self._alarming.outputs,
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
            if not links[name]:
                question.answer(Answer(fault=SitewardenError(f"{name} is made of other devices", "read one of those")))
                return Decision()
            question = question._replace(link=links[name])
        return Decision(questions=(question,))

    # -- the gateway itself

    def _certificates_read(self, fact: CertificatesRead, now: Moment) -> Decision:
        return self._self_care.certificates_read(fact, now, judge=self.started)

    def _health(self, fact: LinkHealth | JournalHealth | UplinkHealth, _: Moment) -> Decision:
        self._reporting.take(fact)
        return Decision()

    def _report(self, now: Moment) -> HealthReport:
        report = self._reporting.report(
            self._readings, self._commanding.untold, self._self_care.certificates, self._alarming.load(now), now
        )
        return replace(report, doubted=self._deriving.doubted)

    def _stopping(self, fact: Stopping, now: Moment) -> Decision:
        made = [] if self.started else [self._started_event(Recovered("unknown", None, {}), now)]
        ahead = self._alarming.stop(now)
        made += (*ahead.records, *self._numbering.open_gaps(now))
        text = records.event("stopped", why=fact.why, telemetry=self._numbering.last[Lane.TELEMETRY])
        last = self._numbering.event(text, now)
        state = (*ahead.state, *self._time.save(now))
        decision = Decision((*made, last), state, notices=(*ahead.notices, self._report(now)))
        return decision.then(self._commanding.stop())
