"""The gateway's own alarms: what is wrong with the gateway itself rather than with what it watches. Pure.

- An own alarm has neither rule nor point. Its id is `what@where` without a dot, which no rule can make: those ids are
  `rule` and `rule@device.point`.
- Priority and words come with the trouble, and are stored with the alarm's state. A trouble that becomes another one
  (it is more urgent, or about another certificate) raises the alarm again: it waits for a new acknowledgement.
- Dates are judged when a certificate is read and every minute, and not at all while the clock is unsynced: a clock that
  is wrong would raise alarms about good certificates and end those about bad ones. What stands then stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.config.schema import Uplink
from gateway.model import Certificate, CertificatesRead, JournalFailed, Moment, Priority, RoomDied, Trust, UplinkHealth

JOURNAL_FAILED, JOURNAL_DAMAGED = "journal-failed@gateway", "journal-damaged@gateway"
ROOM_DIED = "room-died@gateway"
OF_GATEWAY = (JOURNAL_FAILED, JOURNAL_DAMAGED, ROOM_DIED)

_DAY_MS = 86_400_000
URGENCY = ((1 * _DAY_MS, Priority.HIGH), (7 * _DAY_MS, Priority.MEDIUM), (30 * _DAY_MS, Priority.LOW))
"""Milliseconds that a certificate is still valid, and how urgent that is."""

_CERTIFICATES = {
    "own": ("this gateway's certificate", "Renew it and replace cert_file and key_file; no restart is needed"),
    "ca": (
        "a CA certificate",
        "Add the new one to ca_file; if this one signs nothing any more, take it out. No restart is needed",
    ),
    "broker": ("the broker's certificate", "Have it renewed by whoever runs the broker"),
}
"""By role: which it is, and what to do before it expires."""


class Trouble(NamedTuple):
    """What is wrong, how urgent it is, and what people should do."""

    priority: Priority
    text: str
    say: str


Troubles = Mapping[str, Trouble | None]
"""By alarm; None: all is well."""


def alarms_of(uplink: str, options: Uplink) -> tuple[str, ...]:
    """The ids of the alarms that an uplink may have, by what it is configured to do."""
    refused = messages_refused(uplink)
    if not any(url.startswith(("mqtts:", "wss:")) for url in options.url):
        return (refused,)
    used = {"own": bool(options.cert_file), "ca": bool(options.ca_file), "broker": True}
    return (refused, *(_expiry(which, uplink) for which in _CERTIFICATES if used[which]), _files(uplink))


def messages_refused(uplink: str) -> str:
    """The alarm on messages that an uplink's broker does not take."""
    return f"messages-refused@{uplink}"


def refusals(uplinks: Iterable[UplinkHealth]) -> dict[str, Trouble | None]:
    """What the brokers refuse for good, by alarm. Of one that is not connected nothing is known."""
    return {messages_refused(uplink.uplink): _refusal(uplink) for uplink in uplinks if uplink.version}


def _refusal(uplink: UplinkHealth) -> Trouble | None:
    if not uplink.refused:
        return None
    text = f"the broker refuses messages, which are kept: {', '.join(uplink.refused)}"
    return Trouble(
        Priority.HIGH, text, "Check the access list and the limits of the broker (README: a broker of your own)"
    )


def room_died(fact: RoomDied) -> Trouble:
    """A part of the gateway ended by an error of ours. It runs again, but someone has to see it."""
    again = "" if fact.times == 1 else f" for the {fact.times}. time"
    text = f"a part of the gateway ({fact.room}) failed and was started again{again}: {fact.what}"
    return Trouble(Priority.MEDIUM, text, "Please report it, with the log (journalctl -u sitewarden)")


def journal_failed(fact: JournalFailed) -> Troubles:
    """The disk does not take records."""
    text = f"the disk does not take records, they wait in memory: {fact.what}"
    return {JOURNAL_FAILED: Trouble(Priority.HIGH, text, fact.hint)}


def journal_works() -> Troubles:
    """The disk takes records."""
    return {JOURNAL_FAILED: None}


def journal_damaged(aside: str) -> Trouble:
    """A damaged file was found. That is over with the new one, but someone has to see it."""
    text = f"the journal was damaged: it is kept as {aside}, and what could be read of it was taken over"
    return Trouble(
        Priority.MEDIUM, text, "Look for gaps (sitewarden journal gaps), and whether the SD card or disk fails (dmesg)"
    )


class Certificates:
    """The certificates of all uplinks, as they were last read. Owned by the hub alone."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], Certificate] = {}
        self._unusable: dict[str, Trouble | None] = {}

    def read(self, fact: CertificatesRead) -> None:
        """Note what an uplink has read; a certificate that it does not name is as it was."""
        for certificate in fact.certificates:
            self._read[fact.uplink, certificate.which] = certificate
        text = f"the new certificate files cannot be used, the old ones still are: {fact.unusable}"
        trouble = Trouble(Priority.MEDIUM, text, fact.hint)
        self._unusable[_files(fact.uplink)] = trouble if fact.unusable else None

    def keep(self, uplinks: Collection[str]) -> None:
        """There are these uplinks and no others."""
        self._read = {key: certificate for key, certificate in self._read.items() if key[0] in uplinks}
        files = {_files(uplink) for uplink in uplinks}
        self._unusable = {alarm: trouble for alarm, trouble in self._unusable.items() if alarm in files}

    @property
    def all(self) -> tuple[Certificate, ...]:
        """Every certificate."""
        return tuple(self._read.values())

    def judged(self, now: Moment) -> dict[str, Trouble | None]:
        """What is wrong with them now, by alarm; None where nothing is."""
        return self._unusable | dict(self._expiries(now))

    def _expiries(self, now: Moment) -> Iterator[tuple[str, Trouble | None]]:
        if now.trust is Trust.UNSYNCED:
            return
        for (uplink, which), certificate in self._read.items():
            left_ms = certificate.until - now.ts
            priority = next((urgency for ms, urgency in URGENCY if left_ms <= ms), None)
            trouble = None if priority is None else Trouble(priority, *_words(certificate))
            yield _expiry(which, uplink), trouble


def _words(certificate: Certificate) -> tuple[str, str]:
    what, say = _CERTIFICATES[certificate.which]
    until = datetime.fromtimestamp(certificate.until / 1000, UTC)
    return f"{what} ({certificate.name}) is valid until {until:%Y-%m-%d %H:%M} UTC", say


def _expiry(which: str, uplink: str) -> str:
    return f"{which}-certificate@{uplink}"


def _files(uplink: str) -> str:
    return f"certificate-files@{uplink}"
