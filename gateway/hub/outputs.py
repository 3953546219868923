"""The outputs: what each should be now, and what has to be written because that changed or did not take.

- An output that cannot be written, or that says it is something else than it should be, is written again until it is
  right: a lost write, a board that lost its power, a hand on the relay.
- Pulses are counted from when their owner came, so that they do not drift; while nothing pulses nobody is woken.
- An output with a pace stays on, and off, for as long as that says, before it is switched again. A high alarm does not
  wait for it, nor does what is silenced, nor a safe value; a link that opens has just switched its outputs to theirs.
- Since when an alarm has its outputs, and that it is silenced, is stored under `claim/<owner>` where it matters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from math import inf
from typing import NamedTuple

from gateway.hub.claim_text import recalled, written
from gateway.hub.outputcare import Failing, judged
from gateway.hub.own import Trouble, Troubles
from gateway.hub.pacing import NO_PACES, Pacing
from gateway.hub.untaken import Untaken
from gateway.model import Moment, Priority, Reading, StateChange, Value, Write
from gateway.rules.responses import RANKS, TRIAL, Claim, OutputPoint, Owners, Pace, Pulse, Response

PREFIX = "claim/"


class Level(NamedTuple):
    """What an output should be: at `value`, or in pulses; because of a trial alone, or of more."""

    value: Value
    pulse: Pulse | None = None
    trial: bool = False


class Switch(NamedTuple):
    """A write, and who wants it. `level` is told of it; None where it is one pulse of many."""

    write: Write
    why: str
    level: Level | None


class Call(NamedTuple):
    """A response that is called for, with a rank."""

    response: Response
    rank: int

    def claims(self, owner: str, since: float, *, silenced: bool) -> dict[OutputPoint, Claim]:
        """What its owner wants of outputs."""
        return {it: Claim(owner, way, self.rank, since, silenced) for it, way in self.response.outputs.items()}


class Outputs:
    """Every output of the gateway with its safe value. Owned and changed by the hub alone."""

    def __init__(
        self,
        safe: Mapping[OutputPoint, Value],
        boot: str = "",
        paces: Mapping[OutputPoint, Pace] = NO_PACES,
        mono: float = -inf,
    ) -> None:
        self._safe = safe
        self._boot = boot
        self._pacing = Pacing(paces, mono)
        self._devices = frozenset(output.device for output in safe)
        self._levels = {output: Level(value) for output, value in safe.items()}
        self._wanted = dict(safe)
        self._why = dict.fromkeys(safe, "")
        self._owners = Owners()
        self._turn = inf  # when (monotonic) an output becomes something else by itself
        self._untaken = Untaken()
        self._stored: set[str] = set()
        self._recalled: dict[str, tuple[float, bool]] = {}
        self._unsaved: dict[str, str | None] = {}

    def change(
        self,
        safe: Mapping[OutputPoint, Value],
        anew: Collection[str],
        paces: Mapping[OutputPoint, Pace] = NO_PACES,
        mono: float = -inf,
    ) -> None:
        """Other outputs from now on. Those that are new, or on devices that are, are at their safe values."""
        kept = {it for it in safe if it in self._safe and it.device not in anew}
        self._safe = safe
        self._pacing.change(paces, kept, mono)
        self._devices = frozenset(output.device for output in safe)
        self._wanted = {it: self._wanted[it] if it in kept else value for it, value in safe.items()}
        self._levels = {it: self._levels[it] if it in kept else Level(value) for it, value in safe.items()}
        self._why = {it: self._why[it] if it in kept else "" for it in safe}
        self._untaken.keep(kept)

    def respond_anew(self, wanted: Mapping[str, Call], now: Moment) -> list[Switch]:
        """What has to be written if these alarms, and no others, want these responses since before."""
        for owner in [it for it in self._owners.all_owners() if _is_alarm(it) and it not in wanted]:
            self._owners.release(owner)
            self._forget(owner)
        for owner, call in wanted.items():
            claims = [claim for it in self._owners.of(owner) if (claim := self._owners.get(owner, it)) is not None]
            since, silenced = (claims[0].since, claims[0].silenced) if claims else (now.mono, False)
            self._owners.claim(owner, call.claims(owner, since, silenced=silenced))
            self._keep(owner, now)
        return self._settle(self._safe, now.mono)

    @property
    def wake(self) -> float:
        """When (monotonic) `elapse` or `due_retries` is next worth a call."""
        return min(self._turn, self._untaken.wake)

    def respond(self, owner: str, call: Call, now: Moment, *, wanted: bool, anew: bool = False) -> list[Switch]:
        """What has to be written because `owner`, an alarm or a step of one, calls for a response now or does not.

        With `anew` its time begins anew, and it is not silenced any more.
        """
        if not wanted:
            return self.release(owner, now.mono)
        if not anew and self._owners.of(owner) and owner not in self._recalled:
            return []
        since, silenced = self._recalled.pop(owner, (now.mono, False)) if not anew else (now.mono, False)
        switches = self.claim(owner, call.claims(owner, since, silenced=silenced), now.mono)
        self._keep(owner, now)
        return switches

    def claim(self, owner: str, claims: Mapping[OutputPoint, Claim], mono: float) -> list[Switch]:
        """What has to be written because the owner wants these outputs, and no others."""
        had = self._owners.of(owner)
        self._owners.claim(owner, claims)
        return self._settle(had | claims.keys(), mono)

    def release(self, owner: str, mono: float) -> list[Switch]:
        """What has to be written because the owner wants nothing any more."""
        self._forget(owner)
        return self._settle(self._owners.release(owner), mono)

    def elapse(self, mono: float) -> list[Switch]:
        """What has to be written because time has passed."""
        return self._settle(self._safe, mono) if mono >= self._turn else []

    def holder(self, output: OutputPoint, mono: float) -> Claim | None:
        """Who has an output."""
        held = self._owners.holder(output, mono)
        return None if held is None else held[1]

    # -- silence

    def sounds(self, alarm: str, mono: float) -> bool:
        """Whether an alarm, or a step of it, wants an output that sounds."""
        return any(
            claim.way.audible and _is_of(owner, alarm)
            for output in self._safe
            for owner, claim in self._owners.counting(output, mono)
        )

    def is_silenced(self, alarm: str) -> bool:
        """Whether an alarm would sound, but for a person."""
        return any(claim.silenced and claim.way.audible for _, _, claim in self._of_alarm(alarm))

    def silence(self, alarm: str, now: Moment, *, silenced: bool = True) -> list[Switch]:
        """What has to be written because what sounds for an alarm is silenced, or is not any more."""
        owned = self._of_alarm(alarm)
        for owner in dict.fromkeys(owner for owner, _, _ in owned):
            claims = {at: claim._replace(silenced=silenced) for own, at, claim in owned if own == owner}
            self._owners.claim(owner, claims)
            self._keep(owner, now)
        return self._settle({output for _, output, _ in owned}, now.mono, at_once=silenced)

    def _of_alarm(self, alarm: str) -> list[tuple[str, OutputPoint, Claim]]:
        return [
            (owner, output, claim)
            for output in self._safe
            for owner, claim in self._owners.all(output)
            if _is_of(owner, alarm)
        ]

    # -- what is stored

    def store(self, key: str, text: str | None) -> None:
        """Have a state stored, or removed, with the decision that is being made."""
        self._unsaved[key] = text

    def unsaved(self) -> tuple[StateChange, ...]:
        """The state to store since this was last asked."""
        changes, self._unsaved = self._unsaved, {}
        return tuple(StateChange(key, text) for key, text in changes.items())

    def recall(self, stored: Mapping[str, str], now: Moment) -> None:
        """What alarms wanted in the run before; it holds for those that still stand."""
        for key, text in stored.items():
            owner = key.removeprefix(PREFIX)
            if key.startswith(PREFIX) and _is_alarm(owner):
                self._recalled[owner] = recalled(text, self._boot, now)

    def recalled_all(self) -> None:
        """All alarms of the run before have responded: what was stored of others goes."""
        for owner in self._recalled.keys() - self._stored:
            self.store(PREFIX + owner, None)
        self._recalled.clear()

    def _keep(self, owner: str, now: Moment) -> None:
        """Store what the alarm by itself does not tell."""
        claims = [claim for output in self._safe if (claim := self._owners.get(owner, output)) is not None]
        if any(claim.silenced or claim.way.at_most_s < inf for claim in claims):
            self._stored.add(owner)
            self.store(PREFIX + owner, written(claims[0].since, self._boot, now, silenced=claims[0].silenced))
        else:
            self._forget(owner)

    def _forget(self, owner: str) -> None:
        if owner in self._stored:
            self._stored.discard(owner)
            self.store(PREFIX + owner, None)

    # -- what each should be

    def _settle(self, outputs: Collection[OutputPoint], mono: float, *, at_once: bool = False) -> list[Switch]:
        """What has to be written of these outputs, and of those that time changes by now; `at_once`: without a pace."""
        switches = []
        concerned = self._safe if mono >= self._turn else outputs
        for output in (each for each in self._safe if each in concerned):
            claim = self.holder(output, mono)
            level, value = Level(self._safe[output]), self._safe[output]
            if claim is not None:
                level, value = Level(claim.way.value, claim.way.pulse, claim.rank == TRIAL), claim.value(mono)
            is_high = claim is not None and claim.rank == RANKS[Priority.HIGH]
            urgent = is_high or (at_once and output in outputs)
            if not urgent and self._pacing.has_to_wait(output, self._wanted[output], value, mono):
                continue
            news = level[:2] != self._levels[output][:2]
            words = self._owned(output, mono)
            if news or value != self._wanted[output]:
                self._note_switch(output, value, mono)
                trial = level.trial or (claim is None and self._levels[output].trial)
                told = level._replace(trial=trial) if news else None
                switches.append(Switch(Write(*output, value), words or self._why[output], told))
            self._levels[output], self._why[output] = level, words or self._why[output]
        self._turn = min(self._owners.next_change(mono), self._pacing.wake)
        return switches

    def _note_switch(self, output: OutputPoint, value: Value, mono: float) -> None:
        if value != self._wanted[output]:
            self._pacing.switched(output, mono)
        self._wanted[output] = value
        self._untaken.written(output, mono)

    def wanted(self) -> dict[str, str]:
        """`device.point` -> what the output should be, between its pulses too."""
        return {f"{output.device}.{output.point}": str(level.value) for output, level in self._levels.items()}

    # -- what did not take

    def failed(self, reading: Reading) -> list[Switch]:
        """The outputs of which `reading` says for the first time that they did not take their value."""
        if reading.device not in self._devices:
            return []
        mono = reading.mono
        news = [(it, self._wanted[it]) for it in self._untaken.look(reading, self._wanted)]
        return [Switch(Write(*it, wanted), self._owned(it, mono), Level(wanted)) for it, wanted in news]

    def troubles(self, devices: Iterable[str], mono: float) -> Troubles:
        """What the outputs of these devices mean for the gateway's own alarms, as they are now."""
        found: dict[str, Trouble | None] = {}
        for device in self._devices.intersection(devices):
            failing = [self._as_failing(it, mono) for it in self._untaken.since if it.device == device]
            found |= judged(device, failing, mono)
        return found

    def _as_failing(self, output: OutputPoint, mono: float) -> Failing:
        claim = self.holder(output, mono)
        high = claim is not None and claim.rank == RANKS[Priority.HIGH]
        return Failing(output, self._wanted[output], self._untaken.since[output], high)

    @property
    def failing_devices(self) -> frozenset[str]:
        """The devices of which an output does not take its value."""
        return frozenset(output.device for output in self._untaken.since)

    def _owned(self, output: OutputPoint, mono: float) -> str:
        return ", ".join(claim.words for _, claim in self._owners.counting(output, mono))

    def due_retries(self, mono: float) -> tuple[Write, ...]:
        """The failed writes that are due again."""
        return tuple(Write(*output, self._wanted[output]) for output in self._untaken.due(mono))

    def reopened(self, link: str, mono: float) -> tuple[Write, ...]:
        """What has to be written on a link that was just opened, where all outputs are at their safe values."""
        paced = self._pacing.on(link)
        for output in paced:
            self._wanted[output] = self._safe[output]
            self._pacing.switched(output, mono)
        now_on = writes_of(self._settle(paced, mono))
        return now_on + tuple(
            Write(*output, wanted)
            for output, wanted in self._wanted.items()
            if output.link == link and wanted != self._safe[output] and output not in paced
        )


def writes_of(switches: Iterable[Switch]) -> tuple[Write, ...]:
    """What is to be written."""
    return tuple(switch.write for switch in switches)


def _is_alarm(owner: str) -> bool:
    """Whether an owner is an alarm, or a step of one, and no person: no alarm's id has a colon."""
    return ":" not in owner


def _is_of(owner: str, alarm: str) -> bool:
    """Whether an owner is this alarm, or a step of it."""
    return owner.split(" ", maxsplit=1)[0] == alarm
