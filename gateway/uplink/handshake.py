"""Why TLS failed, in words that an installer can act on: what happened, and what to try. Dates are told with the clock.

Python's error tells a code (openssl/x509_vfy.h) where the broker's certificate is not accepted, and the name of an
alert where the broker does not accept us; neither says which certificate of a chain, or which date.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.model import Moment, Trust
from gateway.uplink.address import Endpoint
from gateway.uplink.certificates import Validity
from gateway.uplink.faults import Fault, refusal, wrong_port


class Known(NamedTuple):
    """What is known on this side. `floor`: the wall time (UTC ms) that has passed for certain."""

    now: Moment
    floor: int
    own: tuple[Validity, ...] = ()  # of cert_file
    cas: tuple[Validity, ...] = ()  # of ca_file


_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAME = {
    62: ("the broker's certificate is for another host name", "Use the name that stands in it (SAN) in url"),
    64: ("the broker's certificate is for another address", "Use the host name that stands in it (SAN) in url"),
}
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
"""Codes of OpenSSL's certificate check. Source: openssl/x509_vfy.h."""

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})

_SET_CLOCK = (
    "It connects within a minute of the clock being set: let the machine reach an NTP server without TLS, "
    "or give it a hardware clock"
)


def fault(error: ssl.SSLError, where: Endpoint, known: Known) -> Fault:
    """What this error of TLS means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _broker_not_accepted(error, known)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Fault(f"{where} ended the connection during the TLS handshake", wrong_port(where))
    reason = error.reason or ""
    if reason in _NOT_TLS:
        return refusal(f"{where} does not speak TLS", wrong_port(where))
    if "PROTOCOL" in reason:
        return refusal(f"{where} speaks no TLS version from 1.2 on", "Update the broker")
    if "ALERT" in reason:
        return _refused_us(reason, where, known)
    return refusal(f"the TLS handshake with {where} failed: {reason or error}", "Check ca_file, cert_file and key_file")


# ---------------------------------------------------------------- the broker's certificate


def _broker_not_accepted(error: ssl.SSLCertVerificationError, known: Known) -> Fault:
    code = error.verify_code
    if code == _NOT_YET_VALID:
        return _not_yet_valid(known)
    if code == _EXPIRED:
        return _expired(known)
    if code in _UNKNOWN_CA:
        return refusal(
            "the broker's certificate is signed by a CA that is not known here",
            "Set ca_file to the certificate of the CA that signed it",
        )
    otherwise = f"the broker's certificate is not accepted: {error.verify_message}", "Check it, and ca_file"
    return refusal(*_WRONG_NAME.get(code, otherwise))


def _not_yet_valid(known: Known) -> Fault:
    """Nearly always the clock: a machine without a hardware clock starts in the past."""
    what = "the broker's certificate is not valid yet"
    if known.now.ts < known.floor:
        shows, floor = _minute(known.now.ts), _minute(known.floor)
        return refusal(
            what, f"This machine's clock is wrong: it shows {shows}, and {floor} has passed for certain. {_SET_CLOCK}"
        )
    if known.now.trust is Trust.SYNCED:
        return refusal(what, f"See from when on it is valid; {_clock(known.now)}")
    return refusal(what, f"The clock is probably behind: {_clock(known.now)}. {_SET_CLOCK}")


def _expired(known: Known) -> Fault:
    renew, old = "Have it renewed by whoever runs the broker", [ca for ca in known.cas if ca.until < known.now.ts]
    what = "the broker's certificate has expired"
    if old:
        what = f"a CA certificate in ca_file ({old[0].name}) has expired: it was valid until {_minute(old[0].until)}"
        renew = "Put the CA's new certificate into ca_file"
    if known.now.trust is Trust.SYNCED:
        return refusal(what, f"{renew}; {_clock(known.now)}")
    return refusal(what, f"{renew}; or the clock is ahead: {_clock(known.now)}")


# ---------------------------------------------------------------- our certificate


def _refused_us(alert: str, where: Endpoint, known: Known) -> Fault:
    """What the broker's alert says about our certificate. Source: RFC 8446, section 6.2."""
    if "CERTIFICATE_REQUIRED" in alert or ("HANDSHAKE_FAILURE" in alert and not known.own):
        return refusal(f"{where} asks for a certificate of ours", "Set cert_file and key_file")
    if not known.own:
        return refusal(f"{where} refused the TLS handshake: {alert}", "Look at the broker's log")
    own = known.own[0]
    if "CERTIFICATE_EXPIRED" in alert:
        return _says_expired(own, where, known)
    if "UNKNOWN_CA" in alert:
        return refusal(
            f"{where} does not know the CA that signed our certificate ({own.name})",
            "Give the broker that CA's certificate (mosquitto: cafile), or have cert_file signed by a CA that it knows",
        )
    if "REVOKED" in alert:
        return refusal(f"{where} says that our certificate ({own.name}) is revoked", "Have another one issued")
    if own.begins > known.now.ts:
        return refusal(
            f"{where} does not accept our certificate ({own.name}), which is valid from {_minute(own.begins)} on",
            f"Compare the clocks: {_clock(known.now)}",
        )
    return refusal(
        f"{where} does not accept our certificate ({own.name})",
        "Check cert_file, and which certificates the broker takes; its log says more",
    )


def _says_expired(own: Validity, where: Endpoint, known: Known) -> Fault:
    what = f"{where} says that our certificate ({own.name}) has expired"
    until = _minute(own.until)
    if own.until < known.now.ts:
        return refusal(what, f"It was valid until {until}: have it renewed, and replace cert_file and key_file")
    return refusal(what, f"It is valid until {until}. Compare the broker's clock; {_clock(known.now)}")


# ---------------------------------------------------------------- words


def _clock(now: Moment) -> str:
    trusted = "is synchronised" if now.trust is Trust.SYNCED else "is not synchronised"
    return f"this machine's clock shows {_minute(now.ts)} and {trusted}"


def _minute(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts / 1000, UTC):%Y-%m-%d %H:%M} UTC"
