"""Modbus devices made with libmodbus, a library of others: what it answers was not written with ours in mind.

As a program, `libmodbus_devices.py tcp` or `libmodbus_devices.py rtu PATH`: prints its port, or `ready`, and serves
`UNIT` until it is ended. As a module: what a device's registers and bits hold at first. Needs the package libmodbus5.
"""

from __future__ import annotations

import ctypes
import socket
import sys
from typing import Any

LIBRARY = "libmodbus.so.5"
UNIT = 17
SIZE = 2100  # of each table: more than one read can take
BAUDRATE = 115_200
_LONGEST_FRAME = 260


def is_installed() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


def value_of(table: str, address: int) -> int:
    """What a register or bit holds until it is written."""
    return {
        "coil": address % 3 % 2,
        "discrete": address % 5 % 2,
        "holding": (address * 257 + 1) & 0xFFFF,
        "input": (address * 31 + 40_000) & 0xFFFF,
    }[table]


class _Mapping(ctypes.Structure):
    """modbus_mapping_t."""

    _fields_ = (
        *(
            (name, ctypes.c_int)
            for table in ("coil", "discrete", "input", "holding")
            for name in (f"n_{table}", f"at_{table}")
        ),
        ("coil", ctypes.POINTER(ctypes.c_uint8)),
        ("discrete", ctypes.POINTER(ctypes.c_uint8)),
        ("input", ctypes.POINTER(ctypes.c_uint16)),
        ("holding", ctypes.POINTER(ctypes.c_uint16)),
    )


def _library() -> ctypes.CDLL:
    modbus = ctypes.CDLL(LIBRARY)
    modbus.modbus_new_tcp.restype = modbus.modbus_new_rtu.restype = ctypes.c_void_p
    modbus.modbus_mapping_new.restype = ctypes.POINTER(_Mapping)
    for name in ("modbus_set_slave", "modbus_connect", "modbus_receive", "modbus_reply", "modbus_tcp_accept"):
        getattr(modbus, name).argtypes = [ctypes.c_void_p]
    return modbus


def _mapping(modbus: ctypes.CDLL) -> Any:
    mapping = modbus.modbus_mapping_new(SIZE, SIZE, SIZE, SIZE)
    for table in ("coil", "discrete", "input", "holding"):
        for address in range(SIZE):
            getattr(mapping.contents, table)[address] = value_of(table, address)
    return mapping


def _serve(modbus: ctypes.CDLL, context: int, mapping: Any) -> None:
    """Answer what comes, until the connection ends."""
    frame = (ctypes.c_uint8 * _LONGEST_FRAME)()
    while (size := modbus.modbus_receive(context, frame)) >= 0:
        if size > 0:  # else it was for another unit
            modbus.modbus_reply(context, frame, size, mapping)


def main() -> None:
    modbus = _library()
    mapping = _mapping(modbus)
    if sys.argv[1] == "tcp":
        context = modbus.modbus_new_tcp(b"127.0.0.1", 0)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1], flush=True)
            listening = ctypes.c_int(listener.fileno())
            while modbus.modbus_tcp_accept(context, ctypes.byref(listening)) >= 0:
                _serve(modbus, context, mapping)
    else:
        context = modbus.modbus_new_rtu(sys.argv[2].encode(), BAUDRATE, ctypes.c_char(b"N"), 8, 1)
        modbus.modbus_set_slave(context, UNIT)
        assert modbus.modbus_connect(context) == 0
        print("ready", flush=True)
        while True:
            _serve(modbus, context, mapping)


if __name__ == "__main__":
    main()
