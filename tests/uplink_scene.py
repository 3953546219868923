"""Stand-ins for an uplink's neighbours: a journal in memory, a hub that listens, and the two threads on a real wire."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from gateway import records
from gateway.clock import SystemClock
from gateway.config.schema import Uplink
from gateway.driver import point
from gateway.model import (
    About,
    AlarmState,
    AlarmView,
    Backlog,
    BacklogWanted,
    Confirmed,
    DeviceAbout,
    Fact,
    Lane,
    Priority,
    Reading,
    Record,
    Resend,
    ResendWanted,
    Row,
    RuleAbout,
    Stored,
    ToJournal,
    Trust,
    UplinkDown,
    UplinkUp,
)
from gateway.uplink.attempts import Pauses
from gateway.uplink.connector import MqttWire
from gateway.uplink.rooms import uplink
from gateway.uplink.sender import Sender

T = TypeVar("T")

RUN = "5f0c9a7e11d2b3c4"
TS = 1_795_300_000_000
ROOT = "sitewarden/v1/dc3/gw1"

ABOUT = About(
    site="dc3",
    site_name="Distribution centre 3 · 配送中心",
    gateway="gw1",
    version="0.1.0",
    config="a1b2c3",
    zones=("cold-store", "cold-store/room-1"),
    devices=(
        DeviceAbout(
            device="cold-1",
            name="Room 1",
            driver="modbus",
            link="bus1",
            zone="cold-store/room-1",
            points=(point("temperature", "temperature"), point("humidity", "humidity")),
            rules=(RuleAbout("room-1-warm", "temperature", "above -15 °C for 10m", Priority.HIGH),),
        ),
    ),
)


def reading(seq: int, *, text: str | None = None, trust: Trust = Trust.SYNCED) -> Record:
    made = records.telemetry(Reading("cold-1", 0.0, TS + seq, {"temperature": -18.25}, {}))
    return Record(Lane.TELEMETRY, seq, TS + seq, trust, seq, text or made)


def event(seq: int) -> Record:
    return Record(Lane.EVENT, seq, TS + seq, Trust.SYNCED, seq, records.event("clock_stepped", by_ms=seq))


def alarm(state: AlarmState, alarm_id: str = "room-1-warm") -> AlarmView:
    return AlarmView(
        alarm=alarm_id,
        rule="room-1-warm",
        device="cold-1",
        point="temperature",
        zone="cold-store/room-1",
        priority=Priority.HIGH,
        state=state,
        since=TS,
        seq=7,
        run=RUN,
        value=-14.5,
        text="Room 1 is too warm",
        say="Close the door",
    )


class MemoryJournal:
    """The journal's contract, in memory: rows with ids per lane, what was acknowledged, and answers to questions."""

    def __init__(self) -> None:
        self.rows: dict[Lane, list[Row]] = {lane: [] for lane in Lane}
        self.acked: dict[Lane, set[int]] = {lane: set() for lane in Lane}
        self.twice = 0
        self.asked = 0
        self.fails = ""  # why nothing can be taken back now

    def store(self, made: Iterable[Record], run: str = RUN) -> Stored:
        stored = []
        for record in made:
            lane = self.rows[record.lane]
            lane.append(Row(len(lane) + 1, run, record))
            stored.append(lane[-1])
        return Stored(tuple(stored))

    def tell(self, message: ToJournal) -> None:
        if isinstance(message, ResendWanted):
            message.answer(self.take_back(message))
            return
        if isinstance(message, Confirmed):
            self.confirm(message)
            return
        if isinstance(message, BacklogWanted):
            self.asked += 1
            message.answer(self.answer(message))
            return
        for first, last in message.ids:
            ids = set(range(first, last + 1))
            self.twice += len(ids & self.acked[message.lane])
            self.acked[message.lane] |= ids

    def confirm(self, said: Confirmed) -> None:
        """What a platform says that the uplink did not know: from before a restart, say."""
        known = [row for row in self.rows[said.lane] if row.run == said.run]
        if not known:
            said.unknown()
        for first, last in said.ranges:
            self.acked[said.lane] |= {row.id for row in known if first <= row.record.seq <= last}

    def take_back(self, wanted: ResendWanted) -> Resend:
        if self.fails:
            return Resend(0, 0, self.fails)
        if wanted.run not in {row.run for row in self.rows[wanted.lane]}:
            return Resend(0, wanted.last - wanted.first + 1, f"the journal has nothing of run {wanted.run}")
        ids = {
            row.id
            for row in self.rows[wanted.lane]
            if row.run == wanted.run and wanted.first <= row.record.seq <= wanted.last
        }
        self.acked[wanted.lane] -= ids
        return Resend(len(ids), 0)

    def answer(self, wanted: BacklogWanted) -> Backlog:
        lane = self.rows[wanted.lane]
        upto = len(lane) if wanted.upto is None else wanted.upto
        acked = self.acked[wanted.lane]
        rows = [row for row in lane[wanted.after : upto] if row.id not in acked]
        return Backlog(wanted.lane, tuple(rows[: wanted.limit]), upto, len(rows) <= wanted.limit)

    def unacked(self, lane: Lane) -> list[int]:
        return [row.id for row in self.rows[lane] if row.id not in self.acked[lane]]


class JournalRoom:
    """A MemoryJournal on a thread of its own, as the real one: what is posted is done in order."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run)

    def post(self, message: ToJournal) -> None:
        self._inbox.put(lambda: self.journal.tell(message))

    def store(self, made: Iterable[Record], tell: Callable[[Stored], None]) -> None:
        rows = tuple(made)
        self._inbox.put(lambda: tell(self.journal.store(rows)))

    def do(self, act: Callable[[MemoryJournal], T]) -> T:
        done: SimpleQueue[T] = SimpleQueue()
        self._inbox.put(lambda: done.put(act(self.journal)))
        return done.get(timeout=10)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._inbox.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (act := self._inbox.get()) is not None:
            act()


@dataclass
class Scene:
    """One running uplink."""

    sender: Sender
    wire: MqttWire
    journal: JournalRoom
    facts: SimpleQueue[Fact] = field(default_factory=SimpleQueue)
    heard: list[Fact] = field(default_factory=list)
    deaths: list[BaseException] = field(default_factory=list)

    def store(self, *made: Record) -> None:
        self.journal.store(made, self.sender.post)

    def wait_fact(self, kind: type[T], within_s: float = 10.0) -> T:
        """The next fact of this kind that the hub is told."""
        until = time.monotonic() + within_s
        while (left := until - time.monotonic()) > 0:
            try:
                fact = self.facts.get(timeout=left)
            except Empty:
                break
            self.heard.append(fact)
            if isinstance(fact, kind):
                return fact
        raise AssertionError(f"no {kind.__name__} within {within_s:g} s; heard {self.heard[-5:]}")

    def wait_up(self) -> UplinkUp:
        return self.wait_fact(UplinkUp)

    def wait_down(self) -> UplinkDown:
        return self.wait_fact(UplinkDown)

    def wait_acked(self, within_s: float = 20.0) -> None:
        """Until the journal knows that the uplink has everything."""
        until = time.monotonic() + within_s
        while left := self.journal.do(lambda j: {lane: j.unacked(lane) for lane in Lane if j.unacked(lane)}):
            short = {lane: (len(ids), ids[:5]) for lane, ids in left.items()}
            assert time.monotonic() < until, f"not acknowledged within {within_s:g} s: {short}"
            Waiter.wait(0.01)


class Waiter:
    """Lets other threads run for a moment; a deadline stands around every use."""

    _never = threading.Event()

    @classmethod
    def wait(cls, seconds: float) -> None:
        cls._never.wait(seconds)


def until(what: Callable[[], T], within_s: float = 10.0, why: str = "") -> T:
    """What `what` gives as soon as that is true."""
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s {why}"
        Waiter.wait(0.005)
    return found


SHORT_PAUSES = Pauses(least_s=0.02, most_s=0.02)


@contextmanager
def running(
    url: str | tuple[str, ...],
    folder: Path = Path("/"),
    run: str = RUN,
    about: About = ABOUT,
    pauses: Pauses = SHORT_PAUSES,
    **options: Any,
) -> Iterator[Scene]:
    """An uplink to the broker at `url` with these options, on its two threads, stopped at the end."""
    journal = JournalRoom()
    facts: SimpleQueue[Fact] = SimpleQueue()
    settings = Uplink(url=(url,) if isinstance(url, str) else url, **options)
    sender, wire = uplink("platform", settings, about, run, folder, SystemClock(), facts.put, journal.post, pauses)
    scene = Scene(sender, wire, journal, facts)

    def keep_running(room: Sender | MqttWire) -> None:
        """As the supervisor does."""
        while True:
            try:
                room.run()
            except Exception as error:  # noqa: BLE001 - whatever a room dies of
                scene.deaths.append(error)
            else:
                return

    threads = [threading.Thread(target=keep_running, args=(room,), name=room.name) for room in (sender, wire)]
    journal.start()
    for thread in threads:
        thread.start()
    try:
        yield scene
    finally:
        sender.stop()
        wire.stop()
        for thread in threads:
            thread.join(10)
        journal.stop()
        assert not any(thread.is_alive() for thread in threads), "an uplink's thread did not end"


class Platform:
    """What a broker accepted from the gateway, in order, by way of its tap."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.times: list[float] = []

    def tap(self, topic: str, payload: bytes, retain: bool) -> None:
        self.times.append(time.monotonic())
        self.messages.append((topic, payload, retain))

    def on(self, name: str) -> list[dict[str, Any]]:
        """The payloads under this topic below the root."""
        return [json.loads(payload) for topic, payload, _ in list(self.messages) if topic == f"{ROOT}/{name}"]

    def stream(self, lane: Lane, *, hist: bool) -> list[int]:
        """The numbers of a lane's stream as they came, repeated ones at their first coming only."""
        seqs = []
        for payload in self.on(lane):
            if payload["hist"] is hist:
                seqs += [record["seq"] for record in payload["records"]] if lane is Lane.TELEMETRY else [payload["seq"]]
        return list(dict.fromkeys(seqs))

    def seqs(self, lane: Lane) -> list[int]:
        """All numbers of a lane as they came, repetitions included."""
        found = []
        for payload in self.on(lane):
            found += [record["seq"] for record in payload["records"]] if lane is Lane.TELEMETRY else [payload["seq"]]
        return found
