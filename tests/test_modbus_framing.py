"""Whatever bytes come: no value that was not announced, no error but ours, bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_responder import answer, crc, mbap, rtu, values_of
from modbus_scene import FUNCTION, exchange_over

from gateway.driver import Table
from gateway.errors import NoReply, Refused
from gateway.links.framing import Ask, RtuAnswer, TcpAnswer

UNIT, ADDRESS, WORDS = 7, 40, [0x0102, 0x0304]


TABLES = st.sampled_from(list(Table))
CUTS = st.integers(1, 40)
NEARLY_RIGHT = st.builds(
    lambda function, count, data: bytes((function, count)) + data,
    st.sampled_from([1, 2, 3, 3, 4, 5, 6, 15, 16, 0x81, 0x82, 0x83, 0x84, 0x90]),
    st.sampled_from([0, 1, 2, 4, 4, 6, 40, 255]),
    st.one_of(st.just(b"\x12\x34\x56\x78"), st.binary(max_size=8)),
)
PDUS = st.one_of(NEARLY_RIGHT, st.binary(min_size=1, max_size=253))
FRAMES = st.builds(rtu, st.sampled_from([UNIT, UNIT, 8, 0]), PDUS)
STREAMS = st.lists(st.one_of(FRAMES, st.binary(min_size=1, max_size=12)), max_size=6).map(b"".join)
TCP_FRAMES = st.builds(mbap, st.sampled_from([1, 1, 0, 2, 65535]), st.sampled_from([UNIT, UNIT, 8]), PDUS)
TCP_STREAMS = st.lists(st.one_of(TCP_FRAMES, st.binary(min_size=1, max_size=12)), max_size=6).map(b"".join)


def announced(table: Table, values: Sequence[int]) -> list[bytes]:
    """The PDUs that say two of these; what the bits behind the second are is the device's own affair."""
    if table in {Table.HOLDING, Table.INPUT}:
        return [bytes((FUNCTION[table], 4)) + b"".join(value.to_bytes(2) for value in values)]
    return [bytes((FUNCTION[table], 1, rest << 2 | values[1] << 1 | values[0])) for rest in range(64)]


@settings(max_examples=examples(500), deadline=None)
@given(stream=STREAMS, cut=CUTS, table=TABLES)
def test_no_bytes_on_a_line_give_a_value_that_was_not_announced(stream: bytes, cut: int, table: Table) -> None:
    with suppress(NoReply, Refused):
        values = exchange_over("rtu", stream, cut).read(UNIT, table, ADDRESS, 2)
        assert any(rtu(UNIT, pdu) in stream for pdu in announced(table, values))


@settings(max_examples=examples(500), deadline=None)
@given(stream=TCP_STREAMS, cut=CUTS, table=TABLES)
def test_no_bytes_on_tcp_give_a_value_that_was_not_announced(stream: bytes, cut: int, table: Table) -> None:
    with suppress(NoReply, Refused):
        values = exchange_over("tcp", stream, cut).read(UNIT, table, ADDRESS, 2)
        assert any(mbap(1, UNIT, pdu) in stream for pdu in announced(table, values))


@settings(max_examples=examples(300), deadline=None)
@given(stream=st.one_of(STREAMS, st.builds(bytes.__add__, STREAMS, st.just(rtu(UNIT, b"\x10\0\x28\0\2")))), cut=CUTS)
def test_no_bytes_confirm_a_write_but_its_confirmation(stream: bytes, cut: int) -> None:
    with suppress(NoReply, Refused):
        exchange_over("rtu", stream, cut).write(UNIT, Table.HOLDING, ADDRESS, WORDS)
        assert rtu(UNIT, b"\x10\0\x28\0\2") in stream


WRITE = rtu(UNIT, b"\x06\0\x28\x01\x02")
"""The request to write one register, and its confirmation, which is the same."""


@settings(max_examples=examples(300), deadline=None)
@given(stream=st.lists(st.one_of(st.just(WRITE), FRAMES, st.binary(max_size=12)), max_size=5).map(b"".join), cut=CUTS)
def test_an_echo_alone_confirms_no_write(stream: bytes, cut: int) -> None:
    with suppress(NoReply, Refused):
        exchange_over("rtu", stream, cut, echo=True).write(UNIT, Table.HOLDING, ADDRESS, WORDS[:1])
        assert stream.count(WRITE) >= 2


@settings(max_examples=examples(200), deadline=None)
@given(table=TABLES, address=st.integers(0, 60000), count=st.integers(1, 125), noise=st.binary(max_size=20), cut=CUTS)
def test_a_right_reply_is_found_behind_any_noise(
    table: Table, address: int, count: int, noise: bytes, cut: int
) -> None:
    request = bytes((FUNCTION[table],)) + address.to_bytes(2) + count.to_bytes(2)
    exchange = exchange_over("rtu", noise + rtu(UNIT, answer(UNIT, request)), cut)
    assert list(exchange.read(UNIT, table, address, count)) == values_of(UNIT, FUNCTION[table], address, count)


@settings(max_examples=examples(200), deadline=None)
@given(flipped=st.integers(0, 8 * 13 - 1), table=st.sampled_from([Table.HOLDING, Table.INPUT]), cut=CUTS)
def test_a_single_flipped_bit_never_gives_a_value(flipped: int, table: Table, cut: int) -> None:
    reply = bytearray(rtu(UNIT, answer(UNIT, bytes((FUNCTION[table], 0, ADDRESS, 0, 4)))))
    reply[flipped // 8] ^= 1 << flipped % 8
    assert crc(bytes(reply[:-2])) != reply[-2:]
    with suppress(NoReply, Refused):
        values = exchange_over("rtu", bytes(reply), cut).read(UNIT, table, ADDRESS, 4)
        raise AssertionError(f"values of a spoilt reply: {values}")


# ---------------------------------------------------------------- memory


def test_a_flood_of_noise_on_a_line_fills_no_memory() -> None:
    request = rtu(UNIT, b"\x03\x00\x28\x00\x02")
    flooded = RtuAnswer(Ask.of(UNIT, b"\x03\x04", 6), request, lambda _: False, echo=False)
    for _ in range(1000):
        assert flooded.feed(bytes((UNIT, 3, 4)) * 100) is None
        assert len(flooded._seen) < 2048
    assert flooded.noise_bytes == 300_000


def test_a_flood_of_earlier_replies_on_tcp_fills_no_memory() -> None:
    flooded = TcpAnswer(Ask.of(UNIT, b"\x03\x04", 6), 2)
    for _ in range(1000):
        assert flooded.feed(mbap(1, UNIT, b"\x03\x04" + bytes(4)) * 20 + b"\0\1\0\0") is None
        assert len(flooded._seen) < 512
        assert flooded.feed(mbap(1, UNIT, b"\x03\x04" + bytes(4))[4:]) is None
