"""The leanest sketch that load.py measures beside the gateway: the exchange, JSON, insert and publish, nothing else.

`sketch.py BROKER_PORT PERIOD_S DATABASE REGISTERS PORT...`: one thread over all devices. On each tick it asks every
device, then takes the replies as they come, encodes a reading of each, commits all of them to SQLite (WAL, FULL) and
publishes them in batches at QoS 1. No rule, no schedule beyond the tick, no check but the length, no error handling.
"""

from __future__ import annotations

import json
import math
import selectors
import socket
import sqlite3
import struct
import sys
import time

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

REGISTERS = int(sys.argv[4])
NAMES = [f"temperature-{number}" for number in range(REGISTERS)]
PER_MESSAGE = 50


def main() -> None:
    broker, period_s, database = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    ports = [int(port) for port in sys.argv[5:]]
    client = Client(CallbackAPIVersion.VERSION2, "sketch")
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", broker)
    client.loop_start()
    db = sqlite3.connect(database, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE IF NOT EXISTS telemetry (id INTEGER PRIMARY KEY, ts INTEGER, text TEXT)")
    selector = selectors.DefaultSelector()
    connections = [socket.create_connection(("127.0.0.1", port)) for port in ports]
    for number, connection in enumerate(connections):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, (connection, number))
    decode = struct.Struct(f">{REGISTERS}H").unpack
    encode = json.JSONEncoder(separators=(",", ":")).encode
    sequence = transaction = 0
    tick = math.ceil(time.monotonic() / period_s)
    while True:
        tick += 1
        selector.select(max(0.0, tick * period_s - time.monotonic()))
        transaction = (transaction + 1) & 0xFFFF
        request = struct.pack(">HHHBBHH", transaction, 0, 6, 1, 3, 0, REGISTERS)
        for connection in connections:
            connection.sendall(request)
        rows, missing = [], len(connections)
        while missing:
            for key, _ in selector.select(1.0):
                replying, number = key.data
                reply = replying.recv(512)
                raw = decode(reply[9 : 9 + 2 * REGISTERS])
                values = {name: word / 10 for name, word in zip(NAMES, raw, strict=True)}
                sequence += 1
                text = encode({"device": f"d{number}", "values": values})
                rows.append((sequence, time.time_ns() // 1_000_000, text))
                missing -= 1
        db.execute("BEGIN")
        db.executemany("INSERT INTO telemetry VALUES (?, ?, ?)", rows)
        db.execute("COMMIT")
        for first in range(0, len(rows), PER_MESSAGE):
            batch = ",".join(
                f'{{"seq":{row[0]},"ts":{row[1]},{row[2][1:]}' for row in rows[first : first + PER_MESSAGE]
            )
            client.publish("sketch/v1/a/b/telemetry", f'{{"schema":1,"records":[{batch}]}}', qos=1)


if __name__ == "__main__":
    main()
