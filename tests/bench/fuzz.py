"""Everything that decodes what comes from outside, fed with what nobody meant: python tests/bench/fuzz.py.

Random bytes, damaged captures, and arbitrary fields behind right checksums, for every driver of the registry, for
Modbus frames and for commands; and any readings for what the example configurations derive. Goal: no exception but the
errors of ours, no value that its kind cannot have, and bounded memory. `--inputs` are shared out evenly among the
drivers; `--only` takes one; a seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from fuzzing import decoders, fed  # noqa: E402 - runs from any folder

MOST_MB = 200
"""What the whole run may take, with the tests' own modules, captures and pytest: some 100 MB."""


def main() -> int:
    """Print what came of each decoder; 1 if one did not stand it."""
    told = argparse.ArgumentParser(description="feed all decoders with what nobody meant")
    told.add_argument("--inputs", type=int, default=1_000_000, help="all together (1000000)")
    told.add_argument("--seed", type=int, default=1)
    told.add_argument("--only", default="", help="a driver, or another name of the first column")
    options = told.parse_args()
    found = {name: each for name, each in decoders().items() if options.only in ("", name)}
    if not found:
        print(f"fuzz: there is no {options.only}; there are {', '.join(decoders())}")
        return 2
    began, inputs, faults = time.monotonic(), 0, []
    for name, each in found.items():
        share = -(-options.inputs // len(found) // len(each))
        outcomes = [fed(decoder, share, options.seed) for decoder in each]
        count, seconds = sum(it.inputs for it in outcomes), sum(it.seconds for it in outcomes)
        kept = max(it.most_kept for it in outcomes)
        print(
            f"{name:16} {count:>10} inputs {seconds:7.1f} s {seconds / count * 1e6:6.1f} µs each, {kept:>6} bytes kept"
        )
        sys.stdout.flush()
        inputs += count
        faults += [f"{it.name}: {it.fault}" for it in outcomes if it.fault]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"fuzz: {inputs} inputs in {time.monotonic() - began:.0f} s, seed {options.seed}, {peak_mb} MB at most")
    for fault in faults:
        print(fault)
    print("nothing unexpected" if not faults else f"{len(faults)} of them did not stand it")
    return int(bool(faults) or peak_mb > MOST_MB)


if __name__ == "__main__":
    sys.exit(main())
