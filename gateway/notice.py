"""What this gateway is not, in words for people: said in the README, at each start, and in what it tells of itself."""

from __future__ import annotations

NOTICE = (
    "A monitoring and notification aid: no fire alarm control unit, not tested to EN 54, UL 864/268, GB 4717, GB 50116"
    " or any other standard. It must not be the only means to detect fire, to warn people or to release extinguishing,"
    " and must never delay, silence, inhibit or reset a certified system. A loss of power, network, sensor or software"
    " can stop what it tells. Test it every month together with the certified system. Local fire rules come first."
)
