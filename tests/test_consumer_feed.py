"""The example of the other end, message by message: what is missing is asked for, and no payload stops the others."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from uplink_scene import RUN

from gateway import records
from gateway.contract import small_consumer
from gateway.contract.consumer import AT_ONCE, LONGEST_S, MAX_BYTES, TABLES, Consumer, Feed
from gateway.hub.timekeeping import Era, Settled
from gateway.model import Json, Lane, PreviousRun, Record, Reply, Trust
from gateway.uplink import contract

LOOK_S = 10.0
FIRST, SECOND = "sitewarden/v1/dc3/gw1", "sitewarden/v1/dc3/gw2"


class Message(NamedTuple):
    topic: str
    payload: bytes
    mid: int = 1
    qos: int = 1


class Platform:
    """A consumer with a clock that is set by hand; notes what it publishes and acknowledges."""

    def __init__(self) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.executescript(TABLES)
        self.at = 1000.0
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.acks = 0
        self._consumer = Consumer(Feed(self.db), LOOK_S, lambda: self.at)

    def publish(self, topic: str, payload: str, qos: int) -> None:
        self.said.append((topic, json.loads(payload)))

    def ack(self, mid: int, qos: int) -> None:
        self.acks += 1

    def hear(self, topic: str, payload: bytes, later: float = 0.0) -> None:
        self.at += later
        self._consumer.take(self, Message(topic, payload))  # type: ignore[arg-type]

    def telemetry(self, gateway: str, *seqs: int, hist: bool = False, later: float = 0.0) -> None:
        made = [Record(Lane.TELEMETRY, seq, 1, Trust.SYNCED, 0, '{"device":"d","values":{"x":1}}') for seq in seqs]
        self.hear(f"{gateway}/telemetry", contract.telemetry(RUN, Trust.SYNCED, hist, made), later)

    def event(self, gateway: str, seq: int, text: str, later: float = 0.0) -> None:
        record = Record(Lane.EVENT, seq, 1, Trust.SYNCED, 0, text)
        self.hear(f"{gateway}/event", contract.event(RUN, record, False), later)

    def minute(self, gateway: str) -> None:
        """The gateway says how it is, a while later."""
        self.hear(f"{gateway}/health", b"{}", LOOK_S)

    def asked(self, gateway: str) -> list[tuple[int, int]]:
        """The ranges that a gateway was asked for since the last time."""
        words = [word["args"] for topic, word in self.said if topic == f"{gateway}/command"]
        self.said = [(topic, word) for topic, word in self.said if topic != f"{gateway}/command"]
        return [(args["from"], args["to"]) for args in words]

    def answer(self, gateway: str, again: int | None, gone: int | None, result: str = "done") -> None:
        """To the last question."""
        ids = [word["id"] for topic, word in self.said if topic == f"{gateway}/command"]
        self.hear(f"{gateway}/reply", contract.reply(Reply(ids[-1], result, "", again, gone)))

    def rows(self, columns: str, table: str) -> list[tuple[Any, ...]]:
        return self.db.execute(f"SELECT {columns} FROM {table}").fetchall()


def gap(first: int, last: int, *uplinks: str, count: int | None = None) -> str:
    number = last - first + 1 if count is None else count
    which: dict[str, Json] = {"of_run": RUN, "lane": "telemetry", "first": first, "last": last, "records": number}
    return records.event("gap", **which, uplinks=uplinks, reason="uplink_behind")


@pytest.fixture
def platform() -> Iterator[Platform]:
    made = Platform()
    with closing(made.db):
        yield made


# ---------------------------------------------------------------- what is missing


@pytest.mark.promise("gap-named")
def test_a_gap_is_kept_as_an_event_confirmed_and_never_asked_for(platform: Platform) -> None:
    platform.hear(f"{FIRST}/about", b'{"uplink":"platform"}')
    platform.telemetry(FIRST, 1, 5)
    platform.event(FIRST, 1, gap(2, 4, "platform", "backup"))
    assert platform.rows("lane, seq", "records") == [("event", 1), ("telemetry", 1), ("telemetry", 5)]
    assert platform.rows("first, last, why", "absent") == [(2, 4, "uplink_behind")]
    assert platform.said[-1] == (f"{FIRST}/stored", {"run": RUN, "lane": "event", "ranges": [[1, 1]]})
    platform.minute(FIRST)
    assert platform.asked(FIRST) == []


def test_a_gap_of_another_uplink_is_not_ours(platform: Platform) -> None:
    platform.hear(f"{FIRST}/about", b'{"uplink":"platform"}')
    platform.telemetry(FIRST, 1, 5)
    platform.event(FIRST, 1, gap(2, 4, "backup"))
    platform.minute(FIRST)
    assert platform.asked(FIRST) == [(2, 4)]


def test_where_only_some_numbers_of_a_gap_are_lost_the_gateway_is_asked_for_the_others(platform: Platform) -> None:
    platform.telemetry(FIRST, 1, 5)
    platform.event(FIRST, 1, gap(2, 4, count=2))
    platform.minute(FIRST)
    assert platform.asked(FIRST) == [(2, 4)]


def test_what_is_gone_for_good_is_noted_and_not_asked_for_again(platform: Platform) -> None:
    platform.telemetry(FIRST, 1, 5)
    platform.minute(FIRST)
    platform.answer(FIRST, again=0, gone=3)
    assert platform.rows("first, last", "absent") == [(2, 4)]
    assert platform.asked(FIRST) == [(2, 4)]
    for _ in range(20):
        platform.minute(FIRST)
    assert platform.asked(FIRST) == []


def test_what_is_gone_only_in_part_or_not_known_yet_stays_a_hole(platform: Platform) -> None:
    platform.telemetry(FIRST, 1, 5)
    platform.minute(FIRST)
    platform.answer(FIRST, again=1, gone=2)
    platform.answer(FIRST, again=None, gone=None, result="refused")
    assert platform.rows("*", "absent") == []


def test_a_hole_is_asked_for_with_growing_pauses_for_ever(platform: Platform) -> None:
    platform.telemetry(FIRST, 1, 5)
    times = []
    while platform.at < 1000 + 5 * LONGEST_S:
        platform.minute(FIRST)
        times += [platform.at] * len(platform.asked(FIRST))
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert pauses[:3] == [2 * LOOK_S, 4 * LOOK_S, 8 * LOOK_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_S


def test_a_gateway_that_was_away_is_asked_when_it_speaks_again(platform: Platform) -> None:
    platform.telemetry(FIRST, 1, 5)
    for _ in range(1000):
        platform.minute(SECOND)
    assert platform.asked(FIRST) == []
    platform.minute(FIRST)
    assert platform.asked(FIRST) == [(2, 4)]


def test_holes_that_nothing_fills_keep_nobody_from_asking_for_others(platform: Platform) -> None:
    platform.telemetry(FIRST, *range(2, 200, 2))
    platform.telemetry(SECOND, 1, 5)
    asked = []
    for _ in range(200):
        platform.minute(FIRST)
        platform.minute(SECOND)
        now = platform.asked(FIRST)
        assert len(now) <= AT_ONCE
        asked += now
    assert set(asked) == {(seq, seq) for seq in range(1, 199, 2)}
    assert (2, 4) in platform.asked(SECOND)


def test_the_backlog_of_one_gateway_delays_only_what_it_is_asked_for_itself(platform: Platform) -> None:
    platform.telemetry(FIRST, 1, 50)
    platform.telemetry(SECOND, 1, 5)
    for seq in range(2, 10):
        platform.telemetry(FIRST, seq, hist=True, later=LOOK_S / 2)
        platform.hear(f"{SECOND}/health", b"{}")
    assert platform.asked(FIRST) == []
    assert platform.asked(SECOND)[0] == (2, 4)
    platform.minute(FIRST)
    assert platform.asked(FIRST) == [(10, 49)]


def test_the_end_of_a_run_shows_what_is_missing_there(platform: Platform) -> None:
    platform.telemetry(FIRST, 1, 2)
    platform.event(FIRST, 1, records.started("0.1.0", "a1b2", "kept", PreviousRun(RUN, 0, 9)))
    platform.minute(FIRST)
    assert platform.asked(FIRST) == [(3, 9)]


def test_records_in_any_order_become_one_span(platform: Platform) -> None:
    for seq in (5, 1, 3, 2, 9, 4, 7, 8, 6, 2):
        platform.telemetry(FIRST, seq)
    assert platform.rows("first, last", "spans") == [(1, 9)]


def test_a_gateway_that_sends_every_other_number_cannot_make_looking_slow(platform: Platform) -> None:
    for first in range(2, 4_002, 200):
        platform.telemetry(FIRST, *range(first, first + 200, 2))
    assert len(Feed(platform.db).holes(FIRST)) == 1000


# ---------------------------------------------------------------- times


def unsynced(seq: int) -> bytes:
    record = Record(Lane.TELEMETRY, seq, 5_000, Trust.UNSYNCED, 0, '{"device":"d","values":{"x":1}}')
    return contract.telemetry(RUN, Trust.UNSYNCED, False, [record])


@pytest.mark.promise("time-corrected")
def test_a_correction_holds_for_what_is_here_and_for_what_comes_later_and_once(platform: Platform) -> None:
    platform.hear(f"{FIRST}/telemetry", unsynced(1))
    platform.hear(f"{FIRST}/telemetry", unsynced(4))
    for _ in range(2):
        platform.event(FIRST, 1, Settled(Era(RUN, Trust.UNSYNCED, -5, 1, 1, 0, 3), 1_000_000, 12_345).text("boot"))
    platform.hear(f"{FIRST}/telemetry", unsynced(2))
    platform.hear(f"{FIRST}/telemetry", unsynced(2))
    found = platform.db.execute("SELECT seq, ts, tq FROM records WHERE lane = 'telemetry'").fetchall()
    assert found == [(1, 1_005_000, "estimated"), (2, 1_005_000, "estimated"), (4, 5_000, "unsynced")]
    (body,) = platform.db.execute("SELECT body FROM records WHERE lane = 'telemetry' AND seq = 1").fetchone()
    assert "ts" not in json.loads(body)


# ---------------------------------------------------------------- payloads that no gateway sends

HEAD = b'{"schema":1,"run":"r","tq":"synced","hist":false'
ODD = {
    "a list": b"[]",
    "text": b'"x"',
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"run":"\xff"}',
    "deep": b"[" * 100_000,
    "damaged gzip": gzip.compress(b"{}")[:12] + b"garbage garbage garbage",
    "half of a gzip": gzip.compress(HEAD)[:15],
    "a bomb": gzip.compress(b" " * (MAX_BYTES + 1) + b"{}"),
    "a number too large": HEAD + b',"records":[{"seq":99999999999999999999,"ts":1}]}',
    "the largest number": HEAD + b',"records":[{"seq":9223372036854775807,"ts":1}]}',
    "no number": HEAD + b',"records":[{"seq":"x","ts":1}]}',
    "NaN": HEAD + b',"records":[{"seq":NaN,"ts":1}]}',
    "number 0": HEAD + b',"records":[{"seq":0,"ts":1}]}',
    "a time that is a map": HEAD + b',"records":[{"seq":1,"ts":{}}]}',
    "half a surrogate pair": HEAD.replace(b'"r"', rb'"\ud800"') + b',"records":[{"seq":1,"ts":1}]}',
    "no records": HEAD + b',"records":null}',
    "a previous run that is a number": HEAD + b',"seq":1,"ts":1,"event":"started","previous":7}',
}


@pytest.mark.parametrize("lane", ["telemetry", "event", "about", "reply"])
@pytest.mark.parametrize("payload", ODD.values(), ids=ODD)
def test_no_payload_of_one_gateway_stops_the_feed_of_the_others(
    platform: Platform, lane: str, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    platform.hear(f"{FIRST}/{lane}", payload)
    assert platform.acks == 1, "it would come again and again"
    assert platform.rows("*", "records") == platform.rows("*", "spans") == []
    platform.telemetry(SECOND, 1)
    assert platform.rows("gateway, seq", "records") == [(SECOND, 1)]
    if lane == "telemetry":
        assert "passed over" in caplog.text


def test_a_disk_that_fails_is_not_taken_for_a_wrong_payload(platform: Platform) -> None:
    platform.db.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        platform.telemetry(FIRST, 1)
    assert (platform.acks, platform.said) == (0, [])


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b"\x1f\x8bno gzip",
        b'{"run":"r","tq":"synced","seq":1e999,"ts":1}',
        b'{"run":"r","tq":"synced","seq":1,"ts":{}}',
        b'{"run":"r","tq":"synced","seq":9999999999999999999,"ts":1}',
    ],
    ids=range(7),
)
def test_the_small_consumer_passes_over_what_is_no_record_and_goes_on(payload: bytes) -> None:
    with closing(sqlite3.connect(":memory:")) as db:
        feed, paper = small_consumer.Feed(db), Paper()
        for said in (payload, b'{"run":"r","tq":"synced","seq":2,"ts":1,"event":"x"}'):
            feed.take(paper, None, Message("sitewarden/v1/s/g/event", said))  # type: ignore[arg-type]
        assert db.execute("SELECT gateway, run, lane, seq, ts FROM records").fetchall() == [
            ("sitewarden/v1/s/g", "r", "event", 2, 1)
        ]
        assert [json.loads(said)["ranges"] for _, said in paper.published] == [[[2, 2]]]
        assert paper.acked == 2


class Paper:
    """A client that notes what it is told."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []
        self.acked = 0

    def publish(self, topic: str, payload: str, qos: int) -> None:
        assert qos == 1
        self.published.append((topic, payload))

    def ack(self, mid: int, qos: int) -> None:
        self.acked += 1
