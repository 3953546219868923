"""The composition root: from a configuration to a running gateway. The only file that knows every room.

Rooms start in the order journal, uplinks, hub, links, control, and stop in the opposite one, but for the hub: it stops
after the links, whose last readings it still judges, and before the uplinks, which still send its last event.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from gateway.clock import Clock, SystemClock
from gateway.config.schema import Config
from gateway.control import Control, command, socket_path, status
from gateway.errors import JournalDown, SitewardenError
from gateway.hub.plan import plan_of
from gateway.hub.room import HubRoom
from gateway.journal.inbox import Post as JournalPost
from gateway.journal.statelock import JOURNAL_FILE, StateLock
from gateway.journal.thread import JournalThread
from gateway.links.choice import link, shared_threads
from gateway.links.device import LinkDevice
from gateway.links.poller import Poller
from gateway.links.schedule import urgency
from gateway.links.shared import SharedThread
from gateway.model import Adjust, Answer, Json, Notice, Question, Record, Reply, Status, Write
from gateway.supervisor import Stage, Supervisor
from gateway.uplink.connector import MqttWire
from gateway.uplink.rooms import uplink
from gateway.uplink.sender import Sender

log = logging.getLogger(__name__)

CONTROL_STOP_S, LINK_STOP_S, HUB_STOP_S, UPLINK_STOP_S, JOURNAL_STOP_S = 3.0, 5.0, 3.0, 8.0, 10.0
"""Seconds that each stage has to stop; together less than systemd's default of 90."""

SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread may keep the interpreter. At CPython's 5 ms a hand-over beside one has a p99 of 21 ms."""


class _Rooms:
    """Where the hub's decisions and the senders' acknowledgements go; filled while the gateway is put together."""

    def __init__(self) -> None:
        self.pollers: dict[str, Poller] = {}
        self.senders: list[Sender] = []
        self.journal: Callable[[JournalPost], None]

    def to_journal(self, message: JournalPost) -> None:
        """To the journal, which is made after the senders that speak to it."""
        self.journal(message)

    def write(self, write: Write | Adjust) -> None:
        """To the poller of its link."""
        self.pollers[write.link].post(write)

    def ask(self, question: Question) -> None:
        """To the poller of the link that it is about."""
        poller = self.pollers.get(question.link)
        if poller is None:
            fault = SitewardenError(f"there is no link {question.link} here", f"there are: {', '.join(self.pollers)}")
            question.answer(Answer(fault=fault))
        else:
            poller.post(question)

    def uplinks(self, message: Record | Notice) -> None:
        """To every sender."""
        for sender in self.senders:
            sender.post(message)


class Gateway:
    """One run of one gateway, from its configuration; `state_dir` keeps the journal and the control socket."""

    def __init__(self, config: Config, state_dir: Path, clock: Clock | None = None) -> None:
        self.run = os.urandom(8).hex()
        boot = boot_id()
        self.plan = plan_of(config, self.run, boot)
        self._config = config
        self._clock = clock or SystemClock()
        self._lock = StateLock(state_dir)
        rooms = _Rooms()
        self._hub = HubRoom(self.plan, self._clock, rooms)
        wires = [self._uplink(uplink_id, rooms) for uplink_id in config.uplinks]
        journal = JournalThread(
            state_dir / JOURNAL_FILE,
            self.run,
            boot,
            config.storage,
            tuple(config.uplinks),
            self._clock,
            self._hub.post,
            [sender.post for sender in rooms.senders],
        )
        rooms.journal = journal.post
        shared = shared_threads(config.links, self._clock, self._hub.post)
        rooms.pollers = {link_id: self._poller(link_id, shared.get(link_id)) for link_id in config.links}
        self._supervisor = Supervisor(
            (
                Stage((journal,), JOURNAL_STOP_S),
                Stage((*rooms.senders, *wires), UPLINK_STOP_S),
                Stage((self._hub,), HUB_STOP_S),
                Stage((*dict.fromkeys(shared.values()), *rooms.pollers.values()), LINK_STOP_S),
                Stage((self._control(socket_path(state_dir)),), CONTROL_STOP_S),
            ),
            vital=self._hub,
            clock=self._clock,
            died=self._hub.post,
        )

    def _uplink(self, uplink_id: str, rooms: _Rooms) -> MqttWire:
        sender, wire = uplink(
            uplink_id,
            self._config.uplinks[uplink_id],
            self.plan.about,
            self.run,
            Path(self._config.folder),
            self._clock,
            self._hub.post,
            rooms.to_journal,
        )
        rooms.senders.append(sender)
        return wire

    def _control(self, path: Path) -> Control:
        return Control(path, self._hub.post, {link_id: asdict(part) for link_id, part in self._config.links.items()})

    def _poller(self, link_id: str, shared: SharedThread | None) -> Poller:
        devices = {name: device for name, device in self._config.devices.items() if device.link == link_id}
        uses = [(use, device.every) for device in devices.values() for use in device.built.pins]
        return Poller(
            link_id,
            link(link_id, self._config.links[link_id], uses, Path(self._config.folder)),
            [
                LinkDevice(name, device.built, device.every, urgency(point.kind for point in device.built.points))
                for name, device in devices.items()
            ],
            self._clock,
            self._hub.post,
            self._hub.behind,
            shared=shared,
        )

    @property
    def summary(self) -> str:
        """The gateway in one line."""
        about = self.plan.about
        links = len({device.link for device in about.devices})
        return f"{about.site}/{about.gateway}: {len(about.devices)} devices on {links} links, run {self.run}"

    @property
    def deaths(self) -> int:
        """How often a room has died and been started again."""
        return self._supervisor.deaths

    def beat(self) -> float:
        """When (monotonic) the hub was last alive."""
        return self._hub.beat

    def start(self, failed: Callable[[str], None] = log.error) -> None:
        """Start every room; `failed` gets the hub's name if that one dies. Raises AlreadyRunning."""
        try:
            self._lock.take()
        except JournalDown as error:
            log.error("%s; the site is watched all the same, from memory", error)
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._supervisor.start(failed)

    def stop(self) -> None:
        """Stop every room in order, each within its deadline."""
        self._supervisor.stop()
        self._lock.release()

    def status(self, timeout_s: float = 2.0) -> Status:
        """What the hub knows now; SitewardenError if it does not answer."""
        return status(self._hub.post, timeout_s)

    def command(self, name: str, args: Mapping[str, Json], issuer: str, timeout_s: float = 2.0) -> Reply:
        """What the hub makes of a local command; SitewardenError if it does not answer."""
        return command(name, args, issuer, self._hub.post, timeout_s)


def boot_id() -> str:
    """The kernel's id of this boot, by which monotonic times of different runs can be compared; "" if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
