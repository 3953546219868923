"""What people have said of smoke detectors, zones under test and detectors taken out, and what each shows then.

- What a driver calls a sensor fault (an open or shorted loop, a contact that chatters) is a detector's word `fault`.
  Where nothing comes from it at all its point stays bad: that is for no-data@DEVICE (unheard.py).
- While its zone is under test a detector that signals shows `test`, and every message of the zone is marked. That ends
  by itself; a detector that signals then is an alarm at once.
- A detector that is taken out shows `disabled`, whatever it says. A person does that, with a reason and an end.
- Neither is ever begun by a configuration, and both are stored: a restart changes nothing. Where nobody knows how much
  time has passed since, they have ended: then the detectors are heard.
- A test is refused while a detector of the zone signals: that is dealt with first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

from gateway import records
from gateway.hub.acts import fits
from gateway.hub.detector_text import OUT, TEST, Hold, hold_for, kept_of, parts, told_of, written
from gateway.hub.own import Trouble
from gateway.model import Command, DeviceAbout, Json, Moment, Priority, Reading, Reason, StateChange, Value
from gateway.records import MAX_REASON
from gateway.rules.overlay import NOBODY, Note
from gateway.zones import in_zone

TEST_MODE, DISABLE, ENABLE = "test_mode", "disable", "enable"
ABOUT_DETECTORS = frozenset({TEST_MODE, DISABLE, ENABLE})
"""The commands about detectors."""

USUAL_TEST_S, LONGEST_TEST_S, LONGEST_OUT_S = 1800.0, 14_400.0, 7 * 86_400.0
"""For how long (s) a zone is under test, unless said; at most; and for how long a detector is taken out at most."""

ZONES_TESTED = "test-mode@gateway"
"""The gateway's own alarm while zones are under test."""

_LONGEST_S = {TEST: LONGEST_TEST_S, OUT: LONGEST_OUT_S}
_PUT_BACK = "Have it repaired or replaced, then sitewarden enable; until then somebody has to watch for smoke there"
_END_TEST = "Smoke there is no alarm now. When the test is done, end it: sitewarden test-mode ZONE --for 0s"
_LAST_TS = 253_402_300_799_000  # the last that a calendar has
_KNOWN_INTERVALS, _KNOWN_S = 3, 10.0  # what a detector said is known for so many intervals, and seconds at least


class Turnover(NamedTuple):
    """What follows: events, state to be stored, and what detectors show from now on."""

    told: tuple[str, ...] = ()
    state: tuple[StateChange, ...] = ()
    readings: tuple[Reading, ...] = ()


class Detector(NamedTuple):
    """Where a detector is, and its zone."""

    device: str
    point: str
    zone: str

    def __str__(self) -> str:
        return f"{self.device}.{self.point}"


class _Said(NamedTuple):
    """The last word of a detector itself, and when (monotonic s) it came."""

    word: Value
    mono: float


class Detectors:
    """The smoke detectors of one run. Owned and changed by the hub alone; `elapse` is due at `wake` (monotonic)."""

    def __init__(self, devices: Iterable[DeviceAbout], every_s: Mapping[str, float], boot: str) -> None:
        self._boot = boot
        self._holds: dict[str, Hold] = {}  # by the key of what is stored
        self._said: dict[str, _Said] = {}  # by detector
        self._place(devices, every_s)

    def _place(self, devices: Iterable[DeviceAbout], every_s: Mapping[str, float]) -> None:
        devices, self._every_s = tuple(devices), every_s
        self._zones = {device.device: device.zone for device in devices}
        self._all = {
            device.device: [Detector(device.device, it.name, device.zone) for it in device.points if it.kind == "smoke"]
            for device in devices
        }
        self._known = {str(it): it for each in self._all.values() for it in each}
        self._mark()

    def _mark(self) -> None:
        self._tests = tuple(key.removeprefix(TEST) for key in self._holds if key.startswith(TEST))
        self.tested = frozenset(device for device, zone in self._zones.items() if self._is_tested(zone))
        self.devices = frozenset(it.device for it in self._known.values())

    @property
    def wake(self) -> float:
        """When (monotonic) something ends by itself."""
        return min((hold.until for hold in self._holds.values()), default=inf)

    def is_of_test(self, zone: str, alarm: str) -> bool:
        """Whether an alarm is of a zone under test; the gateway's own name a device and no zone."""
        return self._is_tested(zone) if zone else alarm.partition("@")[2] in self.tested

    def _is_tested(self, zone: str) -> bool:
        return any(in_zone(zone, around) for around in self._tests)

    # -- what they show

    def shown(self, reading: Reading) -> tuple[Reading, tuple[Detector, ...]]:
        """The reading of a device with detectors as it is shown, and those that have begun to signal with it."""
        begun: list[Detector] = []
        words: dict[str, Value] = {}
        bad = dict(reading.bad)
        for it in self._all[reading.device]:
            word, before = reading.values.get(it.point), self._said.get(str(it))
            if bad.get(it.point) is Reason.SENSOR_FAULT:
                word = words[it.point] = "fault"
                del bad[it.point]
            if word is not None:
                self._said[str(it)] = _Said(word, reading.mono)
                if word == "alarm" and (before is None or before.word != "alarm"):
                    begun.append(it)
            if OUT + str(it) in self._holds:
                words[it.point] = "disabled"
                bad.pop(it.point, None)
            elif word == "alarm" and it.device in self.tested:
                words[it.point] = "test"
        if words:
            reading = reading._replace(values={**reading.values, **words}, bad=bad)
        return reading, tuple(begun)

    def proved(self, begun: Iterable[Detector]) -> Iterator[str]:
        """The events of those that have begun to signal under test: what a test is proved by."""
        for it in begun:
            if it.device in self.tested and OUT + str(it) not in self._holds:
                yield records.event("detector", **it._asdict(), change="tested")

    def _shown_anew(self, key: str, now: Moment) -> tuple[Reading, ...]:
        """What the detectors show now that this is about, as far as that is known."""
        found = (self._now(it, now) for it in self._about(key))
        return tuple(reading for reading in found if reading is not None)

    def _now(self, it: Detector, now: Moment) -> Reading | None:
        """What one shows now; one that is taken out always shows that."""
        said, known_s = self._said.get(str(it)), max(_KNOWN_S, _KNOWN_INTERVALS * self._every_s.get(it.device, 0.0))
        if OUT + str(it) in self._holds:
            word: Value = "disabled"
        elif said is not None and now.mono < said.mono + known_s:
            word = "test" if said.word == "alarm" and it.device in self.tested else said.word
        else:
            return None
        return Reading(it.device, now.mono, now.ts, {it.point: word}, {})

    # -- what people do

    def act(self, command: Command, now: Moment) -> Turnover | str:
        """What follows from a command, or why it is refused."""
        args, reason = command.args, command.args.get("reason", "")
        if not isinstance(reason, str) or not reason.strip() or not fits(reason):
            return f"{command.name} needs a reason, of at most {MAX_REASON} printable characters"
        note = Note(command.issuer, reason)
        if command.name == TEST_MODE:
            return self._test(args.get("zone"), args.get("for_s", USUAL_TEST_S), note, now)
        named = args.get("device")
        found = [it for at, it in self._known.items() if named in (at, it.device)]
        if len(found) != 1:
            what = "several detectors" if found else "no smoke detector"
            return f"{str(named)[:70]} is {what}; there are: {', '.join(map(str, found or self._known)) or 'none'}"
        if command.name == ENABLE:
            return self._put_back(found[0], note, now)
        return self._take_out(found[0], args.get("for_s"), note, now)

    def _test(self, zone: Json, for_s: Json, note: Note, now: Moment) -> Turnover | str:
        inside = [it for it in self._known.values() if isinstance(zone, str) and in_zone(it.zone, zone)]
        if not isinstance(zone, str) or not inside:
            zones = ", ".join(sorted({it.zone for it in self._known.values()}))
            return f"test_mode needs a zone with smoke detectors; there are: {zones or 'none'}"
        if for_s == 0 and not isinstance(for_s, bool):
            return self._let_go(TEST + zone, note, now) if zone in self._tests else f"zone {zone} is not under test"
        seconds = _seconds(for_s, LONGEST_TEST_S)
        if seconds is None:
            return f"for_s must be how many seconds, {LONGEST_TEST_S:g} at most, or 0 to end the test"
        signalling = next((it for it in inside if self._signals(it)), None)
        if signalling is not None:
            return f"{signalling} signals smoke: see to that, and reset its alarm, before a test"
        return self._take(TEST + zone, hold_for(note, seconds, now), now)

    def _signals(self, it: Detector) -> bool:
        """Whether it signals, and is neither under test nor taken out."""
        said = self._said.get(str(it))
        is_heard = it.device not in self.tested and OUT + str(it) not in self._holds
        return is_heard and said is not None and said.word == "alarm"

    def _take_out(self, it: Detector, for_s: Json, note: Note, now: Moment) -> Turnover | str:
        seconds = _seconds(for_s, LONGEST_OUT_S)
        if seconds is None:
            return f"disable needs for_s, for how many seconds, {LONGEST_OUT_S:g} at most"
        return self._take(OUT + str(it), hold_for(note, seconds, now), now)

    def _put_back(self, it: Detector, note: Note, now: Moment) -> Turnover | str:
        key = OUT + str(it)
        return self._let_go(key, note, now) if key in self._holds else f"{it} is not disabled"

    # -- what begins and ends

    def _take(self, key: str, hold: Hold, now: Moment) -> Turnover:
        self._holds[key] = hold
        self._mark()
        text = written(hold, self._boot, now)
        told = told_of(key, hold.note, begun=True, until=hold.until_ts)
        return Turnover((told,), (StateChange(key, text),), self._shown_anew(key, now))

    def _let_go(self, key: str, note: Note, now: Moment) -> Turnover:
        """By a person; by nobody: its time is over."""
        del self._holds[key]
        self._mark()
        shown = self._shown_anew(key, now)
        if key.startswith(OUT) and not shown:  # what it shows now is not known; "disabled" it is not
            about = self._about(key)
            shown = tuple(Reading(it.device, now.mono, now.ts, {}, {it.point: Reason.SILENT}) for it in about)
        return Turnover((told_of(key, note, begun=False),), (StateChange(key, None),), shown)

    def _about(self, key: str) -> list[Detector]:
        """The detectors that what is stored under `key` is about."""
        what, at = parts(key)
        if what == OUT:
            return [self._known[at]] if at in self._known else []
        return [it for it in self._known.values() if in_zone(it.zone, at)]

    def elapse(self, now: Moment) -> Turnover:
        """What follows because the time of some is over."""
        over = [key for key, hold in self._holds.items() if hold.until <= now.mono]
        return _all([self._let_go(key, NOBODY, now) for key in over])

    def restore(self, stored: Mapping[str, str], now: Moment) -> Turnover:
        """What the run before held goes on where there is time left; what has ended is told."""
        done = []
        for key, text in stored.items():
            what, _ = parts(key)
            if what not in _LONGEST_S or key in self._holds:
                continue
            hold = kept_of(text, self._boot, _LONGEST_S[what], now) if self._about(key) else None
            if hold is not None and hold.until > now.mono:
                self._holds[key] = hold
                self._mark()
                done.append(Turnover(readings=self._shown_anew(key, now)))
            else:
                told = () if hold is None else (told_of(key, NOBODY, begun=False),)
                done.append(Turnover(told, (StateChange(key, None),)))
        return _all(done)

    def change(self, devices: Iterable[DeviceAbout], every_s: Mapping[str, float], now: Moment) -> Turnover:
        """Other devices from now on; what is about none of them ends."""
        self._place(devices, every_s)
        self._said = {at: said for at, said in self._said.items() if at in self._known}
        gone = [key for key in self._holds if not self._about(key)]
        return _all([self._let_go(key, NOBODY, now) for key in gone])

    @property
    def troubles(self) -> dict[str, Trouble | None]:
        """The gateway's own alarms about it: so that nobody forgets what does not watch for smoke."""
        found: dict[str, Trouble | None] = dict.fromkeys(alarms_of(self.devices))
        tests = []
        for key, hold in self._holds.items():
            what, at = parts(key)
            words = f"{at} until {_clock(hold.until_ts)} UTC, by {hold.note.by}: {hold.note.why}"
            if what == TEST:
                tests.append(words)
            else:
                text = f"a smoke detector is taken out: {words}"
                found[disabled(self._known[at].device)] = Trouble(Priority.LOW, text, _PUT_BACK)
        if tests:
            found[ZONES_TESTED] = Trouble(Priority.LOW, f"under test: {'; '.join(tests)}", _END_TEST)
        return found


def alarms_of(devices: Iterable[str]) -> tuple[str, ...]:
    """The ids of the alarms that this may lead to, of the devices that are detectors."""
    found = tuple(map(disabled, devices))
    return (ZONES_TESTED, *found) if found else ()


def disabled(device: str) -> str:
    """The alarm on a detector that is taken out."""
    return f"detector-disabled@{device}"


def _all(several: Iterable[Turnover]) -> Turnover:
    found = Turnover()
    for each in several:
        found = Turnover(found.told + each.told, found.state + each.state, found.readings + each.readings)
    return found


def _seconds(given: Json, most_s: float) -> float | None:
    """A number of seconds that is possible; None for anything else."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return float(given) if 0 < given <= most_s else None


def _clock(ts: int) -> str:
    return f"{datetime.fromtimestamp(min(ts, _LAST_TS) / 1000, UTC):%Y-%m-%d %H:%M}"
