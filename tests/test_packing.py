"""Batches: within the broker's limits, compressed where it pays, and no bad record ever holds up the good ones."""

from __future__ import annotations

import gzip
import json
import random
import string
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from sender_desk import Desk
from uplink_scene import ABOUT, RUN, event, reading

from gateway import records
from gateway.model import Lane, Reading, Record
from gateway.uplink import contract
from gateway.uplink.packing import PACKET_OVERHEAD, Form, Packing
from gateway.uplink.wire import Landed, Publication

INVALID, LARGE, FORBIDDEN = 0x99, 0x95, 0x87
TOPICS = contract.Topics.of(ABOUT)


def publications(desk: Desk, name: str = "telemetry") -> list[Publication]:
    return [publication for _, _, publication in desk.wire.sent if publication.topic.endswith(f"/{name}")]


def said(publication: Publication) -> Any:
    payload = publication.payload
    return json.loads(gzip.decompress(payload) if payload[:2] == b"\x1f\x8b" else payload)


def seqs(desk: Desk) -> list[int]:
    return [record["seq"] for publication in publications(desk) for record in said(publication)["records"]]


def sized(seq: int, size: int) -> Record:
    state = "".join(random.Random(seq).choices(string.ascii_letters, k=size))
    text = records.telemetry(Reading("cold-1", 0.0, 0, {"state": state}, {}))
    return reading(seq, text=text)


# ---------------------------------------------------------------- compressed


@pytest.mark.promise("compressed")
def test_compressed_telemetry_says_so_in_its_first_bytes_and_by_its_content_type() -> None:
    desk = Desk(linger=0.0, compression="gzip")
    desk.connect_in_peace()
    desk.on_a_fast_line()
    desk.store(*(reading(seq) for seq in range(1, 51)), event(1))
    (batch,) = publications(desk)
    assert batch.payload[:2] == b"\x1f\x8b"
    assert batch.content == "application/gzip"
    assert seqs(desk) == list(range(1, 51))
    (plain,) = publications(desk, "event")
    assert json.loads(plain.payload)["seq"] == 1
    assert plain.content == ""


def test_what_does_not_get_smaller_stays_as_it_is() -> None:
    desk = Desk(linger=0.0, compression="gzip", run="x")
    desk.connect_in_peace()
    word = "".join(map(chr, random.Random(1).sample(range(0x4E00, 0x9FA5), 20)))
    noise = records.encode({"device": "q7zk2x9wjv", "values": {"b5ymh3gd": word}})
    desk.tell(desk.journal.store([reading(1, text=noise)], run="x"))
    (batch,) = publications(desk)
    assert len(zlib.compress(batch.payload, wbits=31)) >= len(batch.payload)
    assert batch.payload[:1] == b"{"
    assert batch.content == ""


def test_the_same_records_give_the_same_bytes() -> None:
    made = []
    for _ in range(2):
        desk = Desk(linger=0.0, compression="gzip")
        desk.connect_in_peace()
        desk.store(*(reading(seq) for seq in range(1, 51)))
        made.append(publications(desk)[0].payload)
    assert made[0] == made[1]
    assert made[0][4:8] == b"\0\0\0\0", "no time in the frame"


def test_without_the_option_nothing_is_compressed() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    desk.store(*(reading(seq) for seq in range(1, 51)))
    assert publications(desk)[0].payload[:1] == b"{"


# ---------------------------------------------------------------- expiry


@pytest.mark.promise("expiry-live-only")
def test_only_live_telemetry_expires() -> None:
    desk = Desk(linger=0.0, expire_live=300.0)
    desk.journal.store([reading(1)])
    desk.connect()
    desk.answer_all()
    desk.store(reading(2), event(1))
    for batch in publications(desk):
        assert batch.expires_s == (None if said(batch)["hist"] else 300.0)
    assert {said(batch)["hist"] for batch in publications(desk)} == {True, False}
    assert [publication.expires_s for publication in publications(desk, "event")] == [None]


def test_that_a_3_1_1_broker_cannot_expire_anything_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(linger=0.0, expire_live=300.0)
    for _ in range(2):
        desk.connect(version="3.1.1")
    assert caplog.text.count("expire_live does nothing here") == 1
    caplog.clear()
    Desk(expire_live=300.0).connect()
    assert "expire_live" not in caplog.text


# ---------------------------------------------------------------- the broker's Maximum Packet Size


@settings(max_examples=examples(60), deadline=None)
@given(
    st.lists(st.integers(0, 600), min_size=1, max_size=60), st.integers(300, 3000), st.sampled_from(["none", "gzip"])
)
def test_no_packet_is_bigger_than_the_broker_takes_and_what_fits_alone_arrives(
    sizes: list[int], limit: int, compression: str
) -> None:
    desk = Desk(linger=0.0, compression=compression, window=1000)
    desk.connect_in_peace(max_packet=limit)
    made = [sized(seq, size) for seq, size in enumerate(sizes, 1)]
    desk.store(*made)
    arrived: set[int] = set()
    for _ in range(400):
        for publication in publications(desk):
            assert len(publication.topic) + len(publication.payload) + PACKET_OVERHEAD <= limit
        arrived |= set(seqs(desk))
        desk.ack_all()
        desk.tell(later=0.01)
        if not desk.wire.sent:
            break
    alone = Packing(TOPICS, Form(compression == "gzip"))
    alone.max_packet = limit
    fits = {row.record.seq for row in desk.journal.rows[Lane.TELEMETRY] if alone.fits(alone.telemetry((row,), False))}
    assert arrived == fits
    assert set(desk.journal.unacked(Lane.TELEMETRY)) == {record.seq for record in made} - fits


# ---------------------------------------------------------------- refused for good


class Picky:
    """A broker that refuses every message with a record that it does not like."""

    def __init__(self, desk: Desk, bad: set[int], code: int = INVALID, *, lane: Lane = Lane.TELEMETRY) -> None:
        self.desk, self.bad, self.code, self.lane = desk, bad, code, lane
        self.arrived: list[int] = []
        self.messages = 0

    def work(self) -> None:
        while self.desk.wire.sent:
            connection, token, publication = self.desk.wire.sent.pop(0)
            numbers = []
            if publication.topic.endswith(f"/{self.lane}"):
                self.messages += 1
                payload = said(publication)
                numbers = [record["seq"] for record in payload.get("records", [payload])]
            refused = self.bad & set(numbers)
            self.arrived += [] if refused else numbers
            self.desk.tell(Landed(connection, token, self.code if refused else 0, "no" if refused else "Success"))
            self.desk.answer_all()


@pytest.mark.promise("bad-record-aside")
@settings(max_examples=examples(60), deadline=None)
@given(st.sets(st.integers(1, 300), max_size=9), st.sampled_from([INVALID, LARGE]), st.integers(1, 20))
def test_bad_records_stand_aside_alone_and_the_others_go(bad: set[int], code: int, window: int) -> None:
    desk = Desk(linger=0.0, window=window)
    desk.connect_in_peace()
    desk.on_a_fast_line()
    broker = Picky(desk, bad, code)
    desk.store(*(reading(seq) for seq in range(1, 301)))
    broker.work()
    good = set(range(1, 301)) - bad
    assert sorted(broker.arrived) == sorted(good)
    assert set(desk.journal.unacked(Lane.TELEMETRY)) == bad
    assert broker.messages <= 3 + 16 * len(bad), "each bad record costs twice the depth of a batch, at most"
    broker.messages = 0
    desk.tell(later=30)
    broker.work()
    assert broker.messages == 0, "no busy loop"
    broker.bad = set()
    for _ in range(5):
        desk.tell(later=4000)
        broker.work()
    assert not desk.journal.unacked(Lane.TELEMETRY), "tried again, and not dropped"


def test_many_bad_records_among_good_ones_do_not_stop_the_lane() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    bad = set(range(10, 1001, 20))
    broker = Picky(desk, bad)
    for first in range(1, 1001, 100):
        desk.store(*(reading(seq) for seq in range(first, first + 100)))
        broker.work()
    assert set(broker.arrived) == set(range(1, 1001)) - bad


def test_a_broker_that_refuses_everything_is_left_alone_until_later() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    broker = Picky(desk, set(range(1, 501)))
    for first in range(1, 501, 100):
        desk.store(*(reading(seq) for seq in range(first, first + 100)))
        broker.work()
    assert broker.messages <= 80, "ten single ones, and what was on its way"
    broker.messages = 0
    for _ in range(50):
        desk.tell(later=1.0)
        broker.work()
    assert broker.messages <= 20, "one now and then, to see whether it takes what comes next"
    broker.bad = set()
    for _ in range(5):
        desk.tell(later=4000)
        broker.work()
    assert set(broker.arrived) == set(range(1, 501))


@pytest.mark.parametrize(("make", "lane"), [(event, Lane.EVENT), (reading, Lane.TELEMETRY)])
def test_many_bad_records_in_a_row_do_not_stop_what_follows(make: Callable[[int], Record], lane: Lane) -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    broker = Picky(desk, set(range(1, 41)), lane=lane)
    for first in range(1, 401, 20):
        desk.store(*(make(seq) for seq in range(first, first + 20)))
        broker.work()
    for _ in range(600):
        desk.tell(later=1.0)
        broker.work()
    assert set(broker.arrived) == set(range(41, 401))


def test_what_the_user_may_not_publish_is_not_tried_in_pieces() -> None:
    desk = Desk(linger=0.0)
    desk.connect_in_peace()
    desk.on_a_fast_line()
    broker = Picky(desk, {5}, FORBIDDEN)
    desk.store(*(reading(seq) for seq in range(1, 51)))
    broker.work()
    assert broker.messages == 1


def test_a_connection_that_ends_in_the_middle_of_it_loses_nothing() -> None:
    desk = Desk(linger=0.0, window=2)
    desk.connect_in_peace()
    broker = Picky(desk, {7})
    desk.store(*(reading(seq) for seq in range(1, 101)))
    connection, token, _ = desk.wire.sent.pop(0)
    desk.tell(Landed(connection, token, INVALID, "no"))
    desk.disconnect()
    desk.connect()
    desk.answer_all()
    broker.work()
    assert set(broker.arrived) == set(range(1, 101)) - {7}


def test_halves_that_wait_are_not_read_from_the_journal_once_more() -> None:
    desk = Desk(linger=0.0, window=1)
    desk.connect_in_peace()
    broker = Picky(desk, {3})
    desk.store(*(reading(seq) for seq in range(1, 41)))
    connection, token, _ = desk.wire.sent.pop(0)
    desk.tell(Landed(connection, token, INVALID, "no"))
    wanted = {"run": RUN, "lane": "telemetry", "from": 1, "to": 40}
    asked = {"id": "r", "name": "resend", "args": wanted, "issuer": "p", "expires": 2**50}
    desk.hear("command", json.dumps(asked).encode())
    desk.answer_all()
    broker.work()
    assert sorted(broker.arrived) == [seq for seq in range(1, 41) if seq != 3]


def test_halves_that_waited_when_the_connection_ended_go_again_where_only_the_platform_counts() -> None:
    desk = Desk(linger=0.0, window=1, acknowledged_by="platform", keepalive=1e9)
    desk.connect_in_peace()
    desk.store(*(reading(seq) for seq in range(1, 41)))
    connection, token, _ = desk.wire.sent.pop(0)
    desk.tell(Landed(connection, token, INVALID, "no"))
    desk.disconnect()
    desk.connect()
    desk.answer_all()
    broker = Picky(desk, set())
    broker.work()
    assert sorted(broker.arrived) == list(range(1, 41))


@settings(max_examples=examples(40), deadline=None)
@given(st.data())
def test_late_doubled_reversed_and_unknown_acknowledgements_are_harmless(data: st.DataObject) -> None:
    desk = Desk(linger=0.0, window=10, keepalive=1e9)
    desk.connect_in_peace()
    desk.store(*(reading(seq) for seq in range(1, 400)), *(event(seq) for seq in range(1, 8)))
    landed: list[Landed] = []
    arrived: set[int] = set()
    for _ in range(200):
        if not desk.wire.sent:
            break
        connection, token, publication = desk.wire.sent.pop(data.draw(st.integers(0, len(desk.wire.sent) - 1)))
        if publication.topic.endswith("/telemetry"):
            arrived |= {record["seq"] for record in said(publication)["records"]}
        landed.append(Landed(connection, token, 0, "Success"))
        noise = [landed[-1]._replace(token=10**6), landed[-1]._replace(connection=connection - 1), *landed[-3:]]
        desk.tell(*data.draw(st.permutations([landed[-1], *noise])))
        desk.answer_all()
        assert set(range(1, 400)) - set(desk.journal.unacked(Lane.TELEMETRY)) <= arrived
    assert not desk.journal.unacked(Lane.TELEMETRY)
    assert not desk.journal.unacked(Lane.EVENT)
    assert desk.journal.twice == 0
