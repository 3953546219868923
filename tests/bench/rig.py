"""What the load benches share: Modbus TCP devices, a real mosquitto and a counting subscriber, a process each."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import selectors
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

_SPAWN = multiprocessing.get_context("spawn")


def serve_devices(count: int, step: int, pipe: Connection) -> None:
    """`count` Modbus TCP devices on ports of their own; every register counts the requests of its device, by `step`.

    Each from a number of its own, 37 apart: no two are alike.
    """
    selector = selectors.DefaultSelector()
    ports = []
    for number in range(count):
        listener = socket.create_server(("127.0.0.1", 0))
        ports.append(listener.getsockname()[1])
        selector.register(listener, selectors.EVENT_READ, ("listen", number))
    pipe.send(ports)
    asked = [0] * count
    while not pipe.poll():
        for key, _ in selector.select(0.5):
            kind, number = key.data
            if kind == "listen":
                connection, _ = key.fileobj.accept()  # type: ignore[union-attr]
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ, ("serve", number))
                continue
            request = b""
            with suppress(ConnectionError):  # a gateway that was killed
                request = key.fileobj.recv(4096)  # type: ignore[union-attr]
            if not request:
                selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
                continue
            size = int.from_bytes(request[10:12])
            asked[number] += step
            data = b"".join((asked[number] + 37 * place & 0xFFFF).to_bytes(2) for place in range(size))
            pdu = request[7:8] + bytes((2 * size,)) + data
            head = request[:4] + (len(pdu) + 1).to_bytes(2) + request[6:7]
            with suppress(ConnectionError):
                key.fileobj.sendall(head + pdu)  # type: ignore[union-attr]


class Delivered(NamedTuple):
    """What the subscriber has so far."""

    values: int
    messages: int
    payload_bytes: int


def count_values(port: int, pipe: Connection) -> None:
    """Answers each `True` with what was delivered so far; counts the values of every telemetry record.

    Its session outlives a restart of a broker that keeps such.
    """
    totals = [0, 0, 0]

    def take(_: Client, __: object, message: MQTTMessage) -> None:
        totals[0] += sum(len(record["values"]) for record in json.loads(message.payload)["records"])
        totals[1] += 1
        totals[2] += len(message.payload)

    client = Client(CallbackAPIVersion.VERSION2, "counter", clean_session=False)
    client.reconnect_delay_set(0.1, 0.1)  # type: ignore[arg-type]  # it only waits so long
    client.on_message = take
    client.on_connect = lambda connected, *_: connected.subscribe("+/v1/+/+/telemetry", 1)
    subscribed = threading.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect("127.0.0.1", port)
    client.loop_start()
    subscribed.wait()
    pipe.send("ready")
    while pipe.recv():
        pipe.send(Delivered(*totals))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Rig:
    """Devices, broker and subscriber, while a bench runs."""

    def __init__(self, ports: list[int], broker: int, subscriber: Any, broker_process: subprocess.Popen[bytes]) -> None:
        self.ports = ports
        self.broker = broker
        self._subscriber = subscriber
        self.broker_process = broker_process

    def delivered(self) -> Delivered:
        self._subscriber.send(True)
        found: Delivered = self._subscriber.recv()
        return found


def start_broker(folder: Path, port: int) -> subprocess.Popen[bytes]:
    found = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit("this bench needs mosquitto: sudo apt install mosquitto")
    config = folder / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"
        "max_inflight_messages 0\nmax_queued_messages 0\n"
    )
    broker = subprocess.Popen([found, "-c", str(config)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until
        else:
            return broker


@contextmanager
def field(devices: int, step: int = 1) -> Iterator[list[int]]:
    """So many devices in a process of their own: their ports."""
    pipe, end = _SPAWN.Pipe()
    process = _SPAWN.Process(target=serve_devices, args=(devices, step, end), daemon=True)
    process.start()
    try:
        yield pipe.recv()
    finally:
        process.terminate()
        process.join(10)


@contextmanager
def rig(devices: int) -> Iterator[Rig]:
    """So many devices, a broker and a subscriber."""
    with tempfile.TemporaryDirectory() as folder, field(devices) as ports:
        port = free_port()
        broker = start_broker(Path(folder), port)
        pipe, end = _SPAWN.Pipe()
        subscriber = _SPAWN.Process(target=count_values, args=(port, end), daemon=True)
        subscriber.start()
        assert pipe.recv() == "ready"
        try:
            yield Rig(ports, port, pipe, broker)
        finally:
            subscriber.terminate()
            subscriber.join(10)
            broker.terminate()
            broker.wait(10)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its threads so far, to the nanosecond; /proc/PID/stat counts in hundredths."""
    clock = ctypes.c_int()
    if error := ctypes.CDLL(None).clock_getcpuclockid(pid, ctypes.byref(clock)):
        raise ProcessLookupError(error, os.strerror(error))
    return time.clock_gettime(clock.value)


def memory_mib(pid: int, name: str = "VmRSS") -> float:
    """A figure of /proc/PID/status, or Pss, in MiB."""
    for line in Path(f"/proc/{pid}/{'smaps_rollup' if name == 'Pss' else 'status'}").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(name)


def written_bytes(pid: int) -> int:
    """Bytes that a process has had written to the disk, as /proc/PID/io counts them."""
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise LookupError("write_bytes")
