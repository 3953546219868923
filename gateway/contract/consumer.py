"""A platform in one file: keeps what Sitewarden gateways say in SQLite, every record exactly once.

    pip install paho-mqtt
    python consumer.py mqtt.example.com feed.db --port 8883 --ca-file ca.pem --username platform --password-file secret

It shows the rules of the page beside it (README.md): a record's identity is its key; a message is acknowledged, and
confirmed on `stored`, when it is on the disk and not before; what is missing is asked for with `resend`, ever less
often, until it comes or the gateway says that it is gone for good; a time that was wrong is put right.
"""

from __future__ import annotations

import argparse
import json
import logging
import sqlite3
import ssl
import sys
import time
import uuid
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

log = logging.getLogger("consumer")

TOPICS = [f"sitewarden/v1/+/+/{name}" for name in ("telemetry", "event", "reply", "about", "health")]
MAX_BYTES = 4_000_000
"""Bytes of a payload when it is unpacked, at most. A gateway's batches have 16,384; one huge record may be larger."""
AT_ONCE = 10
"""Holes that one gateway is asked for in one look, at most: it takes 2 commands a second, and 20 in a burst."""
LONGEST_S = 3600.0

TABLES = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS records (gateway TEXT, run TEXT, lane TEXT, seq INTEGER, ts INTEGER, tq TEXT, body TEXT,
  PRIMARY KEY (gateway, run, lane, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS absent (gateway TEXT, run TEXT, lane TEXT, first INTEGER, last INTEGER, why TEXT,
  PRIMARY KEY (gateway, run, lane, first, last)) WITHOUT ROWID;  -- gone for good
CREATE TABLE IF NOT EXISTS spans (gateway TEXT, run TEXT, lane TEXT, first INTEGER, last INTEGER,
  PRIMARY KEY (gateway, run, lane, first)) WITHOUT ROWID;  -- numbers that are here, or never come: holes are between
CREATE TABLE IF NOT EXISTS corrections (gateway TEXT, run TEXT, lane TEXT, tq TEXT, first INTEGER, last INTEGER,
  by_ms INTEGER, PRIMARY KEY (gateway, run, lane, tq, first)) WITHOUT ROWID;
"""
KEEP = """INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
  SET ts = excluded.ts, tq = excluded.tq WHERE excluded.tq = 'estimated' AND tq IN ('unsynced', 'rtc')"""
CORRECT = """UPDATE records SET ts = ts + c.by_ms, tq = 'estimated' FROM corrections AS c
  WHERE (records.gateway, records.run, records.lane) = (?1, ?2, ?3) AND seq BETWEEN ?4 AND ?5
  AND (c.gateway, c.run, c.lane) = (?1, ?2, ?3) AND c.tq = records.tq AND seq BETWEEN c.first AND c.last"""
SPAN_BEFORE = """SELECT first, last FROM spans WHERE (gateway, run, lane) = (?, ?, ?) AND first <= ?
  ORDER BY first DESC LIMIT 1"""
HOLES = """SELECT run, lane, before + 1, first - 1 FROM (SELECT run, lane, first, ifnull(lag(last) OVER
  (PARTITION BY run, lane ORDER BY first), 0) AS before FROM spans WHERE gateway = ?) WHERE first > before + 1
  LIMIT 1000"""


class Span(NamedTuple):
    """The numbers `first` to `last` of a run and lane."""

    run: str
    lane: str
    first: int
    last: int


class Feed:
    """The records in the database `db`. What a payload has wrong raises, and leaves the database as it was."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def keep(self, gateway: str, lane: str, said: dict[str, Any], uplink: str) -> list[Span]:
        """Store a message that came over `uplink` ("": not known yet), and what follows from it; the spans it holds."""
        run, records = said["run"], said["records"] if lane == "telemetry" else [said]
        rows = [(gateway, run, lane, one["seq"], one["ts"], said["tq"], body(one)) for one in records]
        spans = joined(run, lane, [one["seq"] for one in records])
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany(KEEP, rows)
            for span in spans:
                self._note(gateway, span)
                self._db.execute(CORRECT, (gateway, *span))
            if lane == "event":
                self._follow(gateway, said, uplink)
        return spans

    def _follow(self, gateway: str, event: dict[str, Any], uplink: str) -> None:
        """What an event says of other records: that they never come, or that their times were wrong."""
        match event["event"]:
            case "gap" if event["lane"] != "local" and (not event["uplinks"] or uplink in event["uplinks"]):
                span = Span(event["of_run"], event["lane"], event["first"], event["last"])
                if event["records"] == span.last - span.first + 1:  # else a resend tells which of them are left
                    self._miss(gateway, span, event["reason"])
            case "started" if (before := event["previous"]) is not None:
                for lane in ("event", "telemetry"):  # the number after the last one: a hole is seen between two spans
                    self._note(gateway, Span(before["run"], lane, before[lane] + 1, before[lane] + 1))
            case "clock_corrected":
                for lane in ("event", "telemetry"):
                    first, last = event[f"first_{lane}"], event[f"last_{lane}"]
                    span = Span(event["of_run"], lane, first, 2**53 if last is None else last)
                    about = (gateway, span.run, lane, event["was"], span.first, span.last, event["by_ms"])
                    self._db.execute("INSERT OR IGNORE INTO corrections VALUES (?, ?, ?, ?, ?, ?, ?)", about)
                    self._db.execute(CORRECT, (gateway, *span))

    def gone(self, gateway: str, span: Span) -> None:
        """The gateway says that it has nothing of this any more."""
        with self._db:
            self._db.execute("BEGIN")
            self._miss(gateway, span, "gone from the journal")

    def holes(self, gateway: str) -> list[Span]:
        """The first 1,000 ranges that are missing; what this costs grows with them, and not with the records."""
        return [Span(*row) for row in self._db.execute(HOLES, (gateway,))]

    def _miss(self, gateway: str, span: Span, why: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO absent VALUES (?, ?, ?, ?, ?, ?)", (gateway, *span, why))
        self._note(gateway, span)

    def _note(self, gateway: str, span: Span) -> None:
        """These numbers are no hole; joined with the spans that they touch."""
        run, lane, first, last = span
        while row := self._db.execute(SPAN_BEFORE, (gateway, run, lane, last + 1)).fetchone():
            if row[1] < first - 1:
                break
            first, last = min(first, row[0]), max(last, row[1])
            self._db.execute(
                "DELETE FROM spans WHERE (gateway, run, lane, first) = (?, ?, ?, ?)", (gateway, run, lane, row[0])
            )
        self._db.execute("INSERT INTO spans VALUES (?, ?, ?, ?, ?)", (gateway, run, lane, first, last))


class Ask(NamedTuple):
    """A `resend` that was sent: its id, and when and after how long it is sent again."""

    id: str
    again_at: float
    pause_s: float


class Gateway:
    """One gateway as the consumer knows it: when to look for holes, and what it was asked for."""

    def __init__(self, look_at: float) -> None:
        self.look_at = look_at
        self.uplink = ""
        self.asks: dict[Span, Ask] = {}


class Consumer:
    """Takes messages. Every `look_s` seconds, while a gateway speaks, its holes are looked for; `now` is monotonic."""

    def __init__(self, feed: Feed, look_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._feed, self._look_s, self._now = feed, look_s, now
        self._gateways: dict[str, Gateway] = {}

    def take(self, client: Client, message: MQTTMessage) -> None:
        """Keep what a message says, acknowledge it, and see from time to time whether something is missing."""
        name, _, lane = message.topic.rpartition("/")
        gateway = self._gateways.setdefault(name, Gateway(self._now() + self._look_s))
        try:
            self._hear(client, name, gateway, lane, bytes(message.payload))
        except Exception as error:  # whatever one gateway sends must not stop the feed of the others
            if type(error) in {sqlite3.OperationalError, sqlite3.DatabaseError}:
                raise  # it is our disk, and nothing is acknowledged
            log.warning("%s: passed over: %.200r", message.topic, error)  # it would come again and again
        client.ack(message.mid, message.qos)  # only now: had we died before, the broker would give it to us again
        if self._now() >= gateway.look_at:
            gateway.look_at = self._now() + self._look_s
            self._look(client, name, gateway)

    def _hear(self, client: Client, name: str, gateway: Gateway, lane: str, payload: bytes) -> None:
        said = parsed(payload) if payload else {}
        match lane:
            case "telemetry" | "event":
                spans = self._feed.keep(name, lane, said, gateway.uplink)
                word = {"run": said["run"], "lane": lane, "ranges": [[span.first, span.last] for span in spans]}
                client.publish(f"{name}/stored", json.dumps(word), qos=1)
                if said["hist"]:
                    gateway.look_at = self._now() + self._look_s  # a backlog comes: what is missing may be in it
            case "about":
                gateway.uplink = said.get("uplink", "")
            case "reply":
                self._answered(name, gateway, said)

    def _answered(self, name: str, gateway: Gateway, reply: dict[str, Any]) -> None:
        span = next((span for span, ask in gateway.asks.items() if ask.id == reply["id"]), None)
        if span is None:
            return  # somebody else has asked
        if reply["result"] != "done":
            log.warning("%s: %s to %s: %s", name, span.first, span.last, reply["detail"])
        if reply.get("gone") == span.last - span.first + 1:
            self._feed.gone(name, span)

    def _look(self, client: Client, name: str, gateway: Gateway) -> None:
        """Ask for what is missing, longest waiting first; each time it is not filled the pause doubles."""
        now = self._now()
        asks = {hole: gateway.asks.get(hole, Ask("", 0.0, self._look_s)) for hole in self._feed.holes(name)}
        due = sorted((ask.again_at, hole) for hole, ask in asks.items() if ask.again_at <= now)
        for _, hole in due[:AT_ONCE]:
            pause_s = min(LONGEST_S, 2 * asks[hole].pause_s)
            asks[hole] = Ask(uuid.uuid4().hex, now + pause_s, pause_s)
            args = {"run": hole.run, "lane": hole.lane, "from": hole.first, "to": hole.last}
            wanted = {"id": asks[hole].id, "name": "resend", "args": args, "issuer": "consumer"}
            expires = (int(time.time()) + 600) * 1000
            client.publish(f"{name}/command", json.dumps({**wanted, "expires": expires}), qos=1)
        gateway.asks = {hole: ask for hole, ask in asks.items() if ask.id}


def parsed(payload: bytes) -> dict[str, Any]:
    """The object that a payload holds, unpacked if it is gzip."""
    if payload[:2] == b"\x1f\x8b":
        unpacking = zlib.decompressobj(wbits=31)
        payload = unpacking.decompress(payload, MAX_BYTES)
        if not unpacking.eof:
            raise ValueError("cut off, or too large when it is unpacked")
    said: dict[str, Any] = json.loads(payload)
    return said


def body(record: dict[str, Any]) -> str:
    """What stands in no column: a time that was put right stands in one place alone."""
    columns = {"schema", "run", "tq", "hist", "seq", "ts"}
    return json.dumps({name: value for name, value in record.items() if name not in columns})


def joined(run: str, lane: str, seqs: Iterable[int]) -> list[Span]:
    """Numbers as spans, in order."""
    spans: list[Span] = []
    for seq in sorted(seqs):
        if seq < 1:
            raise ValueError(f"records count from 1, not {seq}")
        if spans and seq <= spans[-1].last + 1:
            spans[-1] = spans[-1]._replace(last=seq)
        else:
            spans.append(Span(run, lane, seq, seq))
    return spans


def client(args: argparse.Namespace, take: Callable[[Client, MQTTMessage], None]) -> Client:
    """The connection to the broker: a persistent session, and what goes wrong is printed."""
    version, protocol = CallbackAPIVersion.VERSION2, MQTTProtocolVersion.MQTTv311
    made = Client(version, args.client_id, clean_session=False, protocol=protocol, manual_ack=True)
    if args.tls or args.ca_file:
        made.tls_set_context(ssl.create_default_context(cafile=args.ca_file))
    if args.username:
        made.username_pw_set(args.username, args.password_file.read_text().strip() if args.password_file else None)

    def connected(client: Client, _data: object, _flags: object, code: ReasonCode, _properties: object) -> None:
        log.log(logging.ERROR if code.is_failure else logging.INFO, "%s: login: %s", args.host, code)
        if not code.is_failure:
            client.subscribe([(topic, 1) for topic in TOPICS])

    def subscribed(_client: Client, _data: object, _mid: int, codes: list[ReasonCode], _properties: object) -> None:
        for topic, code in zip(TOPICS, codes, strict=False):
            if code.is_failure:
                log.error("%s: refuses the subscription to %s: %s; check its access list", args.host, topic, code)

    def unreachable(_client: Client, _data: object) -> None:
        log.error("%s: cannot be reached: %s", args.host, sys.exc_info()[1])  # paho calls this where it caught it

    def disconnected(_client: Client, _data: object, _flags: object, code: ReasonCode, _properties: object) -> None:
        log.warning("%s: the connection has ended: %s", args.host, code)

    made.on_connect, made.on_subscribe = connected, subscribed
    made.on_connect_fail, made.on_disconnect = unreachable, disconnected
    made.on_message = lambda client, _, message: take(client, message)
    made.reconnect_delay_set(1, 30)
    return made


def arguments(line: list[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Keep the records of Sitewarden gateways in SQLite, each once.")
    parser.add_argument("host")
    parser.add_argument("file")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--tls", action="store_true", help="with the CAs that this computer trusts")
    parser.add_argument("--ca-file", type=Path, help="the CA of the broker; TLS with this one alone")
    parser.add_argument("--username")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--client-id", default="sitewarden-consumer", help="each consumer at a broker has its own")
    parser.add_argument("--look", type=float, default=10.0, metavar="SECONDS", help="how often holes are looked for")
    return parser.parse_args(line)


def main() -> None:
    """Listen until the end."""
    args = arguments()
    logging.basicConfig(level=logging.INFO)
    db = sqlite3.connect(args.file, isolation_level=None)
    db.executescript(TABLES)
    connection = client(args, Consumer(Feed(db), args.look).take)
    connection.connect_async(args.host, args.port)
    connection.loop_forever(retry_first_connection=True)


if __name__ == "__main__":
    main()
