"""How long one NMEA sentence takes, from bytes to values: python tests/bench/nmea.py. Goal: at most 15 µs of CPU."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path.insert(0, str(TOP))

from drivers.gps_nmea import GpsNmea, GpsOptions  # noqa: E402 - runs from any folder
from gateway.driver import Heard  # noqa: E402 - as above

GOAL_US = 15.0
SECONDS = ("rmc_gn_ublox", "gga_gn_ublox", "gsa_gn_gps", "gsv_1of4", "gsv_4of4_short", "gll_basic")
"""About what a receiver says each second."""
ROUNDS, CHUNK = 5000, 32  # bytes that a serial line hands over at once


def main() -> int:
    """Print the figure; 1 if it misses the goal."""
    vectors = json.loads((TOP / "tests" / "vectors" / "nmea.json").read_text(encoding="utf-8"))["vectors"]
    sentences = {vector["id"]: vector["sentence"] for vector in vectors}
    burst = "".join(f"{sentences[name]}\r\n" for name in SECONDS).encode("ascii")
    chunks = [Heard(burst[i : i + CHUNK], 0.0) for i in range(0, len(burst), CHUNK)]
    driver = GpsNmea(GpsOptions())
    best = min(timed(driver, chunks) for _ in range(3))
    print(f"nmea: {best:.1f} µs of CPU per sentence (goal {GOAL_US:.0f}), in chunks of {CHUNK} bytes")
    return int(best > GOAL_US)


def timed(driver: GpsNmea, chunks: list[Heard]) -> float:
    """CPU microseconds per sentence."""
    begin = time.process_time()
    for _ in range(ROUNDS):
        for chunk in chunks:
            driver.hear(chunk)
    return (time.process_time() - begin) / ROUNDS / len(SECONDS) * 1e6


if __name__ == "__main__":
    sys.exit(main())
