"""What went wrong with a connection, in words that an installer can act on: what happened, and what to try."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime
from typing import NamedTuple

from gateway.clock import floor_ts


class Endpoint(NamedTuple):
    """Where a broker is, and whether TLS is spoken there."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Fault(NamedTuple):
    """What happened and a hint. `refused`: the other side would not have us, and will not until somebody acts."""

    what: str
    hint: str
    refused: bool = False


def refusal(what: str, hint: str) -> Fault:
    """The other side would not have us."""
    return Fault(what, hint, refused=True)


_CLOCK = "compare this machine's clock with the real time"

_NOT_YET_VALID = 9
_CERTIFICATE = {
    10: ("the broker's certificate has expired", f"Have it renewed; if it is new, {_CLOCK}"),
    62: ("the broker's certificate is for another host name", "Use the name that stands in it (SAN) in url"),
    64: ("the broker's certificate is for another address", "Use the host name that stands in it (SAN) in url"),
}
_UNKNOWN_CA = frozenset({2, 18, 19, 20, 21})
"""Codes of OpenSSL's certificate check. Source: openssl/x509_vfy.h."""

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "UNEXPECTED_MESSAGE", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})

_CONNACK = {
    0x80: ("the broker refused the connection without a reason", "Look at the broker's log"),
    0x84: ("the broker speaks neither MQTT 5 nor 3.1.1", "Use another broker or update it"),
    0x85: ("the broker refused the client id", "Set client_id to one that it accepts"),
    0x86: ("the broker refused user name or password", "Check username and password_file"),
    0x87: ("the broker does not authorise this gateway", "Check username, password_file and the broker's access list"),
    0x88: ("the broker is not available", "It is starting or in trouble; look at its log"),
    0x89: ("the broker is busy", "It may accept the connection later"),
    0x8A: ("the broker has banned this gateway", "Ask whoever runs the broker"),
    0x8C: ("the broker wants another way of authentication", "Check what the broker asks of its clients"),
    0x90: ("the broker does not accept our will's topic", "Let its access list allow sitewarden/v1/#"),
    0x97: ("the broker's quota is exceeded", "It takes no more connections at the moment"),
    0x9A: ("the broker does not keep retained messages", "Allow retained messages at the broker"),
    0x9B: ("the broker does not support QoS 1", "Allow QoS 1 at the broker"),
    0x9F: ("the broker limits how often one may connect", "It may accept the connection later"),
}
"""Reason codes of CONNACK. Source: MQTT 5.0, 3.2.2.2."""

_DISCONNECT = {
    0x87: ("the broker ended the connection: not authorised", "Check the broker's access list"),
    0x8B: ("the broker is shutting down", ""),
    0x8D: ("the broker heard nothing from us for too long", "Check the network"),
    0x8E: (
        "another client has connected with our client id",
        "Give every gateway and uplink its own client_id, and look for a second daemon",
    ),
    0x93: ("the broker ended the connection: more messages than it takes at once", "Make window smaller"),
    0x95: ("the broker ended the connection: message too large", "Allow messages of 64 kB at the broker"),
    0x97: ("the broker ended the connection: quota exceeded", "Ask whoever runs the broker"),
    0x98: ("the broker's administrator ended the connection", "Ask whoever runs the broker"),
}
"""Reason codes of DISCONNECT. Source: MQTT 5.0, 3.14.2.1."""

_PASSING = frozenset({0x88, 0x8B, 0x8D})
"""Codes that end by themselves, and soon: the broker starts, shuts down, or heard nothing from us."""


def connecting(error: OSError, where: Endpoint) -> Fault:
    """Why no connection to `where` came about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate(error)
    if isinstance(error, ssl.SSLError):
        return tls(error, where)
    match error:
        case socket.gaierror():
            return Fault(f"the host name {where.host} cannot be resolved", "Check url, and the network's DNS server")
        case ConnectionRefusedError():
            return Fault(f"{where} refuses connections", "Is the broker running, and is this its port?")
        case TimeoutError():
            return Fault(f"{where} does not answer", "Check the address, the network and firewalls on the way")
        case ConnectionResetError() | BrokenPipeError() if where.tls:
            return Fault(f"{where} ended the connection during the TLS handshake", _wrong_port(where))
        case ConnectionResetError() | BrokenPipeError():
            return Fault(f"{where} closed the connection at once", _wrong_port(where))
    return Fault(f"{where} cannot be reached: {error.strerror or error}", "Check the network")


def certificate(error: ssl.SSLCertVerificationError) -> Fault:
    """Why the broker's certificate was not accepted."""
    if error.verify_code == _NOT_YET_VALID:
        return not_yet_valid(round(time.time() * 1000))
    if error.verify_code in _UNKNOWN_CA:
        return refusal(
            "the broker's certificate is signed by a CA that is not known here",
            "Set ca_file to the certificate of the CA that signed it",
        )
    what, hint = _CERTIFICATE.get(
        error.verify_code,
        (f"the broker's certificate is not accepted: {error.verify_message}", "Check it, and ca_file"),
    )
    return refusal(what, hint)


def not_yet_valid(wall_ts: int) -> Fault:
    """The broker's certificate begins later than this machine's clock (UTC ms), which is nearly always the clock."""
    what = "the broker's certificate is not valid yet"
    shown = f"{datetime.fromtimestamp(wall_ts / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    if wall_ts >= floor_ts():
        return refusal(what, f"The clock, which shows {shown}, is probably behind: {_CLOCK}")
    return refusal(
        what,
        f"The clock is wrong: it shows {shown}, which is before this software was made. It connects within a minute "
        "of the clock being set: let the machine reach an NTP server without TLS, or give it a hardware clock",
    )


def tls(error: ssl.SSLError, where: Endpoint) -> Fault:
    """Why the TLS handshake failed."""
    reason = error.reason or ""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Fault(f"{where} ended the connection during the TLS handshake", _wrong_port(where))
    if reason in _NOT_TLS:
        return refusal(f"{where} does not speak TLS", _wrong_port(where))
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return refusal(
            f"{where} refused the TLS handshake", "It may ask for our certificate: set cert_file and key_file"
        )
    if "UNKNOWN_CA" in reason or "BAD_CERTIFICATE" in reason or "CERTIFICATE_UNKNOWN" in reason:
        return refusal(f"{where} does not accept our certificate", "Check cert_file, and the CA that the broker trusts")
    if "PROTOCOL" in reason:
        return refusal(f"{where} speaks no TLS version from 1.2 on", "Update the broker")
    return refusal(f"the TLS handshake with {where} failed: {reason or error}", "Check ca_file, cert_file and key_file")


def files(error: OSError | ssl.SSLError) -> Fault:
    """Why ca_file, cert_file, key_file or password_file cannot be used."""
    if isinstance(error, ssl.SSLError):
        return refusal(
            f"a certificate or key file cannot be used: {error.reason or error}",
            "Check that ca_file, cert_file and key_file are PEM files and that key and certificate belong together",
        )
    return refusal(
        f"{error.filename or 'a file of this uplink'} cannot be read: {error.strerror}",
        "Check ca_file, cert_file, key_file and password_file, and who may read them",
    )


def refused(code: int, reason: str) -> Fault:
    """What a CONNACK with this failure means."""
    what, hint = _CONNACK.get(code, (f"the broker refused the connection: {reason}", "Look at the broker's log"))
    return Fault(what, hint, code not in _PASSING)


def ended(code: int, reason: str) -> Fault:
    """What a DISCONNECT from the broker means."""
    what, hint = _DISCONNECT.get(code, (f"the broker ended the connection: {reason}", "Look at the broker's log"))
    return Fault(what, hint, code not in _PASSING)


def closed(where: Endpoint, was_up: bool) -> Fault:
    """What the end of a connection without a word means."""
    if was_up:
        return Fault(f"the connection to {where} was lost", "The broker or the network ended it; connecting again")
    return Fault(f"{where} closed the connection instead of answering", _wrong_port(where))


def no_answer(where: Endpoint) -> Fault:
    """Connected, but no CONNACK."""
    return Fault(f"{where} accepts connections but does not answer", f"Is it an MQTT broker? {_wrong_port(where)}")


def silent(where: Endpoint) -> Fault:
    """Connected, but nothing came for a keep-alive, not even the answer to a ping."""
    return Fault(f"{where} has fallen silent", "The network or the broker stands; connecting again")


def too_large(where: Endpoint) -> Fault:
    """The broker sends a packet that nobody here asked for."""
    return refusal(f"{where} sends a message that is too large", "Look for who publishes to our topics")


def malformed(where: Endpoint) -> Fault:
    """Bytes that are no MQTT."""
    return refusal(f"{where} sent something that is not MQTT", _wrong_port(where))


def _wrong_port(where: Endpoint) -> str:
    if where.tls:
        return "mqtts:// needs the broker's TLS port, usually 8883; mqtt:// is for the one without"
    return "If the broker expects TLS on this port, write mqtts://"
