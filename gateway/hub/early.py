"""What happens to alarms before the journal has told what the run before had stored of them.

Outputs are switched at once. What is told waits until the journal has answered, or it is known that it does not
(decide.py): so an alarm that stood when the run before ended is not raised a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from gateway.hub.alarm import Changed
from gateway.hub.outputs import Switch
from gateway.model import Reading
from gateway.rules.overlay import NOTHING, Overlay


class Happened(NamedTuple):
    """A change of an alarm, or none; `at` (monotonic s, UTC ms) if outputs were `switched` for it, before now."""

    changed: Changed | None
    at: tuple[float, int] | None = None
    switched: tuple[Switch, ...] = ()
    overlay: Overlay = NOTHING  # what lay over the alarm then


class Early:
    """What has happened so far, and the newest good values of each device. Owned by the hub alone."""

    def __init__(self) -> None:
        self._happened: list[Happened] = []
        self._readings: dict[str, Reading] = {}

    def note(self, changed: Changed, switched: Iterable[Switch], overlay: Overlay) -> None:
        """An alarm has changed."""
        self._happened.append(Happened(changed, (changed.mono, changed.ts), tuple(switched), overlay))

    def read(self, reading: Reading) -> None:
        """A reading has come."""
        known = self._readings.get(reading.device)
        kept = {} if known is None else {name: it for name, it in known.values.items() if name not in reading.bad}
        self._readings[reading.device] = reading._replace(values={**kept, **reading.values}, bad={})

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The newest good values, to be judged by the alarms that were restored."""
        return tuple(self._readings.values())

    def all(self, has: Callable[[str], bool]) -> Iterator[Happened]:
        """What has happened, in its order, as it is told: of alarms that are no more, what was switched."""
        for each in self._happened:
            gone = each.changed is not None and not has(each.changed.view.alarm)
            yield each._replace(changed=None) if gone else each
