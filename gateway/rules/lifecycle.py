"""The life cycle of one alarm as a table, after ISA-18.2 / IEC 62682 and the naming of OPC UA part 9.

Condition (true or false) and acknowledgement are two things. With `latch` an alarm whose condition has ended stays
until a person resets it, and a reset before the acknowledgement is refused. A bad value is no event here: it neither
raises nor clears.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.model import AlarmState

_S = AlarmState


class Change(StrEnum):
    """What happened to an alarm; also the word that its event carries."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    RESET = "reset"
    SHELVED = "shelved"  # this and the following are about what lies over it (overlay.py), not about its state
    UNSHELVED = "unshelved"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"
    OUT_OF_SERVICE = "out_of_service"
    IN_SERVICE = "in_service"
    CONFIRMED = "confirmed"  # this and the following are about who knows of it (following.py)
    UNCONFIRMED = "unconfirmed"
    RE_ALARMED = "re_alarmed"  # also of one that was acknowledged long ago, and still stands
    ESCALATED = "escalated"
    REPORT_OVERDUE = "report_overdue"
    SILENCED = "silenced"  # this and the following are about what sounds for it (responses.py)
    RESOUNDED = "resounded"


ACTIVE = frozenset({_S.UNACK_ACTIVE, _S.ACK_ACTIVE})
"""States in which the condition is true."""

UNSEEN = frozenset({_S.UNACK_ACTIVE, _S.RTN_UNACK, _S.LATCHED_UNACK})
"""States that wait for an acknowledgement."""

_NEXT: dict[tuple[AlarmState, Change], AlarmState] = {
    (_S.NORMAL, Change.RAISED): _S.UNACK_ACTIVE,
    (_S.UNACK_ACTIVE, Change.ACKNOWLEDGED): _S.ACK_ACTIVE,
    (_S.UNACK_ACTIVE, Change.CLEARED): _S.RTN_UNACK,
    (_S.ACK_ACTIVE, Change.CLEARED): _S.NORMAL,
    (_S.ACK_ACTIVE, Change.RE_ALARMED): _S.UNACK_ACTIVE,
    (_S.RTN_UNACK, Change.ACKNOWLEDGED): _S.NORMAL,
    (_S.RTN_UNACK, Change.RAISED): _S.UNACK_ACTIVE,
    (_S.LATCHED_UNACK, Change.ACKNOWLEDGED): _S.LATCHED_ACK,
    (_S.LATCHED_UNACK, Change.RAISED): _S.UNACK_ACTIVE,
    (_S.LATCHED_ACK, Change.RESET): _S.NORMAL,
    (_S.LATCHED_ACK, Change.RAISED): _S.ACK_ACTIVE,
}
_LATCHED_NEXT = {
    (_S.UNACK_ACTIVE, Change.CLEARED): _S.LATCHED_UNACK,
    (_S.ACK_ACTIVE, Change.CLEARED): _S.LATCHED_ACK,
}
_REFUSALS: dict[tuple[AlarmState, Change], str] = {
    (_S.NORMAL, Change.ACKNOWLEDGED): "this alarm does not stand",
    (_S.NORMAL, Change.RESET): "this alarm does not stand",
    (_S.ACK_ACTIVE, Change.ACKNOWLEDGED): "already acknowledged",
    (_S.LATCHED_ACK, Change.ACKNOWLEDGED): "already acknowledged",
    (_S.UNACK_ACTIVE, Change.RESET): "its condition still holds, and nobody has acknowledged it",
    (_S.ACK_ACTIVE, Change.RESET): "its condition still holds",
    (_S.RTN_UNACK, Change.RESET): "acknowledge it, that ends it",
    (_S.LATCHED_UNACK, Change.RESET): "acknowledge it first",
}


def after(state: AlarmState, change: Change, *, latch: bool) -> AlarmState | None:
    """The state that follows, or None where the change does not apply in this state."""
    if latch and (state, change) in _LATCHED_NEXT:
        return _LATCHED_NEXT[state, change]
    return _NEXT.get((state, change))


def refusal(state: AlarmState, change: Change) -> str:
    """Why an act of a person does not apply in this state, in words for that person."""
    return _REFUSALS.get((state, change), f"not possible while the alarm is {state}")
