"""The wire's thread of one uplink: one connection after the other, and the only owner of retrying.

- This thread alone touches the connection; others put orders into its queue and wake it. An order for an earlier
  connection is dropped.
- When to try again is decided in attempts.py; a pause ends at once on stop.
- MQTT 5 first; 3.1.1 from then on if the broker says that it does not know 5, or hangs up on it twice in a row.
- Passwords and certificates are read anew for every connection, which is made anew when certificates change.
"""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from gateway.clock import Clock, floor_ts
from gateway.config import schema
from gateway.config.secrets import read_secret
from gateway.errors import ConfigError
from gateway.model import CertificatesRead
from gateway.uplink import faults, handshake, tls
from gateway.uplink.attempts import PAUSES, Attempts, Pauses
from gateway.uplink.faults import Endpoint, Fault
from gateway.uplink.mqtt import Connection, Login
from gateway.uplink.renewal import BROKER_EXPIRES, FILES_CHANGED, LOOK_S, CertificateFiles
from gateway.uplink.wire import Down, Publication, Tell

ANSWER_S = 10.0
"""Seconds that the broker has for its CONNACK."""

GOODBYE_S = 3.0
"""Seconds that the sender has for its goodbye when the wire is stopped."""


def endpoint(url: str) -> Endpoint:
    """The broker in `url`: mqtt://host[:1883] or mqtts://host[:8883]; ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise ValueError("an uplink's url is mqtts://host:8883 or mqtt://host:1883")
    secure = parts.scheme == "mqtts"
    return Endpoint(parts.hostname, parts.port or (8883 if secure else 1883), secure)


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
        self._options = options
        self._where = endpoint(options.url)
        self._folder = folder
        self._client_id = client_id
        self._will = will
        self._tell = tell
        self._clock = clock
        self._floor_ts = floor_ts()
        self._files = CertificateFiles(uplink_id, options, folder, clock, tell_hub, look_s)
        self._pauses = pauses
        self._answer_s = answer_s
        self._goodbye_s = goodbye_s
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wake: socket.socket | None = None
        self._stopping = threading.Event()
        self._stop_by = float("inf")
        self._finished = False
        self._version = "5"
        self._hung_up = 0
        self._answer_by = 0.0
        self._connection = Connection(0, self._version, self._where, tell)
        self._attempts = Attempts(1, 0.0, random.uniform, pauses)

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
        self._order(connection, lambda current: current.close(Fault(what, hint)))

    def has_passed(self, ts: int) -> None:
        """This wall time (UTC ms) has passed for certain: a clock before it is wrong."""
        self._floor_ts = max(self._floor_ts, ts)

    def finish(self) -> None:
        """Say goodbye to the broker, if connected, and connect no more."""
        self._stopping.set()
        self._put(self._say_goodbye)

    def stop(self) -> None:
        """End soon: as with `finish` if the sender says goodbye within a few seconds, else without it."""
        self._stop_by = time.monotonic() + self._goodbye_s
        self._stopping.set()
        self._put(lambda: None)

    def _order(self, number: int, act: Callable[[Connection], None]) -> None:
        self._put(lambda: act(self._connection) if self._connection.number == number else None)

    def _put(self, act: Callable[[], None]) -> None:
        self._orders.put(act)
        wake = self._wake
        if wake is not None:
            with suppress(OSError):  # full: it is awake; closed: the connection is gone, and so is the order's sense
                wake.send(b"!")

    # ------------------------------------------------------------ the thread

    def run(self) -> None:
        """Connect, and connect again, until stopped."""
        attempts = self._attempts = Attempts(1, time.monotonic(), random.uniform, self._pauses)
        while not self._stopping.is_set():
            broker = attempts.next(time.monotonic())
            if broker is None:
                self._stopping.wait(attempts.due_at - time.monotonic())
                continue
            while self._one_connection():
                pass
            fault = self._connection.fault
            attempts.ended(broker, time.monotonic(), refused=fault is not None and fault.refused)

    def _one_connection(self) -> bool:
        """Connect, talk until it ends, and say so; returns whether the next attempt should follow at once."""
        current = self._connection = Connection(self._connection.number + 1, self._version, self._where, self._tell)
        ours, self._wake = socket.socketpair()
        with ours, self._wake:
            ours.setblocking(False)
            self._wake.setblocking(False)
            try:
                self._open(current)
                self._talk(current, ours)
            finally:
                current.close()
                self._explain(current)
                older = self._choose_version(current)
                if not self._finished and not older:
                    fault = current.fault or faults.closed(self._where, current.is_up)
                    self._tell(Down(current.number, fault.what, fault.hint))
        return older or self._renewing(current)

    def _explain(self, ended: Connection) -> None:
        """Where TLS failed, that is the reason, whatever paho made of it."""
        error, shook_hands = ended.shown.error, ended.shown.certificate is not None
        if error is not None and not ended.is_up and (ended.fault is None or not shook_hands):
            known = handshake.Known(self._clock.now(), self._floor_ts, self._files.own, self._files.cas)
            ended.fault = handshake.fault(error, self._where, known)

    def _renewing(self, ended: Connection) -> bool:
        return ended.is_up and ended.fault in {FILES_CHANGED, BROKER_EXPIRES}

    def _open(self, current: Connection) -> None:
        try:
            login = self._login(current.shown)
        except ConfigError as error:
            current.fault = faults.refusal(f"the password cannot be used: {error}", "Check password_file")
        except OSError as error:
            current.fault = faults.files(error)
        else:
            current.open(login)
            if login.context is not None:
                self._files.tell(current.shown.certificate, self._where.host)
            self._answer_by = time.monotonic() + self._answer_s

    def _login(self, shown: tls.Shown) -> Login:
        """What the configuration says and its files hold; OSError or ConfigError if one cannot be used."""
        options = self._options
        password = read_secret(options.password_file, self._folder).reveal() if options.password_file else None
        context = self._files.context(shown) if self._where.tls else None
        return Login(self._client_id, options.username, password, context, self._will(), options.keepalive)

    def _talk(self, current: Connection, wakes: socket.socket) -> None:
        """Carry bytes both ways and obey orders until the connection ends."""
        fileno = current.fileno()
        if fileno is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(wakes, selectors.EVENT_READ)
            key = selector.register(fileno, selectors.EVENT_READ)
            while current.fileno() is not None:
                wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if current.wants_write else 0)
                if wanted != key.events:
                    key = selector.modify(fileno, wanted)
                ready = selector.select(self._wait_s(current))
                self._obey(wakes)
                for found, events in ready:
                    if found.fd == fileno:
                        _carry(current, events)
                current.tend()
                self._look_at_clock(current)
                if current.is_up and self._attempts.broker is None:
                    self._attempts.connected(0, time.monotonic())
                self._look_at_files(current)

    def _wait_s(self, current: Connection) -> float:
        by = min(self._stop_by, float("inf") if current.is_up else self._answer_by)
        if current.is_up:
            by = min(by, self._files.due_at)
        return max(0.0, min(current.ping_s, by - time.monotonic()))

    def _look_at_clock(self, current: Connection) -> None:
        now = time.monotonic()
        if not current.is_up and now >= self._answer_by:
            current.close(faults.no_answer(self._where))
        if now >= self._stop_by or (self._stopping.is_set() and not current.is_up):
            self._finished = True
            current.goodbye(with_will=True)
            current.close()

    def _look_at_files(self, current: Connection) -> None:
        """Where other certificates are to be used, end the connection in order; the next one follows at once."""
        now = time.monotonic()
        if current.is_up and now >= self._files.due_at and not self._stopping.is_set():
            renewal = self._files.renewal(now, current.shown)
            if renewal is not None:
                current.fault = renewal
                current.goodbye()

    def _obey(self, wakes: socket.socket) -> None:
        with suppress(BlockingIOError):
            wakes.recv(4096)
        with suppress(Empty):
            while True:
                self._orders.get_nowait()()

    def _say_goodbye(self) -> None:
        self._finished = True
        self._connection.goodbye()

    def _choose_version(self, ended: Connection) -> bool:
        """After a connection: 3.1.1 if the broker does not seem to know 5, which is told by True; back if not that."""
        hung_up = ended.fault is None and not ended.is_up
        self._hung_up = self._hung_up + 1 if hung_up else 0
        if self._version == "5" and (ended.version_refused or self._hung_up == 2):
            self._version = "3.1.1"
            return True
        if self._hung_up > 2:
            self._version, self._hung_up = "5", 0
        return False


def _carry(current: Connection, events: int) -> None:
    if events & selectors.EVENT_READ:
        current.read()
    if events & selectors.EVENT_WRITE and current.fileno() is not None:
        current.write()
