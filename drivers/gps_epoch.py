"""The sentences of one moment put together to one fix: RMC with the GGA or GNS of the same epoch. Pure.

Why: whether a position can be relied on is said by another sentence (satellites, dilution) than the one with the speed.

- A fix is complete, and told at once, with the second of the two. They belong together when their times are less than
  half a second apart, since Quectel stamps GGA 200 ms later than the RMC of the same epoch; and of a receiver that is
  faster than once a second, less than half the time between its epochs, which it shows with the second one.
- Which comes first depends on the receiver. One that waits for its other half when the next of its own type comes was
  left alone by a damaged sentence: it is old, and dropped, never told late.
- A receiver that says one of the two three times in a row does not send the other: then each is a fix by itself.
- Where the two disagree, the worse counts: a position is measured when both say so.
- Two or three dimensions: as GSA said in this epoch or the two before it (it often follows its RMC and GGA); without
  one, three where there is an altitude. Source: gpsd, drivers/driver_nmea0183.c.
- The date is that of RMC, or of the ZDA of this epoch or the one before; where the two contradict, there is no time.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from drivers.gps_fix import THREE_D, TWO_D, Fix, ts_of, unrolled
from drivers.nmea import ESTIMATED, MANUAL, MEASURED, NONE, SIMULATED, Gga, Gsa, Rmc, Zda

_SAME_MS: Final = 500
_INTERVALS = 8
_ALONE_AFTER = 2  # repeats without the other half
_GSA_LASTS = 3  # epochs
_ZDA_LASTS = 2
_CONTRADICT_MS = 2_000
_DAY_MS = 86_400_000
_WORST = (NONE, SIMULATED, MANUAL, ESTIMATED, MEASURED)


class Epochs:
    """The sentences of one receiver, as they come."""

    def __init__(self) -> None:
        self._waiting: Rmc | Gga | None = None  # for its other half
        self._last: type[Rmc | Gga] | None = None
        self._times: dict[type[Rmc | Gga], int] = {}
        self._intervals_ms: tuple[int, ...] = ()  # between the last ones of a type
        self._repeats = 0
        self._epoch = 0
        self._dimensions = (0, -_GSA_LASTS)  # of the last GSA, and in which epoch it came
        self._zda: tuple[int, int] = (0, -_ZDA_LASTS)  # UTC ms of the last ZDA, and in which epoch it came

    @property
    def without_rmc(self) -> bool:
        """Whether this receiver says its position without its speed."""
        return self._last is Gga and self._repeats >= _ALONE_AFTER

    @property
    def without_gga(self) -> bool:
        """Whether this receiver says its position without its satellites."""
        return self._last is Rmc and self._repeats >= _ALONE_AFTER

    def told(self, sentence: Rmc | Gga) -> Fix | None:
        """The fix that `sentence` completes."""
        other, self._waiting = self._waiting, None
        self._measure(sentence)
        if other is not None and type(other) is not type(sentence) and self._is_same_moment(other, sentence):
            self._last, self._repeats = type(sentence), 0
            return self._fix(*_ordered(other, sentence))
        self._repeats = self._repeats + 1 if type(sentence) is self._last else 0
        self._last = type(sentence)
        if self._repeats >= _ALONE_AFTER:
            return self._fix(*_ordered(sentence, None))
        self._waiting = sentence
        return None

    def described(self, gsa: Gsa) -> None:
        """How many dimensions the fix has."""
        self._dimensions = gsa.dimensions or 0, self._epoch

    def dated(self, zda: Zda) -> None:
        """What the date is."""
        ts = _ts(zda.date, zda.time_ms)
        if ts is not None:
            self._zda = ts, self._epoch

    def _measure(self, sentence: Rmc | Gga) -> None:
        """How far apart the epochs are: the least of the last ones, since a sentence may be lost."""
        before = self._times.get(type(sentence))
        if sentence.time_ms is None:
            return
        self._times[type(sentence)] = sentence.time_ms
        interval_ms = 0 if before is None else (sentence.time_ms - before) % _DAY_MS
        if interval_ms:  # not again of the same moment, as 23:59:60 and 00:00:00 are
            self._intervals_ms = (*self._intervals_ms[1 - _INTERVALS :], interval_ms)

    def _is_same_moment(self, one: Rmc | Gga, other: Rmc | Gga) -> bool:
        """Whether they can be of one epoch, which those without a time can."""
        if one.time_ms is None or other.time_ms is None:
            return True
        apart = abs(one.time_ms - other.time_ms)
        return min(apart, _DAY_MS - apart) < min(_SAME_MS, min(self._intervals_ms, default=2 * _SAME_MS) / 2)

    def _fix(self, rmc: Rmc | None, gga: Gga | None) -> Fix:
        self._epoch += 1
        heard = [each.fix for each in (rmc, gga) if each is not None]
        main = rmc or gga
        position = main.position if main is not None else None
        word = next(word for word in _WORST if word in heard)
        return Fix(
            self._dimensioned(gga) if word == MEASURED and position is not None else NONE if word == MEASURED else word,
            position,
            rmc.speed_m_s if rmc is not None else None,
            rmc.course if rmc is not None else None,
            gga.altitude_m if gga is not None else None,
            gga.satellites if gga is not None else None,
            gga.hdop if gga is not None else None,
            self._time(rmc, gga) if word == MEASURED else None,
        )

    def _dimensioned(self, gga: Gga | None) -> str:
        dimensions, epoch = self._dimensions
        if dimensions in (2, 3) and self._epoch - epoch <= _GSA_LASTS:
            return THREE_D if dimensions == 3 else TWO_D
        return THREE_D if gga is not None and gga.altitude_m is not None else TWO_D

    def _time(self, rmc: Rmc | None, gga: Gga | None) -> int | None:
        """UTC ms of the fix; None if the date is not known."""
        ts = None if rmc is None else _ts(rmc.date, rmc.time_ms)
        zda, epoch = self._zda
        if self._epoch - epoch > _ZDA_LASTS:
            return ts
        if ts is None:
            time_ms = (rmc or gga or _NOBODY).time_ms
            return None if time_ms is None else _nearest(zda, time_ms)
        return ts if abs(ts - zda) <= _CONTRADICT_MS else None


_NOBODY = Zda("", None, None)


def _ordered(one: Rmc | Gga, other: Rmc | Gga | None) -> tuple[Rmc | None, Gga | None]:
    both = (one, other)
    rmc = next((it for it in both if isinstance(it, Rmc)), None)
    gga = next((it for it in both if isinstance(it, Gga)), None)
    return rmc, gga


def _ts(day: date | None, time_ms: int | None) -> int | None:
    meant = None if day is None else unrolled(day)
    return None if meant is None or time_ms is None else ts_of(meant, time_ms)


def _nearest(ts: int, time_ms: int) -> int:
    """The moment with this time of day that is nearest to `ts`."""
    behind = (time_ms - ts) % _DAY_MS
    return ts + behind - (_DAY_MS if behind > _DAY_MS // 2 else 0)
