"""The feed of all gateways at a broker, every record exactly once in SQLite: `small_consumer.py HOST DATABASE [PORT]`.

For uplinks with `acknowledged_by: platform`: what is not confirmed here comes again, so there is nothing to ask for.
A record's identity is its key; a message is confirmed and acknowledged when its transaction is on the disk. What this
leaves out (logins, TLS, bounds, holes, gaps, corrected times) is in consumer.py; the rules are in README.md.
"""

import gzip
import json
import sqlite3
import sys
import zlib

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

TABLE = """CREATE TABLE IF NOT EXISTS records (gateway TEXT, run TEXT, lane TEXT, seq INTEGER, ts INTEGER, tq TEXT,
  body TEXT, PRIMARY KEY (gateway, run, lane, seq)) STRICT, WITHOUT ROWID"""
KEEP = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"

NO_RECORD = (LookupError, TypeError, ValueError, OverflowError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error)
NO_COLUMN = (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.IntegrityError)  # and no error of the disk


class Feed:
    """The records in the database `db`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        db.execute("PRAGMA synchronous = FULL")
        db.execute(TABLE)

    def take(self, client: Client, _: object, message: MQTTMessage) -> None:
        """Keep what a message holds, then confirm and acknowledge it; what nobody could keep is only acknowledged."""
        root, _, lane = message.topic.rpartition("/")
        try:
            packed = message.payload[:2] == b"\x1f\x8b"
            said = json.loads(gzip.decompress(message.payload) if packed else message.payload)
            records = said["records"] if lane == "telemetry" else [said]
            run, seqs = said["run"], [record["seq"] for record in records]
            rows = [(root, run, lane, one["seq"], one["ts"], said["tq"], json.dumps(one)) for one in records]
            with self._db:
                self._db.executemany(KEEP, rows)
        except (*NO_RECORD, *NO_COLUMN) as error:
            sys.stderr.write(f"{message.topic}: passed over: {error!r}\n")
        else:
            confirmed = {"run": run, "lane": lane, "ranges": [[seq, seq] for seq in seqs]}
            client.publish(f"{root}/stored", json.dumps(confirmed), qos=1)
        client.ack(message.mid, message.qos)


def subscribe(client: Client, *_: object) -> None:
    """Called at each connection."""
    client.subscribe([("sitewarden/v1/+/+/telemetry", 1), ("sitewarden/v1/+/+/event", 1)])


def main() -> None:
    """Keep the feed until killed. An error of the disk ends it, and what was not acknowledged comes again."""
    host, database, port = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1883
    client = Client(
        CallbackAPIVersion.VERSION2, "sitewarden-small", protocol=MQTTProtocolVersion.MQTTv311,
        clean_session=False, manual_ack=True,
    )  # fmt: skip
    client.on_message = Feed(sqlite3.connect(database)).take
    client.on_connect = subscribe
    client.connect_async(host, port)
    client.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main()
