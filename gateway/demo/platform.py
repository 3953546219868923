"""The demo's platform: sits in the demo's broker, counts what the gateway sends, and sends it a person's commands.

Invariants: what the broker calls does one `put`; a command goes again with the same id until its answer has come, as
the contract asks, because none waits at a broker for a gateway that is away; no command overtakes another.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import NamedTuple

from gateway.demo.tally import Sample, Tally

_REPEAT_S = 1.0
_VALID_MS = 30_000
_ISSUER = "operator@demo"
WHY = "it was a pallet truck's battery, and is out"
"""Why the operator resets an alarm."""


class Answered(NamedTuple):
    """What became of a command about an alarm."""

    name: str
    alarm: str
    result: str
    detail: str


class Taken(NamedTuple):
    """What came since the last look: readings that are new, and answers to commands."""

    samples: list[Sample]
    answers: list[Answered]


class _Order(NamedTuple):
    id: str
    name: str
    alarm: str
    payload: bytes


class Platform:
    """One consumer of the gateway with this root topic; the broker puts (topic, payload) into `inbox`."""

    def __init__(self, root: str, inbox: SimpleQueue[tuple[str, bytes]], publish: Callable[[str, bytes], None]) -> None:
        self.tally = Tally()
        self._root = root
        self._inbox = inbox
        self._publish = publish
        self._orders: deque[_Order] = deque()
        self._number = 0
        self._again = 0.0  # when the first order is sent (again), monotonic

    def take(self) -> Taken:
        """Take everything that has come."""
        taken = Taken([], [])
        try:
            while True:
                topic, payload = self._inbox.get_nowait()
                if topic == f"{self._root}/reply":
                    taken.answers.extend(self._answers(payload))
                else:
                    taken.samples.extend(self.tally.take(topic, payload))
        except Empty:
            return taken

    def order(self, name: str, alarm: str, mono: float, ts: int) -> None:
        """Send a command about an alarm at this monotonic time and UTC ms, or when those before it are answered."""
        self._number += 1
        id_ = f"demo-{self._number}"
        args = {"alarm": alarm, "reason": WHY} if name == "reset" else {"alarm": alarm}
        command = {"id": id_, "name": name, "args": args, "issuer": _ISSUER, "expires": ts + _VALID_MS}
        self._orders.append(_Order(id_, name, alarm, json.dumps(command).encode()))
        self.repeat(mono)

    @property
    def waits(self) -> bool:
        """Whether a command has had no answer yet."""
        return bool(self._orders)

    def repeat(self, mono: float) -> None:
        """Send the first command that has no answer, if that was not done lately."""
        if self._orders and mono >= self._again:
            self._again = mono + _REPEAT_S
            self._publish(f"{self._root}/command", self._orders[0].payload)

    def _answers(self, payload: bytes) -> Iterator[Answered]:
        """The answer in a reply, if it is to the command that waits for one; the next one may go at once."""
        reply = json.loads(payload)
        if self._orders and reply["id"] == self._orders[0].id:
            order = self._orders.popleft()
            self._again = 0.0
            yield Answered(order.name, order.alarm, reply["result"], reply["detail"])
