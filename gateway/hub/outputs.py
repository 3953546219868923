"""The outputs: what each should be now, and what has to be written because that changed or did not take.

An output that cannot be written, or that says it is something else than it should be, is written again until it is
right: a lost write, a board that lost its power, a hand on the relay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf
from typing import NamedTuple

from gateway.model import Reading, Reason, Value, Write
from gateway.rules.responses import OutputPoint, Owners, Response

RETRY_S = 1.0
"""Seconds after which an output that did not take its value is written again."""


class Switch(NamedTuple):
    """A write, and the alarms that want it."""

    write: Write
    why: str


class Outputs:
    """Every output of the gateway with its safe value. Owned and changed by the hub alone."""

    def __init__(self, safe: Mapping[OutputPoint, Value]) -> None:
        self._safe = safe
        self._devices = frozenset(output.device for output in safe)
        self._wanted = dict(safe)
        self._owners = Owners()
        self._retry_at: dict[OutputPoint, float] = {}
        self._written_at: dict[OutputPoint, float] = {}

    def change(self, safe: Mapping[OutputPoint, Value], anew: Collection[str]) -> None:
        """Other outputs from now on. Those that are new, or on devices that are, are at their safe values."""
        kept = {it for it in safe if it in self._safe and it.device not in anew}
        self._safe = safe
        self._devices = frozenset(output.device for output in safe)
        self._wanted = {it: self._wanted[it] if it in kept else value for it, value in safe.items()}
        self._retry_at = {it: at for it, at in self._retry_at.items() if it in kept}
        self._written_at = {it: at for it, at in self._written_at.items() if it in kept}

    def respond_anew(self, wanted: Mapping[str, Response], mono: float) -> list[Switch]:
        """What has to be written if these owners, and no others, want these responses since before."""
        self._owners = Owners()
        for owner, response in wanted.items():
            self._owners.claim(owner, response)
        return [switch for output in self._safe if (switch := self._switched(output, mono, "")) is not None]

    def _switched(self, output: OutputPoint, mono: float, owner: str) -> Switch | None:
        """What has to be written if this output should be something else than before."""
        value = self._owners.wanted(output, self._safe[output])
        if value == self._wanted[output]:
            return None
        self._wanted[output] = value
        self._written_at[output] = mono
        return Switch(Write(*output, value), self._owners.why(output) or owner)

    @property
    def wake(self) -> float:
        """When (monotonic) `due_retries` is next worth a call."""
        return min(self._retry_at.values()) if self._retry_at else inf

    def respond(self, owner: str, response: Response, mono: float, *, wanted: bool) -> list[Switch]:
        """What has to be written because `owner`, an alarm or a step of one, wants `response` since `mono` or not."""
        if wanted:
            self._owners.claim(owner, response)
        else:
            self._owners.release(owner)
        return [switch for it in response.outputs if (switch := self._switched(it, mono, owner)) is not None]

    def failed(self, reading: Reading) -> list[Switch]:
        """The outputs of which `reading` says for the first time that they did not take their value."""
        news: list[Switch] = []
        if reading.device not in self._devices:
            return news
        for output, wanted in self._wanted.items():
            if output.device != reading.device:
                continue
            if self._is_wrong(output, wanted, reading):
                if output not in self._retry_at:
                    news.append(Switch(Write(*output, wanted), self._owners.why(output)))
                    self._retry_at[output] = reading.mono + RETRY_S
            elif reading.values.get(output.point) == wanted:
                self._retry_at.pop(output, None)
        return news

    def _is_wrong(self, output: OutputPoint, wanted: Value, reading: Reading) -> bool:
        """Whether the output did not take its value, or says another although it has had the time to take it."""
        if reading.bad.get(output.point) is Reason.WRITE_FAILED:
            return True
        said = reading.values.get(output.point)
        settled = reading.mono >= self._written_at.get(output, -RETRY_S) + RETRY_S
        return said is not None and said != wanted and settled

    def due_retries(self, mono: float) -> tuple[Write, ...]:
        """The failed writes that are due again."""
        due = [output for output, at in self._retry_at.items() if at <= mono]
        for output in due:
            self._retry_at[output] = mono + RETRY_S
            self._written_at[output] = mono
        return tuple(Write(*output, self._wanted[output]) for output in due)

    def reopened(self, link: str) -> tuple[Write, ...]:
        """What has to be written on a link that was just opened, where all outputs are at their safe values."""
        return tuple(
            Write(*output, wanted)
            for output, wanted in self._wanted.items()
            if output.link == link and wanted != self._safe[output]
        )

    def wanted(self) -> dict[str, str]:
        """`device.point` -> what the output should be."""
        return {f"{output.device}.{output.point}": str(value) for output, value in self._wanted.items()}
