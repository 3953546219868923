"""How much a value has changed within the last so many seconds. Pure; bounded, however fast the values come."""

from __future__ import annotations

from collections import deque

_SLICES = 60  # into which a window is cut: of each only the lowest and the highest value are kept


class Window:
    """The values of the last `length_s` seconds, and of up to a sixtieth more. Owned and changed by the hub alone."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._slices: deque[tuple[float, float, float]] = deque()  # when it began (monotonic s), lowest, highest

    def take(self, value: float, mono: float) -> float:
        """By how much `value` differs, at monotonic time `mono`, from what was furthest from it in the window."""
        slices, slice_s = self._slices, self._length_s / _SLICES
        while slices and mono - slices[0][0] > self._length_s + slice_s:
            slices.popleft()
        if slices and mono - slices[-1][0] < slice_s:
            begun, low, high = slices[-1]
            slices[-1] = begun, min(low, value), max(high, value)
        else:
            slices.append((mono, value, value))
        return max(value - min(low for _, low, _ in slices), max(high for _, _, high in slices) - value)
