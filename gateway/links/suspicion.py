"""What is likely wrong with a Modbus device that does not answer on a line, from how it and the others did. Pure.

Silence alone does not tell a dead device from a wrong unit id or baud rate. Others that answer do: then the line is
right. Bytes that never make a frame point at the settings of the line, or at somebody else who talks.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.links.tally import Tally

_GARBLED = ("noise", "checksum", "half_frame", "wrong_unit", "wrong_function", "wrong_length")


def suspicion(own: Tally, others: Iterable[Tally]) -> str:
    """A hint; "" where there is nothing to add to what its last fault says."""
    if own.times:  # it did answer in this run: line and unit id were right
        return ""
    garbled = sum(own.failures[fault] for fault in _GARBLED)
    mostly_garbled = 2 * garbled > sum(own.failures.values())
    if any(other.times for other in others):
        if mostly_garbled:
            return "others on this line answer: look for a second device with its unit id, and at its own cable"
        return "others on this line answer, so its port is right: check its power, its unit id and its own baud rate"
    if mostly_garbled:
        talker = "if they are right, for a device that talks by itself or another master"
        return f"bytes arrive and never a frame: check `baudrate`, `parity` and `stopbits` of the link; {talker}"
    return "nobody has answered on this line yet: check A and B (swap them), `baudrate`, `parity`, power and unit ids"
