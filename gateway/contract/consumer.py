"""A platform in some hundred lines: keeps what Sitewarden gateways say in SQLite, every record exactly once.

    pip install paho-mqtt
    python consumer.py mqtt.example.com feed.db --port 8883 --tls --username platform --password-file secret

It shows the rules of the page beside it (README.md): a record's identity is its key; a message is acknowledged, and
confirmed on `stored`, when it is on the disk and not before; what is missing is asked for with `resend`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import sqlite3
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

log = logging.getLogger("consumer")

TABLES = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS records (gateway TEXT, run TEXT, lane TEXT, seq INTEGER, ts INTEGER, tq TEXT, body TEXT,
                                    PRIMARY KEY (gateway, run, lane, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS absent (gateway TEXT, run TEXT, lane TEXT, first INTEGER, last INTEGER,
                                   PRIMARY KEY (gateway, run, lane, first, last)) WITHOUT ROWID;
"""
KEEP = """INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
          SET ts = excluded.ts, tq = excluded.tq WHERE excluded.tq = 'estimated' AND tq IN ('unsynced', 'rtc')"""
HOLES = """
WITH spans AS (SELECT gateway, run, lane, seq AS first, seq AS last FROM records UNION ALL SELECT * FROM absent),
     pairs AS (SELECT gateway, run, lane, first, ifnull(max(last) OVER (PARTITION BY gateway, run, lane
               ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM spans)
SELECT gateway, run, lane, before + 1, first - 1 FROM pairs WHERE first > before + 1 LIMIT 20"""


class Feed:
    """The records in the database `db`. Holes are looked for every `look_s` seconds; each is asked for three times."""

    def __init__(self, db: sqlite3.Connection, look_s: float) -> None:
        self._db, self._look_s = db, look_s
        self._looked_at, self._hist_at = time.monotonic(), 0.0
        self._asked: Counter[tuple[Any, ...]] = Counter()

    def take(self, client: Client, message: MQTTMessage) -> None:
        """Keep what a message says, acknowledge it, and see from time to time whether something is missing."""
        gateway, _, name = message.topic.rpartition("/")
        payload = message.payload
        try:
            if name in {"telemetry", "event"}:
                text = gzip.decompress(payload) if payload[:2] == b"\x1f\x8b" else payload
                self._keep(client, gateway, name, json.loads(text))
        except (ValueError, LookupError, TypeError, EOFError, OSError) as error:
            log.warning("%s: passed over: %r", message.topic, error)  # it would come again and again
        client.ack(message.mid, message.qos)  # only now: had we died before, the broker would give it to us again
        if time.monotonic() > self._looked_at + self._look_s:
            self._look(client)

    def _keep(self, client: Client, gateway: str, lane: str, said: dict[str, Any]) -> None:
        rows = [
            (gateway, said["run"], lane, record["seq"], record["ts"], said["tq"], json.dumps(record))
            for record in said.get("records", [said])
        ]
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany(KEEP, rows)
            self._db.executemany("INSERT OR IGNORE INTO absent VALUES (?, ?, ?, ?, ?)", absent(gateway, said))
        if said["hist"]:
            self._hist_at = time.monotonic()
        word = {"run": said["run"], "lane": lane, "ranges": [[row[3], row[3]] for row in rows]}
        client.publish(f"{gateway}/stored", json.dumps(word), qos=1)

    def _look(self, client: Client) -> None:
        self._looked_at = now = time.monotonic()
        if now < self._hist_at + self._look_s:
            return  # a backlog is coming: what is missing may be in it
        for hole in self._db.execute(HOLES).fetchall():
            self._asked[hole] += 1
            if self._asked[hole] <= 3:
                args = dict(zip(("run", "lane", "from", "to"), hole[1:], strict=True))
                wanted = {"id": uuid.uuid4().hex, "name": "resend", "args": args, "issuer": "consumer"}
                expires = (int(time.time()) + 60) * 1000
                client.publish(f"{hole[0]}/command", json.dumps({**wanted, "expires": expires}), qos=1)


def absent(gateway: str, said: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What an event tells of numbers that never come: those of a gap, and the one after the last of the run before."""
    if said.get("event") == "gap":
        return [(gateway, said["of_run"], said["lane"], said["first"], said["last"])]
    if said.get("event") != "started" or said["previous"] is None:
        return []
    before = said["previous"]
    return [(gateway, before["run"], lane, before[lane] + 1, before[lane] + 1) for lane in ("event", "telemetry")]


def main() -> None:
    """Listen until the end."""
    parser = argparse.ArgumentParser(
        description="Keep the records of Sitewarden gateways in SQLite, each exactly once."
    )
    parser.add_argument("host")
    parser.add_argument("file")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--look", type=float, default=10.0, metavar="SECONDS", help="how often holes are looked for")
    args = parser.parse_args()
    logging.basicConfig()
    db = sqlite3.connect(args.file, isolation_level=None)
    db.executescript(TABLES)
    feed = Feed(db, args.look)
    version, protocol = CallbackAPIVersion.VERSION2, MQTTProtocolVersion.MQTTv311
    client = Client(version, "sitewarden-consumer", clean_session=False, protocol=protocol, manual_ack=True)
    if args.tls:
        client.tls_set()
    if args.username:
        client.username_pw_set(args.username, args.password_file.read_text().strip() if args.password_file else None)
    topics = [(f"sitewarden/v1/+/+/{name}", 1) for name in ("telemetry", "event", "health")]
    client.on_connect = lambda client, *_: client.subscribe(topics) and None
    client.on_message = lambda _, __, message: feed.take(client, message)
    client.reconnect_delay_set(1, 30)
    client.connect_async(args.host, args.port)
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main()
