"""What a person, or a platform, does about an alarm, as a command asks for it: its arguments checked, then done.

All take `alarm`, and `reason` in words; a shelf and taking out of service are not to be had without one. `shelve` takes
`for_s`, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.hub.alarm import Changed
from gateway.hub.alarms import Alarms
from gateway.hub.following import Following
from gateway.hub.outputs import Outputs
from gateway.model import Command, Json, Moment
from gateway.records import MAX_REASON
from gateway.rules.lifecycle import Change
from gateway.rules.overlay import Act, Note

ACTS: Mapping[str, Change] = {
    "acknowledge": Change.ACKNOWLEDGED,
    "reset": Change.RESET,
    "shelve": Change.SHELVED,
    "unshelve": Change.UNSHELVED,
    "out_of_service": Change.OUT_OF_SERVICE,
    "in_service": Change.IN_SERVICE,
    "confirm": Change.CONFIRMED,
}
"""The commands about an alarm, and what each does to it."""

SILENCE = "silence"
"""The command by which what sounds for an alarm, or for all without `alarm`, is off until a new one comes."""

LOOKS = frozenset({"read", "probe", "capture"})
"""What a person on the spot does with a device beside the polls: it changes nothing, and is recorded all the same."""

_MOST_SECONDS = 1e9  # an integer can be more than any float is
_REASON = f"reason must be at most {MAX_REASON} printable characters"
_OF_LIFE = frozenset({Change.ACKNOWLEDGED, Change.RESET})
_WITH_REASON = frozenset({Change.SHELVED, Change.OUT_OF_SERVICE})


def done(alarms: Alarms, following: Following, command: Command, now: Moment) -> Changed | str:
    """What has changed, or why it is refused."""
    change, args = ACTS[command.name], command.args
    alarm, reason = args.get("alarm"), args.get("reason", "")
    if not isinstance(alarm, str):
        return "args needs the id of an alarm under 'alarm'"
    if not isinstance(reason, str) or not fits(reason):
        return _REASON
    if change in _WITH_REASON and not reason.strip():
        return f"{command.name} needs a reason"
    note = Note(command.issuer, reason)
    if change is Change.CONFIRMED:
        waits = following.waits(alarm)
        return alarms.told(alarm, change, note, now) if waits else "this alarm waits for no confirmation"
    if change in _OF_LIFE:
        return alarms.act(alarm, change, note, now)
    for_s = _seconds(args.get("for_s")) if change is Change.SHELVED else 0.0
    if for_s is None:
        return "shelve needs for_s, the seconds until the alarm is back"
    return alarms.cover(alarm, Act(change, note, for_s), now)


def silenced(alarms: Alarms, outputs: Outputs, command: Command, now: Moment) -> tuple[Changed, ...] | str:
    """The alarms that a person silences, one with those that it explains, or all that sound; or why it is refused."""
    alarm, reason = command.args.get("alarm"), command.args.get("reason", "")
    if not isinstance(reason, str) or not fits(reason):
        return _REASON
    if alarm is not None and not (isinstance(alarm, str) and alarms.has(alarm)):
        return f"there is no alarm {str(alarm)[:140]!r}"
    note = Note(command.issuer, reason)
    standing = alarms.standing()
    of_it = (it.alarm for it in standing if it.hidden is not None and it.hidden.by_alarm and it.hidden.by == alarm)
    about = [view.alarm for view in standing] if alarm is None else [str(alarm), *of_it]
    sounding = [each for each in about if outputs.sounds(each, now.mono)]
    told = tuple(alarms.told(each, Change.SILENCED, note, now) for each in sounding)
    return told or ("nothing sounds" if alarm is None else "nothing sounds for this alarm")


def fits(reason: str) -> bool:
    """Whether this can stand on record as why somebody did something."""
    return len(reason) <= MAX_REASON and reason.isprintable()


def _seconds(given: Json | None) -> float | None:
    """A number of seconds; None for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= _MOST_SECONDS:
        return None
    return float(given)
