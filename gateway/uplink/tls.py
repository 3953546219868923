"""How an uplink speaks TLS. Verification of chain, dates and host name is always on; nothing turns it off.

TLS 1.2 at least. The host name is looked for among the certificate's SANs alone: by itself Python would also take the
subject's common name. Files are read anew for each connection; renewal.py looks at them while one stands.
Dates are checked against the machine's clock, even where that is wrong for certain: OpenSSL could check them against a
floor (X509_VERIFY_PARAM_set_time), but Python does not offer it, and to leave the dates of the whole chain out and then
look at the broker's certificate alone would accept an expired CA. So a clock in the past means no connection until it
is set, and handshake.py says so, with the floor; everything is recorded meanwhile.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway.config import schema
from gateway.config.secrets import located
from gateway.uplink import certificates


class Files(NamedTuple):
    """What ca_file, cert_file and key_file hold; `marks` change when one of them is written."""

    marks: tuple[object, ...]
    contents: tuple[bytes, ...]


class Shown:
    """What one connection's TLS used, and showed: the broker's certificate (DER), and why TLS failed."""

    def __init__(self) -> None:
        self.files = Files((), ())
        self.certificate: bytes | None = None
        self.error: ssl.SSLError | None = None


class UnusableFileError(OSError):
    """A certificate or key file is there but cannot be used: `what` is wrong with it, and a `hint`."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def paths(options: schema.Uplink, folder: Path) -> tuple[Path | None, Path | None, Path | None]:
    """Where ca_file, cert_file and key_file are; None for what is not configured."""
    ca, cert, key = (
        located(name, folder) if name else None for name in (options.ca_file, options.cert_file, options.key_file)
    )
    return ca, cert, key


def marks(options: schema.Uplink, folder: Path) -> tuple[object, ...]:
    """What tells the files from those that were there before; None for each that is not there or not configured."""
    return tuple(None if path is None else _mark(path) for path in paths(options, folder))


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def context(options: schema.Uplink, folder: Path, shown: Shown) -> ssl.SSLContext:
    """The context for one connection; OSError (UnusableFileError among them) if a file cannot be used."""
    ca, cert, key = paths(options, folder)
    shown.files = Files(
        marks(options, folder), tuple(b"" if path is None else path.read_bytes() for path in (ca, cert, key))
    )
    try:
        made = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise UnusableFileError(
            f"ca_file ({ca}) holds no certificate", "It has to be a PEM file, as written by a CA"
        ) from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.hostname_checks_common_name = False
    watch(made, shown)
    if cert is not None:
        _load_own(made, cert, key or cert)
    return made


def watch(context_: ssl.SSLContext, shown: Shown) -> None:
    """Note in `shown` what the next connection with this context shows."""
    context_.sslsocket_class = _watched(shown)


def _load_own(made: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        # without a password an encrypted key would ask for one on a terminal that nobody watches
        made.load_cert_chain(cert, key, password=lambda: b"")
    except ssl.SSLError as error:
        raise _why_unusable(cert, key, error) from error


def _why_unusable(cert: Path, key: Path, error: ssl.SSLError) -> UnusableFileError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return UnusableFileError(
            f"the key in key_file ({key}) does not belong to the certificate in cert_file ({cert})",
            "Copy both from where the certificate was made",
        )
    if not _holds_certificate(cert):
        return UnusableFileError(
            f"cert_file ({cert}) holds no certificate", "It has to be a PEM file, as written by a CA"
        )
    if b"ENCRYPTED" in key.read_bytes():
        return UnusableFileError(
            f"the key in key_file ({key}) is locked by a password",
            f"Unlock it: openssl pkey -in {key.name} -out unlocked.key; mode 0600 protects it",
        )
    return UnusableFileError(
        f"key_file ({key}) holds no usable key", "It has to be a PEM file with the certificate's key"
    )


def _holds_certificate(path: Path) -> bool:
    try:
        return bool(certificates.in_pem(path.read_bytes()))
    except ValueError:
        return False


def _watched(shown: Shown) -> type[ssl.SSLSocket]:
    """Sockets of one connection that note what TLS shows, which paho would drop."""

    class Watched(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            try:
                super().do_handshake(block)
            except ssl.SSLError as error:
                shown.error = error
                raise
            shown.certificate = self.getpeercert(binary_form=True)

        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            try:
                return super().recv(buflen, flags)
            except ssl.SSLError as error:
                if "ALERT" in (error.reason or ""):
                    shown.error = error
                raise

        def send(self, data: object, flags: int = 0) -> int:
            try:
                return super().send(data, flags)  # type: ignore[arg-type] # as in ssl
            except (ConnectionError, ssl.SSLEOFError):
                with suppress(OSError):  # with TLS 1.3 a broker refuses our certificate after the handshake,
                    self.recv(1)  # and hangs up: its reason waits to be read
                raise

    return Watched
