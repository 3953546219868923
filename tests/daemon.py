"""The daemon for tests: the real `sitewarden run` in a process of its own, with a configuration and a state folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gateway.control import ask
from gateway.errors import SitewardenError

PROFILE = """\
model: Test device
maker: tests
sources: [made up]
confidence: high
points:
{points}
"""


def write_profile(folder: Path, name: str, registers: int) -> None:
    """A profile `name` beside the configuration, with so many holding registers r0, r1, ..."""
    (folder / "profiles").mkdir(exist_ok=True)
    points = "\n".join(
        f"  r{number}: {{kind: setting, table: holding, address: {number}, type: uint16}}"
        for number in range(registers)
    )
    (folder / "profiles" / f"{name}.yaml").write_text(PROFILE.format(points=points))


class Daemon:
    """One process after the other on the same configuration and state."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "sitewarden.yaml"
        self.config.write_text(config)
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run", str(self.config), "--state", str(self.state)],
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            )
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """As a power cut ends it: no goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As the service manager ends it; returns the exit code."""
        return self._end(signal.SIGTERM)

    def status(self) -> dict[str, Any] | None:
        try:
            return ask(self.state, {"ask": "status"})
        except SitewardenError:
            return None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.kill()
        sys.stderr.write(self.log.read_text())  # shown by pytest where the test failed

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.process = None
        return code
