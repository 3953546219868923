"""The thread of one link: opens it, attends its devices, and says when it is lost and back.

- It touches neither disk nor broker. What it has to say is told as a fact, at once.
- A link that is down is opened again for ever, after 1 to 30 s, and said lost once and back once. Its devices are bad
  meanwhile, and a write to one fails at once. A port that is plugged in again is opened within a second.
- A link in good order is lent to a thread that serves many (shared.py), and comes back to this one, which waits for it,
  at the first trouble.
- Writes overtake polls. An output is at its safe value when the link opens, before the link is said to be back, and
  when the poller stops.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

from gateway.clock import Clock
from gateway.errors import LinkDown
from gateway.links.attendance import Attendance
from gateway.links.device import LinkDevice
from gateway.links.port import Link, Traced, Watched
from gateway.links.questions import Questions
from gateway.links.shared import SharedThread
from gateway.model import Adjust, Fact, LinkBack, LinkLost, Moment, Question, Write

log = logging.getLogger(__name__)

RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses before a link is opened again; each is stretched by up to as much again, so that links do not try in step."""

_STEADY_S = 60.0  # a link that was up for so long starts with the shortest pause again
_HEALTH_S = 10.0
_LOOK_S = 0.5  # how often it is seen whether a port that has gone is there again
_LONGEST_WAIT_S = 60.0


def _never() -> bool:
    return False


class _Changed(NamedTuple):
    """Other devices are attended from now on; `done` is told that it is so."""

    devices: tuple[LinkDevice, ...]
    done: Callable[[], None]


class Poller:
    """One link and its devices. `post` and `stop` may be called from any thread; `run` is the thread.

    `hold` is asked before each poll of a device that is no safety device: True skips the poll, which is counted.
    """

    def __init__(
        self,
        link_id: str,
        link: Link,
        devices: Sequence[LinkDevice],
        clock: Clock,
        tell: Callable[[Fact], None],
        hold: Callable[[], bool] = _never,
        retry_s: Sequence[float] = RETRY_S,
        shared: SharedThread | None = None,
    ) -> None:
        self.name = f"link {link_id}"
        self._id = link_id
        self._link = link
        self._attendance = Attendance(devices, clock, tell, hold)
        self._clock = clock
        self._tell = tell
        self._retry_s = retry_s
        self._shared = shared
        self._safety = any(device.safety for device in devices)
        self._questions = Questions(link, devices, clock, self._attendance.beside)
        self._inbox: SimpleQueue[Write | Adjust | Question | _Changed | None] = SimpleQueue()
        self._stopping = False
        self._up = False
        self._up_since = 0.0
        self._lost_at: float | None = None
        self._attempt = 0
        self._opens = 0
        self._health_due = 0.0
        self._trace: tuple[object, ...] | None = None

    def post(self, wanted: Write | Adjust | Question) -> None:
        """Switch an output or write a setting, before the next poll; answer a question when the polls leave time."""
        self._inbox.put(wanted)
        self._link.wake()

    def change(self, devices: Sequence[LinkDevice], done: Callable[[], None]) -> None:
        """Attend these devices from now on; those that it attends already go on as they are.

        They need the same families and pins of the link as those before. `done` is called once it is so, from the
        poller's thread, and must not wait.
        """
        self._inbox.put(_Changed(tuple(devices), done))
        self._link.wake()

    def stop(self) -> None:
        """Make `run` write the safe values, close the link and return."""
        self._inbox.put(None)
        self._link.wake()

    def run(self) -> None:
        """Serve the link until stopped."""
        try:
            while not self._stopping:
                try:
                    self._open()
                    self._serve()
                except LinkDown as error:
                    self._is_lost(error)
                    self._pause()
        finally:
            self._up = False
            self._link.close()

    def _open(self) -> None:
        """Open the link and have the outputs at their safe values; raises LinkDown."""
        self._trace = self._look()
        self._link.open()
        self._opens += 1
        offers = {family: self._link.offer(family) for family in self._attendance.families}
        self._attendance.begin(offers)
        self._questions.begin(offers)
        now = self._clock.mono()
        down_s = 0.0 if self._lost_at is None else now - self._lost_at
        if self._lost_at is not None:
            log.info("%s is back after %.1f s", self.name, down_s)
        self._up, self._up_since, self._lost_at = True, now, None
        self._tell(LinkBack(self._id, down_s))
        self._tell_health()

    def _serve(self) -> None:
        """Ask, hear and write until told to stop; raises LinkDown."""
        attendance = self._attendance
        while self._take_inbox():
            if self._shared is not None and self._lendable and self._lend(self._shared):
                continue
            asked = attendance.asking.take_turn()
            asked = self._questions.take_turn(attendance.asking.safety_due, idle=not asked) or asked
            if not asked:
                longest = self._clock.mono() + _LONGEST_WAIT_S
                until = min(longest, attendance.next_due(), self._questions.due)
                attendance.hearing.hear(self._link.wait(until))
            elif attendance.hearing.any:
                attendance.hearing.hear(self._link.wait(0.0))
            attendance.hearing.say_silences()
            self._tell_health_if_due(self._clock.mono())
        with suppress(LinkDown):
            attendance.writing.write_safe_values()

    @property
    def _lendable(self) -> bool:
        """Whether all goes as it did before, and nobody asks anything beside."""
        return self._attendance.ahead.in_good_order and self._questions.due == math.inf

    def _lend(self, shared: SharedThread) -> bool:
        """Have the link served by `shared` until something is wrong; False if that cannot be. Raises LinkDown."""
        link = self._link
        if not isinstance(link, Watched) or min(link.watched) < 0:
            return False
        lent = _Lent(link.watched, self._attendance, self._tell_health_if_due, safety=self._safety)
        if not shared.lend(lent):
            return False
        if (error := lent.returned.get()) is not None:
            raise error
        self._attendance.ahead.take_back()
        # What ends the ringing of `wake`, and sees whether the peer has gone:
        self._attendance.hearing.hear(link.wait(0.0))
        return True

    def _is_lost(self, error: LinkDown) -> None:
        """Close the link, and say so unless that was said."""
        self._link.close()
        now = self._clock.mono()
        if self._up and now - self._up_since >= _STEADY_S:
            self._attempt = 0
        self._up = False
        if self._lost_at is not None:
            log.debug("%s is still down: %s", self.name, error)
            return
        self._lost_at = now
        log.error("%s is down: %s", self.name, error)
        self._tell(LinkLost(self._id, error.what, error.hint))
        self._attendance.end()
        self._questions.lost(error)
        self._tell_health()

    def _pause(self) -> None:
        """Wait before the next opening, a little longer each time, or until the port's name leads to something else."""
        pause_s = self._retry_s[min(self._attempt, len(self._retry_s) - 1)] * (1 + random.random())  # noqa: S311 - jitter
        self._attempt += 1
        until = self._clock.mono() + pause_s
        step_s = _LOOK_S if isinstance(self._link, Traced) else math.inf
        while (left_s := until - self._clock.mono()) > 0:
            if self._leads_elsewhere():
                self._attempt = 0
                return
            if not self._take_inbox(min(left_s, step_s)):
                return

    def _leads_elsewhere(self) -> bool:
        """Whether the port's name leads to something else than when it was looked at last."""
        before, self._trace = self._trace, self._look()
        return self._trace is not None and self._trace != before

    def _look(self) -> tuple[object, ...] | None:
        """What the port's name leads to, if the link has such a name."""
        return self._link.trace if isinstance(self._link, Traced) else None

    def _take_inbox(self, timeout_s: float = 0.0) -> bool:
        """Do what was posted, waiting so long for the first; False when told to stop. Raises LinkDown."""
        with suppress(Empty):
            posted = self._inbox.get(timeout=timeout_s) if timeout_s > 0 else self._inbox.get_nowait()
            while posted is not None:
                if isinstance(posted, Adjust):
                    self._attendance.writing.adjust(posted, up=self._up)
                elif isinstance(posted, Question):
                    self._questions.put(posted, up=self._up)
                elif isinstance(posted, _Changed):
                    self._change(posted)
                else:
                    self._attendance.writing.write(posted, up=self._up)
                posted = self._inbox.get_nowait()
            self._stopping = True
        return not self._stopping

    def _change(self, changed: _Changed) -> None:
        """Attend other devices. Raises LinkDown."""
        self._safety = any(device.safety for device in changed.devices)
        self._questions.change(changed.devices)
        try:
            self._attendance.change(changed.devices, up=self._up)
        finally:
            changed.done()

    def _tell_health_if_due(self, now: float) -> None:
        if now >= self._health_due:
            self._tell_health()

    def _tell_health(self) -> None:
        self._health_due = self._clock.mono() + _HEALTH_S
        noise = self._link.noise_bytes
        self._tell(self._attendance.health(self._id, up=self._up, opens=self._opens, noise_bytes=noise))


class _Lent:
    """A link in good order, as the thread that serves many sees it; its poller waits on `returned`."""

    def __init__(
        self,
        watched: tuple[int, int],
        attendance: Attendance,
        tell_health_if_due: Callable[[float], None],
        *,
        safety: bool,
    ) -> None:
        self.watched = watched
        self.safety = safety
        self.due = attendance.next_due()
        self.take = attendance.ahead.take_reply
        self.returned: SimpleQueue[Exception | None] = SimpleQueue()
        self._attendance = attendance
        self._ahead = attendance.ahead
        self._tell_health_if_due = tell_health_if_due
        self._asked = False

    def elapse(self, now: float) -> bool:
        """Ask who is due; False if there is no reply to the last question yet."""
        if self._asked or not self._ahead.ask(now):
            return False
        self._look(now)
        return True

    def conclude(self, arrived: Moment, tell: Callable[[Fact], None]) -> bool:
        """Have the device polled once everything has come."""
        if not self._ahead.conclude(arrived, tell):
            return False
        self._look(arrived.mono)
        return True

    def give_back(self, error: Exception | None) -> None:
        """Let the poller go on."""
        self.returned.put(error)

    def _look(self, now: float) -> None:
        """See whether a reply is under way, and what is to be done when."""
        deadline = self._ahead.deadline
        self._asked = deadline < math.inf
        if self._asked:
            self.due = deadline
        else:
            self.due = min(self._attendance.next_due(), now + _LONGEST_WAIT_S)
            self._tell_health_if_due(now)
