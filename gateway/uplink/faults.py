"""What went wrong with a connection, in words that an installer can act on: what happened, and what to try."""

from __future__ import annotations

import socket
from typing import NamedTuple

from gateway.uplink.address import Endpoint
from gateway.uplink.tls import UnusableFileError


class Fault(NamedTuple):
    """What happened and a hint.

    `refused`: the other side would not have us, and will not until somebody acts. `in_vain`: the connection stood, and
    was of no use.
    """

    what: str
    hint: str
    refused: bool = False
    in_vain: bool = False


class DialError(OSError):
    """An attempt to connect failed for this reason."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


def refusal(what: str, hint: str) -> Fault:
    """The other side would not have us."""
    return Fault(what, hint, refused=True)


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
    """Why no connection to `where` came about; where it is TLS that failed, handshake.py knows more."""
    match error:
        case socket.gaierror():
            return Fault(f"the host name {where.host} cannot be resolved", "Check url, and the network's DNS server")
        case ConnectionRefusedError():
            return Fault(f"{where} refuses connections", "Is the broker running, and is this its port?")
        case TimeoutError():
            return Fault(f"{where} does not answer", "Check the address, the network and firewalls on the way")
        case ConnectionResetError() | BrokenPipeError() if where.tls:
            return Fault(f"{where} ended the connection during the TLS handshake", wrong_port(where))
        case ConnectionResetError() | BrokenPipeError():
            return Fault(f"{where} closed the connection at once", wrong_port(where))
    return Fault(f"{where} cannot be reached: {error.strerror or error}", "Check the network")


def files(error: OSError) -> Fault:
    """Why ca_file, cert_file, key_file or password_file cannot be used."""
    if isinstance(error, UnusableFileError):
        return refusal(error.what, error.hint)
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
    return Fault(f"{where} closed the connection instead of answering", wrong_port(where))


def no_answer(where: Endpoint) -> Fault:
    """Connected, but no CONNACK."""
    return Fault(f"{where} accepts connections but does not answer", f"Is it an MQTT broker? {wrong_port(where)}")


def silent(where: Endpoint) -> Fault:
    """Connected, but nothing came for a keep-alive, not even the answer to a ping."""
    return Fault(f"{where} has fallen silent", "The network or the broker stands; connecting again")


def too_large(where: Endpoint) -> Fault:
    """The broker sends a packet that nobody here asked for."""
    return refusal(f"{where} sends a message that is too large", "Look for who publishes to our topics")


def malformed(where: Endpoint) -> Fault:
    """Bytes that are no MQTT."""
    return refusal(f"{where} sent something that is not MQTT", wrong_port(where))


def wrong_port(where: Endpoint) -> str:
    """What to look at where something else answers than what was expected."""
    if where.path:
        return "wss:// needs the port of a web server, usually 443; mqtts:// is for the broker's own TLS port"
    if where.tls:
        return (
            "mqtts:// needs the broker's TLS port, usually 8883; "
            "wss:// is for its websocket, mqtt:// for the port without TLS"
        )
    return "If the broker expects TLS on this port, write mqtts://"
