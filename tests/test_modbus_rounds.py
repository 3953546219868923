"""What a device's refusals and silences teach: where a read is cut, when that is kept, and what it may cost."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterable, Sequence
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
        self.loses: Callable[[], bool] = lambda: False
        self.asked: list[tuple[int, int]] = []

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        self.asked.append((address, count))
        addresses = set(range(address, address + count))
        if count > self.most or addresses & self.silent or self.loses():
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
    history = [asked(reads, device) for _ in range(15)]
    assert history[:3] == [[(0, 7), (100, 1)], [(100, 1), (0, 7)], [(100, 1), (0, 7)]]
    assert history[3] == [(100, 1)]  # a rest
    assert history[4] == [(100, 1), (0, 1), (0, 7)]
    assert history[8] == [(100, 1), (1, 1), (0, 7)]
    assert history[12] == [(100, 1), (5, 1), (0, 7), (0, 2), (5, 2)]
    assert history[13] == [(0, 2), (5, 2), (100, 1)]
    assert reads.take(device) == {f"t{at}": at + 1000 for at in (0, 1, 5, 6, 100)}


def test_several_bits_of_one_register_are_not_forgotten_however_badly_the_device_answers() -> None:
    bits = {f"b{bit}": RegisterPoint("smoke", "input", 1, "bit", bit=bit) for bit in range(2)}
    reads = Rounds(1, plan({**bits, "t": RegisterPoint("temperature", "holding", 9, "int16")}, Limits(60, 16)))
    device, lost = Device(), iter("xxx.xx.xx.xxx.xx.xx.x")
    device.loses = lambda: device.asked[-1][0] == 1 and next(lost, ".") == "x"
    for _ in range(24):
        assert {"b0", "b1", "t"} == set(reads.take(device))
    assert reads.take(device) == {"t": 1009, "b0": "alarm", "b1": "normal"}


def test_a_line_that_loses_a_reply_now_and_then_cuts_nothing() -> None:
    lots = random.Random(1)
    reads, device = rounds(0, 1, 10, 11, 100), Device()
    device.loses = lambda: lots.random() < 0.1
    for _ in range(20_000):
        asked(reads, device)
    assert blocks(reads) == [(0, 12), (100, 1)]


def test_what_was_cut_for_silence_is_tried_now_and_then_as_it_was_planned() -> None:
    reads, device = rounds(0, 5), Device(silent={3})
    while blocks(reads) != [(0, 1), (5, 1)]:
        asked(reads, device)
    for _ in range(2):
        assert [asked(reads, device) for _ in range(360)] == [[(0, 1), (5, 1)]] * 360
        device.asked = []
        assert reads.take(device) == {"t0": 1000, "t5": 1005}, "a try costs no value"
        assert device.asked == [(0, 6), (0, 1), (5, 1)]
    device.silent = set()
    assert [asked(reads, device) for _ in range(360)] == [[(0, 1), (5, 1)]] * 360
    assert asked(reads, device) == [(0, 6), (0, 6)]
    assert [asked(reads, device) for _ in range(400)] == [[(0, 6)]] * 400


def test_a_device_with_a_single_range_is_found_out_too() -> None:
    reads, device = rounds(0, 5), Device(silent={3})
    assert [asked(reads, device) for _ in range(3)] == [[(0, 6)]] * 3
    history = [asked(reads, device) for _ in range(30)]
    found = history.index([(0, 1), (0, 6), (0, 1), (5, 1)])
    assert history.index([(0, 1), (0, 6)]) < found
    assert history[found + 1 :] == [[(0, 1), (5, 1)]] * (29 - found)


def test_a_device_that_keeps_silent_about_long_reads_gets_shorter_ones() -> None:
    reads, device = rounds(*range(40)), Device(most=10)
    for _ in range(60):
        asked(reads, device)
    assert blocks(reads) == [(0, 10), (10, 10), (20, 10), (30, 10)]
    assert reads.take(device) == {f"t{at}": at + 1000 for at in range(40)}


def test_each_point_gets_its_try() -> None:
    reads, device = rounds(0, 5, 10), Device(silent={0, 3})
    for _ in range(40):
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


def test_a_device_that_dies_at_whatever_moment_costs_two_requests_without_a_reply() -> None:
    addresses = range(0, 1200, 100)
    for answered in range(12):
        reads, device = rounds(*addresses), Device()
        left = iter([False] * answered)
        device.loses = lambda left=left: next(left, True)  # type: ignore[misc]
        assert len(asked(reads, device)) == min(12, answered + 2)
        assert len(asked(reads, device)) == 2


def test_what_a_round_did_not_come_to_is_asked_first_in_the_next() -> None:
    reads, device = rounds(0, 100, 200, 300, 400), Device(silent={0, 100, 200})
    assert asked(reads, device) == [(0, 1), (100, 1)]
    assert asked(reads, device) == [(200, 1), (300, 1), (400, 1), (0, 1)]
    assert reads.take(device) == {"t0": NO_REPLY, "t100": NO_REPLY, "t200": NO_REPLY, "t300": 1300, "t400": 1400}


@pytest.mark.parametrize(("kind", "rests"), [("smoke", False), ("door", False), ("status", True), ("fault", True)])
def test_a_silent_input_rests_unless_it_tells_of_smoke_doors_or_contacts(kind: str, *, rests: bool) -> None:
    reads, device = rounds(0, 40, kind=kind), Device(silent={40})
    asks = sum((40, 1) in asked(reads, device) for _ in range(80))
    assert asks <= 15 if rests else asks == 80


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


BITS = st.sampled_from([0, 1, 2, 3])
OVERLAPPING = st.dictionaries(
    st.integers(0, 40).map(lambda n: f"p{n}"),
    st.one_of(
        st.builds(lambda at: RegisterPoint("temperature", "holding", at, "uint32"), st.integers(0, 30)),
        st.builds(lambda at, bit: RegisterPoint("smoke", "input", at, "bit", bit=bit), st.integers(0, 3), BITS),
    ),
    min_size=1,
    max_size=12,
)


@given(OVERLAPPING, st.randoms(use_true_random=False), st.floats(0.1, 0.9), st.floats(0.0, 0.9))
def test_whatever_is_silent_or_refused_no_point_is_ever_forgotten(
    points: dict[str, RegisterPoint], lots: random.Random, silence: float, refusal: float
) -> None:
    reads = Rounds(1, plan(points, Limits(60, 16), of_network()))
    device = Moody(lots, silence, refusal)
    for _ in range(60):
        try:
            values = reads.take(device)
        except (NoReply, Refused):
            values = dict.fromkeys(points, NO_REPLY)
        covered = sorted(name for block in reads.blocks for name, _ in block.points)
        assert covered == sorted(points)
        assert set(values) <= set(points)
    device.silence = device.refusal = 0.0
    for _ in range(9):
        values = reads.take(device)
    assert set(values) == set(points)


class Moody(Device):
    """It answers, refuses or is silent as the lots fall."""

    def __init__(self, lots: random.Random, silence: float, refusal: float) -> None:
        super().__init__()
        self.lots, self.silence, self.refusal = lots, silence, refusal

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        if self.lots.random() < self.silence:
            raise NoReply("silent", "no reply within 300 ms")
        if self.lots.random() < self.refusal:
            raise Refused(2, "exception 2")
        return super().read(unit, table, address, count)


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
