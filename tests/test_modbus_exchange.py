"""One Modbus request and its reply on real wires: every fault has its name, and none becomes a value."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_responder import (
    Fault,
    RtuDevices,
    TcpDevices,
    after,
    answer,
    as_function,
    as_unit,
    bad_crc,
    before,
    crc,
    echo,
    exception,
    half,
    instead,
    late,
    mbap,
    one_register_more,
    only_echo,
    pieces,
    right,
    rtu,
    silent,
    values_of,
)

from gateway.config import schema
from gateway.driver import Family, Registers, Table
from gateway.errors import LinkDown, NoReply, Refused
from gateway.links.foresight import Foresight
from gateway.links.framing import Ask, RtuAnswer
from gateway.links.modbus import Exchange
from gateway.links.port import Pace
from gateway.links.request import whole
from gateway.links.serial import SerialLine, pace
from gateway.links.tcp import TcpPeer

VECTORS = json.loads((Path(__file__).parent / "vectors" / "modbus.json").read_text())
TIMEOUT_S = 0.1
FUNCTION = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}


def serial_part(path: Path) -> schema.SerialLink:
    return schema.SerialLink(type="serial", port=str(path), baudrate=115_200, timeout=TIMEOUT_S)


def tcp_part(port: int) -> schema.TcpLink:
    return schema.TcpLink(type="tcp", host="127.0.0.1", port=port, timeout=TIMEOUT_S)


def registers_of(link: SerialLine | TcpPeer) -> Registers:
    offered = link.offer(Family.REGISTERS)
    assert isinstance(offered, Exchange | Foresight)
    return offered


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RtuDevices]:
    with RtuDevices(tmp_path) as devices:
        yield devices


@pytest.fixture
def line(bus: RtuDevices) -> Iterator[SerialLine]:
    link = SerialLine("bus1", serial_part(bus.path))
    link.open()
    yield link
    link.close()


@pytest.fixture
def server() -> Iterator[TcpDevices]:
    with TcpDevices() as devices:
        yield devices


@pytest.fixture
def peer(server: TcpDevices) -> Iterator[TcpPeer]:
    link = TcpPeer("io1", tcp_part(server.port))
    link.open()
    yield link
    link.close()


def read_is_right(registers: Registers, unit: int = 1, address: int = 100, count: int = 4) -> bool:
    return list(registers.read(unit, Table.HOLDING, address, count)) == values_of(unit, 3, address, count)


def fault_of(ask: Callable[[], object]) -> str:
    with pytest.raises(NoReply) as caught:
        ask()
    return caught.value.fault


# ---------------------------------------------------------------- what is right


@pytest.mark.parametrize("table", list(Table))
@pytest.mark.parametrize("count", [1, 7, 8, 9, 125])
def test_each_table_is_read(line: SerialLine, peer: TcpPeer, table: Table, count: int) -> None:
    expected = values_of(17, FUNCTION[table], 40, count)
    assert list(registers_of(line).read(17, table, 40, count)) == expected
    assert list(registers_of(peer).read(17, table, 40, count)) == expected


@pytest.mark.parametrize(
    ("table", "values", "pdu"),
    [
        (Table.COIL, [1], "05 00 07 FF 00"),
        (Table.COIL, [0], "05 00 07 00 00"),
        (Table.COIL, [1, 0, 1, 1, 0, 0, 0, 0, 1], "0F 00 07 00 09 02 0D 01"),
        (Table.HOLDING, [0x1234], "06 00 07 12 34"),
        (Table.HOLDING, [1, 0xFFFF], "10 00 07 00 02 04 00 01 FF FF"),
    ],
)
def test_one_value_and_several_are_written(
    bus: RtuDevices, line: SerialLine, server: TcpDevices, peer: TcpPeer, table: Table, values: list[int], pdu: str
) -> None:
    registers_of(line).write(3, table, 7, values)
    registers_of(peer).write(3, table, 7, values)
    assert bus.asked[-1][1] == rtu(3, bytes.fromhex(pdu))
    assert server.asked[-1][1][6:] == b"\x03" + bytes.fromhex(pdu)


@pytest.mark.parametrize(
    ("table", "values", "function", "pdu"),
    [
        (Table.COIL, [0x0100], 5, "05 00 07 01 00"),
        (Table.COIL, [0xFF00], 5, "05 00 07 FF 00"),
        (Table.COIL, [1], 15, "0F 00 07 00 01 01 01"),
        (Table.HOLDING, [0x0200], 6, "06 00 07 02 00"),
        (Table.HOLDING, [0x1234], 16, "10 00 07 00 01 02 12 34"),
    ],
)
def test_a_device_gets_the_function_that_it_wants(
    bus: RtuDevices, line: SerialLine, table: Table, values: list[int], function: int, pdu: str
) -> None:
    registers_of(line).write(3, table, 7, values, function)
    assert bus.asked[-1][1] == rtu(3, bytes.fromhex(pdu))


@pytest.mark.parametrize("case", VECTORS["transactions"], ids=lambda case: str(case["id"]))
def test_recorded_transactions_are_byte_exact(bus: RtuDevices, line: SerialLine, case: dict[str, object]) -> None:
    request, response = bytes.fromhex(str(case["request"])), bytes.fromhex(str(case["response"]))
    bus.then(instead(response))
    unit, function, address, word = (
        request[0],
        request[1],
        int.from_bytes(request[2:4]),
        int.from_bytes(request[4:6]),
    )
    registers = registers_of(line)
    if function in {5, 6}:
        registers.write(unit, Table.COIL if function == 5 else Table.HOLDING, address, [word], function)
    elif response[1] & 0x80:
        assert fault_of(lambda: registers.read(unit, Table.HOLDING, address, word)) == "busy"
    else:
        table = next(table for table, code in FUNCTION.items() if code == function)
        values = registers.read(unit, table, address, word)
        if function < 3:
            decoded = case["decoded"]
            assert isinstance(decoded, dict)
            assert list(values) == decoded["bits_lsb_first"]
        else:
            assert b"".join(value.to_bytes(2) for value in values) == response[3:-2]
    assert bus.asked[-1][1] == request


def test_the_tcp_frame_is_byte_exact(server: TcpDevices, peer: TcpPeer) -> None:
    vector = VECTORS["tcp_frames"][0]
    registers_of(peer).read(1, Table.HOLDING, 143, 4)
    assert server.asked[0][1] == bytes.fromhex(vector["hex"])


@pytest.mark.parametrize("frame", VECTORS["frames"], ids=lambda frame: str(frame["id"]))
def test_our_checksum_agrees_with_the_vectors(frame: dict[str, object]) -> None:
    assert whole(bytes.fromhex(str(frame["hex"]))) is frame["crc_ok"]


@pytest.mark.parametrize("row", VECTORS["timing"]["table"], ids=lambda row: f"{row['baud']}-{row['registers']}")
def test_the_times_on_the_wire_are_those_of_the_standard(row: dict[str, object]) -> None:
    plain = schema.SerialLink(type="serial", port="/dev/null", baudrate=int(str(row["baud"])))
    times = pace(replace(plain, parity="even") if row["mode"] == "8E1" else plain)
    count = int(str(row["registers"]))
    assert times.char_s * 1000 == pytest.approx(row["char_ms"], abs=1e-3)
    assert times.gap_s * 1000 == pytest.approx(row["t35_ms"], abs=1e-3)
    wire_ms = float(str(row["request_ms"])) + float(str(row["response_ms"]))
    assert times.response_s(8 + 5 + 2 * count) * 1000 == pytest.approx(300 + 2 * wire_ms, abs=0.01)


@pytest.mark.parametrize(
    "ask",
    [
        lambda it: it.read(256, Table.HOLDING, 0, 1),
        lambda it: it.read(1, Table.HOLDING, 0, 0),
        lambda it: it.read(1, Table.HOLDING, 0, 126),
        lambda it: it.read(1, Table.COIL, 0, 2001),
        lambda it: it.read(1, Table.HOLDING, 65535, 2),
        lambda it: it.read(1, Table.HOLDING, -1, 1),
        lambda it: it.write(1, Table.HOLDING, 0, [65536]),
        lambda it: it.write(1, Table.HOLDING, 0, []),
        lambda it: it.write(1, Table.INPUT, 0, [1]),
        lambda it: it.write(1, Table.DISCRETE, 0, [1]),
        lambda it: it.write(1, Table.COIL, 0, [1], 6),
        lambda it: it.write(1, Table.COIL, 0, [0x10000], 5),
        lambda it: it.write(1, Table.HOLDING, 0, [1], 5),
        lambda it: it.write(1, Table.HOLDING, 0, [1, 2], 6),
    ],
)
def test_an_impossible_request_is_not_sent(
    bus: RtuDevices, line: SerialLine, ask: Callable[[Registers], object]
) -> None:
    with pytest.raises(ValueError, match="not"):
        ask(registers_of(line))
    assert not bus.asked


# ---------------------------------------------------------------- faults on a serial line


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (silent, "silent"),
        (as_unit(2), "wrong_unit"),
        (as_function(4), "wrong_function"),
        (one_register_more, "wrong_length"),
        (bad_crc, "checksum"),
        (half, "half_frame"),
        (only_echo, "silent"),
        (instead(b"\xff\x00\xa5"), "noise"),
        (instead(rtu(1, b"\x03\x08" + b"\0" * 8)[:-1]), "half_frame"),
        (exception(5), "busy"),
        (exception(6), "busy"),
        (exception(4), "device_failure"),
        (exception(8), "device_failure"),
        (exception(77), "device_failure"),
        (exception(10), "gateway"),
        (exception(11), "gateway"),
    ],
)
def test_a_fault_has_its_name_and_costs_one_poll(bus: RtuDevices, line: SerialLine, fault: Fault, name: str) -> None:
    registers = registers_of(line)
    bus.then(fault)
    assert fault_of(lambda: registers.read(1, Table.HOLDING, 100, 4)) == name
    assert read_is_right(registers, address=200)


@pytest.mark.parametrize(
    "fault",
    [
        late(TIMEOUT_S * 0.7),
        pieces(1, 0.001),
        pieces(4, 0.015),
        before(b"\xff"),
        before(b"\x00"),
        before(b"\x01"),
        before(b"\x01\x03"),
        before(b"\x01\x03\x08"),
        before(b"\x01\x03\x08\x01\x83" * 9),
        before(rtu(2, b"\x03\x08" + b"\0" * 8)),
        before(bytes(range(256)) * 3),
        after(b"\xff\x00"),
        after(b"\x01\x03\x08"),
        echo,
    ],
)
def test_what_does_not_hide_the_reply_does_no_harm(bus: RtuDevices, line: SerialLine, fault: Fault) -> None:
    registers = registers_of(line)
    bus.then(fault)
    assert read_is_right(registers)
    assert read_is_right(registers, address=200)


def test_noise_is_counted(bus: RtuDevices, line: SerialLine) -> None:
    registers = registers_of(line)
    bus.then(before(b"\xff\x00"), after(b"\x55"), as_unit(2))
    assert read_is_right(registers)
    assert read_is_right(registers)
    with pytest.raises(NoReply):
        registers.read(1, Table.HOLDING, 100, 4)
    assert line.noise_bytes == 2 + 1 + 13


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_refusal_is_a_fault_of_the_configuration(
    bus: RtuDevices, line: SerialLine, server: TcpDevices, peer: TcpPeer, code: int
) -> None:
    bus.then(exception(code))
    server.then(lambda request, _: [(0.0, mbap(int.from_bytes(request[:2]), request[6], bytes((0x83, code))))])
    for link in (line, peer):
        with pytest.raises(Refused) as caught:
            registers_of(link).read(1, Table.HOLDING, 0, 1)
        assert caught.value.code == code
        assert caught.value.hint


@pytest.mark.parametrize("delay", [1.0, 1.02, 1.1, 1.3, 1.5, 1.7, 1.9])
def test_a_reply_after_the_timeout_is_not_the_value_of_other_registers(
    bus: RtuDevices, line: SerialLine, delay: float
) -> None:
    registers = registers_of(line)
    bus.then(late(TIMEOUT_S * delay), *[late(TIMEOUT_S * 0.4)] * 3)
    with suppress(NoReply):  # on the edge it may just be in time
        assert read_is_right(registers, address=100)
    for address in (200, 300, 400):
        assert read_is_right(registers, address=address)


@pytest.mark.parametrize("delay", [1.3, 1.6])
def test_a_device_that_is_always_too_slow_never_gives_a_value(bus: RtuDevices, line: SerialLine, delay: float) -> None:
    registers = registers_of(line)
    bus.then(*[late(TIMEOUT_S * delay)] * 5)
    for address in (100, 200, 300, 400, 500):
        assert fault_of(lambda address=address: registers.read(1, Table.HOLDING, address, 4)) == "silent"  # type: ignore[misc]


def test_the_line_is_free_again_as_soon_as_the_late_reply_has_come(bus: RtuDevices, line: SerialLine) -> None:
    registers = registers_of(line)
    bus.then(late(TIMEOUT_S * 1.3))
    with pytest.raises(NoReply):
        registers.read(1, Table.HOLDING, 100, 4)
    started = time.monotonic()
    assert read_is_right(registers, address=200)
    assert time.monotonic() - started < TIMEOUT_S * 0.9


def test_a_spoilt_reply_is_not_waited_for_until_the_timeout(bus: RtuDevices, line: SerialLine) -> None:
    bus.then(bad_crc)
    started = time.monotonic()
    assert fault_of(lambda: registers_of(line).read(1, Table.HOLDING, 100, 4)) == "checksum"
    assert time.monotonic() - started < TIMEOUT_S * 0.8


def test_half_a_reply_whose_rest_comes_late_does_no_harm(bus: RtuDevices, line: SerialLine) -> None:
    registers = registers_of(line)
    bus.then(lambda _, reply: [(0.0, reply[:6]), (TIMEOUT_S * 1.4, reply[6:])])
    assert fault_of(lambda: registers.read(1, Table.HOLDING, 100, 4)) == "half_frame"
    assert read_is_right(registers, address=200)


def test_noise_and_then_a_late_reply_do_no_harm(bus: RtuDevices, line: SerialLine) -> None:
    registers = registers_of(line)
    bus.then(lambda _, reply: [(0.01, b"\xff"), (TIMEOUT_S * 1.5, reply)])
    assert fault_of(lambda: registers.read(1, Table.HOLDING, 100, 4)) == "noise"
    assert read_is_right(registers, address=200)


def test_a_line_that_is_never_quiet_is_said_to_be_so(bus: RtuDevices, line: SerialLine) -> None:
    registers = registers_of(line)
    assert read_is_right(registers)
    bus.then(lambda _, __: [(i * 0.01, b"$GPRMC") for i in range(100)])
    with pytest.raises(NoReply):
        registers.read(1, Table.HOLDING, 100, 4)
    with pytest.raises(NoReply, match="never quiet"):
        registers.read(1, Table.HOLDING, 100, 4)


def test_the_line_is_silent_for_the_gap_before_each_request(bus: RtuDevices) -> None:
    link = SerialLine("bus1", replace(serial_part(bus.path), baudrate=9600, guard=0.02))
    link.open()
    try:
        registers = registers_of(link)
        for _ in range(4):
            assert read_is_right(registers)
    finally:
        link.close()
    asked = [at for at, _ in bus.asked]
    assert min(b - a for a, b in itertools.pairwise(asked)) >= 0.004 + 0.02 - 0.001


def test_the_gap_is_kept_to_a_fraction_of_a_millisecond(bus: RtuDevices) -> None:
    gap_s = 0.001_75 + 0.000_3
    link = SerialLine("bus1", replace(serial_part(bus.path), guard=0.000_3))
    link.open()
    try:
        registers = registers_of(link)
        silences = []
        for _ in range(30):
            assert read_is_right(registers)
            ended = link._wire.last
            assert read_is_right(registers)
            silences.append(bus.asked[-1][0] - ended)
    finally:
        link.close()
    assert gap_s <= min(silences) < gap_s + 0.000_5  # a wait in whole milliseconds would make 3 of these 2.05


# ---------------------------------------------------------------- a device that was asked in vain before


@pytest.fixture
def limited(line: SerialLine) -> Exchange:
    registers = registers_of(line)
    assert isinstance(registers, Exchange)
    registers.limit(TIMEOUT_S * 0.3)
    return registers


def test_a_silent_device_holds_up_the_others_no_longer_than_the_limit(bus: RtuDevices, limited: Exchange) -> None:
    bus.then(silent)
    with pytest.raises(NoReply, match=r"within 3\d ms"):
        limited.read(1, Table.HOLDING, 100, 4)
    limited.limit(None)
    assert read_is_right(limited, unit=2)
    (asked_in_vain, _), (asked_next, _) = bus.asked
    assert TIMEOUT_S * 0.3 <= asked_next - asked_in_vain < TIMEOUT_S


def test_the_first_silence_within_the_limit_is_the_last(bus: RtuDevices, limited: Exchange) -> None:
    bus.then(silent)
    for address in (100, 200, 300):
        assert fault_of(lambda address=address: limited.read(1, Table.HOLDING, address, 4)) == "silent"  # type: ignore[misc]
    assert len(bus.asked) == 1
    assert read_is_right(limited, unit=2)


@pytest.mark.parametrize("delay", [0.4, 0.7, 1.0, 1.4, 1.8])
def test_what_comes_after_the_limit_is_not_the_value_of_other_registers(
    bus: RtuDevices, limited: Exchange, delay: float
) -> None:
    bus.then(late(TIMEOUT_S * delay))
    assert fault_of(lambda: limited.read(1, Table.HOLDING, 100, 4)) == "silent"
    limited.limit(None)
    assert read_is_right(limited, unit=1, address=200)


def test_what_comes_after_the_limit_is_not_the_value_of_another_unit(bus: RtuDevices, limited: Exchange) -> None:
    bus.then(late(TIMEOUT_S * 0.6), late(TIMEOUT_S * 0.6))
    assert fault_of(lambda: limited.read(1, Table.HOLDING, 100, 4)) == "silent"
    limited.limit(None)
    assert read_is_right(limited, unit=2, address=100)


def test_a_device_that_answers_within_the_limit_is_read_as_ever(limited: Exchange) -> None:
    for address in (100, 200, 300):
        assert read_is_right(limited, address=address)


# ---------------------------------------------------------------- echo


@pytest.fixture
def echoing(bus: RtuDevices) -> Iterator[SerialLine]:
    link = SerialLine("bus1", replace(serial_part(bus.path), echo=True))
    link.open()
    yield link
    link.close()


def test_an_echo_is_not_the_confirmation_of_a_write(bus: RtuDevices, echoing: SerialLine) -> None:
    registers = registers_of(echoing)
    bus.then(echo, only_echo, echo)
    registers.write(1, Table.COIL, 7, [1])
    assert fault_of(lambda: registers.write(1, Table.COIL, 7, [0])) == "silent"
    assert read_is_right(registers)


def test_an_echo_split_and_with_noise_around_is_found(bus: RtuDevices, echoing: SerialLine) -> None:
    def torn(request: bytes, reply: bytes) -> list[tuple[float, bytes]]:
        return [(0.0, b"\x00" + request[:3]), (0.01, request[3:]), (0.02, b"\xff" + reply)]

    bus.then(torn)
    registers_of(echoing).write(1, Table.COIL, 7, [1])
    assert echoing.noise_bytes == 2


def test_an_echo_that_is_missing_is_explained_and_then_noticed(bus: RtuDevices, echoing: SerialLine) -> None:
    registers = registers_of(echoing)
    with pytest.raises(NoReply, match="remove `echo`"):
        registers.write(1, Table.COIL, 0, [1])
    assert read_is_right(registers)
    registers.write(1, Table.COIL, 0, [1])


def test_an_adapter_that_echoes_unasked_is_noticed(bus: RtuDevices, line: SerialLine) -> None:
    registers = registers_of(line)
    bus.then(echo, only_echo, echo, right, right)
    assert read_is_right(registers)
    assert line.noise_bytes == 0
    assert fault_of(lambda: registers.write(1, Table.COIL, 7, [1])) == "silent"
    registers.write(1, Table.COIL, 7, [1])
    assert read_is_right(registers)
    registers.write(1, Table.COIL, 7, [1])


def test_a_confirmation_of_another_value_is_none(bus: RtuDevices, line: SerialLine) -> None:
    registers = registers_of(line)
    bus.then(instead(rtu(1, bytes.fromhex("06 00 07 00 2B"))))
    assert fault_of(lambda: registers.write(1, Table.HOLDING, 7, [42])) == "wrong_echo"
    registers.write(1, Table.HOLDING, 7, [42])


# ---------------------------------------------------------------- faults on TCP


def tcp(change: Callable[[int, int, bytes], bytes]) -> Fault:
    """A reply made from transaction, unit and PDU of the right one."""
    return lambda _, reply: [(0.0, change(int.from_bytes(reply[:2]), reply[6], reply[7:]))]


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (silent, "silent"),
        (tcp(lambda t, u, p: mbap(t + 1, u, p)), "wrong_transaction"),
        (tcp(lambda t, u, p: mbap(t - 1, u, p)), "wrong_transaction"),
        (tcp(lambda t, u, p: mbap(t, u + 1, p)), "wrong_unit"),
        (tcp(lambda t, u, p: mbap(t, u, b"\x04" + p[1:])), "wrong_function"),
        (tcp(lambda t, u, p: mbap(t, u, b"\x03\x0a" + p[2:] + b"\1\2")), "wrong_length"),
        (tcp(lambda t, u, p: mbap(t, u, p + b"\1\2")), "wrong_length"),
        (tcp(lambda t, u, p: mbap(t, u, p[:-2])), "wrong_length"),
        (tcp(lambda t, u, p: mbap(t, u, p, protocol=1)), "noise"),
        (tcp(lambda _t, u, p: rtu(u, p)), "noise"),
        (half, "half_frame"),
        (tcp(lambda t, u, _p: mbap(t, u, b"\x83\x06")), "busy"),
        (tcp(lambda t, u, _p: mbap(t, u, b"\x83\x0b")), "gateway"),
    ],
)
def test_a_fault_on_tcp_has_its_name_and_costs_one_poll(
    server: TcpDevices, peer: TcpPeer, fault: Fault, name: str
) -> None:
    registers = registers_of(peer)
    server.then(right, fault)
    assert read_is_right(registers)
    assert fault_of(lambda: registers.read(1, Table.HOLDING, 100, 4)) == name
    assert read_is_right(registers, address=200)


@pytest.mark.parametrize("delay", [1.3, 1.6, 2.5])
def test_a_late_reply_on_tcp_is_dropped_without_waiting(server: TcpDevices, peer: TcpPeer, delay: float) -> None:
    registers = registers_of(peer)
    server.then(late(TIMEOUT_S * delay), late(TIMEOUT_S * 0.8), late(TIMEOUT_S * 0.8))
    with pytest.raises(NoReply, match="no answer"):
        registers.read(1, Table.HOLDING, 100, 4)
    started = time.monotonic()
    assert read_is_right(registers, address=200)
    assert read_is_right(registers, address=300)
    assert time.monotonic() - started < TIMEOUT_S * 2


def test_a_reply_byte_by_byte_on_tcp_is_right(server: TcpDevices, peer: TcpPeer) -> None:
    server.then(pieces(1, 0.001))
    assert read_is_right(registers_of(peer))


def test_transactions_go_on_past_their_last_number(server: TcpDevices, peer: TcpPeer) -> None:
    registers = registers_of(peer)
    assert isinstance(registers, Foresight)
    registers._exchange._transaction = 0xFFFE
    server.then(right, tcp(lambda _t, u, p: mbap(0xFFFF, u, p)))
    assert read_is_right(registers)
    assert fault_of(lambda: registers.read(1, Table.HOLDING, 100, 4)) == "wrong_transaction"
    assert read_is_right(registers)
    assert server.asked[-1][1][:2] == b"\x00\x02"


def test_a_connection_closed_in_the_middle_of_a_request_is_down_at_once(server: TcpDevices, peer: TcpPeer) -> None:
    server.then(lambda _, reply: [(0.0, reply[:5]), (0.01, b"")])
    started = time.monotonic()
    with pytest.raises(LinkDown, match="gone"):
        registers_of(peer).read(1, Table.HOLDING, 0, 4)
    assert time.monotonic() - started < TIMEOUT_S
    peer.close()
    peer.open()
    assert read_is_right(registers_of(peer))


@pytest.mark.parametrize("rudely", [False, True])
def test_a_peer_that_closes_an_idle_connection_is_connected_again_unnoticed(
    server: TcpDevices, peer: TcpPeer, rudely: bool
) -> None:
    registers = registers_of(peer)
    assert read_is_right(registers)
    server.do(lambda: server.hang_up(rudely=rudely))
    assert peer.wait(time.monotonic() + 0.05) == ()
    assert read_is_right(registers)
    server.do(lambda: server.hang_up(rudely=rudely))
    assert read_is_right(registers)
    assert server.connections == 3


def test_a_half_open_connection_is_noticed_by_its_next_request(server: TcpDevices, peer: TcpPeer) -> None:
    registers = registers_of(peer)
    assert read_is_right(registers)
    server.do(server.unplug)
    with pytest.raises(LinkDown, match="refused"):
        registers.read(1, Table.HOLDING, 0, 1)


def test_rtu_frames_through_a_serial_server_are_checked_alike() -> None:
    with TcpDevices(framed_as_rtu=True) as server:
        link = TcpPeer("bus2", replace(tcp_part(server.port), framing="rtu"))
        link.open()
        try:
            registers = registers_of(link)
            server.then(right, bad_crc, as_unit(9), late(TIMEOUT_S * 1.5))
            assert read_is_right(registers)
            for name in ("checksum", "wrong_unit", "silent"):
                assert fault_of(lambda: registers.read(1, Table.HOLDING, 100, 4)) == name
            assert read_is_right(registers, address=200)
        finally:
            link.close()


# ---------------------------------------------------------------- whatever arrives


class Heard:
    """A port on which a request is followed by given bytes, in given pieces; its time does not pass."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.last = 0.0
        self._chunks = list(chunks)
        self._asked = False

    def prepare(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        self._asked = True

    def receive(self, until: float) -> bytes:
        return self._chunks.pop(0) if self._asked and self._chunks else b""

    def noise(self, count: int) -> None:
        assert count >= 0


UNIT = 7
PDUS = st.one_of(
    st.binary(min_size=1, max_size=60),
    st.builds(
        lambda function, count, data: bytes((function, count)) + data,
        st.sampled_from([3, 3, 4, 0x83, 16]),
        st.sampled_from([4, 4, 2, 6, 255]),
        st.binary(max_size=8),
    ),
)
FRAMES = st.builds(rtu, st.sampled_from([UNIT, UNIT, 8, 0]), PDUS)
CHUNKS = st.lists(st.one_of(FRAMES, st.binary(min_size=1, max_size=12)), max_size=6)


@settings(max_examples=400, deadline=None)
@given(chunks=CHUNKS)
def test_no_bytes_on_a_line_give_a_value_that_was_not_announced(chunks: list[bytes]) -> None:
    exchange = Exchange(Heard(chunks), "rtu", Pace(timeout_s=0.0))
    stream = b"".join(chunks)
    with suppress(NoReply, Refused):
        values = exchange.read(UNIT, Table.HOLDING, 0, 2)
        announced = bytes((UNIT, 3, 4)) + b"".join(value.to_bytes(2) for value in values)
        assert announced + crc(announced) in stream


@settings(max_examples=400, deadline=None)
@given(
    frames=st.lists(st.tuples(st.sampled_from([1, 1, 0, 2, 65535]), st.sampled_from([UNIT, 8]), PDUS), max_size=4),
    tail=st.binary(max_size=12),
    cut=st.integers(1, 20),
)
def test_no_bytes_on_tcp_give_a_value_that_was_not_announced(
    frames: list[tuple[int, int, bytes]], tail: bytes, cut: int
) -> None:
    stream = b"".join(mbap(*frame) for frame in frames) + tail
    exchange = Exchange(Heard([stream[i : i + cut] for i in range(0, len(stream), cut)]), "tcp", Pace(timeout_s=0.0))
    with suppress(NoReply, Refused):
        values = exchange.read(UNIT, Table.HOLDING, 0, 2)
        assert mbap(1, UNIT, b"\x03\x04" + b"".join(value.to_bytes(2) for value in values)) in stream


@settings(max_examples=100, deadline=None)
@given(
    function=st.sampled_from([1, 2, 3, 4]),
    address=st.integers(0, 60000),
    count=st.integers(1, 125),
    noise=st.binary(max_size=20),
    cut=st.integers(1, 40),
)
def test_a_right_reply_is_found_behind_any_noise(
    function: int, address: int, count: int, noise: bytes, cut: int
) -> None:
    stream = noise + rtu(UNIT, answer(UNIT, bytes((function,)) + address.to_bytes(2) + count.to_bytes(2)))
    exchange = Exchange(Heard([stream[i : i + cut] for i in range(0, len(stream), cut)]), "rtu", Pace(timeout_s=10.0))
    table = next(table for table, code in FUNCTION.items() if code == function)
    assert list(exchange.read(UNIT, table, address, count)) == values_of(UNIT, function, address, count)


def test_a_flood_of_noise_fills_no_memory() -> None:
    answer = RtuAnswer(Ask.of(UNIT, b"\x03\x04", 6), b"", lambda _: False, echo=False)
    for _ in range(1000):
        assert answer.feed(bytes((UNIT, 3, 4)) * 100) is None
        assert len(answer._seen) < 2048
    assert answer.noise_bytes == 300_000


def test_an_exchange_uses_no_other_thread(line: SerialLine) -> None:
    before_it = threading.active_count()
    assert read_is_right(registers_of(line))
    assert threading.active_count() == before_it
