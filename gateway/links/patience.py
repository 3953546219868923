"""How long a lost device is waited for when it is asked again. Pure.

Each wait for a device that is not there is taken from the others on its line. At 9,600 baud a link waits 344 ms for
four registers; each 30 s that is more than a hundredth of the time. So it is waited for twice as long as it has taken
at most lately, or 100 ms where it has not answered yet, and only each fourth time as long as the link says: a device
that has become slow, or always was, is found with that.
"""

from __future__ import annotations

import math

UNHEARD_S = 0.1
MARGIN_S = 0.05
FULL_EACH = 4


def patience_s(probes: int, slowest_s: float | None) -> float:
    """How long (s, beside the time on the wire) a reply may take, after so many `probes` in vain.

    `slowest_s`: the longest response time lately; None if there was none. Infinity: as long as the link says.
    """
    if probes % FULL_EACH == FULL_EACH - 1:
        return math.inf
    return UNHEARD_S if slowest_s is None else 2 * slowest_s + MARGIN_S
