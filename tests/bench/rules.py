"""What judging costs: python tests/bench/rules.py. CPU per value, 500 rules on 1,000 points of 50 devices.

Three kinds of values: calm ones, ones that go through their limits now and then (a tenth of them beyond), and restless
ones, of which each is beyond its limit or back from it. Beside them what a bare comparison of each value with its limit
costs in the same run. Goal: at most 5 µs per value that a rule is on.
"""

from __future__ import annotations

import sys
import time
from itertools import product
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent.parent)]

from gateway.hub.alarm import Target  # noqa: E402 - from any folder
from gateway.hub.alarms import Alarms  # noqa: E402 - as above
from gateway.model import Moment, Reading, Trust  # noqa: E402 - as above
from gateway.rules.condition import Above  # noqa: E402 - as above
from gateway.rules.judge import Rule  # noqa: E402 - as above

GOAL_US = 5.0
DEVICES, POINTS, RULED, ROUNDS, TIMES = 50, 20, 10, 20, 5
NAMES = [f"quantity{n}" for n in range(POINTS)]


def main() -> int:
    """Print the figures; 1 if one misses the goal."""
    worst = 0.0
    for what, beyond in (("calm", 0), ("now and then beyond", 10), ("each beyond and back", 1)):
        spent = min(judged(beyond) for _ in range(TIMES))
        bare = min(compared(beyond) for _ in range(TIMES))
        worst = max(worst, spent)
        print(f"{what}: {spent:.2f} µs per value with a rule; a bare comparison {bare:.2f} µs")
    print(f"goal: at most {GOAL_US:g} µs")
    return int(worst > GOAL_US)


def readings(beyond: int) -> list[Reading]:
    """Every device once a second; each `beyond`th value of a point is beyond its limit, if any is."""
    made = []
    for second, number in product(range(ROUNDS), range(DEVICES)):
        values = {
            name: 61.0 if beyond and (second + place) % (2 * beyond) == 0 else 20.25 + (number + place) % 37 / 100
            for place, name in enumerate(NAMES)
        }
        made.append(Reading(f"device-{number}", float(second), 0, values, {}))
    return made


def judged(beyond: int) -> float:
    """Microseconds of CPU per value that a rule is on."""
    rules = tuple(
        (Rule(f"{number}-{name}", Above(60.0, 59.0)), (Target(f"{number}-{name}", f"device-{number}", name, "hall"),))
        for number, name in product(range(DEVICES), NAMES[:RULED])
    )
    alarms = Alarms(rules, {}, Moment(0.0, 0, Trust.SYNCED))
    said = readings(beyond)
    begin = time.thread_time()
    for reading in said:
        alarms.take(reading)
    return (time.thread_time() - begin) / (len(said) * RULED) * 1e6


def compared(beyond: int) -> float:
    """The same values, each compared with a limit and no more."""
    limits = dict.fromkeys(NAMES[:RULED], 60.0)
    said, found = readings(beyond), 0
    begin = time.thread_time()
    for reading in said:
        for name, limit in limits.items():
            found += reading.values[name] > limit  # type: ignore[operator]  # they are numbers here
    return (time.thread_time() - begin) / (len(said) * RULED) * 1e6


if __name__ == "__main__":
    sys.exit(main())
