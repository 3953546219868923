"""One Modbus request and its reply on real wires, as it should be, in time; what goes wrong: test_modbus_faults.py."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from modbus_responder import (
    Fault,
    RtuDevices,
    TcpDevices,
    before,
    echo,
    exception,
    instead,
    late,
    only_echo,
    right,
    rtu,
    silent,
    slow_echo,
    values_of,
)
from modbus_scene import FUNCTION, TIMEOUT_S, fault_of, read_is_right, registers_of, serial_part, tcp_part

from gateway.driver import Registers, Table
from gateway.errors import LinkDown, NoReply
from gateway.links.foresight import Foresight
from gateway.links.framing import Read
from gateway.links.modbus import Exchange
from gateway.links.serial import SerialLine
from gateway.links.tcp import TcpPeer


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
    gap_s = 0.001_75 + 0.000_65
    link = SerialLine("bus1", replace(serial_part(bus.path), guard=0.000_65))
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
    assert gap_s <= min(silences) < gap_s + 0.000_4  # a wait in whole milliseconds would make 3 of these 2.4


# ---------------------------------------------------------------- a device that was asked in vain before


@pytest.fixture
def limited(line: SerialLine) -> Exchange:
    registers = registers_of(line)
    assert isinstance(registers, Exchange)
    registers.limit(TIMEOUT_S * 0.3)
    return registers


def test_a_silent_device_holds_up_the_others_no_longer_than_the_limit(bus: RtuDevices, limited: Exchange) -> None:
    bus.then(silent)
    with pytest.raises(NoReply, match=r"within 6\d ms"):
        limited.read(1, Table.HOLDING, 100, 4)
    limited.limit(None)
    assert read_is_right(limited, unit=2)
    (asked_in_vain, _), (asked_next, _) = bus.asked
    assert asked_next - asked_in_vain < TIMEOUT_S


def test_the_first_silence_within_the_limit_is_the_last(bus: RtuDevices, limited: Exchange) -> None:
    bus.then(silent)
    for address in (100, 200, 300):
        assert fault_of(lambda address=address: limited.read(1, Table.HOLDING, address, 4)) == "silent"  # type: ignore[misc]
    assert len(bus.asked) == 1
    assert read_is_right(limited, unit=2)


@pytest.mark.parametrize("delay", [0.4, 0.6, 0.8, 1.4, 1.8])
def test_what_comes_after_the_limit_is_not_the_value_of_other_registers(
    bus: RtuDevices, limited: Exchange, delay: float
) -> None:
    bus.then(late(TIMEOUT_S * delay), late(TIMEOUT_S * 0.6))
    assert fault_of(lambda: limited.read(1, Table.HOLDING, 100, 4)) == "silent"
    limited.limit(None)
    assert read_is_right(limited, unit=1, address=200)


def test_what_comes_after_the_limit_is_not_the_value_of_another_unit(bus: RtuDevices, limited: Exchange) -> None:
    bus.then(late(TIMEOUT_S * 0.5), late(TIMEOUT_S * 0.5))
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


@pytest.mark.parametrize("configured", [False, True])
def test_the_echo_of_a_read_that_looks_like_a_reply_is_none(bus: RtuDevices, *, configured: bool) -> None:
    """01 03 02 00 00 01 and a CRC: a request for register 0x0200, or a reply that says 0, with a wrong CRC."""
    bus.always[1] = slow_echo(0.03)
    link = SerialLine("bus1", replace(serial_part(bus.path), echo=configured))
    link.open()
    try:
        for address in (0x0200, 0x0280, 0x0290, 0x0210):
            assert read_is_right(registers_of(link), address=address, count=1)
        assert list(registers_of(link).read(1, Table.COIL, 0x0100, 8)) == values_of(1, 1, 0x0100, 8)
        assert link.noise_bytes == 0
    finally:
        link.close()


def test_the_echo_of_a_write_of_several_values_is_no_spoilt_confirmation(bus: RtuDevices, line: SerialLine) -> None:
    bus.then(slow_echo(0.05))
    registers_of(line).write(1, Table.HOLDING, 7, [1, 2])


def test_an_adapter_that_echoes_is_noticed_though_no_device_answers(bus: RtuDevices, line: SerialLine) -> None:
    bus.always[1] = only_echo
    registers = registers_of(line)
    assert fault_of(lambda: registers.read(1, Table.HOLDING, 0, 1)) == "silent"
    assert fault_of(lambda: registers.write(1, Table.COIL, 7, [1])) == "silent"
    assert line.noise_bytes == 0


def test_a_bare_echo_confirms_no_write_where_nothing_has_been_read_yet(bus: RtuDevices, line: SerialLine) -> None:
    bus.always[1] = only_echo
    registers = registers_of(line)
    for table in (Table.COIL, Table.HOLDING, Table.COIL):
        assert fault_of(lambda table=table: registers.write(1, table, 7, [1])) == "silent"  # type: ignore[misc]
    bus.always[1] = echo
    registers.write(1, Table.COIL, 7, [1])


@pytest.mark.parametrize("about_it", [right, exception(2), silent, instead(rtu(1, b"\x01\x02\0\0"))])
def test_before_the_first_write_the_adapter_shows_once_whether_it_echoes(
    bus: RtuDevices, line: SerialLine, about_it: Fault
) -> None:
    registers = registers_of(line)
    bus.then(about_it)
    for _ in range(3):
        registers.write(1, Table.COIL, 7, [1])
    assert [request[1] for _, request in bus.asked] == [1, 5, 5, 5]


def test_noise_before_a_reply_does_not_tell_that_the_adapter_hears_nothing(
    bus: RtuDevices, echoing: SerialLine
) -> None:
    registers = registers_of(echoing)
    bus.then(before(b"\xff"), only_echo)
    assert read_is_right(registers)
    assert fault_of(lambda: registers.write(1, Table.COIL, 7, [1])) == "silent"


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


def test_one_request_at_most_is_under_way(server: TcpDevices, peer: TcpPeer) -> None:
    registers = registers_of(peer)
    assert isinstance(registers, Foresight)
    server.then(late(TIMEOUT_S * 0.3))
    registers.begin([Read(1, Table.HOLDING, 100, 4)])
    assert read_is_right(registers, address=200)
    assert server.asked[1][0] >= server.sent[0]


def test_an_exchange_uses_no_other_thread(line: SerialLine) -> None:
    before_it = threading.active_count()
    assert read_is_right(registers_of(line))
    assert threading.active_count() == before_it
