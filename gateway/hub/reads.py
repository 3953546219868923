"""Commands that want a device to be asked now, beside its polls: what it says is recorded as usual, and is the answer.

A read changes nothing, so it is not remembered: who repeats it when it is over has the device asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple

from gateway import records
from gateway.hub.answered import key_of
from gateway.hub.numbering import Numbering
from gateway.model import Command, Decision, DeviceAbout, Moment, Reading, Reply, SoonRead, SoonWanted

READ_NOW = "read_now"
"""The command's name."""

READ_S = 10.0
"""Seconds that the link has to ask; its polls go first."""

GRACE_S = 5.0
"""Seconds more until nobody waits for its answer any longer."""

MOST = 8
"""Reads that are under way at once."""


class _Pending(NamedTuple):
    command: Command
    device: str
    answers: list[Callable[[Reply], None]]
    until: float  # monotonic


class Reads:
    """Those of one run. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic s)."""

    def __init__(self, devices: tuple[DeviceAbout, ...], numbering: Numbering) -> None:
        self._numbering = numbering
        self._pending: dict[str, _Pending] = {}
        self.change(devices)

    def change(self, devices: tuple[DeviceAbout, ...]) -> None:
        """There are these devices from now on."""
        self._links: Mapping[str, str] = {it.device: it.link for it in devices}

    @property
    def wake(self) -> float:
        """When (monotonic) the next one is given up."""
        return min((it.until for it in self._pending.values()), default=inf)

    def joined(self, command: Command) -> bool:
        """Whether this is a repetition of one that is under way; it gets the same answer."""
        pending = self._pending.get(key_of(command)) if command.name == READ_NOW else None
        if pending is not None and len(pending.answers) < MOST:
            pending.answers.append(command.answer)
        return pending is not None

    def request(self, command: Command, now: Moment) -> Decision | str:
        """The decision that has the device asked, or why it is refused."""
        device = command.args.get("device")
        if command.args.keys() - {"reason"} != {"device"} or not isinstance(device, str):
            return "args must be device, its id, and nothing else but a reason"
        link = self._links.get(device)
        if not link:
            why = "made of others: read one of those" if link == "" else "no device here"
            return f"{device[:70]} is {why}; there are: {', '.join(it for it, at in self._links.items() if at)}"
        if any(it.device == device for it in self._pending.values()):
            return f"{device} is being asked already"
        if len(self._pending) >= MOST:
            return "too many devices are being asked at once; try again in a few seconds"
        key = key_of(command)
        self._pending[key] = _Pending(command, device, [command.answer], now.mono + READ_S + GRACE_S)
        return Decision(reads=(SoonWanted(link, device, now.mono + READ_S, key),))

    def done(self, fact: SoonRead, reading: Reading | None, now: Moment) -> Decision:
        """What came of it: the reading as it is recorded, or why there is none."""
        pending = self._pending.pop(fact.key, None)
        if pending is None:
            return Decision()
        why = str(fact.answer.fault or "it said nothing") if reading is None else ""
        return self._told(pending, Reply(pending.command.id, "failed" if why else "done", why, reading=reading), now)

    def elapse(self, now: Moment) -> Decision:
        """What follows from the time alone."""
        decision = Decision()
        for key, it in list(self._pending.items()):
            if it.until <= now.mono:
                del self._pending[key]
                reply = Reply(it.command.id, "failed", f"nothing was heard within {READ_S + GRACE_S:g} s")
                decision = decision.then(self._told(it, reply, now))
        return decision

    def _told(self, pending: _Pending, reply: Reply, now: Moment) -> Decision:
        event = self._numbering.event(records.command(pending.command, reply), now)
        return Decision((event,), replies=tuple((answer, reply) for answer in pending.answers))
