"""A real gpsd for tests: a process of its own on loopback, whose receivers are sentences that a test sends by UDP."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from mosquitto import free_port

STARTS_WITHIN_S = 10.0


class Gpsd:
    """One gpsd with some receivers, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, receivers: int = 1) -> None:
        self.port = free_port()
        self.receivers = [f"udp://127.0.0.1:{free_port()}" for _ in range(receivers)]
        self._log = folder / "gpsd.log"
        self._control = folder / "gpsd.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def start(self) -> None:
        """Until it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["gpsd", "-N", "-n", "-b", "-S", str(self.port), "-F", str(self._control), *self.receivers],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + STARTS_WITHIN_S
        while time.monotonic() < until and self._process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                continue
            return
        self.kill()
        raise AssertionError(f"gpsd does not start: {self._log.read_text()}")

    def say(self, *sentences: bytes, receiver: int = 0) -> None:
        """Sentences of a receiver."""
        _, _, port = self.receivers[receiver].rpartition(":")
        for sentence in sentences:
            self._sender.sendto(sentence + b"\r\n", ("127.0.0.1", int(port)))

    def unplug(self, receiver: int) -> None:
        """A receiver goes, as udev tells gpsd of one on USB."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._control))
            control.sendall(f"-{self.receivers[receiver]}\r\n".encode())
            assert control.recv(16).strip() == b"OK"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(5)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._sender.close()
