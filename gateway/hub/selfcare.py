"""What the gateway is told of its own rooms: on record as events, and as alarms of its own where people must act."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from gateway import records
from gateway.hub.alarming import Alarming
from gateway.hub.numbering import Numbering
from gateway.hub.own import (
    JOURNAL_DAMAGED,
    JOURNAL_FAILED,
    ROOM_DIED,
    Certificates,
    Trouble,
    journal_damaged,
    journal_failed,
    journal_works,
    refusals,
    room_died,
)
from gateway.model import (
    Certificate,
    CertificatesRead,
    Decision,
    JournalFailed,
    JournalRestored,
    JournalSetAside,
    Moment,
    RoomDied,
    UplinkHealth,
)


class SelfCare:
    """Owned and changed by the hub alone."""

    def __init__(self, numbering: Numbering, alarming: Alarming) -> None:
        self._numbering = numbering
        self._alarming = alarming
        self._certificates = Certificates()

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """All that the uplinks rely on."""
        return self._certificates.all

    def note(self, fact: records.GatewayFact, now: Moment) -> Decision:
        """A fact that is recorded, and no more."""
        return Decision((self._numbering.event(records.gateway_fact(fact), now),))

    def certificates_read(self, fact: CertificatesRead, now: Moment, *, judge: bool) -> Decision:
        """An uplink has read its certificates."""
        self._certificates.read(fact)
        return self._alarming.tell(self._certificates.judged(now), now) if judge else Decision()

    def keep(self, uplinks: Collection[str]) -> None:
        """There are these uplinks and no others."""
        self._certificates.keep(uplinks)

    def judged(self, uplinks: Iterable[UplinkHealth], now: Moment) -> dict[str, Trouble | None]:
        """What is wrong by dates and by what brokers refuse, by alarm; None where nothing is."""
        return self._certificates.judged(now) | refusals(uplinks)

    @property
    def journal_fails(self) -> bool:
        """Whether there is an alarm that the disk takes nothing."""
        return any(view.alarm == JOURNAL_FAILED for view in self._alarming.standing)

    def recovered(self, aside: str, now: Moment, *, failed_before: bool) -> Decision:
        """The journal is open, and the alarms of the run before are merged; whether its journal had failed."""
        decision = Decision()
        if failed_before:
            decision = self._alarming.tell(journal_works(), now)  # what failed was an earlier run's
        if aside:
            decision = decision.then(self.journal_set_aside(JournalSetAside(aside), now))
        return decision.then(self._alarming.tell(self._certificates.judged(now), now))

    def journal_failed(self, fact: JournalFailed, now: Moment) -> Decision:
        """The disk takes nothing."""
        return self.note(fact, now).then(self._alarming.tell(journal_failed(fact), now))

    def journal_restored(self, fact: JournalRestored, now: Moment) -> Decision:
        """The disk takes records again."""
        return self.note(fact, now).then(self._alarming.tell(journal_works(), now))

    def journal_set_aside(self, fact: JournalSetAside, now: Moment) -> Decision:
        """A damaged journal was set aside: an alarm until somebody has seen it."""
        return self._until_seen(JOURNAL_DAMAGED, journal_damaged(fact.aside), now)

    def room_died(self, fact: RoomDied, now: Moment) -> Decision:
        """A room was started again after an error of ours."""
        return self.note(fact, now).then(self._until_seen(ROOM_DIED, room_died(fact), now))

    def _until_seen(self, alarm: str, trouble: Trouble, now: Moment) -> Decision:
        """Raised, and over at once: it waits for its acknowledgement."""
        return self._alarming.tell({alarm: trouble}, now).then(self._alarming.tell({alarm: None}, now))
