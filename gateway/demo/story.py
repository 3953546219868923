"""The demo's story as data: at which second what happens on the simulated site, and what must come of it.

Pure. A scene's acts are carried out by stage.py; what must be true at the end is judged by summary.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, TypeAlias


class Aim(NamedTuple):
    """A quantity of the site moves to `target` within `within_s` seconds; the people inside are a quantity, too."""

    quantity: str
    target: float
    within_s: float


class Door(NamedTuple):
    """A door at an input of the module on `link` opens or closes; `number` counts from 1, as the inputs do."""

    link: str
    number: int
    opened: bool


class Contact(NamedTuple):
    """A contact on a pin is no more at rest, as of a door that opens; or is again."""

    device: str
    active: bool


class Smoke(NamedTuple):
    """The contact of smoke detector `device` opens (alarm) or closes (normal)."""

    device: str
    alarm: bool


class Silence(NamedTuple):
    """A device on the bus stops answering, or answers again."""

    device: str
    silent: bool


class Passage(NamedTuple):
    """Somebody passes the two light beams of a door, inward or outward."""

    device: str
    inward: bool


class Tunnel(NamedTuple):
    """A receiver has no view of the sky any more, or has it again; where it is it goes on all the same."""

    device: str
    inside: bool


class Broker(NamedTuple):
    """The MQTT broker goes away, or comes back."""

    away: bool


class Operator(NamedTuple):
    """Somebody at the platform sends a command about an alarm."""

    command: str
    alarm: str


Act: TypeAlias = Aim | Contact | Door | Passage | Tunnel | Smoke | Silence | Broker | Operator


class Scene(NamedTuple):
    """At `at_s` seconds the caption appears and the acts are carried out."""

    at_s: float
    caption: str
    acts: tuple[Act, ...] = ()


class Expected(NamedTuple):
    """An alarm must have been raised between the scene that begins at `from_s` and `by_s` seconds of the story."""

    alarm: str
    from_s: float
    by_s: float


class Promise(StrEnum):
    """What the gateway promises, as the summary says it."""

    ALARMS = "every expected alarm was raised"
    SIREN = "the siren sounded within a second of the smoke contact"
    LATCH = "the siren went on until a person reset the alarm"
    NO_GAP = "no record is missing at the platform"
    ACKNOWLEDGED = "everything stored was acknowledged"
    NEIGHBOURS = "a silent device did not hold up its neighbours"
    HONEST = "no value was called good while its device was silent"
    THREADS = "no thread of the gateway died"


@dataclass(frozen=True, slots=True)
class Story:
    """All scenes in order, the alarms that must come of them, and when the last scene is over."""

    scenes: tuple[Scene, ...]
    expected: tuple[Expected, ...]
    ends_s: float


def operator(*alarms: str) -> tuple[Operator, ...]:
    """Somebody acknowledges these alarms."""
    return tuple(Operator("acknowledge", alarm) for alarm in alarms)


SMOKE_ALARM = "smoke@smoke-1.smoke"

STORY = Story(
    scenes=(
        Scene(0, "A quiet day at distribution centre 3. Every value comes over a wire."),
        Scene(3, "A lorry docks: dock door 1 opens.", (Door("dock-io", 1, True),)),
        Scene(5, "The freezer's compressor fails, and it warms up.", (Aim("freezer-1.temperature", -11.5, 4),)),
        Scene(
            13,
            "Smoke at packing line 1: a contact opens. The siren has one second.",
            (Smoke("smoke-1", True),),
        ),
        Scene(17, "The compressor runs again.", (Aim("freezer-1.temperature", -19.2, 8),)),
        Scene(18, "A sale begins: the shop fills up, and 40 people are its limit.", (Aim("entrance-1.people", 46, 4),)),
        Scene(22, "The MQTT broker goes away for ten seconds. The site is watched on.", (Broker(True),)),
        Scene(24, "The dock's air sensor falls silent. Its neighbours share its line.", (Silence("dock-air", True),)),
        Scene(29, "The shop empties.", (Aim("entrance-1.people", 24, 3),)),
        Scene(32, "The broker is back: events go out first, then what waited on the disk.", (Broker(False),)),
        Scene(34, "The air sensor answers again.", (Silence("dock-air", False),)),
        Scene(
            40,
            "The smoke has cleared, but the alarm is latched: the siren goes on.",
            (Smoke("smoke-1", False), Door("dock-io", 1, False)),
        ),
        Scene(
            44,
            "Somebody at the platform acknowledges the alarms ...",
            operator(SMOKE_ALARM, "freezer-warm", "entrance-full", "dock-air-silent"),
        ),
        Scene(46, "... and resets the smoke alarm: the siren stops.", (Operator("reset", SMOKE_ALARM),)),
        Scene(49, "All is well again."),
    ),
    expected=(
        Expected("freezer-warm", 5, 13),
        Expected(SMOKE_ALARM, 13, 15),
        Expected("entrance-full", 18, 24),
        Expected("dock-air-silent", 24, 31),
    ),
    ends_s=52,
)
