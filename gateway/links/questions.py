"""What people ask of one link beside its polls: single exchanges that change nothing, and listening in.

- Polls that are due go first. After PATIENCE_S a question goes before one that is no safety poll.
- Questions take a fifth of the wire's time at most: after each, there is none for four times as long as it took.
- None is asked while the link is down, or when its time is over; each is answered, whatever happens.
- What a device says to a question is nobody's reading, and what it does not say is no missed poll.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.clock import Clock
from gateway.driver import Family, Polled, Registers, Table
from gateway.errors import LinkDown, SitewardenError
from gateway.links.device import Attended, LinkDevice
from gateway.links.listening import Listening
from gateway.links.port import Link, Metered, Tapped
from gateway.links.tally import Tally
from gateway.model import Answer, ListenWanted, Passing, PollWanted, Question, Reading, ReadWanted

log = logging.getLogger(__name__)

PATIENCE_S = 2.0
MOST_WAITING = 8
_REST = 4  # times as long as a question took, in which there is no other
_MOST_PASSED = 1000  # pieces that are kept of what passed during one question


class Questions:
    """The questions to one link, counted by `tally`. Owned by the poller's thread."""

    def __init__(self, link: Link, devices: Sequence[LinkDevice], clock: Clock, tally: Tally) -> None:
        self._link = link
        self._devices = {device.id: Attended(device) for device in devices}
        self._clock = clock
        self._offers: Mapping[Family, Any] = {}
        self._registers: Registers | None = None
        self._metered: Metered | None = None
        self._waiting: deque[tuple[Question, float]] = deque()  # each with the time since when it waits
        self._listening = Listening(link)
        self._not_before = 0.0
        self._tally = tally

    @property
    def due(self) -> float:
        """When there is something to ask (monotonic s); infinity if nobody asks."""
        return self._not_before if self._waiting else math.inf

    def begin(self, offers: Mapping[Family, Any]) -> None:
        """The link is open, and offers this to its devices."""
        self._offers = offers
        registers = self._registers = offers.get(Family.REGISTERS)
        self._metered = registers if isinstance(registers, Metered) else None

    def change(self, devices: Sequence[LinkDevice]) -> None:
        """These devices from now on."""
        kept = {name: each for name, each in self._devices.items() if each.device in devices}
        self._devices = {device.id: kept.get(device.id) or Attended(device) for device in devices}

    def put(self, question: Question, *, up: bool) -> None:
        """Take a question in, or answer at once where it cannot be asked."""
        if isinstance(question.wanted, ListenWanted):
            question.answer(self._listening.add(question.wanted.hear, question.until))
        elif not up:
            _refuse(question, "its link is down", "see `sitewarden status` and the daemon's log")
        elif len(self._waiting) >= MOST_WAITING:
            _refuse(question, "too many ask at once", "try again when the others have finished")
        else:
            self._waiting.append((question, self._clock.mono()))

    def take_turn(self, safety_due: Callable[[], bool], *, idle: bool) -> bool:
        """Ask the next one if its time has come; whether there was one. `idle`: no poll was due. Raises LinkDown."""
        if not self._waiting:
            return False
        now = self._clock.mono()
        question, since = self._waiting[0]
        if now > question.until:
            self._waiting.popleft()
            _refuse(question, "the link had no time for it", "its polls come first: `sitewarden status` shows its load")
            return True
        if now < self._not_before or not (idle or now - since >= PATIENCE_S) or safety_due():
            return False
        self._waiting.popleft()
        self._ask(question)
        return True

    def lost(self, error: LinkDown) -> None:
        """The link is down: nobody who waits need wait any longer."""
        waiting, self._waiting = self._waiting, deque()
        for question, _ in waiting:
            question.answer(Answer(fault=error))

    def _ask(self, question: Question) -> None:
        passed: deque[Passing] = deque(maxlen=_MOST_PASSED)
        began = self._clock.mono()
        found: Sequence[int] | Reading | None = None
        fault: SitewardenError | None = None
        try:
            with self._listening.meanwhile(passed.append):
                if self._metered is not None:
                    self._metered.count_for(self._tally)
                found = self._found(question.wanted)
        except SitewardenError as error:
            fault = error
        except Exception as error:  # a driver's bug stays its own: the polls go on
            log.exception("a question could not be asked; please report it")
            fault = SitewardenError(f"its driver failed: {type(error).__name__}", "see the log, and please report it")
        took_s = self._clock.mono() - began
        self._not_before = began + (1 + _REST) * took_s
        question.answer(Answer(found, fault, tuple(passed), took_s))
        if isinstance(fault, LinkDown):
            raise fault

    def _found(self, wanted: ReadWanted | PollWanted | ListenWanted) -> Sequence[int] | Reading | None:
        if isinstance(wanted, ReadWanted):
            if self._registers is None and not self._offers and isinstance(self._link, Tapped):
                self._registers = self._link.offer(Family.REGISTERS)  # type: ignore[assignment] # a link without devices
            if self._registers is None:
                raise SitewardenError("nothing on this link speaks Modbus", "`sitewarden capture` shows what it says")
            try:
                return self._registers.read(wanted.unit, Table(wanted.table), wanted.address, wanted.size)
            except ValueError as error:
                raise SitewardenError(f"this cannot be asked: {error}", "see unit, address and count") from error
        if isinstance(wanted, PollWanted):
            each = self._devices.get(wanted.device)
            if each is None:
                raise SitewardenError(f"there is no device {wanted.device} any more", "the configuration has changed")
            driver = each.device.driver
            if not isinstance(driver, Polled):
                what = f"{wanted.device} cannot be asked: it talks by itself, or is only switched"
                raise SitewardenError(what, "`sitewarden status` shows what it said last")
            values = driver.poll(self._offers[driver.family])
            return each.reading(values, self._clock.now())
        return None


def _refuse(question: Question, what: str, hint: str) -> None:
    question.answer(Answer(fault=SitewardenError(what, hint)))
