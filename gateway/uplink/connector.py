"""The wire's thread of one uplink: one connection after the other, and the only owner of retrying.

- This thread alone touches the connection; others put orders into its queue and wake it. An order for an earlier
  connection is dropped.
- Which broker is tried next, and when, is decided in attempts.py; a pause ends at once on stop.
- Passwords and certificates are read anew for every connection. When certificates change, a scout logs in with them,
  and the connection is left when that has succeeded.
- An earlier broker that can be used again takes over from the one that is connected: its connection stands already when
  that one ends with a goodbye (scout.py). To the sender it is one lost connection and the next.
- A connection that is lost while a scout is out is replaced without it, unless its login may be what ended it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from gateway.clock import Clock, floor_ts
from gateway.config import schema
from gateway.model import CertificatesRead
from gateway.uplink import faults, handshake, tls
from gateway.uplink.attempts import PAUSES, Attempts, Pauses
from gateway.uplink.broker import Account, Broker
from gateway.uplink.carrying import Bell, carry
from gateway.uplink.faults import Fault
from gateway.uplink.mqtt import Connection
from gateway.uplink.renewal import BROKER_EXPIRES, FILES_CHANGED, LOOK_S, CertificateFiles, own_and_cas
from gateway.uplink.scout import Find, Lookout, Wanting
from gateway.uplink.wire import Down, Publication, Tell

log = logging.getLogger(__name__)

ANSWER_S = 10.0
"""Seconds that the broker has for its CONNACK."""

GOODBYE_S = 3.0
"""Seconds that the sender has for its goodbye when the wire is stopped."""

TAKEOVER_S = 1.0
"""Seconds from the end of a connection until the broker answers the login that ended it, at most."""

_NEVER = float("inf")


class MqttWire:
    """The wire of one uplink, on a thread of its own. `tell` is called on that thread and must not wait."""

    def __init__(
        self,
        uplink_id: str,
        options: schema.Uplink,
        folder: Path,
        client_id: str,
        will: Callable[[], Publication],
        tell: Tell,
        tell_hub: Callable[[CertificatesRead], None],
        clock: Clock,
        pauses: Pauses = PAUSES,
        answer_s: float = ANSWER_S,
        goodbye_s: float = GOODBYE_S,
        look_s: float = LOOK_S,
    ) -> None:
        self.name = f"mqtt {uplink_id}"
        self._uplink = uplink_id
        self._clock = clock
        self._floor_ts = floor_ts()
        self._files = CertificateFiles(uplink_id, options, folder, clock, tell_hub, look_s)
        account = Account(options, folder, client_id, will, self._known)
        self._brokers = tuple(Broker(url, account) for url in options.url)
        self._tell = tell
        self._pauses = pauses
        self._answer_s = answer_s
        self._goodbye_s = goodbye_s
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._bell = Bell()
        self._stopping = threading.Event()
        self._stop_by = _NEVER
        self._finished = False
        self._answer_by = 0.0
        self._place = 0
        self._connection = self._brokers[0].connection(0, tell)
        self._attempts = self._new_attempts()
        self._lookout = Lookout(self.name, partial(tls.context, options, folder), answer_s, self._put)
        self._stays = ""

    # ------------------------------------------------------------ called by the sender and the supervisor

    def publish(self, connection: int, token: int, publication: Publication) -> None:
        """Send a publication; its `Landed` will name `token`."""
        self._order(connection, lambda current: current.publish(token, publication))

    def subscribe(self, connection: int, filters: tuple[tuple[str, int], ...]) -> None:
        """Subscribe to these topic filters, each with its QoS."""
        self._order(connection, lambda current: current.subscribe(filters))

    def unsubscribe(self, connection: int, filters: tuple[str, ...]) -> None:
        """End these subscriptions."""
        self._order(connection, lambda current: current.unsubscribe(filters))

    def break_off(self, connection: int, what: str, hint: str) -> None:
        """End the connection without goodbye, for this reason, and connect again."""
        self._order(connection, lambda current: current.close(Fault(what, hint, in_vain=True)))

    def has_passed(self, ts: int) -> None:
        """This wall time (UTC ms) has passed for certain: a clock before it is wrong."""
        self._floor_ts = max(self._floor_ts, ts)

    def finish(self, with_will: bool = False) -> None:
        """Say goodbye to the broker, if connected, and connect no more; `with_will`: it is to publish our will."""
        self._connect_no_more()
        self._put(partial(self._say_goodbye, with_will))

    def stop(self) -> None:
        """End soon: as with `finish` if the sender says goodbye within a few seconds, else without it."""
        self._stop_by = time.monotonic() + self._goodbye_s
        self._connect_no_more()
        self._put(lambda: None)

    def _connect_no_more(self) -> None:
        self._stopping.set()
        self._connection.call_off()

    def _order(self, number: int, act: Callable[[Connection], None]) -> None:
        self._put(lambda: act(self._connection) if self._connection.number == number else None)

    def _put(self, act: Callable[[], None]) -> None:
        self._orders.put(act)
        self._bell.ring()

    # ------------------------------------------------------------ the thread

    def run(self) -> None:
        """Connect, and connect again, until stopped."""
        self._attempts = self._new_attempts()
        with self._bell:
            try:
                while not self._stopping.is_set():
                    self._next_attempt()
            finally:
                self._lookout.call_back()

    def _new_attempts(self) -> Attempts:
        return Attempts(len(self._brokers), time.monotonic(), random.uniform, self._pauses)

    def _known(self, shown: tls.Shown) -> handshake.Known:
        return handshake.Known(self._clock.now(), self._floor_ts, *own_and_cas(shown.files))

    def _next_attempt(self) -> None:
        find = self._lookout.take()
        if find is not None:
            at_once = self._go_on_with(find)
        elif (place := self._attempts.next(time.monotonic())) is not None:
            at_once = self._use(place)
        else:
            at_once = False
            self._wait(self._attempts.due_at - time.monotonic())
        while at_once:
            at_once = self._use(self._place)

    def _wait(self, seconds: float) -> None:
        self._bell.wait(seconds)
        self._bell.rung()
        self._obey()

    def _use(self, place: int) -> bool:
        """Connect to this broker, and talk; returns whether it should be tried again at once."""
        self._place = place
        broker = self._brokers[place]
        current = self._connection = broker.connection(self._connection.number + 1, self._tell)
        if self._stopping.is_set():  # since it was looked at, and before there was something to call off
            current.call_off()
        try:
            if broker.open(current, self._files.context):
                self._tell_certificates()
            self._answer_by = time.monotonic() + self._answer_s
            self._talk()
        finally:
            at_once = self._end()
        return at_once

    def _go_on_with(self, find: Find) -> bool:
        """Talk over the connection that a scout has made; returns whether its broker should be tried again at once."""
        self._stays = ""
        self._connection, self._place = find.connection, find.broker
        self._attempts.connected(find.broker, time.monotonic())
        try:
            find.connection.adopt(self._tell)
            for heard in find.heard:
                self._tell(heard)
            self._tell_certificates()
            self._talk()
        finally:
            at_once = self._end()
        return at_once

    def _tell_certificates(self) -> None:
        where = self._brokers[self._place].where
        if where.tls:
            self._files.tell(self._connection.shown, where.host)

    def _talk(self) -> None:
        """Carry bytes both ways and obey orders until the connection ends, or a better one is there."""
        carry(self._connection, self._bell, self._wait_s, self._turn)

    def _end(self) -> bool:
        """Close, say so, and note how it went; whether the same broker should be tried again at once."""
        current, broker = self._connection, self._brokers[self._place]
        if current.fileno() is None:
            self._settle_scout()
        if self._lookout.find is not None and not self._stopping.is_set():
            self._leave(self._lookout.find)
            return False
        current.close()
        if broker.conclude(current):
            return True
        self._lost()
        return current.is_up and current.fault == BROKER_EXPIRES

    def _leave(self, find: Find) -> None:
        """End a connection, if the broker has not done so on the other's account, for a better one that stands."""
        self._connection.goodbye()
        self._connection.close()
        back = Fault(f"going back to {self._brokers[find.broker].where.url}, which comes first", "")
        self._tell_down(FILES_CHANGED if find.broker == self._place else back)

    def _lost(self) -> None:
        """Note and say that the connection, or the attempt, has ended for the reason that it names."""
        fault = self._connection.fault or Fault("", "")
        if fault.refused and not self._connection.is_up:
            self._files.refused(self._connection.shown)
        self._attempts.ended(self._place, time.monotonic(), refused=fault.refused, in_vain=fault.in_vain)
        if not self._finished:
            self._tell_down(fault)

    def _tell_down(self, fault: Fault) -> None:
        where = str(self._brokers[self._place].where)
        named = len(self._brokers) == 1 or where in fault.what
        self._tell(Down(self._connection.number, fault.what if named else f"{where}: {fault.what}", fault.hint))

    def _wait_s(self) -> float:
        by, is_up = self._stop_by, self._connection.is_up
        if not is_up:
            by = min(by, self._answer_by)
        elif not self._lookout.is_out:
            by = min(by, self._files.due_at, self._attempts.look_back_at)
        return by - time.monotonic()

    def _turn(self) -> bool:
        """What is due between two waits; whether a better connection is there."""
        self._obey()
        current, now = self._connection, time.monotonic()
        if current.is_up and self._attempts.broker is None:
            self._attempts.connected(self._place, now)
        if not current.is_up and now >= self._answer_by:
            current.close(faults.no_answer(self._brokers[self._place].where))
        if now >= self._stop_by or (self._stopping.is_set() and not current.is_up):
            self._say_goodbye(with_will=True)
        elif now >= self._attempts.look_back_at and not self._lookout.is_out:
            self._send_scout(range(self._place), self._stay)
        elif current.is_up and now >= self._files.due_at and not self._lookout.is_out and not self._stopping.is_set():
            self._renew(now)
        return self._lookout.find is not None and not self._stopping.is_set()

    def _renew(self, now: float) -> None:
        """Try other certificate files beside this connection, or make it anew to see the broker's certificate."""
        renewal = self._files.renewal(now, self._connection.shown)
        if renewal == FILES_CHANGED:
            self._send_scout((self._place,), self._go_on_with_old_files)
        elif renewal is not None:
            self._connection.fault = renewal
            self._connection.goodbye(with_will=True)  # who knows whether the next one stands
            self._connection.close()

    def _obey(self) -> None:
        with suppress(Empty):
            while True:
                self._orders.get_nowait()()

    def _say_goodbye(self, with_will: bool) -> None:
        self._finished = True
        self._connection.goodbye(with_will)
        if with_will:
            self._connection.close()

    # ------------------------------------------------------------ to a better connection

    def _send_scout(self, places: Iterable[int], in_vain: Callable[[list[Wanting]], None]) -> None:
        brokers = [(place, self._brokers[place]) for place in places]
        self._lookout.send(brokers, self._connection.number + 1, in_vain)

    def _go_on_with_old_files(self, found_wanting: list[Wanting]) -> None:
        """The broker does not take the new certificate files."""
        for one in found_wanting:
            self._files.in_vain(one.files, one.fault, time.monotonic())

    def _stay(self, found_wanting: list[Wanting]) -> None:
        """None of the earlier brokers can be used; said once for each reason."""
        self._attempts.looked_back(time.monotonic())
        told = "; ".join(f"{one.url}: {one.fault.what}" for one in found_wanting)
        if told != self._stays and self._connection.fileno() is not None:
            log.info("uplink %s: stays with %s. %s", self._uplink, self._brokers[self._place].where.url, told)
        self._stays = told

    def _settle_scout(self) -> None:
        """The connection has ended: let the scout find something in a moment, or nothing."""
        by = time.monotonic() + TAKEOVER_S
        while self._lookout.is_asking and not self._stopping.is_set() and (left := by - time.monotonic()) > 0:
            self._wait(left)
        if self._lookout.is_out and self._lookout.find is None:
            self._attempts.doubt_earlier()
            self._lookout.call_back()
