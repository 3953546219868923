"""What is known of the gateway's rooms, gathered for the health report."""

from __future__ import annotations

from collections.abc import Collection

from gateway.hub.numbering import Numbering
from gateway.model import AlarmLoad, Certificate, HealthReport, JournalHealth, Lane, LinkHealth, Moment, UplinkHealth


class Reporting:
    """The newest word of each room. Owned by the hub alone."""

    def __init__(self, run: str, numbering: Numbering, start: Moment) -> None:
        self._run = run
        self._numbering = numbering
        self._start = start
        self._links: dict[str, LinkHealth] = {}
        self._uplinks: dict[str, UplinkHealth] = {}
        self._journal: JournalHealth | None = None

    @property
    def uplinks(self) -> tuple[UplinkHealth, ...]:
        """What each uplink has said last."""
        return tuple(self._uplinks.values())

    def take(self, fact: LinkHealth | JournalHealth | UplinkHealth) -> None:
        """A room says how it is."""
        if isinstance(fact, LinkHealth):
            self._links[fact.link] = fact
        elif isinstance(fact, UplinkHealth):
            self._uplinks[fact.uplink] = fact
        else:
            self._journal = fact

    def keep(self, links: Collection[str], uplinks: Collection[str]) -> None:
        """There are these links and uplinks, and no others."""
        self._links = {link: health for link, health in self._links.items() if link in links}
        self._uplinks = {uplink: health for uplink, health in self._uplinks.items() if uplink in uplinks}

    def report(
        self, readings: int, untold: int, certificates: tuple[Certificate, ...], alarms: AlarmLoad, now: Moment
    ) -> HealthReport:
        """All of it at this moment; `readings`: how many came in this run; `untold`: refusals on no record."""
        numbering = self._numbering
        return HealthReport(
            ts=now.ts,
            trust=now.trust,
            run=self._run,
            uptime_s=round(now.mono - self._start.mono, 3),
            links=tuple(self._links.values()),
            journal=self._journal,
            uplinks=self.uplinks,
            counts={
                "readings": readings,
                "telemetry": numbering.last[Lane.TELEMETRY],
                "events": numbering.last[Lane.EVENT],
                "not_stored": numbering.not_stored,
                "dropped": numbering.dropped,
                "refusals_untold": untold,
            },
            certificates=certificates,
            alarms=alarms,
        )
