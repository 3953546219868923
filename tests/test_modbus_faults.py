"""Whatever goes wrong on a wire has a name, costs one poll at most, and never becomes a value.

The tables are read as: what happens on the wire, and the name under which it is counted. Each row is run on RTU on a
pty, on RTU over TCP and on Modbus TCP, as far as it can happen there.
"""

from __future__ import annotations

import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import pytest
from modbus_responder import (
    STILL_ON_THE_LINE_S,
    Fault,
    Script,
    after,
    bad_crc,
    before,
    echo,
    forget,
    half,
    hang_up,
    instead,
    late,
    mbap,
    only_echo,
    pieces,
    right,
    rtu,
    silent,
)
from modbus_scene import TIMEOUT_S, WIRES, Scene, WireName, fault_of, read_is_right, registers_of, scene, tcp_part

from gateway.driver import Table
from gateway.errors import LinkDown, NoReply, Refused
from gateway.links.foresight import Foresight
from gateway.links.framing import Read
from gateway.links.tally import Tally
from gateway.links.tcp import TcpPeer

Change: TypeAlias = Callable[[int, bytes], tuple[int, bytes]]
"""From unit and PDU of the right reply to those of another, whose frame is right."""

LONG_S = 0.4
RTU, TCP, SOCKETS = ("rtu", "rtu over tcp"), ("tcp",), ("rtu over tcp", "tcp")


class Row(NamedTuple):
    """What happens, under which name, on which wires."""

    what: str
    name: str
    fault: Fault | Change
    wires: tuple[str, ...] = WIRES
    is_change: bool = False


def frame(what: str, name: str, change: Change) -> Row:
    return Row(what, name, change, is_change=True)


def refused_with(code: int) -> Change:
    return lambda unit, pdu: (unit, bytes((pdu[0] | 0x80, code)))


def other_transaction(by: int) -> Fault:
    return lambda _, reply: [(0.0, mbap((int.from_bytes(reply[:2]) + by) & 0xFFFF, reply[6], reply[7:]))]


def spoilt_then_late(_: bytes, reply: bytes) -> Script:
    return [(0.0, reply[:-1] + bytes((reply[-1] ^ 0x55,))), (STILL_ON_THE_LINE_S, reply)]


LOST_POLLS = (
    # nothing, or too late
    Row("silence", "silent", silent),
    Row("a late reply", "silent", late(TIMEOUT_S * 1.5)),
    Row("the echo alone", "silent", only_echo, RTU),
    # a right frame, but not the reply
    frame("a reply of another unit", "wrong_unit", lambda unit, pdu: (unit + 1, pdu)),
    frame("a reply to another function", "wrong_function", lambda unit, pdu: (unit, b"\x04" + pdu[1:])),
    frame("the confirmation of a write", "wrong_function", lambda unit, _: (unit, b"\x06\0\x64\0\4")),
    frame("the exception of another function", "wrong_function", lambda unit, _: (unit, b"\x84\2")),
    frame("a register more", "wrong_length", lambda unit, pdu: (unit, b"\x03\x0a" + pdu[2:] + b"\x12\x34")),
    frame("a register less", "wrong_length", lambda unit, pdu: (unit, b"\x03\x06" + pdu[2:-2])),
    frame("bytes beyond the announced", "wrong_length", lambda unit, pdu: (unit, pdu + b"\1\2")),
    Row("bytes less than announced", "wrong_length", lambda unit, pdu: (unit, pdu[:-2]), TCP, is_change=True),
    Row("the reply to a later transaction", "wrong_transaction", other_transaction(1), TCP),
    Row("the reply to an earlier transaction", "wrong_transaction", other_transaction(-1), TCP),
    # no right frame
    Row("a bad CRC", "checksum", bad_crc, RTU),
    Row("half a frame", "half_frame", half),
    Row("half a frame, the rest late", "half_frame", lambda _, it: [(0.0, it[:6]), (TIMEOUT_S * 1.4, it[6:])]),
    Row("noise instead of a frame", "noise", instead(b"\xff\x00\xa5"), RTU),
    Row("noise before a frame", "noise", before(b"\xff\xff"), TCP),
    Row("noise, then a late reply", "noise", lambda _, it: [(0.01, b"\xff"), (TIMEOUT_S * 1.5, it)], RTU),
    Row("a frame of another protocol", "noise", lambda _, it: [(0.0, it[:2] + b"\0\1" + it[4:])], TCP),
    Row("RTU where TCP is spoken", "noise", lambda _, it: [(0.0, rtu(it[6], it[7:]))], TCP),
    # the connection
    Row("hung up instead of answering", "disconnected", hang_up, SOCKETS),
    Row("hung up in the middle of a reply", "disconnected", lambda _, it: [(0.0, it[:5]), (0.01, b"")], SOCKETS),
    Row("a spoilt reply, and the right one late", "checksum", spoilt_then_late, RTU),
    Row("half open: the peer has forgotten it", "disconnected", forget, SOCKETS),
    # the device says no, for now
    frame("exception 4", "device_failure", refused_with(4)),
    frame("exception 5", "busy", refused_with(5)),
    frame("exception 6", "busy", refused_with(6)),
    frame("exception 7", "device_failure", refused_with(7)),
    frame("exception 8", "device_failure", refused_with(8)),
    frame("exception 10", "gateway", refused_with(10)),
    frame("exception 11", "gateway", refused_with(11)),
    frame("an exception that does not exist", "device_failure", refused_with(77)),
)

HARMLESS = (
    Row("a slow reply", "", late(TIMEOUT_S * 0.4)),
    Row("byte by byte", "", pieces(1, 0.001)),
    Row("a split frame", "", pieces(4, 0.015)),
    Row("noise after", "", after(b"\xff\x00")),
    Row("the beginning of another reply after", "", after(b"\x01\x03\x08")),
    Row("an echo", "", echo, RTU),
    Row("noise before: FF", "", before(b"\xff"), RTU),
    Row("noise before: 00", "", before(b"\x00"), RTU),
    Row("noise before: the unit", "", before(b"\x01"), RTU),
    Row("noise before: the beginning of the reply", "", before(b"\x01\x03\x08"), RTU),
    Row("noise before: that again and again", "", before(b"\x01\x03\x08\x01\x83" * 9), RTU),
    Row("another unit's reply before", "", before(rtu(2, b"\x03\x08" + b"\0" * 8)), RTU),
    Row("a lot of noise before", "", before(bytes(range(256)) * 3), RTU),
    Row(
        "the reply to an earlier request before",
        "",
        lambda _, it: [(0.0, b"\0\0" + it[2:7] + b"\x03\x08" + b"\0" * 8 + it)],
        TCP,
    ),
)


def answer_once(connection: socket.socket, framing: Literal["rtu", "tcp"]) -> None:
    """The reply to one request for one register: 42."""
    request = connection.recv(260)
    pdu = b"\x03\x02\x00\x2a"
    connection.sendall(rtu(1, pdu) if framing == "rtu" else mbap(int.from_bytes(request[:2]), 1, pdu))


def on_each_wire(rows: tuple[Row, ...]) -> list[object]:
    return [pytest.param(wire, row, id=f"{row.what} - {wire}") for row in rows for wire in row.wires]


def fault_on(at: Scene, row: Row) -> Fault:
    """The row's fault in the frames of this wire."""
    if not row.is_change:
        return row.fault  # type: ignore[return-value]
    change: Change = row.fault  # type: ignore[assignment]
    if at.is_rtu:
        return lambda _, reply: [(0.0, rtu(*change(reply[0], reply[1:-2])))]
    return lambda _, reply: [(0.0, mbap(int.from_bytes(reply[:2]), *change(reply[6], reply[7:])))]


@pytest.fixture
def at(wire: WireName, tmp_path: Path) -> Iterator[Scene]:
    with scene(wire, tmp_path) as found:
        yield found


@pytest.fixture
def leisurely(wire: WireName, tmp_path: Path) -> Iterator[Scene]:
    """With a timeout that leaves a busy machine time to be early."""
    with scene(wire, tmp_path, LONG_S) as found:
        yield found


@pytest.mark.parametrize(("wire", "row"), on_each_wire(LOST_POLLS))
def test_a_fault_has_its_name_and_costs_one_poll(at: Scene, row: Row) -> None:
    counted = Tally()
    at.registers.count_for(counted)
    at.devices.then(right, fault_on(at, row))
    assert read_is_right(at.registers)
    assert fault_of(lambda: at.registers.read(1, Table.HOLDING, 100, 4)) == row.name
    for address in (200, 300, 400):
        assert read_is_right(at.registers, address=address)
    assert counted.failures == {row.name: 1}
    assert counted.requests == len(at.devices.asked) == 5


@pytest.mark.parametrize(("wire", "row"), on_each_wire(HARMLESS))
def test_what_does_not_hide_the_reply_costs_nothing(at: Scene, row: Row) -> None:
    at.devices.then(right, fault_on(at, row))
    for address in (100, 200, 300):
        assert read_is_right(at.registers, address=address)


def test_the_table_has_every_name_that_is_counted() -> None:
    documented = re.search(r"counts it: ([a-z_,\s]+)\.", NoReply.__doc__ or "")
    assert documented is not None
    in_other_tests = {"wrong_echo"}  # of writes
    assert {row.name for row in LOST_POLLS} | in_other_tests == set(re.split(r",\s+", documented[1]))


# ---------------------------------------------------------------- what the table does not tell


@pytest.mark.parametrize("code", [1, 2, 3])
@pytest.mark.parametrize("wire", WIRES)
def test_a_refusal_is_a_fault_of_the_configuration(at: Scene, code: int) -> None:
    at.devices.then(fault_on(at, frame("", "", refused_with(code))))
    with pytest.raises(Refused) as caught:
        at.registers.read(1, Table.HOLDING, 0, 1)
    assert caught.value.code == code
    assert caught.value.hint


@pytest.mark.parametrize("wire", WIRES)
def test_a_confirmation_of_another_value_is_none(at: Scene) -> None:
    other = fault_on(at, frame("", "", lambda unit, _: (unit, bytes.fromhex("06 00 07 00 2B"))))
    at.devices.then(right, other)
    assert read_is_right(at.registers)
    assert fault_of(lambda: at.registers.write(1, Table.HOLDING, 7, [42])) == "wrong_echo"
    at.registers.write(1, Table.HOLDING, 7, [42])


@pytest.mark.parametrize("wire", WIRES)
def test_noise_is_counted(at: Scene) -> None:
    at.devices.then(after(b"\x55"), fault_on(at, LOST_POLLS[3]))
    assert read_is_right(at.registers)
    with pytest.raises(NoReply):
        at.registers.read(1, Table.HOLDING, 100, 4)
    assert at.link.noise_bytes == 1 + (13 if at.is_rtu else 17)


@pytest.mark.parametrize("wire", SOCKETS)
def test_a_connection_that_ends_under_the_next_request_too_is_down(at: Scene) -> None:
    at.devices.then(right, hang_up, hang_up)
    assert read_is_right(at.registers)
    assert fault_of(lambda: at.registers.read(1, Table.HOLDING, 0, 4)) == "disconnected"
    with pytest.raises(LinkDown, match="gone"):
        at.registers.read(1, Table.HOLDING, 0, 4)


@pytest.mark.parametrize("end", [hang_up, forget])
def test_what_a_line_still_says_when_its_link_was_down_is_no_value(tmp_path: Path, end: Fault) -> None:
    with scene("rtu over tcp", tmp_path) as at:
        at.devices.then(end, late(TIMEOUT_S * 0.6))
        with pytest.raises(LinkDown):
            at.registers.read(1, Table.HOLDING, 100, 4)
        at.link.close()
        at.link.open()
        assert read_is_right(registers_of(at.link), address=200)


@pytest.mark.parametrize("framing", ["rtu", "tcp"])
def test_a_peer_that_takes_nothing_any_more_costs_one_poll(framing: Literal["rtu", "tcp"]) -> None:
    """Like one behind a cable that was pulled and plugged in elsewhere: it acknowledges nothing of this connection."""
    with socket.socket() as listener, ExitStack() as later:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # the least that the kernel has
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        peer = TcpPeer("io1", tcp_part(listener.getsockname()[1], rtu=framing == "rtu", timeout_s=0.6))
        peer.open()
        later.callback(peer.close)
        registers = registers_of(peer)
        for connection in range(2):
            accepted = later.enter_context(listener.accept()[0])
            answering = threading.Thread(target=answer_once, args=(accepted, framing))
            answering.start()
            assert list(registers.read(1, Table.HOLDING, 100, 1)) == [42]
            answering.join()
            if connection == 0:
                os.write(peer.watched[0], bytes(100_000))  # more than it has room for, and it reads no more
                assert fault_of(lambda: registers.read(1, Table.HOLDING, 100, 1)) == "disconnected"
                peer.prepare()


@pytest.mark.parametrize("wire", SOCKETS)
def test_a_connection_that_ends_is_not_waited_for(leisurely: Scene) -> None:
    leisurely.devices.then(right, hang_up)
    assert read_is_right(leisurely.registers)
    started = time.monotonic()
    with pytest.raises(NoReply):
        leisurely.registers.read(1, Table.HOLDING, 0, 4)
    assert time.monotonic() - started < LONG_S


@pytest.mark.parametrize("wire", TCP)
def test_a_connection_that_ends_under_what_was_sent_ahead_costs_that_poll(at: Scene) -> None:
    assert isinstance(at.registers, Foresight)
    at.devices.then(right, hang_up)
    assert read_is_right(at.registers)
    at.registers.begin([Read(1, Table.HOLDING, 100, 4), Read(1, Table.HOLDING, 200, 4)])
    assert isinstance(at.link, TcpPeer)
    assert select.select([at.link.watched[0]], [], [], 5)[0]
    assert not at.registers.advance()
    assert fault_of(lambda: at.registers.read(1, Table.HOLDING, 100, 4)) == "disconnected"
    assert read_is_right(at.registers, address=200)


@pytest.mark.parametrize("wire", TCP)
def test_the_reply_to_a_question_that_was_given_up_is_no_answer_to_the_next(at: Scene) -> None:
    assert isinstance(at.registers, Foresight)
    at.devices.then(late(TIMEOUT_S * 0.3))
    at.registers.listen()
    at.registers.begin([Read(1, Table.HOLDING, 100, 4)])
    assert at.registers.asked() == ()
    assert read_is_right(at.registers, address=200)


# ---------------------------------------------------------------- asked ahead on TCP


def foreseen(at: Scene, *reads: Read) -> Foresight:
    """With everything that was foreseen answered, and a poll begun."""
    assert isinstance(at.registers, Foresight)
    assert isinstance(at.link, TcpPeer)
    at.registers.listen()
    at.registers.begin(reads)
    while not at.registers.complete:
        assert select.select([at.link.watched[0]], [], [], 5)[0]
        assert at.registers.advance()
    return at.registers


@pytest.mark.parametrize("wire", TCP)
def test_a_driver_never_gets_the_reply_to_another_read(at: Scene) -> None:
    registers = foreseen(at, Read(1, Table.HOLDING, 100, 4), Read(1, Table.HOLDING, 200, 4))
    assert read_is_right(registers, address=300)
    assert read_is_right(registers, address=200)
    assert read_is_right(registers, address=100)
    assert len(at.devices.asked) == 5, "what was foreseen does not belong to a poll that went another way"


@pytest.mark.parametrize("wire", TCP)
def test_a_reply_that_no_driver_took_is_no_value_of_the_next_poll(at: Scene) -> None:
    registers = foreseen(at, Read(1, Table.HOLDING, 100, 4))
    registers.asked()
    registers.listen()
    assert read_is_right(registers)
    assert len(at.devices.asked) == 2, "it was not asked anew"


@pytest.mark.parametrize("wire", TCP)
def test_what_was_sent_ahead_and_given_up_is_no_value_of_the_next_poll(at: Scene) -> None:
    assert isinstance(at.registers, Foresight)
    assert isinstance(at.link, TcpPeer)
    at.registers.listen()
    at.registers.begin([Read(1, Table.HOLDING, 100, 4)])
    assert select.select([at.link.watched[0]], [], [], 5)[0]
    at.registers.asked()
    at.registers.listen()
    assert read_is_right(at.registers)
    assert len(at.devices.asked) == 2, "it was not asked anew"


@pytest.mark.parametrize("wire", TCP)
def test_a_wire_is_in_use_while_a_reply_to_what_was_sent_ahead_is_waited_for(at: Scene) -> None:
    counted = Tally()
    at.registers.count_for(counted)
    at.devices.then(late(TIMEOUT_S * 0.3))
    foreseen(at, Read(1, Table.HOLDING, 100, 4))
    assert TIMEOUT_S * 0.3 <= counted.busy_s < TIMEOUT_S * 3


@pytest.mark.parametrize("delay", [1.1, 1.3, 1.6])
@pytest.mark.parametrize("wire", TCP)
def test_a_late_reply_on_tcp_is_dropped_without_waiting(leisurely: Scene, delay: float) -> None:
    leisurely.devices.then(late(LONG_S * delay), late(LONG_S * 0.2), late(LONG_S * 0.2))
    with pytest.raises(NoReply, match="no answer"):
        leisurely.registers.read(1, Table.HOLDING, 100, 4)
    started = time.monotonic()
    assert read_is_right(leisurely.registers, address=200)
    assert read_is_right(leisurely.registers, address=300)
    assert time.monotonic() - started < LONG_S * 2
    assert read_is_right(leisurely.registers, address=400)


# ---------------------------------------------------------------- late replies on RTU, which do not name their request


def told(at: Scene, addresses: Sequence[int]) -> list[str]:
    """What becomes of these polls, one after the other: right, wrong, or the name of its fault."""
    found = []
    for address in addresses:
        try:
            found.append("right" if read_is_right(at.registers, address=address) else "wrong")
        except NoReply as fault:
            found.append(fault.fault)
    return found


def when_in_time(wire: WireName, folder: Path, delays: Sequence[float]) -> list[str]:
    """What becomes of five polls whose replies come after `delays` (in timeouts, less than 2), as they did indeed.

    A device that takes even longer is another matter, and on a busy machine ours may: then once more.
    """
    for attempt in range(10):
        (folder / str(attempt)).mkdir()
        with scene(wire, folder / str(attempt)) as at:
            at.devices.then(*[late(TIMEOUT_S * delay) for delay in delays])
            found = told(at, (100, 200, 300, 400, 500))
            asked = [when for when, _ in at.devices.asked]
            if all(sent - when < TIMEOUT_S * 1.98 for when, sent in zip(asked, at.devices.sent, strict=False)):
                return found
    raise AssertionError("this machine is too busy to answer in time")


@pytest.mark.parametrize("delay", [1.0, 1.02, 1.1, 1.3, 1.5, 1.7, 1.9])
@pytest.mark.parametrize("wire", RTU)
def test_a_reply_after_the_timeout_is_not_the_value_of_other_registers(
    wire: WireName, tmp_path: Path, delay: float
) -> None:
    first, *others = when_in_time(wire, tmp_path, [delay, 0.4, 0.4, 0.4])
    assert first in {"right", "silent"}  # on the edge it may just be in time
    assert "wrong" not in others
    assert others.count("right") >= 3, "it cost more than the poll, and one that a busy machine may cost"


@pytest.mark.parametrize("delay", [1.3, 1.6])
def test_a_device_that_is_always_too_slow_never_gives_a_value(tmp_path: Path, delay: float) -> None:
    assert when_in_time("rtu", tmp_path, [delay] * 5) == ["silent"] * 5


@pytest.mark.parametrize("fault", [hang_up, forget, spoilt_then_late])
def test_what_a_line_still_says_is_not_the_value_of_other_registers(tmp_path: Path, fault: Fault) -> None:
    with scene("rtu over tcp", tmp_path) as at:
        at.devices.then(right, fault, *[late(STILL_ON_THE_LINE_S * 2)] * 3)
        first, lost, *others = told(at, (100, 200, 300, 400, 500))
    assert (first, lost) in {("right", "disconnected"), ("right", "checksum")}
    assert others == ["right"] * 3


@pytest.mark.parametrize("wire", RTU)
def test_the_line_is_free_again_as_soon_as_the_late_reply_has_come(leisurely: Scene) -> None:
    leisurely.devices.then(late(LONG_S * 1.2))
    with pytest.raises(NoReply):
        leisurely.registers.read(1, Table.HOLDING, 100, 4)
    started = time.monotonic()
    assert read_is_right(leisurely.registers, address=200)
    assert time.monotonic() - started < LONG_S * 0.9


@pytest.mark.parametrize("wire", RTU)
def test_a_spoilt_reply_is_not_waited_for_until_the_timeout(leisurely: Scene) -> None:
    leisurely.devices.then(bad_crc)
    started = time.monotonic()
    assert fault_of(lambda: leisurely.registers.read(1, Table.HOLDING, 100, 4)) == "checksum"
    assert time.monotonic() - started < LONG_S * 0.8


@pytest.mark.parametrize("wire", RTU)
def test_a_line_that_is_never_quiet_is_said_to_be_so(at: Scene) -> None:
    assert read_is_right(at.registers)
    at.devices.then(lambda _, __: [(i * 0.01, b"$GPRMC") for i in range(100)])
    with pytest.raises(NoReply):
        at.registers.read(1, Table.HOLDING, 100, 4)
    with pytest.raises(NoReply, match="never quiet"):
        at.registers.read(1, Table.HOLDING, 100, 4)


@pytest.mark.parametrize("wire", TCP)
def test_a_reply_to_what_was_not_asked_yet_is_not_waited_out(leisurely: Scene) -> None:
    leisurely.devices.then(other_transaction(1))
    started = time.monotonic()
    with pytest.raises(NoReply, match="a reply to transaction 2, asked was 1"):
        leisurely.registers.read(1, Table.HOLDING, 100, 4)
    assert time.monotonic() - started < LONG_S


@pytest.mark.parametrize("wire", TCP)
def test_transactions_go_on_past_their_last_number(at: Scene) -> None:
    assert isinstance(at.registers, Foresight)
    at.registers._exchange._transaction = 0xFFFE
    at.devices.then(right, other_transaction(-1))
    assert read_is_right(at.registers)
    assert fault_of(lambda: at.registers.read(1, Table.HOLDING, 100, 4)) == "wrong_transaction"
    assert read_is_right(at.registers)
    assert at.devices.asked[-1][1][:2] == b"\x00\x02"
