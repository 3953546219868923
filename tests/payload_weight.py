"""Two minutes of readings as the uplink would send them, and what they weigh. No timing: the same on every machine.

Names of at least eight letters, values of two decimals that wander as temperatures do; each device is read once a
second, and each second is sent as it is live.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from gateway import records
from gateway.model import Lane, Reading, Record, Row, Trust
from gateway.uplink.contract import Topics
from gateway.uplink.packing import Form, Packing
from gateway.uplink.wire import LARGEST_PACKET

RUN = "5f0c9a7e11d2b3c4"
TS = 1_795_300_000_000
NAMES = (
    "temperature",
    "humidity",
    "dewpoint",
    "pressure",
    "airspeed",
    "vibration",
    "voltage-l1",
    "current-l1",
    "illuminance",
    "concentration",
)
SECONDS = 120
SHAPES = (("one value a reading", 1, False, 90), ("ten values", 10, False, 30), ("ten values, gzip", 10, True, 10))
"""What, values per reading, compressed, and the goal in bytes per value."""


def second(at: int, devices: int, points: int, state: dict[str, float], chance: random.Random) -> Iterator[Row]:
    """One reading of each device."""
    for number in range(devices):
        values = {}
        for name in NAMES[:points]:
            key = f"{number} {name}"
            state[key] = round(state.get(key, chance.uniform(-25, 60)) + chance.gauss(0, 0.05), 2)
            values[name] = state[key]
        seq = at * devices + number + 1
        reading = Reading(f"coldroom-{number:02}", 0.0, TS, values, {})
        record = Record(Lane.TELEMETRY, seq, TS + at * 1000 + number * 7, Trust.SYNCED, 0, records.telemetry(reading))
        yield Row(seq, RUN, record)


def bytes_per_value(devices: int, points: int, compress: bool) -> float:
    """Payload of two minutes, in the messages that the uplink makes of each second."""
    packing = Packing(Topics("sitewarden/v1/warehouse/gateway1"), Form(compress))
    packing.max_packet = LARGEST_PACKET
    chance, state, total = random.Random(1), dict[str, float](), 0
    for at in range(SECONDS):
        rows = list(second(at, devices, points, state, chance))
        while rows:
            message = packing.telemetry(packing.batch(rows).rows, hist=False)
            total += len(message.publication.payload)
            rows = rows[len(message.rows) :]
    return total / (SECONDS * devices * points)
