"""What really happened, from the events of the journal: alarms that came and went, runs, what was lost. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from gateway.hub.alarms import STATE_PREFIX
from gateway.model import AlarmState, Json, Trust
from gateway.records import encode
from gateway.replaying.history import History
from gateway.rules.lifecycle import ACTIVE


class Told(Protocol):
    """An event as it was recorded: of which run, when (UTC ms, monotonic ms), and its JSON text."""

    @property
    def run(self) -> str: ...  # noqa: D102 - said above
    @property
    def ts(self) -> int: ...  # noqa: D102 - as above
    @property
    def mono_ms(self) -> int: ...  # noqa: D102 - as above
    @property
    def trust(self) -> str: ...  # noqa: D102 - as above
    @property
    def text(self) -> str | None: ...  # noqa: D102 - as above


class Span(NamedTuple):
    """From the first to the last event of a run, in seconds of its monotonic time; `ts` is the first one's, UTC ms."""

    first: float
    last: float
    ts: int
    trust: Trust


class Happened:
    """What the events from `from_ts` (UTC ms) on tell; of those before, what stood then.

    `state`: the alarms that were not at rest, as the hub stores them. `configs`: under which configurations.
    """

    def __init__(self, from_ts: int) -> None:
        self.history = History(from_ts)
        self.state: dict[str, str] = {}
        self.spans: dict[str, Span] = {}
        self.configs: list[str] = []
        self.own = self.gaps = self.damaged = 0
        self._config = ""
        self._begun = False

    def take(self, events: Iterable[Told]) -> None:
        """Events in their order."""
        for told in events:
            event = _parsed(told.text)
            if event is None:
                self.damaged += 1
                continue
            self._span(told)
            if told.ts >= self.history.from_ts:
                self._begin()
            elif self._begun:
                continue  # of a clock that was not set, and never came to be known
            self._take(event, told.ts)
        self._begin()

    def _begin(self) -> None:
        """The time that is looked at begins: alarms that stand now stand in it."""
        if self._begun:
            return
        self._begun = True
        self.configs += [self._config] if self._config else []
        for key, text in self.state.items():
            if stands(text):
                self.history.stood(key.removeprefix(STATE_PREFIX))

    def _span(self, told: Told) -> None:
        mono, known = told.mono_ms / 1000, self.spans.get(told.run)
        if known is None:
            trust = Trust(told.trust) if told.trust in set(Trust) else Trust.UNSYNCED
            self.spans[told.run] = Span(mono, mono, told.ts, trust)
        else:
            self.spans[told.run] = known._replace(last=max(known.last, mono))

    def _take(self, event: Mapping[str, Json], ts: int) -> None:
        match event.get("event"):
            case "alarm":
                self._alarm(event, ts)
            case "alarm_removed":
                self._ended(str(event.get("alarm")), ts)
            case "started" | "configured":
                self._started(str(event.get("config", "")))
            case "gap" if event.get("lane") != "event":
                self.gaps += self._begun

    def _started(self, config: str) -> None:
        self._config = config
        if self._begun and config not in self.configs:
            self.configs.append(config)

    def _alarm(self, event: Mapping[str, Json], ts: int) -> None:
        alarm, change = str(event.get("alarm")), event.get("change")
        if not event.get("rule"):
            self.own += self._begun and change == "raised"
            return
        if not self._begun:
            self._remember(alarm, event, ts)
        elif change == "raised":
            hidden = event.get("hidden") is not None
            self.history.raised(alarm, ts, chattering=event.get("chattering") is True, hidden=hidden)
        elif change == "cleared":
            self.history.cleared(alarm, ts)

    def _remember(self, alarm: str, event: Mapping[str, Json], ts: int) -> None:
        state = event.get("state")
        if state in set(AlarmState) and state != AlarmState.NORMAL:
            kept = {"state": state, "since": ts, "seq": 0, "run": "", "value": event.get("value")}
            self.state[STATE_PREFIX + alarm] = encode(kept)
        else:
            self.state.pop(STATE_PREFIX + alarm, None)

    def _ended(self, alarm: str, ts: int) -> None:
        if self._begun:
            self.history.cleared(alarm, ts)
        else:
            self.state.pop(STATE_PREFIX + alarm, None)


def stands(kept: str) -> bool:
    """Whether the condition of an alarm was true when this was stored of it."""
    return json.loads(kept)["state"] in ACTIVE


def _parsed(text: str | None) -> Mapping[str, Json] | None:
    try:
        event = json.loads(text or "")
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
