"""A smoke detector's contact and a siren at a real daemon, and what may go wrong around them: broker, line and disk."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from daemon import Daemon

SMOKE = "smoke-1.smoke"
CONFIG = """
site: {{id: bench}}
gateway: {{id: gw1}}
uplinks:
  platform: {{url: "mqtt://127.0.0.1:{broker}"}}
links:
  gpio: {{type: gpio, factory: mock}}
{links}
devices:
  smoke-1: {{driver: contact, link: gpio, pin: 17, kind: smoke, hold: 0s, zone: hall}}
  siren: {{driver: relay, link: gpio, pin: 22, zone: hall}}
{devices}
rules:
  smoke:
    {{point: smoke-1.smoke, equals: alarm, priority: high, latch: false, response: evacuate, hold_chattering: false}}
{rules}
responses:
  evacuate: {{set: {{siren: "on"}}}}
"""

DISKS = {
    "slow": "delay_enter=3000000",
    "full": "error=ENOSPC",
    "broken": "error=EIO",
    "hanging": "delay_enter=600000000",
}
"""What becomes of every sync, in strace's words (delays in microseconds)."""


class PinnedDaemon(Daemon):
    """The daemon, with the contact and the siren at hand."""

    def start(self) -> Self:
        ours, theirs = socket.socketpair()
        with self.log.open("ab") as log, theirs:
            command = [sys.executable, str(Path(__file__).parent / "pinned.py"), str(theirs.fileno())]
            self.process = subprocess.Popen(
                [*command, "run", str(self.config), "--state", str(self.state)],
                stderr=log,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            )
        self._lines = ours.makefile("rw", encoding="ascii")
        ours.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        with suppress(OSError):
            self._lines.close()

    def smoke(self, *, alarm: bool) -> float:
        """The detector's contact closes or opens: the monotonic time of that."""
        return float(self._ask("close" if alarm else "open"))

    def siren(self) -> tuple[float, bool] | None:
        """So long after that the siren's pin took this level; None: not yet."""
        told = json.loads(self._ask("siren"))
        return None if told is None else (told[0], told[1])

    def _ask(self, word: str) -> str:
        self._lines.write(f"{word}\n")
        self._lines.flush()
        answer = self._lines.readline()
        assert answer, "the daemon is gone"
        return answer


@contextmanager
def failing_syncs(pid: int, disk: str, trace: Path) -> Iterator[None]:
    """Every sync of this process meets that disk: strace stands between it and the kernel, for these calls alone."""
    strace = shutil.which("strace")
    if strace is None:
        raise SystemExit("this needs strace: sudo apt install strace")
    calls = "fsync,fdatasync"
    command = [strace, "-f", "-o", str(trace), "-e", f"trace={calls}", "-e", f"inject={calls}:{DISKS[disk]}"]
    process = subprocess.Popen([*command, "-p", str(pid)], stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert b"attached" in process.stderr.readline()
    drain = threading.Thread(target=process.stderr.read)
    drain.start()
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)
        drain.join(10)
        process.stderr.close()


class SlowLine:
    """A way to the broker of so many bytes a second, by threads of this process; what returns is not slowed.

    It keeps little on the way.
    """

    BUFFER = 4096
    STEP_S = 0.02

    def __init__(self, broker: int, bytes_per_s: float) -> None:
        self._broker = broker
        self._step = max(1, int(bytes_per_s * self.STEP_S))
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.BUFFER)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = int(self._listener.getsockname()[1])
        self._pause = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._pause.set()
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                gateway, _ = self._listener.accept()
                broker = socket.create_connection(("127.0.0.1", self._broker))
                broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for act in (self._up, self._down):
                    threading.Thread(target=act, args=(gateway, broker), daemon=True).start()

    def _up(self, gateway: socket.socket, broker: socket.socket) -> None:
        due = time.monotonic()
        with suppress(OSError), gateway, broker:
            while data := gateway.recv(self._step):
                broker.sendall(data)
                due = max(due, time.monotonic() - self.STEP_S) + self.STEP_S * len(data) / self._step
                if self._pause.wait(max(0.0, due - time.monotonic())):
                    return

    def _down(self, gateway: socket.socket, broker: socket.socket) -> None:
        with suppress(OSError), gateway, broker:
            while data := broker.recv(65536):
                gateway.sendall(data)
