"""The certificate files of one uplink: read for each connection, and looked at while one stands. On the wire's thread.

- A look is three `stat`s, every LOOK_S, within waits that end anyway. Contents are read only where those differ.
- Whoever renews a certificate writes two files, maybe in place: what has changed is given until the next look.
- New files that can be used (they load, the key belongs to the certificate, which has not expired) are a reason to
  log in again, beside the connection that stands. Others leave it alone, are told once, and are looked at again when
  they change; if the connection ends meanwhile, the next one is made with what could be used last.
- The same with new files that the broker refuses; they are tried again every AGAIN_S, and when it refuses the old ones.
- The broker's certificate shows itself in a handshake only. From BROKER_SOON_S before it expires, a connection is made
  anew once a day, lest a renewed one be taken for expired.
- The hub is told which certificates there are and until when they are valid, whenever that has changed.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway.clock import Clock
from gateway.config import schema
from gateway.model import Certificate, CertificatesRead, Trust
from gateway.uplink import certificates, faults, tls
from gateway.uplink.certificates import Validity
from gateway.uplink.faults import Fault

LOOK_S = 20.0
AGAIN_S = 3600.0
BROKER_SOON_S, BROKER_EVERY_S = 31 * 86_400.0, 86_400.0  # a day before it would be an alarm

FILES_CHANGED = Fault("the certificate files have changed", "Connecting again with the new ones")
BROKER_EXPIRES = Fault("the broker's certificate expires soon", "Connecting again to see whether it has been renewed")

_NOTHING = Fault("", "")
_NEVER = float("inf")

log = logging.getLogger(__name__)


class CertificateFiles:
    """The files of one uplink. `due_at` (monotonic): when to ask for a `renewal`."""

    def __init__(
        self,
        uplink_id: str,
        options: schema.Uplink,
        folder: Path,
        clock: Clock,
        tell_hub: Callable[[CertificatesRead], None],
        look_s: float = LOOK_S,
    ) -> None:
        self._uplink = uplink_id
        self._options = options
        self._folder = folder
        self._clock = clock
        self._tell_hub = tell_hub
        self._look_s = look_s
        self._good: _Good | None = None
        self._seen: tuple[object, ...] = ()
        self._read: tuple[Certificate, ...] = ()
        self._unusable = Fault("", "")
        self._refused: tuple[bytes, ...] = ()
        self._look_at = self._broker_at = self._again_at = _NEVER

    # ------------------------------------------------------------ for a new connection

    def context(self, shown: tls.Shown) -> ssl.SSLContext:
        """The files as they are now, or as they were when they could be used last; OSError if they never could."""
        self._seen = self._marks()
        try:
            loaded = self._load(shown)
        except OSError as error:
            if self._good is None:
                raise
            self._complain(faults.files(error))
            return self._as_before(self._good, shown)
        if self._good is not None and loaded.contents == self._refused:
            return self._as_before(self._good, shown)
        self._take(loaded)
        return loaded.context

    def _as_before(self, good: _Good, shown: tls.Shown) -> ssl.SSLContext:
        tls.watch(good.context, shown)
        shown.files = tls.Files(self._seen, good.contents)
        return good.context

    def _take(self, loaded: _Good) -> None:
        self._good, self._refused, self._again_at = loaded, (), _NEVER
        self._complain(_NOTHING)

    def refused(self, shown: tls.Shown) -> None:
        """A broker would not have us with these files: if it refused newer ones before, they have their turn again."""
        if self._good is not None and shown.files.contents == self._good.contents:
            self._refused = ()

    def in_vain(self, contents: tuple[bytes, ...], fault: Fault, now: float) -> None:
        """A login with these new files failed, while the connection with those before them stands."""
        self._refused = contents
        self._again_at = now + (AGAIN_S if fault.refused else self._look_s)
        self._complain(fault)

    def tell(self, shown: tls.Shown, host: str) -> None:
        """Tell the hub what a connection to `host` uses and shows: of each kind the certificate that expires first."""
        self._keep(shown.files.contents)
        own, cas = own_and_cas(shown.files)
        broker = _validity(shown.certificate)
        read = (
            ("own", own, Path(self._options.cert_file).name),
            ("ca", cas, Path(self._options.ca_file).name),
            ("broker", broker, host),
        )
        self._read = tuple(
            Certificate(self._uplink, which, first.name or otherwise, first.until)
            for which, validities, otherwise in read
            if (first := min(validities, key=lambda one: one.until, default=None)) is not None
        )
        self._say()
        now = self._clock.now()
        self._look_at = now.mono + self._look_s if any(shown.files.marks) else _NEVER
        soon_s = min(((one.until - now.ts) / 1000 - BROKER_SOON_S for one in broker), default=_NEVER)
        self._broker_at = now.mono + max(BROKER_EVERY_S, soon_s)

    def _keep(self, in_use: tuple[bytes, ...]) -> None:
        """A login has succeeded with these."""
        if self._good is not None and in_use and in_use != self._good.contents:
            with suppress(OSError):  # they have changed again
                if (loaded := self._load(tls.Shown())).contents == in_use:
                    self._take(loaded)

    # ------------------------------------------------------------ while it stands

    @property
    def due_at(self) -> float:
        """When (monotonic) there may be a `renewal`."""
        return min(self._look_at, self._broker_at)

    def renewal(self, now: float, shown: tls.Shown) -> Fault | None:
        """Why this connection should be made anew: there are other files, or it is time to see the broker's."""
        if not shown.files.marks:  # it does without TLS
            self._look_at = self._broker_at = _NEVER
            return None
        if now >= self._broker_at:
            return BROKER_EXPIRES
        if now < self._look_at:
            return None
        self._look_at = now + self._look_s
        marks, before = self._marks(), self._seen
        self._seen = marks
        if marks != before or (marks == shown.files.marks and now < self._again_at):
            return None
        self._again_at = _NEVER
        shown.files = shown.files._replace(marks=marks)  # judged once, whatever comes of it
        return FILES_CHANGED if self._can_be_used(shown.files.contents) else None

    def _can_be_used(self, in_use: tuple[bytes, ...]) -> bool:
        """Whether the files are others than those in use, and good ones; if they are not, that is told."""
        try:
            found = self._load(tls.Shown()).contents
        except OSError as error:
            self._complain(faults.files(error))
            return False
        if found != self._refused:
            self._complain(_NOTHING)
        return found != in_use

    # ------------------------------------------------------------ files

    def _load(self, shown: tls.Shown) -> _Good:
        context = tls.context(self._options, self._folder, shown)
        contents, now = shown.files.contents, self._clock.now()
        for own in _validities(contents[1])[:1]:
            if self._good is not None and own.until <= now.ts and now.trust is not Trust.UNSYNCED:
                raise tls.UnusableFileError(f"the certificate in cert_file ({own.name}) has expired", "Have it renewed")
        return _Good(contents, context)

    def _complain(self, fault: Fault) -> None:
        if fault == self._unusable:
            return
        self._unusable = fault
        if fault.what:
            log.error("uplink %s: new certificate files are not used: %s. %s", self._uplink, fault.what, fault.hint)
        self._say()

    def _say(self) -> None:
        self._tell_hub(CertificatesRead(self._uplink, self._read, self._unusable.what, self._unusable.hint))

    def _marks(self) -> tuple[object, ...]:
        return tls.marks(self._options, self._folder)


class _Good(NamedTuple):
    contents: tuple[bytes, ...]
    context: ssl.SSLContext


def own_and_cas(files: tls.Files) -> tuple[tuple[Validity, ...], tuple[Validity, ...]]:
    """Whose they are and until when they are valid: our own certificate, with its chain, and those in ca_file."""
    ca, own = files.contents[:2] or (b"", b"")
    return _validities(own), _validities(ca)


def _validity(der: bytes | None) -> tuple[Validity, ...]:
    with suppress(ValueError):
        return () if der is None else (certificates.in_der(der),)
    return ()


def _validities(text: bytes) -> tuple[Validity, ...]:
    try:
        return certificates.in_pem(text)
    except ValueError:  # OpenSSL may read what we do not: its dates stay unknown
        return ()
