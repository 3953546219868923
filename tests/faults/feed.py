"""What a platform gets of its gateways, every repetition included, and whether it is what was promised.

The feed keeps a persistent session with the broker. A connection of a gateway begins with `status` online, live or, to
a feed that came later, retained. What the broker itself repeats bears MQTT's mark for that: passed over if it is known.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeAlias

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

WINDOW = 20
"""The gateway's default window: messages that wait for their acknowledgement."""

REMEMBERED = 5_000
"""Messages whose repetition by the broker is known."""

Key: TypeAlias = tuple[str, str, int]
"""A record's identity within the gateway: run, lane, seq."""


class Delivery(NamedTuple):
    """One record that came, at the monotonic time `at`, in a message over a connection of the gateway."""

    key: Key
    hist: bool
    connection: int
    message: int
    at: float


def reading_content(ts: int, device: str, values: Mapping[str, Any], bad: Mapping[str, str]) -> str:
    """A reading as one text that is the same wherever it is read."""
    return json.dumps([ts, device, values, bad], sort_keys=True)


def event_content(ts: int, fields: Mapping[str, Any]) -> str:
    """An event likewise; `fields` without those of its message."""
    return json.dumps([ts, fields], sort_keys=True)


class Feed:
    """Everything that came: `deliveries` in order, `contents` by identity, `connections` by the run that made them.

    `confirms`: it says `stored` to every message that brings records.
    """

    def __init__(self, port: int, *, confirms: bool = False) -> None:
        self.deliveries: list[Delivery] = []
        self.contents: dict[Key, str] = {}
        self.connections: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.is_connected = False
        self._confirms = confirms
        self._messages = 0
        self._current: dict[str, int] = {}  # gateway -> its connection
        self._marks: dict[str, tuple[str, int]] = {}  # gateway -> run and time of that
        self._recent: deque[bytes] = deque(maxlen=REMEMBERED)
        self._news = threading.Condition()  # paho's thread tells the campaign's
        self._port = port
        self._client = self._made_client()

    def __enter__(self) -> Self:
        self.come()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def come(self) -> None:
        """Connect, and connect again by itself, until `leave`."""
        self._client = self._made_client()  # a new one each time: paho leaks sockets where a client starts twice
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self.wait_for(lambda: self.is_connected, 10, "the broker answers the feed")

    def leave(self) -> None:
        """Disconnect; the session stays."""
        self._client.disconnect()
        self._client.loop_stop()
        self.is_connected = False

    def wait_for(self, what: Callable[[], bool], within_s: float, why: str) -> None:
        """Until `what` is true; looked at after each message."""
        until = time.monotonic() + within_s
        with self._news:
            while not what():
                left = until - time.monotonic()
                assert left > 0, f"not within {within_s:g} s: {why}"
                self._news.wait(left)

    def _made_client(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, "feed", protocol=MQTTProtocolVersion.MQTTv311, clean_session=False)
        client.reconnect_delay_set(0.05, 0.05)  # type: ignore[arg-type]  # it only waits so long
        client.on_connect = lambda connected, *_: connected.subscribe("sitewarden/v1/#", 1)
        client.on_subscribe = lambda *_: self._connected(True)
        client.on_disconnect = lambda *_: self._connected(False)
        client.on_message = lambda _, __, message: self._take(message)
        return client

    def ask_again(self, root: str, run: str, lane: str, first: int, last: int) -> None:
        """Tell the gateway under `root` to send these records once more."""
        command = {
            "id": f"{run}.{lane}.{first}",
            "name": "resend",
            "args": {"run": run, "lane": lane, "from": first, "to": last},
            "issuer": "feed",
            "expires": time.time_ns() // 1_000_000 + 60_000,
        }
        self._client.publish(f"{root}/command", json.dumps(command), qos=1)

    def _connected(self, yes: bool) -> None:
        with self._news:
            self.is_connected = yes
            self._news.notify_all()

    def _take(self, message: MQTTMessage) -> None:
        with self._news:
            if not (message.dup and bytes(message.payload) in self._recent):
                self._recent.append(bytes(message.payload))
                self._messages += 1
                try:
                    _, _, _, gateway, name, *_ = message.topic.split("/")
                    payload = json.loads(message.payload or "{}")
                    self._take_payload(gateway, name, payload)
                    if self._confirms and name in {"event", "telemetry"}:
                        self._confirm(message.topic, name, payload)
                except (LookupError, ValueError) as error:  # told by the campaign: paho's thread would die of it
                    self.wrong.append(f"{message.topic}: {error!r}")
            self._news.notify_all()

    def _confirm(self, topic: str, lane: str, payload: dict[str, Any]) -> None:
        seqs = sorted(record["seq"] for record in payload.get("records", [payload]))
        said = {"run": payload["run"], "lane": lane, "ranges": [[seq, seq] for seq in seqs]}
        self._client.publish(topic.rpartition("/")[0] + "/stored", json.dumps(said), qos=1)

    def _take_payload(self, gateway: str, name: str, payload: dict[str, Any]) -> None:
        if name == "status" and payload["state"] == "online":
            mark = payload["run"], payload["since"]
            if mark != self._marks.get(gateway):
                self._marks[gateway] = mark
                self._current[gateway] = len(self.connections)
                self.connections.append(payload["run"])
        if name == "telemetry":
            for record in payload["records"]:
                text = reading_content(record["ts"], record["device"], record.get("values", {}), record.get("bad", {}))
                self._record(gateway, (payload["run"], name, record["seq"]), payload["hist"], text)
        if name == "event":
            self.events.append(payload)
            fields = {key: value for key, value in payload.items() if key not in ENVELOPE}
            text = event_content(payload["ts"], fields)
            self._record(gateway, (payload["run"], name, payload["seq"]), payload["hist"], text)

    def _record(self, gateway: str, key: Key, hist: bool, text: str) -> None:
        if self.contents.setdefault(key, text) != text:
            self.wrong.append(f"{key} came as {self.contents[key]} and as {text}")
        self.deliveries.append(Delivery(key, hist, self._current[gateway], self._messages, time.monotonic()))


ENVELOPE = frozenset({"schema", "run", "tq", "hist", "seq", "ts"})


def out_of_order(deliveries: Iterable[Delivery], runs: list[str]) -> list[str]:
    """What came before or beside its place: numbers must rise within each connection, lane and stream; `runs` in order.

    A record may come once on a connection, be it live or as backlog.
    """
    number = {run: place for place, run in enumerate(runs)}
    last: dict[tuple[int, str, bool], tuple[int, int]] = {}
    came: set[tuple[int, Key]] = set()
    found = []
    for one in deliveries:
        run, lane, seq = one.key
        stream, place = (one.connection, lane, one.hist), (number[run], seq)
        if place <= last.get(stream, (-1, 0)):
            found.append(f"{one} after {last[stream]}")
        if (one.connection, one.key) in came:
            found.append(f"{one} twice on its connection")
        came.add((one.connection, one.key))
        last[stream] = place
    return found


class Repetition(NamedTuple):
    """A record that came again, and the time before."""

    before: Delivery
    again: Delivery


def repetitions(deliveries: Iterable[Delivery]) -> list[Repetition]:
    """Every coming of a record after its first."""
    latest: dict[Key, Delivery] = {}
    found = []
    for one in deliveries:
        if one.key in latest:
            found.append(Repetition(latest[one.key], one))
        latest[one.key] = one
    return found


def most_repeated(repeated: Iterable[Repetition]) -> int:
    """Over all connections, the most messages of one of them of which anything came again."""
    messages: dict[int, set[int]] = {}
    for before, _ in repeated:
        messages.setdefault(before.connection, set()).add(before.message)
    return max(map(len, messages.values()), default=0)
