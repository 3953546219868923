"""A real mosquitto for tests and campaigns: a process of its own that can be stopped, killed and started again."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SEARCHED = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"  # where Debian keeps it, and not on an ordinary user's PATH
PORTS = range(10_000, 30_000)
"""Below those that the kernel gives to connections: none of these can take the broker's place while it is down."""


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


class Mosquitto:
    """One mosquitto on loopback, which saves what it knows when it ends in order, and can be started again."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        plain = ["user root", f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/"]
        self._config.write_text("\n".join([*plain, *lines]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        self._process = subprocess.Popen(
            ["mosquitto", "-c", str(self._config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PATH": SEARCHED},
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"running" in line:
                break
        else:
            self._process.wait(5)
            self._process.stderr.close()
            raise AssertionError("mosquitto does not start")
        drain = threading.Thread(target=self._process.stderr.read, daemon=True)
        drain.start()
        self._drain = drain

    def hang(self) -> None:
        """Stand still until the end, as over a disk that hangs: what comes is neither read nor acknowledged."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def end(self, *, kill: bool = False) -> None:
        """SIGTERM, or SIGKILL: then it saves nothing. SIGTERM can be lost on it before its first client has come."""
        process, self._process = self._process, None
        assert process is not None
        assert process.stderr is not None
        process.kill() if kill else process.terminate()
        process.send_signal(signal.SIGCONT)
        process.wait(10)
        self._drain.join(5)
        process.stderr.close()


@contextmanager
def mosquitto(folder: Path, *lines: str) -> Iterator[Mosquitto]:
    folder.mkdir(exist_ok=True)
    one = Mosquitto(folder, *lines)
    one.start()
    try:
        yield one
    finally:
        if one.is_running:
            one.end()
