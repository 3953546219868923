"""How many are inside, against the obvious slow model: `python tests/bench/occupancy.py [PASSAGES [SEED]]`.

20 doors at 50 passages a second, through the real derivations as the hub drives them: counters that roll over and lose
their power, doors that fall silent, restarts of ours with a journal that is there or comes late, a day that begins,
people who put the count right. After each 10,000 passages zone and doors are compared with people counted one by one.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from crowd import Crowd  # noqa: E402 - from any folder

CHECKED_EVERY = 10_000


def main() -> int:
    """Print what happened; 1 if a count was wrong."""
    passages = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 20261122
    crowd, wrong, begin = Crowd(seed), 0, time.perf_counter()
    for passed in range(0, passages, CHECKED_EVERY):
        crowd.pass_through(min(CHECKED_EVERY, passages - passed))
        for difference in crowd.differences():
            wrong += 1
            print(f"after {passed + CHECKED_EVERY} passages: {difference}")
        crowd.forget()
    happened = ", ".join(f"{count} {what}" for what, count in sorted(crowd.happened.items()))
    print(f"{passages} passages at 20 doors, seed {seed}: {happened}")
    print(f"{wrong} counts differ from the slow model; {time.perf_counter() - begin:.0f} s")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
