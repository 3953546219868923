"""What the demo's broker remembers: sessions with their subscriptions and queues, and retained messages. Pure.

Everything is bounded. A session that is not read in time loses its oldest messages, which is counted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from gateway.demo.packets import Publish, Wanted, matches

MAX_SESSIONS = 200
MAX_RETAINED = 10_000
MAX_SUBSCRIPTIONS = 200
MAX_QUEUED = 20_000
MAX_QUEUED_BYTES = 16_000_000
MAX_IN_FLIGHT = 100

Send: TypeAlias = Callable[[Publish], None]


class Session:
    """One client's: it may outlive its connection. `send` None: not connected."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.expiry_s = 0.0
        self.expires_at = 0.0
        self.send: Send | None = None
        self.dropped = 0
        self.subscriptions: dict[str, Wanted] = {}
        self._window = MAX_IN_FLIGHT
        self._queue: deque[Publish] = deque()
        self._queued_bytes = 0
        self._in_flight: dict[int, Publish] = {}
        self._mid = 0

    def attach(self, send: Send, receive_maximum: int) -> None:
        """A connection takes over: what was not acknowledged goes again."""
        self.send = send
        self._window = min(receive_maximum, MAX_IN_FLIGHT)
        for message in self._in_flight.values():
            send(message._replace(dup=True))
        self._fill()

    def subscribe(self, wanted: Wanted) -> bool | None:
        """Note a subscription: whether it is new, or None if there are too many."""
        new = wanted.filter not in self.subscriptions
        if new and len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            return None
        self.subscriptions[wanted.filter] = wanted
        return new

    def deliver(self, message: Publish) -> None:
        """Send the message or keep it; QoS 0 is not kept."""
        if message.qos == 0:
            if self.send is not None:
                self.send(message)
            return
        self._queue.append(message)
        self._queued_bytes += len(message.payload)
        while len(self._queue) > MAX_QUEUED or self._queued_bytes > MAX_QUEUED_BYTES:
            self._queued_bytes -= len(self._queue.popleft().payload)
            self.dropped += 1
        self._fill()

    def acked(self, mid: int) -> None:
        """The client has this message."""
        if self._in_flight.pop(mid, None) is not None:
            self._fill()

    def _fill(self) -> None:
        while self.send is not None and self._queue and len(self._in_flight) < self._window:
            self._mid = self._mid % 65_535 + 1
            while self._mid in self._in_flight:
                self._mid = self._mid % 65_535 + 1
            message = self._queue.popleft()._replace(mid=self._mid)
            self._queued_bytes -= len(message.payload)
            self._in_flight[self._mid] = message
            self.send(message)


class Memory:
    """All sessions and retained messages of a broker."""

    def __init__(self) -> None:
        self.retained: dict[str, Publish] = {}
        self._sessions: dict[str, Session] = {}

    def session(self, client_id: str, clean: bool, now: float) -> tuple[Session, bool] | None:
        """The client's session and whether there was one already; None if there are too many."""
        self.expire(now)
        before = self._sessions.get(client_id)
        if before is not None and not clean:
            return before, True
        if before is None and len(self._sessions) >= MAX_SESSIONS:
            return None
        fresh = self._sessions[client_id] = Session(client_id)
        return fresh, False

    def detach(self, session: Session, now: float) -> None:
        """The client's connection has ended; its session lasts as long as was agreed."""
        session.send = None
        session.expires_at = now + session.expiry_s
        self.expire(now)

    def expire(self, now: float) -> None:
        """Forget the sessions that nobody came back to."""
        over = [name for name, one in self._sessions.items() if one.send is None and one.expires_at <= now]
        for name in over:
            del self._sessions[name]

    def route(self, message: Publish, publisher: Session | None) -> None:
        """Give a message to all who subscribed to it, and retain it if it says so."""
        if message.retain:
            self._retain(message)
        for session in self._sessions.values():
            wanted = [one for one in session.subscriptions.values() if matches(one.filter, message.topic)]
            wanted = [one for one in wanted if not (one.no_local and session is publisher)]
            if wanted:
                qos = min(message.qos, max(one.qos for one in wanted))
                retain = message.retain and any(one.as_published for one in wanted)
                session.deliver(message._replace(qos=qos, retain=retain, mid=0, dup=False))

    def send_retained(self, session: Session, wanted: Wanted) -> None:
        """Send what is retained under a new subscription."""
        for message in list(self.retained.values()):
            if matches(wanted.filter, message.topic):
                session.deliver(message._replace(qos=min(message.qos, wanted.qos), mid=0, dup=False))

    def forget(self) -> None:
        """As a broker without persistence after a restart: nothing is retained, and nobody has a session."""
        self.retained.clear()
        for session in self._sessions.values():
            session.subscriptions.clear()
        self._sessions = {name: one for name, one in self._sessions.items() if one.send is not None}

    def _retain(self, message: Publish) -> None:
        if not message.payload:
            self.retained.pop(message.topic, None)
        elif message.topic in self.retained or len(self.retained) < MAX_RETAINED:
            self.retained[message.topic] = message
