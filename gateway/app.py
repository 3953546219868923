"""The composition root: from a configuration to a running gateway. The only file that knows every room.

Rooms start in the order journal, uplinks, hub, links (when the hub knows what was stored, a second later at most),
control, and stop in the opposite one, but for the hub: it stops after the links, whose last readings it still judges,
and before the uplinks, which still send its last event.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from queue import Empty, SimpleQueue

from gateway.clock import Clock, SystemClock
from gateway.config.schema import Config
from gateway.control import Control, command, socket_path, status
from gateway.errors import JournalDown, SitewardenError
from gateway.hub.plan import Reconfigured, plan_of
from gateway.hub.room import HubRoom
from gateway.journal.inbox import Post as JournalPost
from gateway.journal.inbox import Rearranged
from gateway.journal.statelock import JOURNAL_FILE, StateLock
from gateway.journal.thread import JournalThread
from gateway.links.choice import has_to_reopen, link, shared_threads, shares, with_room
from gateway.links.device import LinkDevice
from gateway.links.poller import Poller
from gateway.links.schedule import urgency
from gateway.model import Adjust, Answer, Command, Json, Notice, Question, Record, Reply, Status, Write
from gateway.reloading import Change, Reloading, Source
from gateway.supervisor import Stage, Supervisor
from gateway.uplink.rooms import Pair, Uplinks, rooms_of

log = logging.getLogger(__name__)

CONTROL_STOP_S, LINK_STOP_S, HUB_STOP_S, UPLINK_STOP_S, JOURNAL_STOP_S = 3.0, 5.0, 3.0, 8.0, 10.0
"""Seconds that each stage has to stop; together less than systemd's default of 90."""

SWITCH_INTERVAL_S = 0.0002
"""How long a busy thread may keep the interpreter. At CPython's 5 ms a hand-over beside one has a p99 of 21 ms.

Measured with 5,000 values/s beside (`./dev bench smoke`), smoke to siren, p99: 5.2 ms at 0.5 ms, 4.0 ms at 0.2 ms.
"""


class _Rooms:
    """Where the hub's decisions and the senders' acknowledgements go; filled while the gateway is put together."""

    def __init__(self) -> None:
        self.pollers: dict[str, Poller] = {}
        self.uplinks: Callable[[Record | Notice], None]
        self.reload: Callable[[Command], None]
        self.journal: Callable[[JournalPost], None]

    def to_journal(self, message: JournalPost) -> None:
        """To the journal, which is made after the senders that speak to it."""
        self.journal(message)

    def write(self, write: Write | Adjust) -> None:
        """To the poller of its link; to nobody while a link has left of which the hub has not heard yet (a reload)."""
        poller = self.pollers.get(write.link)
        if poller is None:
            log.info("link %s has left: %s.%s is not written", write.link, write.device, write.point)
        else:
            poller.post(write)

    def ask(self, question: Question) -> None:
        """To the poller of the link that it is about."""
        poller = self.pollers.get(question.link)
        if poller is None:
            fault = SitewardenError(f"there is no link {question.link} here", f"there are: {', '.join(self.pollers)}")
            question.answer(Answer(fault=fault))
        else:
            poller.post(question)


class Gateway:
    """One run of one gateway, from its configuration; `state_dir` keeps the journal and the control socket.

    `source` is where the configuration is read again when that is asked for.
    """

    def __init__(
        self, config: Config, state_dir: Path, clock: Clock | None = None, source: Source | None = None
    ) -> None:
        self.run = os.urandom(8).hex()
        self._boot = boot = boot_id()
        self.plan = plan_of(config, self.run, boot)
        self._clock = clock or SystemClock()
        self._lock = StateLock(state_dir)
        self._rooms = rooms = _Rooms()
        self._hub = HubRoom(self.plan, self._clock, rooms)
        self._uplinks = Uplinks(self.run, self._clock, self._hub.post, rooms.to_journal)
        self._uplinks.use(self._uplinks.make(config.uplinks, config, self.plan.about))
        rooms.uplinks = self._uplinks.tell
        self._at_brokers = Stage(rooms_of(self._uplinks.pairs), UPLINK_STOP_S)
        journal = JournalThread(
            state_dir / JOURNAL_FILE,
            self.run,
            boot,
            config.storage,
            tuple(config.uplinks),
            self._clock,
            self._hub.post,
            [sender.post for sender in self._uplinks.senders],
        )
        rooms.journal = journal.post
        self._shared = dict(shared_threads(config.links, self._clock, self._hub.post))
        rooms.pollers = {link_id: self._poller(link_id, config) for link_id in config.links}
        self._links = Stage(
            (*dict.fromkeys(self._shared.values()), *rooms.pollers.values()), LINK_STOP_S, self._hub.wait_informed
        )
        self._control = Control(socket_path(state_dir), self._hub.post, _written(config))
        reloading = Reloading(config, source, self._take_over, self._hub.post)
        rooms.reload = reloading.reload
        self._supervisor = Supervisor(
            (
                Stage((journal,), JOURNAL_STOP_S),
                self._at_brokers,
                Stage((self._hub,), HUB_STOP_S),
                self._links,
                Stage((self._control, reloading), CONTROL_STOP_S),
            ),
            vital=self._hub,
            clock=self._clock,
            died=self._hub.post,
        )

    def _poller(self, link_id: str, config: Config) -> Poller:
        devices = [device for device in config.devices.values() if device.link == link_id]
        uses = [(use, device.every) for device in devices for use in device.built.pins]
        return Poller(
            link_id,
            link(link_id, config.links[link_id], uses, Path(config.folder)),
            _on_link(link_id, config),
            self._clock,
            self._hub.post,
            self._hub.behind,
            shared=self._shared.get(link_id),
        )

    def _take_over(self, change: Change) -> Config:
        """Have every room go on by another configuration; the one that is in use then. Called by one thread.

        What leaves or is polled otherwise leaves first, then the hub changes, then what is new comes: so no value is
        taken for that of another point. Links and uplinks are stopped and started where they are others, and no others
        are.
        """
        reopened = _reopened(change)
        config = _with_kept(change, reopened)
        links = config.links
        uplinks = {name: pair for name, pair in self._uplinks.pairs.items() if _goes_on(name, change)}
        gone = {name: pair for name, pair in self._uplinks.pairs.items() if name not in uplinks}
        self._supervisor.dismiss(self._at_brokers, rooms_of(gone))
        self._shared = {link_id: thread for link_id, thread in self._shared.items() if link_id in links}
        for link_id in links.keys() - change.before.links.keys():
            if shares(links[link_id]) and (thread := with_room(self._shared)) is not None:
                self._shared[link_id] = thread
        before = self._rooms.pollers
        come = {
            link_id: self._poller(link_id, config) for link_id in links if link_id not in before or link_id in reopened
        }
        stay = {link_id: before[link_id] for link_id in links if link_id not in come}
        self._supervisor.dismiss(self._links, [poller for link_id, poller in before.items() if link_id not in stay])
        others = {
            link_id: poller
            for link_id, poller in stay.items()
            if _on_link(link_id, change.before) != _on_link(link_id, config)
        }
        left = SimpleQueue[None]()
        for link_id, poller in others.items():
            attended = _on_link(link_id, change.before)
            poller.change(
                [device for device in _on_link(link_id, config) if device in attended], lambda: left.put(None)
            )
        _await(left, len(others), LINK_STOP_S)
        self.plan = plan_of(config, self.run, self._boot)
        self._rooms.pollers = {link_id: come.get(link_id) or stay[link_id] for link_id in links}
        joined = self._uplinks.make(config.uplinks.keys() - uplinks.keys(), config, self.plan.about)
        self._serve({name: joined.get(name) or uplinks[name] for name in config.uplinks}, joined, config)
        found = change.difference
        self._hub.reconfigure(
            Reconfigured(self.plan, change.command, found.words, found.anew, frozenset(links), frozenset(joined))
        )
        for link_id, poller in others.items():
            poller.change(_on_link(link_id, config), _nothing)
        self._supervisor.engage(self._links, tuple(come.values()), self._failed)
        self._supervisor.engage(self._at_brokers, rooms_of(joined), self._failed)
        self._control.links = _written(config)
        return config

    def _serve(self, pairs: Mapping[str, Pair], joined: Mapping[str, Pair], config: Config) -> None:
        """These uplinks are told from now on, by journal and hub; the journal keeps to the limits of now."""
        self._uplinks.use(pairs)
        tell = tuple(pair.sender.post for pair in pairs.values())
        anew = tuple(pair.sender.post for pair in joined.values())
        self._rooms.to_journal(Rearranged(config.storage, tuple(pairs), tell, anew))

    @property
    def summary(self) -> str:
        """The gateway in one line."""
        about = self.plan.about
        links = len({device.link for device in about.devices if device.link})
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
        self._failed = failed
        self._supervisor.start(failed)

    def stop(self) -> None:
        """Stop every room in order, each within its deadline."""
        self._supervisor.stop()
        self._lock.release()

    def reload(self, issuer: str) -> None:
        """Have the configuration read again; what comes of it is logged. Never waits."""
        command_id = os.urandom(8).hex()
        self._hub.post(Command(command_id, "reload", {}, issuer, "local", None, _nothing))

    def status(self, timeout_s: float = 2.0) -> Status:
        """What the hub knows now; SitewardenError if it does not answer."""
        return status(self._hub.post, timeout_s)

    def command(self, name: str, args: Mapping[str, Json], issuer: str, timeout_s: float = 2.0) -> Reply:
        """What the hub makes of a local command; SitewardenError if it does not answer."""
        return command(name, args, issuer, self._hub.post, timeout_s)


def _on_link(link_id: str, config: Config) -> list[LinkDevice]:
    return [
        LinkDevice(name, device.built, device.every, urgency(point.kind for point in device.built.points))
        for name, device in config.devices.items()
        if device.link == link_id
    ]


def _written(config: Config) -> dict[str, Json]:
    """The links as they are configured."""
    return {link_id: asdict(part) for link_id, part in config.links.items()}


def _reopened(change: Change) -> set[str]:
    """The links that are stopped and started again, for their settings or for what their devices need of them."""
    found = set(change.difference.links)
    for link_id, part in change.now.links.items():
        before, now = ({name: it for name, it in each.devices.items() if it.link == link_id} for each in change[:2])
        others = before.keys() != now.keys() or change.difference.anew & now.keys()
        if others and has_to_reopen(part, (it.built for it in before.values()), (it.built for it in now.values())):
            found.add(link_id)
    return found


def _goes_on(uplink: str, change: Change) -> bool:
    """Whether an uplink that was in use is, as it was."""
    return uplink in change.now.uplinks and uplink not in change.difference.uplinks


def _with_kept(change: Change, reopened: set[str]) -> Config:
    """The new configuration with the drivers that are in use, where nothing about them is other."""
    kept = {
        name: replace(device, built=change.before.devices[name].built)
        if name not in change.difference.anew and device.link not in reopened
        else device
        for name, device in change.now.devices.items()
    }
    return replace(change.now, devices=kept)


def _await(told: SimpleQueue[None], times: int, timeout_s: float) -> None:
    """Until it was told so often; a link that hangs is waited for no longer than that."""
    until = time.monotonic() + timeout_s
    with suppress(Empty):
        for _ in range(times):
            told.get(timeout=max(0.0, until - time.monotonic()))


def _nothing(*_: object) -> None:
    pass


def boot_id() -> str:
    """The kernel's id of this boot, by which monotonic times of different runs can be compared; "" if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
