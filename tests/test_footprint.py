"""What a running daemon has imported: what it works with, and nothing that only served its beginning."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from daemon import write_profile
from modbus_responder import TcpDevices

from gateway.control import ask
from gateway.demo.broker import Broker
from gateway.errors import SitewardenError
from gateway.model import Json

TOP = Path(__file__).parent.parent
WITHIN_S = 30.0
RUN = "import json, sys; from gateway.cli import main; main(sys.argv[1:]); print(json.dumps(sorted(sys.modules)))"
SITE = """
site: {{id: dc3}}
gateway: {{id: gw1}}
storage: {{commit_every: 100ms}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"}}
links:
  io: {{type: tcp, host: 127.0.0.1}}
devices:
  {made}
"""
GPS = "gps-1: {driver: gps_nmea, link: io, zone: truck}"
METER = "meter-1: {driver: modbus, link: io, unit: 1, profile: four, every: 1s, zone: hall}"
GPRMC = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n"

TO_LOAD = {"pydantic", "pydantic_core", "annotated_types", "yaml", "gateway.config.load"}
TO_MAKE_A_JOURNAL = {"sqlite_utils"}
FOR_NOTHING = {"difflib", "importlib.metadata", "multiprocessing", "typing_extensions", "unittest"}


def imported(folder: Path, port: int) -> set[str]:
    """The modules of a daemon by the time it has stopped; its device at `port` was read, the broker had records.

    It has read its configuration twice.
    """
    files = [folder / "sitewarden.yaml", "--state", folder / "state"]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "run", *map(str, files), "--set", f"links.io.port={port}"],
        stdout=subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    try:
        wait_until_delivered(folder / "state")
        again: dict[str, Json] = {"ask": "command", "name": "reload", "args": {}, "issuer": "Ada"}
        assert ask(folder / "state", again, WITHIN_S)["detail"] == "nothing changed"
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=WITHIN_S)
    finally:
        process.kill()
        process.communicate()
    return set(json.loads(told))


def wait_until_delivered(state: Path) -> None:
    until, pause = time.monotonic() + WITHIN_S, threading.Event()
    while True:
        assert time.monotonic() < until
        try:
            status = ask(state, {"ask": "status"})
        except SitewardenError:
            status = None  # not there yet
        if (
            status
            and any(point["quality"] == "good" for point in status["points"])
            and all(uplink["last_ack"] for uplink in status["health"]["uplinks"])
        ):
            return
        pause.wait(0.05)


@pytest.fixture
def broker() -> Iterator[int]:
    broker = Broker()
    yield broker.start()
    broker.stop()


def test_a_daemon_on_registers_has_forgotten_how_it_was_configured(tmp_path: Path, broker: int) -> None:
    write_profile(tmp_path, "four", 4)
    with TcpDevices() as devices:
        (tmp_path / "sitewarden.yaml").write_text(SITE.format(broker=broker, made=METER), encoding="utf-8")
        first, later = imported(tmp_path, devices.port), imported(tmp_path, devices.port)
    assert first >= TO_MAKE_A_JOURNAL
    assert not first & TO_LOAD
    assert not later & (TO_LOAD | TO_MAKE_A_JOURNAL | FOR_NOTHING | {"serial", "gpiozero"})
    assert {"pymodbus", "paho", "sqlite3", "gateway.config.schema"} <= later


def test_a_daemon_without_registers_has_no_modbus(tmp_path: Path, broker: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        talking = threading.Thread(target=talk, args=(server,))
        talking.start()
        (tmp_path / "sitewarden.yaml").write_text(SITE.format(broker=broker, made=GPS), encoding="utf-8")
        found = imported(tmp_path, server.getsockname()[1])
        talking.join(WITHIN_S)
    assert not found & {"pymodbus", "serial", "gpiozero", *TO_LOAD}


def talk(server: socket.socket) -> None:
    """Be a receiver behind a serial server, until it is hung up; the end of an epoch is heard by the next one."""
    server.settimeout(WITHIN_S)
    connection, _ = server.accept()
    with connection, suppress(ConnectionError):
        connection.settimeout(0.2)
        hung_up = False
        while not hung_up:
            connection.sendall(GPRMC)
            with suppress(TimeoutError):
                hung_up = not connection.recv(1)
