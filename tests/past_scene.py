"""A past to try rules on: the real hub judges readings minute by minute, and the real journal keeps what it decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from journal_scene import MB, NOW

from gateway.config.installed import read_config
from gateway.hub.decide import Hub
from gateway.hub.plan import plan_of
from gateway.journal.store import Store
from gateway.journal.waiting import Waiting
from gateway.model import (
    Command,
    Decision,
    Fact,
    Moment,
    Reading,
    Reason,
    Reply,
    Row,
    Stopping,
    Stored,
    Tick,
    Trust,
    Value,
)

SITE = """
site: {id: dc3, name: Distribution centre 3}
gateway: {id: gw1}
links:
  bus1: {type: serial, port: /dev/ttyUSB0, baudrate: 9600}
devices:
  fridge: {driver: modbus, link: bus1, unit: 1, profile: xy-md02, every: 10s, zone: shop/fridge}
  freezer: {driver: modbus, link: bus1, unit: 2, profile: xy-md02, every: 10s, zone: shop/freezer}
"""
RULES = """
rules:
  fridge-warm: {point: fridge.temperature, above: 7, clear_below: 6, for: 1m, clear_for: 0s, priority: high}
  freezer-silent: {point: freezer.temperature, silent_for: 2m}
"""


class Run:
    """One run of the hub, whose time is moved by hand."""

    def __init__(self, hub: Hub, run: str, mono: float, offset_ms: int, trust: Trust) -> None:
        self.mono, self.trust = mono, trust
        self.offset_ms = offset_ms
        self.waiting = Waiting()
        self._hub, self._run = hub, run

    @property
    def now(self) -> Moment:
        return Moment(self.mono, self.offset_ms + round(self.mono * 1000), self.trust)

    def tell(self, fact: Fact) -> Decision:
        decision = self._hub.handle(fact, self.now)
        self.waiting.add(decision, self.mono)
        return decision

    def wait(self, seconds: float) -> None:
        """Time passes, with a tick whenever one is due."""
        until = self.mono + seconds
        while self._hub.wake <= until:
            self.mono = max(self.mono, self._hub.wake)
            self.tell(Tick())
        self.mono = until

    def say(self, device: str, bad: Mapping[str, Reason] | None = None, /, **values: Value) -> None:
        self.tell(Reading(device, self.mono, self.now.ts, values, bad or {}))

    def act(self, name: str, alarm: str, **args: str) -> Reply:
        given = {"alarm": alarm, **args}
        command = Command(f"{name} {alarm} {self.mono}", name, given, "eve", "local", None, lambda _: None)
        decision = self.tell(command)
        stored = Stored(tuple(Row(0, self._run, record) for record in decision.records))
        ((_, reply),) = decision.replies + self._hub.handle(stored, self.now).replies
        return reply


@contextmanager
def run_of(
    state: Path,
    config: Path,
    run: str,
    mono: float = 100.0,
    offset_ms: int = NOW,
    trust: Trust = Trust.SYNCED,
    boot: str = "boot-1",
) -> Iterator[Run]:
    """One run of a daemon with this configuration, from its start to its stop."""
    store = Store(state / "journal.db", run, boot, (), 50 * MB)
    recovered, _ = store.open(offset_ms)
    past = Run(
        Hub(plan_of(read_config(config), run, boot), Moment(mono, offset_ms + round(mono * 1000), trust)),
        run, mono, offset_ms, trust,
    )  # fmt: skip
    past.tell(recovered)
    yield past
    past.tell(Stopping("stopped"))
    store.commit(past.waiting, (), past.now.ts)
    store.close()


def written(folder: Path, rules: str, name: str = "site.yaml", site: str = SITE) -> Path:
    """A configuration of the site with these rules."""
    path = folder / name
    path.write_text(site + rules)
    return path
