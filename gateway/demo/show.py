"""The demo as it runs: carries out the story, looks at the gateway a few times a second, and shows what it sees.

Everything here happens on one thread, which waits for the next scene, the next look, or a word that ends it.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Protocol

from gateway.demo.news import news
from gateway.demo.pins_field import SirenAnswered
from gateway.demo.platform import WHY, Answered, Platform
from gateway.demo.site import Seen, Site
from gateway.demo.story import Act, Broker, Operator, Scene, Story
from gateway.demo.view import Happening, View
from gateway.demo.witness import Witness
from gateway.errors import SitewardenError
from gateway.model import Lane, Reply, Status

_LOOK_EVERY_S = 0.2
_SETTLE_S = 20.0
_REMEMBERED = 100  # happenings
_EPILOGUE = "The story is over, and the site lives on. Ctrl-C ends it with a summary."


class Face(Protocol):
    """Where the demo is shown."""

    def show(self, view: View) -> None:
        """Show what is new."""


class Watched(Protocol):
    """What the demo asks of the running gateway."""

    def status(self, timeout_s: float = 2.0) -> Status:
        """Everything now; raises SitewardenError."""

    def command(self, name: str, args: dict[str, str], issuer: str, timeout_s: float = 2.0) -> Reply:
        """What becomes of a local command; raises SitewardenError."""


class Exchange(Protocol):
    """The demo's own broker, as far as the story goes."""

    def pause(self) -> None:
        """Go away: drop every connection and take no new one."""

    def resume(self) -> None:
        """Come back."""


class Show:
    """One run of the story. `broker` and `platform` are None where somebody else's broker is used."""

    def __init__(
        self,
        story: Story,
        gateway: Watched,
        site: Site,
        witness: Witness,
        face: Face,
        broker: Exchange | None,
        platform: Platform | None,
    ) -> None:
        self.played_s = 0.0
        self._story = story
        self._gateway = gateway
        self._site = site
        self._witness = witness
        self._face = face
        self._broker = broker
        self._platform = platform
        self._happenings: deque[Happening] = deque(maxlen=_REMEMBERED)
        self._happened = 0
        self._caption = ""
        self._status: Status | None = None
        self._started = 0.0

    def play(self, lasts_s: float | None, words: SimpleQueue[str]) -> None:
        """Play until `lasts_s` seconds have passed (None: for ever) or somebody says a word."""
        self._started = time.monotonic()
        scenes = deque((*self._story.scenes, Scene(self._story.ends_s, _EPILOGUE)))
        end_s = float("inf") if lasts_s is None else lasts_s
        look_s = 0.0
        while (at_s := self._at_s()) < end_s:
            while scenes and scenes[0].at_s <= at_s:
                self._enact(scenes.popleft())
            if at_s >= look_s:
                self.look()
                look_s = at_s + _LOOK_EVERY_S
            next_s = min(look_s, end_s, scenes[0].at_s if scenes else end_s)
            if _word(words, next_s - self._at_s()):
                break
        self.played_s = self._at_s()

    def settle(self, words: SimpleQueue[str]) -> dict[Lane, int]:
        """Wait, for a while, until what is recorded is delivered and every order obeyed; the last number by lane."""
        if self._broker is not None:
            self._broker.resume()
        self._caption = "Waiting until everything is delivered ..."
        self.look()
        numbered = _numbered(self._status)
        until_s = self._at_s() + _SETTLE_S
        while self._at_s() < until_s and not self._settled(numbered) and not _word(words, _LOOK_EVERY_S):
            self.look()
        return numbered

    def look(self) -> None:
        """Take everything that can be seen now, and show it."""
        mono, at_s = time.monotonic(), self._at_s()
        try:
            status = self._gateway.status()
        except SitewardenError as error:
            self.tell(f"GATEWAY  {error}")
            return
        taken = self._platform.take() if self._platform is not None else None
        while (seen := self._seen()) is not None:  # after the others: a silence is known before what it left behind
            self._witness.hear(seen)
            if isinstance(seen, SirenAnswered) and seen.after_s is not None:
                self._caption = (
                    f"The siren sounded {seen.after_s * 1000:.0f} ms after the contact of {seen.device} opened."
                )
        self._witness.look(status, at_s, mono)
        for sentence in news(self._status, status):
            self.tell(sentence)
        self._status = status
        if taken is not None and self._platform is not None:
            self._witness.arrived(taken.samples)
            for answered in taken.answers:
                self.tell(_told(answered))
            self._platform.repeat(mono)
        self._face.show(self._view(at_s))

    def tell(self, text: str) -> None:
        """Add a sentence to what has happened."""
        self._happened += 1
        self._happenings.append(Happening(self._at_s(), text))

    def _view(self, at_s: float) -> View:
        received = self._platform.tally.received() if self._platform is not None else None
        return View(
            at_s, self._story.ends_s, self._caption, self._status, received, tuple(self._happenings), self._happened
        )

    def _enact(self, scene: Scene) -> None:
        self._caption = scene.caption
        for act in scene.acts:
            self._carry_out(act)

    def _carry_out(self, act: Act) -> None:
        match act:
            case Broker(away):
                if self._broker is not None:
                    self._broker.pause() if away else self._broker.resume()
            case Operator(name, alarm):
                if name == "reset":
                    self._witness.reset_asked(self._at_s())
                self._order(name, alarm)
            case _:
                self._site.act(act)

    def _order(self, name: str, alarm: str) -> None:
        """Over MQTT where the platform is ours, else as a local command."""
        if self._platform is not None:
            self._platform.order(name, alarm, time.monotonic(), time.time_ns() // 1_000_000)
            return
        try:
            reply = self._gateway.command(name, {"alarm": alarm, "reason": WHY}, "operator")
        except SitewardenError as error:
            self.tell(f"OPERATOR {name} {alarm}: {error}")
        else:
            self.tell(_told(Answered(name, alarm, reply.result, reply.detail)))

    def _settled(self, numbered: dict[Lane, int]) -> bool:
        resetting = self._witness.siren_on and self._witness.reset_at_s is not None
        ordering = self._platform is not None and self._platform.waits
        return not resetting and not ordering and self._delivered(numbered)

    def _delivered(self, numbered: dict[Lane, int]) -> bool:
        if self._status is None or self._status.health.journal is None:
            return False
        if self._platform is not None:
            tally = self._platform.tally
            return all(tally.whole(self._status.run, lane) >= last for lane, last in numbered.items())
        journal = self._status.health.journal
        return journal.rows - max(journal.backlog.values(), default=0) >= sum(numbered.values())

    def _seen(self) -> Seen | None:
        try:
            return self._site.seen.get_nowait()
        except Empty:
            return None

    def _at_s(self) -> float:
        return time.monotonic() - self._started if self._started else 0.0


def _word(words: SimpleQueue[str], wait_s: float) -> str:
    """The word that somebody says within `wait_s` seconds, or none."""
    with suppress(Empty):
        return words.get(timeout=max(0.0, wait_s))
    return ""


def _numbered(status: Status | None) -> dict[Lane, int]:
    """The last number that the gateway has given out in each lane."""
    counts = status.health.counts if status is not None else {}
    return {Lane.EVENT: counts.get("events", 0), Lane.TELEMETRY: counts.get("telemetry", 0)}


def _told(answered: Answered) -> str:
    why = f" ({answered.detail})" if answered.detail else ""
    return f"OPERATOR {answered.name} {answered.alarm}: {answered.result}{why}"
