"""Looks whether a better connection can be had while one stands, and nothing is disturbed by it.

It is to an earlier broker of the list, or to the same one with renewed certificate files.

- A look is a whole login on a thread of its own: a broker that takes a TCP connection but not our password is no reason
  to leave one that works, and a name server that is asked in vain must not hold up an alarm.
- The login is with the uplink's own client id, so what the scout finds is the next connection itself, and the earlier
  one ends when that stands. Another id might not be allowed by the broker's access list. Where the two brokers are one
  cluster, the new login takes the session over and the cluster ends the old connection: the wire waits a moment for the
  scout then, and goes on with what it found.
- The connection that is left ends with a goodbye, without our will: on its way between the brokers of one platform a
  "lost" could come after the "online" of the new connection. Where brokers share nothing, the retained status of the
  one that was left stays as it was.
- With renewed files the login is at the broker itself. If it accepts them it takes the session over, and tells our will
  ("lost") before it answers; the sender's "online" follows. If it does not, the connection goes on.
- A login that is not used after all ends with a goodbye, so that no broker tells our will.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from gateway.uplink import faults
from gateway.uplink.broker import Broker, Secure
from gateway.uplink.carrying import Bell, carry
from gateway.uplink.faults import Fault
from gateway.uplink.mqtt import Connection
from gateway.uplink.wire import Heard

CALL_BACK_S = 1.0
"""Seconds that a scout has for its goodbye."""


class Find(NamedTuple):
    """The broker that accepted us, by its place in the list, the connection, and what it told so far."""

    broker: int
    connection: Connection
    heard: list[Heard]


class Wanting(NamedTuple):
    """The broker at `url` cannot be used, and why; `files`: what the certificate files held."""

    url: str
    fault: Fault
    files: tuple[bytes, ...]


Places: TypeAlias = Sequence[tuple[int, Broker]]
"""Brokers, each with its place in the list."""


class Scout:
    """One look at `brokers`. `report` is called on the scout's thread, as its last act.

    Afterwards there is a `find`, or `found_wanting` says of each broker why it cannot be used.
    """

    def __init__(
        self,
        name: str,
        brokers: Places,
        secure: Secure,
        number: int,
        answer_s: float,
        report: Callable[[], None],
    ) -> None:
        self.find: Find | None = None
        self.found_wanting: list[Wanting] = []
        self._brokers = brokers
        self._secure = secure
        self._number = number
        self._answer_s = answer_s
        self._report = report
        self._bell = Bell()
        self._called_back = threading.Event()
        self._at: Connection | None = None
        self._thread = threading.Thread(target=self._run, name=f"{name} scout", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    @property
    def is_asking(self) -> bool:
        """Whether a login may have been sent that is not answered yet."""
        at = self._at
        return self.find is None and at is not None and at.has_begun

    def call_back(self, wait_s: float) -> None:
        """Let no login stand, nor begin; a scout that waits for a name or an address is left alone after `wait_s`."""
        self._called_back.set()
        at = self._at
        if at is not None:
            at.call_off()
        self._bell.ring()
        self._thread.join(wait_s)

    def _run(self) -> None:
        try:
            with self._bell:
                for place, broker in self._brokers:
                    if self.find is None and not self._called_back.is_set():
                        self._look_at(place, broker)
        finally:
            self._report()

    def _look_at(self, place: int, broker: Broker) -> None:
        again = True
        while again and not self._called_back.is_set():
            heard: list[Heard] = []
            connection = self._at = broker.connection(self._number, heard.append)
            self._log_in(broker, connection)
            if connection.is_up and connection.fileno() is not None and not self._called_back.is_set():
                self.find = Find(place, connection, heard)
                return
            connection.goodbye()
            connection.close()
            again = broker.conclude(connection)
            if not again and connection.fault is not None:
                files = connection.shown.files.contents
                self.found_wanting.append(Wanting(broker.where.url, connection.fault, files))

    def _log_in(self, broker: Broker, connection: Connection) -> None:
        broker.open(connection, self._secure)
        by = time.monotonic() + self._answer_s
        carry(
            connection,
            self._bell,
            lambda: by - time.monotonic(),
            lambda: connection.is_up or self._called_back.is_set() or time.monotonic() >= by,
        )
        if not connection.is_up and connection.fileno() is not None:
            connection.close(faults.no_answer(broker.where))


class Lookout:
    """Sends one scout at a time, and keeps what it found. Used on the wire's thread, which does what `put` is given."""

    def __init__(self, name: str, secure: Secure, answer_s: float, put: Callable[[Callable[[], None]], None]) -> None:
        self.find: Find | None = None
        self._name = name
        self._secure = secure
        self._answer_s = answer_s
        self._put = put
        self._scout: Scout | None = None

    @property
    def is_out(self) -> bool:
        """Whether a scout is under way, or what it found has not been taken."""
        return self._scout is not None

    @property
    def is_asking(self) -> bool:
        """Whether a broker has a login to answer."""
        return self._scout is not None and self.find is None and (self._scout.find is not None or self._scout.is_asking)

    def send(self, brokers: Places, number: int, in_vain: Callable[[list[Wanting]], None]) -> None:
        """Look at `brokers`, for the connection `number`; `in_vain` hears why none of them can be used."""
        scout = Scout(self._name, brokers, self._secure, number, self._answer_s, lambda: self._put(back))

        def back() -> None:
            if self._scout is not scout:
                return
            self.find = scout.find
            if scout.find is None:
                self._scout = None
                in_vain(scout.found_wanting)

        self._scout = scout
        scout.start()

    def take(self) -> Find | None:
        """What was found, for whoever goes on with it."""
        find, self.find = self.find, None
        if find is not None:
            self._scout = None
        return find

    def call_back(self) -> None:
        """Let nothing that was begun stand."""
        scout, self._scout, self.find = self._scout, None, None
        if scout is not None:
            scout.call_back(CALL_BACK_S)
            if scout.find is not None:
                scout.find.connection.goodbye()
                scout.find.connection.close()
