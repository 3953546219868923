"""A platform for tests: keeps a persistent session with a broker and counts every record it gets, by identity."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jsonschema import Draft202012Validator
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

CONTRACT = Path(__file__).parent.parent / "gateway" / "contract"
VALIDATORS = {
    path.name.removesuffix(".schema.json"): Draft202012Validator(json.loads(path.read_text()))
    for path in CONTRACT.glob("*.schema.json")
}


class Consumer:
    """Everything that came, in order. Payloads that break the contract are kept in `wrong`."""

    def __init__(
        self,
        port: int,
        *,
        validate: bool = True,
        remembers: bool = True,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.counts: Counter[tuple[str, str, int]] = Counter()  # (run, lane, seq)
        self.order: list[tuple[str, str, bool, int]] = []  # (run, lane, hist, seq)
        self.events: list[dict[str, Any]] = []
        self.latest: dict[str, bytes] = {}  # topic -> last payload
        self.wrong: list[str] = []
        self.compressed = 0  # messages
        self._validate = validate
        self._on_event = on_event
        self._news = threading.Condition()  # paho's thread tells the test's thread
        self._port = port
        self._client = Client(
            CallbackAPIVersion.VERSION2, "platform", protocol=MQTTProtocolVersion.MQTTv311, clean_session=not remembers
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("sitewarden/v1/#", 1)
        self._client.on_message = lambda _, __, message: self._take(message)
        self._subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: self._subscribed.set()

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._subscribed.wait(5), "the broker does not answer the platform"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        assert not self.wrong, self.wrong[:3]

    def publish(self, topic: str, payload: dict[str, Any]) -> None:
        self._client.publish(topic, json.dumps(payload), qos=1)

    def wait_for(self, what: Callable[[], bool], within_s: float, why: str) -> None:
        """Until `what` is true; looked at after each message."""
        until = time.monotonic() + within_s
        with self._news:
            while not what():
                left = until - time.monotonic()
                assert left > 0, f"not within {within_s:g} s: {why}"
                self._news.wait(left)

    def seqs(self, run: str, lane: str) -> set[int]:
        return {seq for of_run, of_lane, seq in self.counts if (of_run, of_lane) == (run, lane)}

    def event(self, **fields: Any) -> dict[str, Any] | None:
        """The first event with these fields."""
        return next((e for e in self.events if all(e.get(name) == value for name, value in fields.items())), None)

    def _take(self, message: MQTTMessage) -> None:
        name = message.topic.split("/")[4]
        with self._news:
            self.latest[message.topic] = bytes(message.payload)
            if message.payload and name in {"event", "telemetry", "status", "about", "alarm", "health"}:
                self._take_payload(name, message)
            self._news.notify_all()

    def _take_payload(self, name: str, message: MQTTMessage) -> None:
        compressed = message.payload[:2] == b"\x1f\x8b"
        self.compressed += compressed
        payload = json.loads(gzip.decompress(message.payload) if compressed else message.payload)
        schema = "about-device" if name == "about" and message.topic.count("/") > 4 else name
        if self._validate and schema in VALIDATORS:
            self.wrong += [f"{message.topic}: {error.message}" for error in VALIDATORS[schema].iter_errors(payload)]
        if name == "event":
            self.events.append(payload)
            if self._on_event is not None:
                self._on_event(payload)
            self._count(payload["run"], "event", payload["hist"], payload["seq"])
        if name == "telemetry":
            for record in payload["records"]:
                self._count(payload["run"], "telemetry", payload["hist"], record["seq"])

    def _count(self, run: str, lane: str, hist: bool, seq: int) -> None:
        self.counts[run, lane, seq] += 1
        self.order.append((run, lane, hist, seq))
