"""Which profiles fit a unit's answers: held against our own captures, and against devices that look alike."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import drivers
from drivers.modbus_point import RegisterPoint
from drivers.modbus_profile import Bus, Profile
from gateway.commissioning.answers import Answers
from gateway.commissioning.matching import Match, Seen, Span, Verdict, alike, candidates, match
from gateway.config.profiles import Profiles
from gateway.driver import Registers, Table
from gateway.errors import LinkDown, NoReply, Refused
from gateway.links.capture import Received, Sent, parse

FUNCTIONS = {1: Table.COIL, 2: Table.DISCRETE, 3: Table.HOLDING, 4: Table.INPUT}
WHOLE = [
    path
    for path in sorted((Path(__file__).parent / "drivers" / "modbus").glob("normal-*.capture"))
    if '"bad"' not in path.with_suffix(".golden").read_text()
    and not re.search('"unused"|framing: tcp|relay4-clone', path.read_text())  # the last one cannot be read at all
]
"""Recordings of devices that show nothing but good values, of all their points."""
FACTORY = Bus()


class Unit(Registers):
    """A unit with these registers and bits: it refuses others, keeps silent about `mute` ones, and counts requests."""

    def __init__(self, raw: Mapping[tuple[Table, int], int], mute: Table | None = None) -> None:
        self.raw = raw
        self.mute = mute
        self.asked: list[tuple[Table, int, int]] = []

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        self.asked.append((table, address, count))
        if table is self.mute:
            raise NoReply("silent", f"unit {unit}: no answer")
        if not any(own is table for own, _ in self.raw):
            raise Refused(1, f"unit {unit}: illegal function")
        places = [(table, address + i) for i in range(count)]
        if any(place not in self.raw for place in places):
            raise Refused(2, f"unit {unit}: illegal data address")
        return [self.raw[place] for place in places]

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        pytest.fail(f"unit {unit} was written to: {table} {address} {values}")


def known() -> dict[str, Profile]:
    """The profiles that come along."""
    files = Profiles((drivers.profile_folder(),))
    found = {name: files.get(name, Profile) for name in files.names()}
    return {name: profile for name, profile in found.items() if profile is not None}


KNOWN = known()


def asked(unit: Unit, profiles: Mapping[str, Profile] = KNOWN) -> Seen:
    answers = Answers(unit, 1)
    for profile in profiles.values():
        answers.ask(profile)
    return answers.seen


def registers(table: Table, first: int, *values: int) -> dict[tuple[Table, int], int]:
    return {(table, first + i): value for i, value in enumerate(values)}


def captured(path: Path) -> tuple[str, Unit]:
    """The profile that a capture is of, and the unit whose exchange it holds (with checksums left aside)."""
    text = path.read_text(encoding="utf-8")
    options = next(json.loads(line[11:]) for line in text.splitlines() if line.startswith("# options: "))
    raw: dict[tuple[Table, int], int] = {}
    request = b""
    for item in parse(text).items:
        if isinstance(item, Sent):
            request = item.data
        elif isinstance(item, Received) and item.data[1] == request[1] in FUNCTIONS:
            first, count = int.from_bytes(request[2:4]), int.from_bytes(request[4:6])
            data = item.data[3:-2]
            bits = request[1] <= 2
            raw |= {
                (FUNCTIONS[request[1]], first + i): data[i // 8] >> i % 8 & 1
                if bits
                else int.from_bytes(data[2 * i : 2 * i + 2])
                for i in range(count)
            }
    return options["profile"], Unit(raw)


def names(matches: Sequence[Match]) -> list[str]:
    return [it.profile for it in matches]


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.stem)
def test_a_device_that_was_recorded_whole_is_known_again(path: Path) -> None:
    name, unit = captured(path)
    found = candidates(KNOWN, asked(unit), FACTORY)
    assert name in ({found[0].profile} | set(names(alike(found))))
    assert found[0].fits


@pytest.mark.parametrize(
    ("mode", "shown", "verdict"),
    [(0, 215.0, Verdict.UNUSUAL), (1, 21.5, Verdict.GOOD), (7, None, Verdict.OUTSIDE)],
)
def test_a_scale_that_the_device_tells_is_taken_from_its_answers(
    mode: int, shown: float | None, verdict: Verdict
) -> None:
    seen = asked(Unit(registers(Table.INPUT, 0, 2150) | registers(Table.HOLDING, 76, mode)))
    fit = match("mb8art", KNOWN["mb8art"], seen).points["temperature_ch1"]
    assert (fit.value, fit.verdict) == (shown, verdict)


def test_without_an_answer_about_its_scale_there_is_no_value() -> None:
    fit = match("mb8art", KNOWN["mb8art"], asked(Unit(registers(Table.INPUT, 0, 2150)))).points["temperature_ch1"]
    assert (fit.value, fit.verdict) == (None, Verdict.REFUSED)


def test_the_values_that_each_profile_would_give_stand_side_by_side() -> None:
    seen = asked(Unit(registers(Table.INPUT, 1, 245, 604)))
    best = candidates(KNOWN, seen)[0]
    assert best.profile == "xy-md02"
    assert {name: (it.value, it.unit) for name, it in best.points.items()} == {
        "temperature": (24.5, "°C"),
        "humidity": (60.4, "%RH"),
    }
    assert best.strength == "fair"
    assert best.why == "2 of 2 believable"


def test_devices_that_look_alike_are_told_as_alike() -> None:
    swapped = {
        "one": Profile(
            "One",
            "x",
            ("x",),
            "high",
            {"temperature": RegisterPoint("temperature", "input", 1, "int16", scale=0.1, minimum=-40, maximum=125)},
        ),
        "other": Profile(
            "Other",
            "x",
            ("x",),
            "high",
            {"temperature": RegisterPoint("temperature", "input", 1, "int16", scale=0.1, minimum=-40, maximum=80)},
        ),
    }
    found = candidates(swapped, Seen(registers(Table.INPUT, 1, 245)))
    assert set(names(alike(found))) == {"one", "other"}
    assert alike(candidates({"one": swapped["one"]}, Seen(registers(Table.INPUT, 1, 245)))) == ()


def test_an_unusual_value_ranks_lower_and_an_impossible_one_falls_out() -> None:
    humidity_first, temperature_first = KNOWN["renke-rs-ws-n01"], KNOWN["xy-md02"]
    usual = match("renke", humidity_first, Seen(registers(Table.HOLDING, 0, 604, 245)))
    unusual = match("renke", humidity_first, Seen(registers(Table.HOLDING, 0, 245, 604)))
    assert usual.score > unusual.score
    assert unusual.fits
    assert unusual.why == "1 of 2 believable, 1 of 2 possible but unusual"
    outside = match("xy-md02", temperature_first, Seen(registers(Table.INPUT, 1, 9000, 604)))
    assert not outside.fits
    assert outside.points["temperature"].verdict is Verdict.OUTSIDE
    assert "xy-md02" not in names(candidates(KNOWN, Seen(registers(Table.INPUT, 1, 9000, 604))))


def test_zeros_and_bits_are_weak_evidence_and_said_to_be() -> None:
    zeros = match("xy-md02", KNOWN["xy-md02"], Seen(registers(Table.INPUT, 1, 0, 0)))
    assert (zeros.fits, zeros.strength) == (True, "weak")
    assert zeros.why == "1 of 2 believable, 1 of 2 possible but unusual, bits and zeros say little about the model"


def test_of_bits_alone_the_device_that_has_them_all_comes_first() -> None:
    eight = registers(Table.COIL, 0, *[0] * 8)
    sixteen = eight | registers(Table.DISCRETE, 0, *[1] * 8)
    found = candidates(KNOWN, asked(Unit(sixteen)))
    assert len(found[0].points) == 16
    assert {"waveshare-io8", "waveshare-relay8", "wp8028adam"} <= set(names(alike(found)))


def test_a_line_set_as_the_device_leaves_the_factory_counts() -> None:
    seen = Seen(registers(Table.HOLDING, 0, 604, 245))
    factory = match("renke", KNOWN["renke-rs-ws-n01"], seen, Bus(baudrate=4800))
    other = match("renke", KNOWN["renke-rs-ws-n01"], seen, Bus(baudrate=9600))
    assert factory.score > other.score
    assert factory.why == "2 of 2 believable, at its factory settings"


def test_a_probe_that_is_not_connected_is_no_contradiction() -> None:
    seen = Seen(registers(Table.HOLDING, 0, 245, *[0x8000] * 7))
    found = match("r4dcb08", KNOWN["r4dcb08"], seen)
    assert found.fits
    assert found.why == "1 of 8 believable, 7 of 8 without a sensor"


def test_nothing_fits_a_unit_that_refuses_everything() -> None:
    seen = asked(Unit({}))
    assert seen.raw == {}
    assert candidates(KNOWN, seen) == ()
    assert alike(()) == ()


def test_what_one_profile_has_asked_is_not_asked_again_for_another() -> None:
    unit = Unit(registers(Table.INPUT, 0, *range(200, 240)))
    answers = Answers(unit, 1)
    for profile in (KNOWN["xy-md02"], KNOWN["pzem-016"], KNOWN["xy-md02"], KNOWN["pzem-016"]):
        answers.ask(profile)
    assert unit.asked == [(Table.INPUT, 1, 2), (Table.INPUT, 0, 10)]


def test_a_table_that_the_unit_does_not_have_costs_one_request_and_a_mute_one_at_most_two() -> None:
    unit = Unit(registers(Table.INPUT, 1, 245, 604), mute=Table.HOLDING)
    seen = asked(unit)
    tables = [table for table, *_ in unit.asked]
    assert 1 <= tables.count(Table.HOLDING) <= 2
    assert tables.count(Table.COIL) == tables.count(Table.DISCRETE) == 1
    assert seen.raw[Table.INPUT, 1] == 245
    held = [
        it
        for it in candidates(KNOWN, seen)
        if "holding" in {point.table for point in KNOWN[it.profile].points.values()}
    ]
    assert not held


def test_a_refused_range_is_cut_until_what_is_there_answers() -> None:
    unit = Unit(registers(Table.INPUT, 0, 2305) | registers(Table.INPUT, 1, 0))
    answers = Answers(unit, 1)
    answers.ask(KNOWN["pzem-016"])
    assert answers.seen.raw == {(Table.INPUT, 0): 2305}
    assert Span(Table.INPUT, 3, 2) in answers.seen.refused


def test_a_line_that_fails_meanwhile_is_told() -> None:
    class Pulled(Unit):
        def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
            raise LinkDown("unplugged")

    with pytest.raises(LinkDown):
        Answers(Pulled({}), 1).ask(KNOWN["xy-md02"])
