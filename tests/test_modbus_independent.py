"""Against devices made with libmodbus: every function, on RTU through two ptys, on RTU over TCP and on TCP."""

from __future__ import annotations

import os
import pty
import select
import socket
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import libmodbus_devices as theirs
import pytest
from modbus_scene import WIRES, WireName, registers_of, serial_part, tcp_part

from gateway.driver import Registers, Table
from gateway.errors import NoReply, Refused
from gateway.links.serial import SerialLine
from gateway.links.tcp import TcpPeer

pytestmark = pytest.mark.libmodbus

TIMEOUT_S = 0.7


@contextmanager
def devices(*arguments: str) -> Iterator[str]:
    """Their program; what it says when it is ready."""
    command = [sys.executable, theirs.__file__, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def passing_on(one: int, other: int) -> Iterator[None]:
    """What comes from one file descriptor goes to the other, both ways."""
    ended, end = os.pipe()

    def pass_on() -> None:
        while True:
            for fd in select.select([one, other, ended], [], [])[0]:
                if fd == ended:
                    return
                os.write(other if fd == one else one, os.read(fd, 4096))

    thread = threading.Thread(target=pass_on)
    thread.start()
    try:
        yield
    finally:
        os.write(end, b"x")
        thread.join()
        os.close(ended)
        os.close(end)


@contextmanager
def raw_pty() -> Iterator[tuple[int, str]]:
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


@pytest.fixture(scope="module", params=WIRES)
def registers(request: pytest.FixtureRequest) -> Iterator[Registers]:
    wire: WireName = request.param
    with ExitStack() as stack:
        link: SerialLine | TcpPeer
        if wire == "tcp":
            link = TcpPeer("io1", tcp_part(int(stack.enter_context(devices("tcp"))), timeout_s=TIMEOUT_S))
        else:
            theirs_fd, theirs_path = stack.enter_context(raw_pty())
            assert stack.enter_context(devices("rtu", theirs_path)) == "ready"
        if wire == "rtu":
            ours_fd, ours_path = stack.enter_context(raw_pty())
            stack.enter_context(passing_on(ours_fd, theirs_fd))
            link = SerialLine("bus1", serial_part(Path(ours_path), TIMEOUT_S))
        elif wire == "rtu over tcp":  # a serial server, as we see it
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            link = TcpPeer("bus1", tcp_part(listener.getsockname()[1], rtu=True, timeout_s=TIMEOUT_S))
        link.open()
        stack.callback(link.close)
        if wire == "rtu over tcp":
            connection = stack.enter_context(listener.accept()[0])
            stack.enter_context(passing_on(connection.fileno(), theirs_fd))
        yield registers_of(link)


@pytest.mark.parametrize("table", list(Table))
@pytest.mark.parametrize(("address", "count"), [(0, 1), (7, 9), (100, 125), (1999, 2)])
def test_each_table_is_read(registers: Registers, table: Table, address: int, count: int) -> None:
    expected = [theirs.value_of(table, address + i) for i in range(count)]
    assert list(registers.read(theirs.UNIT, table, address, count)) == expected


@pytest.mark.parametrize("table", [Table.COIL, Table.DISCRETE])
def test_as_many_bits_are_read_as_one_reply_holds(registers: Registers, table: Table) -> None:
    expected = [theirs.value_of(table, address) for address in range(2000)]
    assert list(registers.read(theirs.UNIT, table, 0, 2000)) == expected


@pytest.mark.parametrize(
    ("table", "values", "function"),
    [
        (Table.COIL, [1], 5),
        (Table.COIL, [0], 5),
        (Table.COIL, [1, 0, 1, 1, 0, 0, 0, 0, 1], 15),
        (Table.COIL, [1, 0] * 984, 15),
        (Table.HOLDING, [0x1234], 6),
        (Table.HOLDING, [0xFFFF], 16),
        (Table.HOLDING, list(range(123)), 16),
    ],
)
def test_what_is_written_is_read_back(registers: Registers, table: Table, values: list[int], function: int) -> None:
    words = [0xFF00 * values[0]] if function == 5 else values
    registers.write(theirs.UNIT, table, 50, words, function)
    most = 2000 if table is Table.COIL else 125
    assert list(registers.read(theirs.UNIT, table, 50, len(values)))[:most] == values


@pytest.mark.parametrize("table", list(Table))
def test_registers_that_they_do_not_have_are_refused(registers: Registers, table: Table) -> None:
    with pytest.raises(Refused) as caught:
        registers.read(theirs.UNIT, table, theirs.SIZE - 1, 2)
    assert caught.value.code == 2
    assert registers.read(theirs.UNIT, table, theirs.SIZE - 1, 1)


@pytest.mark.parametrize("registers", ["rtu", "rtu over tcp"], indirect=True)
def test_nobody_answers_for_another_unit_on_a_line(registers: Registers) -> None:
    with pytest.raises(NoReply) as caught:
        registers.read(theirs.UNIT + 1, Table.HOLDING, 0, 1)
    assert caught.value.fault == "silent"
    assert list(registers.read(theirs.UNIT, Table.INPUT, 0, 1)) == [theirs.value_of("input", 0)]
