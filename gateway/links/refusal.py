"""What a Modbus device means when it says no. Pure. Source: Modbus Application Protocol V1.1b3, part 7."""

from __future__ import annotations

from gateway.errors import NoReply, Refused
from gateway.links.framing import Ask

_MEANING = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "accepted, not done yet",
    6: "busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "the device behind the gateway does not answer",
}
_CONFIGURATION, _BUSY, _GATEWAY = frozenset({1, 2, 3}), frozenset({5, 6}), frozenset({10, 11})


def accepted(ask: Ask, pdu: bytes) -> bytes:
    """The PDU of a reply, unless the device says no with it: raises NoReply or Refused."""
    if pdu[0] & 0x80:
        raise _refusal(ask, pdu[1])
    return pdu


def _refusal(ask: Ask, code: int) -> NoReply | Refused:
    what = f"unit {ask.unit}: exception {code} ({_MEANING.get(code, 'unknown')}) to function {ask.head[0]}"
    if code in _CONFIGURATION:
        return Refused(code, what, "check the device's profile: table, address and number of registers")
    if code in _BUSY:
        return NoReply("busy", what)
    if code in _GATEWAY:
        return NoReply("gateway", what, "check the device behind the gateway: power, unit id, wiring")
    return NoReply("device_failure", what, "the device reports a fault of its own: restart or replace it")
