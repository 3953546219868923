"""The life of rooms on real threads, and the service manager on a real socket."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from queue import Empty, SimpleQueue

import pytest

from gateway.clock import SystemClock
from gateway.model import RoomDied
from gateway.supervisor import ServiceManager, Stage, Supervisor, watch

WITHIN_S = 5.0


class Waiting:
    """A room that does nothing until stopped, and notes the order of what happens to it."""

    def __init__(self, name: str, journal: SimpleQueue[str]) -> None:
        self.name = name
        self._journal = journal
        self._stopped = threading.Event()

    def run(self) -> None:
        self._journal.put(f"{self.name} runs")
        self._stopped.wait(WITHIN_S)
        self._journal.put(f"{self.name} ends")

    def stop(self) -> None:
        self._stopped.set()


class Dying(Waiting):
    """A room whose first `deaths` lives end by an exception."""

    def __init__(self, name: str, journal: SimpleQueue[str], deaths: int) -> None:
        super().__init__(name, journal)
        self._deaths = deaths

    def run(self) -> None:
        if self._deaths:
            self._deaths -= 1
            raise ValueError("a bug")
        super().run()


class Deaf(Waiting):
    """A room that does not hear that it should stop."""

    def stop(self) -> None:
        pass


def supervisor(*stages: Stage, vital: Waiting, died: SimpleQueue[RoomDied]) -> Supervisor:
    return Supervisor(stages, vital, SystemClock(), died.put)


def test_the_first_stage_stops_last() -> None:
    journal: SimpleQueue[str] = SimpleQueue()
    first, second = Waiting("first", journal), Waiting("second", journal)
    rooms = supervisor(Stage((first,), 1), Stage((second,), 1), vital=first, died=SimpleQueue())
    rooms.start(print)
    assert {journal.get(timeout=WITHIN_S) for _ in range(2)} == {"first runs", "second runs"}
    assert rooms.stop() == ()
    assert [journal.get(timeout=WITHIN_S) for _ in range(2)] == ["second ends", "first ends"]


def test_a_room_that_dies_is_started_again_counted_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    journal: SimpleQueue[str] = SimpleQueue()
    died: SimpleQueue[RoomDied] = SimpleQueue()
    room, hub = Dying("link bus1", journal, deaths=1), Waiting("hub", journal)
    rooms = supervisor(Stage((hub, room), 1), vital=hub, died=died)
    rooms.start(print)
    assert died.get(timeout=WITHIN_S) == RoomDied("link bus1", "ValueError: a bug", 1)
    assert {journal.get(timeout=WITHIN_S) for _ in range(2)} == {"hub runs", "link bus1 runs"}
    assert rooms.stop() == ()
    assert rooms.deaths == 1
    assert "Traceback" in caplog.text


def test_a_dead_hub_is_not_started_again_but_said() -> None:
    hub = Dying("hub", SimpleQueue(), deaths=1)
    died: SimpleQueue[RoomDied] = SimpleQueue()
    rooms = supervisor(Stage((hub,), 1), vital=hub, died=died)
    failed: SimpleQueue[str] = SimpleQueue()
    rooms.start(failed.put)
    assert failed.get(timeout=WITHIN_S) == "hub"
    assert died.empty()
    assert rooms.stop() == ()


def test_a_stuck_room_is_left_behind_when_its_deadline_has_passed(caplog: pytest.LogCaptureFixture) -> None:
    journal: SimpleQueue[str] = SimpleQueue()
    deaf, hub = Deaf("journal", journal), Waiting("hub", journal)
    rooms = supervisor(Stage((hub,), 1), Stage((deaf,), 0.05), vital=hub, died=SimpleQueue())
    rooms.start(print)
    assert rooms.stop() == ("journal",)
    assert "journal did not stop within 0.05 s" in caplog.text
    Waiting.stop(deaf)


def listener(path: Path) -> socket.socket:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(path))
    heard.settimeout(WITHIN_S)
    return heard


def test_the_service_manager_hears_what_it_is_told(tmp_path: Path) -> None:
    with listener(tmp_path / "notify") as heard:
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
        assert manager.watchdog_s == 30.0
        assert manager.tell("READY=1")
        assert heard.recv(100) == b"READY=1"


def test_without_a_service_manager_nothing_is_sent() -> None:
    manager = ServiceManager({})
    assert not manager.tell("READY=1")
    assert manager.watchdog_s is None


def test_a_watchdog_meant_for_another_process_is_not_ours() -> None:
    assert ServiceManager({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}).watchdog_s is None


def test_a_service_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    assert not ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")


@pytest.mark.parametrize(("age_s", "fed"), [(0.0, True), (100.0, False)])
def test_the_watchdog_is_fed_only_while_the_hub_moves(tmp_path: Path, age_s: float, fed: bool) -> None:
    with listener(tmp_path / "notify") as heard:
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"})
        clock, signals = SystemClock(), SimpleQueue[str]()
        asked = 0

        def beat() -> float:
            nonlocal asked
            asked += 1
            if asked == 3:
                signals.put("SIGTERM")
            return clock.mono() - age_s

        assert watch(beat, signals, manager, clock) == "SIGTERM"
        heard.setblocking(False)
        told = []
        try:
            while True:
                told.append(heard.recv(100))
        except BlockingIOError:
            pass
        assert told == ([b"WATCHDOG=1"] * 3 if fed else [])


def test_a_signal_ends_the_watch_at_once() -> None:
    signals: SimpleQueue[str] = SimpleQueue()
    signals.put("SIGINT")
    assert watch(lambda: 0.0, signals, ServiceManager({}), SystemClock()) == "SIGINT"
    with pytest.raises(Empty):
        signals.get_nowait()
