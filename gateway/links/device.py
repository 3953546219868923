"""One device as its link's poller sees it: what it is, what became of its polls, and its readings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeGuard

from gateway.driver import Driver, Output, PlannedRead, Polled, Pushed
from gateway.errors import NoReply, Refused
from gateway.links.framing import Read
from gateway.links.schedule import Urgency
from gateway.links.tally import Tally, percentiles_ms
from gateway.model import Bad, DeviceHealth, Moment, Reading, ReadNow, Reason, Value, Values

_NUMBERS = frozenset({int, float})


@dataclass(frozen=True, slots=True)
class LinkDevice:
    """A configured device on a link."""

    id: str
    driver: Driver
    every: float  # seconds between polls; for one that talks by itself, how often it is expected to
    urgency: Urgency

    @property
    def safety(self) -> bool:
        """Whether its polls are never held back."""
        return self.urgency <= Urgency.CONTACT


@dataclass(slots=True)
class Attended:
    """A device and what has become of it so far. Owned and changed by the poller's thread alone."""

    device: LinkDevice
    state: str = "waiting"
    polls: int = 0
    tally: Tally = field(default_factory=Tally)
    response_ms: float | None = None
    whole: bool = True  # nothing of what it was asked last was left without an answer
    refuses: bool = False  # a part of what it was asked last
    parts_missed: int = 0  # polls in a row that left a part of it without an answer
    blamed: set[str] = field(default_factory=set)  # the faults that were logged and have not gone since
    script: tuple[Read, ...] = ()  # what its driver asked at its last poll, if it only read
    written: dict[str, Value] = field(default_factory=dict)  # the last value for each output
    ask: Callable[[Any], Values] | None = field(init=False)  # how it is asked on its turn
    reads: tuple[PlannedRead, ...] = field(init=False)  # of its polls, when that was last looked at
    _names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        """Keep what each reading needs. An output that cannot be asked is written again, which reads it back."""
        driver = self.device.driver
        self.reads = driver.reads if isinstance(driver, Polled) else ()
        self._names = frozenset(point.name for point in driver.points)
        self.ask = None
        if isinstance(driver, Polled):
            unread = isinstance(driver, Output) and bool(driver.unread)
            self.ask = self._poll_and_write_again if unread else driver.poll
        elif isinstance(driver, Pushed) and driver.request:
            self.ask = self.request
        elif isinstance(driver, Output) and not self.talks:
            self.ask = self._write_again

    @property
    def talks(self) -> bool:
        """Whether it talks by itself."""
        return isinstance(self.device.driver, Pushed)

    @property
    def is_written_again(self) -> bool:
        """Whether it is asked by writing again what has been written."""
        return bool(self.written) and not isinstance(self.device.driver, Polled | Pushed)

    def write(self, link: Any, point: str, value: Value) -> Values:  # noqa: ANN401 - the Protocol of its family
        """Switch `point` to `value`; what was read back, Bad where that is something else."""
        driver = self.device.driver
        if not isinstance(driver, Output):
            raise TypeError(f"{self.device.id} is no output")
        self.written[point] = value
        back = driver.write(link, point, value)
        # A number may come back rounded; a word may not.
        differs = isinstance(value, str | bool) and back.get(point, value) != value
        return {**back, point: Bad(Reason.WRITE_FAILED)} if differs else back

    def reading(self, values: Values, at: Moment) -> Reading:
        """What it said at that moment; ValueError if its driver says what it must not."""
        if not self._names.issuperset(values):
            raise ValueError(f"the driver gives {sorted(values)}; its points are {sorted(self._names)}")
        if _are_finite_numbers(values):
            return Reading(self.device.id, at.mono, at.ts, dict(values), {})
        good: dict[str, Value] = {}
        bad: dict[str, Reason] = {}
        for name, value in values.items():
            if isinstance(value, Bad):
                bad[name] = value.reason
            elif _sound(value):
                good[name] = value
            else:
                raise ValueError(f"the driver gives {value!r} for {name!r}")
        return Reading(self.device.id, at.mono, at.ts, good, bad)

    def bad(self, reason: Reason, at: Moment, point: str | None = None) -> Reading:
        """A reading in which every point is bad, or only `point`."""
        names = (each.name for each in self.device.driver.points) if point is None else (point,)
        return Reading(self.device.id, at.mono, at.ts, {}, dict.fromkeys(names, reason))

    def health(self) -> DeviceHealth:
        """What is reported of it."""
        tally = self.tally
        p50_ms, p95_ms = percentiles_ms(tally.times, 50, 95)
        return DeviceHealth(
            self.device.id,
            self.state,
            self.polls,
            dict(tally.failures),
            self.response_ms,
            requests=tally.requests,
            response_p50_ms=p50_ms,
            response_p95_ms=p95_ms,
            every_s=self.device.every,
            interval_s=tally.interval_s,
            reads=self._reads(),
        )

    def _reads(self) -> tuple[ReadNow, ...]:
        driver = self.device.driver
        if not isinstance(driver, Polled):
            return ()
        return tuple(ReadNow(it.table.value, it.address, it.size, it.points, it.used) for it in driver.reads)

    def request(self, link: Any) -> Values:  # noqa: ANN401 - the Protocol of its family
        """Have a talking device speak; what it says is heard when it comes."""
        if isinstance(self.device.driver, Pushed):
            link.write(self.device.driver.request)
        return {}

    def _write_again(self, link: Any) -> Values:  # noqa: ANN401 - the Protocol of its family
        values: dict[str, Value | Bad] = {}
        for point, value in self.written.items():
            values |= self.write(link, point, value)
        return values

    def _poll_and_write_again(self, link: Any) -> Values:  # noqa: ANN401 - the Protocol of its family
        """What it says, and for outputs that it says nothing of, whether it took them once more."""
        driver = self.device.driver
        if not isinstance(driver, Polled) or not isinstance(driver, Output):
            raise TypeError(f"{self.device.id} is no output that is polled")
        values = dict(driver.poll(link))
        for point in self.written.keys() & driver.unread:
            try:
                values |= self.write(link, point, self.written[point])
            except (NoReply, Refused):
                if not values:
                    raise
                values[point] = Bad(Reason.WRITE_FAILED)
        return values


def _are_finite_numbers(values: Values) -> TypeGuard[Mapping[str, float]]:
    """Whether all are, as nearly always, at a glance; False is no proof, since large ones may add up to infinity."""
    numbers = values.values()
    return _NUMBERS.issuperset(map(type, numbers)) and isfinite(sum(numbers))  # type: ignore[arg-type]


def _sound(value: object) -> bool:
    """Whether it is a value that a reading may hold: JSON has no NaN and no infinity."""
    if isinstance(value, int | float):
        return isfinite(value)
    if isinstance(value, tuple):
        return len(value) == 2 and all(isinstance(each, float | int) and isfinite(each) for each in value)
    return isinstance(value, str)
