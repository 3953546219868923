"""What a device's refusals and silences teach: where a read is cut, when that is kept, and what it may cost."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus_decode import settler
from drivers.modbus_plan import Limits, plan
from drivers.modbus_point import RegisterPoint, ScaleBy, TypeName
from drivers.modbus_rounds import Rounds
from gateway.driver import Table
from gateway.errors import NoReply, Refused
from gateway.model import Bad, Reason, Value
from gateway.wiretime import of_network

REFUSED, NO_REPLY = Bad(Reason.REFUSED), Bad(Reason.NO_REPLY)
EVERYTHING = frozenset(range(1000))


class Device:
    """It holds at each address a thousand more; it refuses, or is silent about, every read of some addresses."""

    def __init__(self, refuses: Iterable[int] = (), silent: Iterable[int] = (), most: int = 125) -> None:
        self.refuses, self.silent, self.most = set(refuses), set(silent), most
        self.fault = "silent"
        self.asked: list[tuple[int, int]] = []

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        self.asked.append((address, count))
        addresses = set(range(address, address + count))
        if count > self.most or addresses & self.silent:
            raise NoReply(self.fault, "no reply within 300 ms")
        if addresses & self.refuses:
            raise Refused(2, "exception 2")
        return [at + 1000 for at in range(address, address + count)]

    def write(self, unit: int, table: Table, address: int, values: Sequence[int], function: int | None = None) -> None:
        raise AssertionError("nothing is written by reading")


def rounds(*addresses: int, kind: str = "temperature", max_gap: int = 16) -> Rounds:
    spelled: TypeName = "uint16" if kind == "temperature" else "bool"
    points = {f"t{at}": RegisterPoint(kind, "holding", at, spelled) for at in addresses}
    return Rounds(1, plan(points, Limits(60, max_gap), of_network()))


def asked(reads: Rounds, device: Device) -> list[tuple[int, int]]:
    """What one round asks for, whatever comes of it."""
    device.asked = []
    with suppress(NoReply, Refused):
        reads.take(device)
    return device.asked


def blocks(reads: Rounds) -> list[tuple[int, int]]:
    return [(block.address, block.size) for block in reads.blocks]


# ---------------------------------------------------------------- refused


def test_a_refused_range_is_split_and_nothing_in_it_is_called_refused() -> None:
    reads, device = rounds(0, 1, 10, 11), Device(refuses={5})
    assert reads.take(device) == {"t0": 1000, "t1": 1001, "t10": 1010, "t11": 1011}
    assert device.asked == [(0, 12), (0, 2), (10, 2)]
    assert asked(reads, device) == [(0, 2), (10, 2)]


def test_what_is_in_good_order_is_asked_for_before_more_is_cut() -> None:
    reads, device = rounds(0, 8, 40), Device(refuses={4})
    assert asked(reads, device) == [(0, 9), (40, 1), (0, 1), (8, 1)]
    assert asked(reads, device) == [(0, 1), (8, 1), (40, 1)]


def test_a_round_cuts_sixteen_times_at_most_and_the_next_goes_on_from_there() -> None:
    reads, device = rounds(*range(40)), Device(refuses=range(1, 40))
    taken: dict[str, object] = {}
    for _ in range(6):
        before = len(device.asked)
        values = reads.take(device)
        assert all(value == REFUSED for name, value in values.items() if name != "t0")
        taken |= values
        assert len(device.asked) - before <= 16 + len(values)
    assert taken == {"t0": 1000, **{f"t{at}": REFUSED for at in range(1, 40)}}


def test_a_device_that_refuses_everything_says_so_when_every_point_was_refused_by_itself() -> None:
    reads, device = rounds(*range(20)), Device(refuses=EVERYTHING)
    assert reads.take(device) == {}
    for _ in range(5):
        try:
            assert reads.take(device) == {}
        except Refused:
            break
    else:
        pytest.fail("it never says so")
    device.refuses = set()
    assert asked(reads, device) == [(0, 20)]


def test_what_is_refused_again_and_again_is_asked_for_at_every_eighth_round_and_comes_back() -> None:
    reads, device = rounds(0, 1), Device(refuses={1})
    rests = [(1, 1) not in asked(reads, device) for _ in range(40)]
    assert rests[:3] == [False, False, False]
    assert rests[-16:].count(False) == 2
    assert reads.take(device)["t1"] == REFUSED
    device.refuses = set()
    assert [reads.take(device) for _ in range(8)][-1] == {"t0": 1000, "t1": 1001}


def test_an_input_is_asked_for_in_every_round_refused_or_not() -> None:
    for device in (Device(refuses={40}), Device(silent={40})):
        reads = rounds(0, 40, kind="smoke")
        assert all((40, 1) in asked(reads, device) for _ in range(20))


# ---------------------------------------------------------------- silent


@pytest.mark.parametrize("fault", ["silent", "half_frame", "wrong_length", "gateway", "device_failure"])
def test_a_device_that_keeps_silent_about_a_gap_is_found_out_by_one_point(fault: str) -> None:
    reads, device = rounds(0, 1, 5, 6, 100), Device(silent={3})
    device.fault = fault
    history = [asked(reads, device) for _ in range(6)]
    assert history[:3] == [[(0, 7), (100, 1)]] * 3
    assert history[3] == [(100, 1)]  # a rest
    assert history[4] == [(0, 1), (0, 7), (100, 1), (0, 2), (5, 2)]
    assert history[5] == [(0, 2), (5, 2), (100, 1)]
    assert reads.take(device) == {f"t{at}": at + 1000 for at in (0, 1, 5, 6, 100)}


def test_a_device_with_a_single_range_is_found_out_too() -> None:
    reads, device = rounds(0, 5), Device(silent={3})
    assert [asked(reads, device) for _ in range(3)] == [[(0, 6)]] * 3
    assert asked(reads, device) == [(0, 1), (0, 6), (0, 1), (5, 1)]
    assert asked(reads, device) == [(0, 1), (5, 1)]


def test_a_device_that_keeps_silent_about_long_reads_gets_shorter_ones() -> None:
    reads, device = rounds(*range(40)), Device(most=10)
    for _ in range(30):
        asked(reads, device)
    assert blocks(reads) == [(0, 10), (10, 10), (20, 10), (30, 10)]
    assert reads.take(device) == {f"t{at}": at + 1000 for at in range(40)}


def test_each_point_gets_its_try() -> None:
    reads, device = rounds(0, 5, 10), Device(silent={0, 3})
    for _ in range(8):
        asked(reads, device)
    assert blocks(reads) == [(0, 1), (5, 1), (10, 1)]


def test_a_try_costs_a_dead_device_nothing() -> None:
    reads, device = rounds(0, 5, 10), Device(silent=EVERYTHING)
    assert all(len(asked(reads, device)) == 1 for _ in range(30))
    reads = rounds(0, 5, 100, 200)
    assert all(len(asked(reads, device)) == 2 for _ in range(30))


def test_a_device_that_was_away_is_read_as_before() -> None:
    for away in range(1, 12):
        reads, device = rounds(0, 5, 10, 100), Device(silent=EVERYTHING)
        before = blocks(reads)
        for _ in range(away):
            asked(reads, device)
        device.silent = set()
        assert reads.take(device) == {f"t{at}": at + 1000 for at in (0, 5, 10, 100)}
        assert blocks(reads) == before


def test_noise_cuts_nothing() -> None:
    reads, device = rounds(0, 5), Device(silent={3})
    device.fault = "checksum"
    assert all(asked(reads, device) == [(0, 6)] for _ in range(20))


def test_a_silent_range_costs_every_eighth_round_in_the_long_run() -> None:
    reads, device = rounds(0, 100), Device(silent={100})
    for _ in range(20):
        assert reads.take(device) == {"t0": 1000, "t100": NO_REPLY}
    assert sum((100, 1) in asked(reads, device) for _ in range(80)) == 10


# ---------------------------------------------------------------- always


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[int], list[Device]]:
    addresses = draw(st.sets(st.integers(0, 60), min_size=1, max_size=12))
    some = st.sets(st.integers(0, 60), max_size=8)
    moods = [
        Device(draw(some), draw(st.one_of(st.just(set()), some, st.just(set(EVERYTHING)))), draw(st.integers(1, 60)))
        for _ in range(draw(st.integers(1, 4)))
    ]
    return sorted(addresses), moods


@given(scenes(), st.integers(0, 16))
def test_whatever_a_device_does_its_values_are_its_own(scene: tuple[list[int], list[Device]], max_gap: int) -> None:
    addresses, moods = scene
    reads = rounds(*addresses, max_gap=max_gap)
    for device in moods:
        for _ in range(6):
            try:
                values = reads.take(device)
            except (NoReply, Refused):
                values = {}
            assert set(values) <= {f"t{at}" for at in addresses}
            for name, value in values.items():
                assert value in (int(name[1:]) + 1000, REFUSED, NO_REPLY)
        covered = sorted(name for block in reads.blocks for name, _ in block.points)
        assert covered == sorted(f"t{at}" for at in addresses)


@given(scenes())
def test_a_device_that_is_well_at_last_is_read_whole_within_nine_rounds(scene: tuple[list[int], list[Device]]) -> None:
    addresses, moods = scene
    reads = rounds(*addresses)
    for device in moods:
        for _ in range(6):
            asked(reads, device)
    well = Device()
    taken = [reads.take(well) for _ in range(9)]
    assert taken[-1] == {f"t{at}": at + 1000 for at in addresses}


def test_what_was_learned_can_be_handed_to_another_process() -> None:
    reads = rounds(0, 5)
    assert blocks(pickle.loads(pickle.dumps(reads))) == [(0, 6)]


def test_a_number_whose_scale_this_round_did_not_come_to_is_no_value() -> None:
    values: dict[str, Value | Bad] = {"t": 215}
    scaled = RegisterPoint("temperature", "holding", 0, "int16", scale_by=ScaleBy("mode", {0: 0.1}))
    mode = RegisterPoint("setting", "holding", 90, "uint16")
    settler({"t": scaled, "mode": mode})(values)
    assert values == {}
