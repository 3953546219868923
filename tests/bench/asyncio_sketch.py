"""The sketch that load.py measures beside the gateway, as one would write it with asyncio: a task for each device.

`asyncio_sketch.py BROKER_PORT PERIOD_S DATABASE REGISTERS PORT...`: on each tick all devices are asked; each reply is
checked (transaction, protocol, unit, function, byte count), has to come in time, and becomes one record; all records of
a tick are committed to SQLite (WAL, FULL) and published in batches at QoS 1. No rule, no alarm, no retry, nothing else.
"""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import struct
import sys
import time
from typing import NamedTuple

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

REGISTERS = int(sys.argv[4])
NAMES = [f"temperature-{number}" for number in range(REGISTERS)]
UNIT, READ_HOLDING = 1, 3
PER_MESSAGE = 50
TIMEOUT_S = 1.0

HEADER = struct.Struct(">HHHB")  # transaction, protocol, length of what follows, unit
REQUEST = struct.Struct(">HHHBBHH")
DECODE = struct.Struct(f">{REGISTERS}H").unpack_from
encode = json.JSONEncoder(separators=(",", ":")).encode


class Record(NamedTuple):
    """One reading."""

    seq: int
    ts: int
    text: str


class Device:
    """One Modbus TCP device."""

    def __init__(self, name: str, port: int) -> None:
        self._name = name
        self._port = port
        self._transaction = 0

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def read(self) -> str:
        """The text of a reading; raises what is wrong."""
        self._transaction = self._transaction % 0xFFFF + 1
        self._writer.write(REQUEST.pack(self._transaction, 0, 6, UNIT, READ_HOLDING, 0, REGISTERS))
        async with asyncio.timeout(TIMEOUT_S):
            transaction, protocol, length, unit = HEADER.unpack(await self._reader.readexactly(HEADER.size))
            pdu = await self._reader.readexactly(length - 1)
        if (transaction, protocol, unit) != (self._transaction, 0, UNIT):
            raise ValueError(f"{self._name}: the reply to another request")
        if (pdu[0], pdu[1], len(pdu)) != (READ_HOLDING, 2 * REGISTERS, 2 + 2 * REGISTERS):
            raise ValueError(f"{self._name}: not the registers that were asked for")
        values = {name: raw / 10 for name, raw in zip(NAMES, DECODE(pdu, 2), strict=True)}
        return encode({"device": self._name, "values": values})


class Store:
    """The records, on the disk before they are published."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("CREATE TABLE IF NOT EXISTS telemetry (id INTEGER PRIMARY KEY, ts INTEGER, text TEXT)")

    def put(self, records: list[Record]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany("INSERT INTO telemetry VALUES (?, ?, ?)", records)
        self._db.execute("COMMIT")


def publish(client: Client, records: list[Record]) -> None:
    for first in range(0, len(records), PER_MESSAGE):
        message = records[first : first + PER_MESSAGE]
        batch = ",".join(f'{{"seq":{seq},"ts":{ts},{text[1:]}' for seq, ts, text in message)
        client.publish("sketch/v1/a/b/telemetry", f'{{"schema":1,"records":[{batch}]}}', qos=1)


async def until(tick: float) -> None:
    """Monotonic seconds, by which the event loop runs too."""
    come = asyncio.Event()
    asyncio.get_running_loop().call_at(tick, come.set)
    await come.wait()


async def main() -> None:
    broker, period_s = int(sys.argv[1]), float(sys.argv[2])
    devices = [Device(f"d{number}", int(port)) for number, port in enumerate(sys.argv[5:])]
    client = Client(CallbackAPIVersion.VERSION2, "sketch")
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", broker)
    client.loop_start()
    store = Store(sys.argv[3])
    await asyncio.gather(*(device.connect() for device in devices))
    seq, records = 0, []

    async def poll(device: Device) -> None:
        nonlocal seq
        text = await device.read()
        seq += 1
        records.append(Record(seq, time.time_ns() // 1_000_000, text))

    tick = math.ceil(time.monotonic() / period_s)
    while True:
        tick += 1
        await until(tick * period_s)
        await asyncio.gather(*(poll(device) for device in devices))
        store.put(records)
        publish(client, records)
        records.clear()


if __name__ == "__main__":
    asyncio.run(main())
