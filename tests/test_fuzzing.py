"""A short fuzz of all decoders, and that the fuzz would notice what it looks for. At length: `./dev bench fuzz`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from fuzz_inputs import SEALS, damaged
from fuzzing import MOST_KEPT, Decoder, checked, decoders, decodes_nothing, fed, held
from test_drivers import CAPTURES, OPTIONS, built, capture_of

import drivers
from gateway.driver import Heard, Pushed
from gateway.links.capture import Received
from gateway.model import Bad

SEED = 20261122
INPUTS = 10_000


def test_no_decoder_is_surprised() -> None:
    found = decoders()
    each = [decoder for decoders_of in found.values() for decoder in decoders_of]
    outcomes = [fed(decoder, -(-INPUTS // len(each)), SEED) for decoder in each]
    assert [f"{outcome.name}: {outcome.fault}" for outcome in outcomes if outcome.fault] == []
    assert sum(outcome.inputs for outcome in outcomes) >= INPUTS


def test_each_driver_is_fed_unless_nothing_comes_to_it() -> None:
    fed_ones = set(decoders()) & set(drivers.OURS)
    assert fed_ones == {name for name in drivers.OURS if not decodes_nothing(name)}


@pytest.mark.parametrize("name", sorted(set(SEALS) - {"ds18b20"}))
def test_a_seal_leads_behind_the_checksum(name: str) -> None:
    """With it more inputs become values than without: else it would seal nothing."""
    chance = Random(SEED)
    samples = [
        item.data
        for path in CAPTURES
        if path.parent.name == name
        for item in capture_of(path).items
        if isinstance(item, Received)
    ]
    sealed = good(name, lambda: SEALS[name][0](chance, samples))
    assert sealed > 100
    assert sealed > 10 * good(name, lambda: chance.randbytes(32))


def good(name: str, said: Callable[[], bytes]) -> int:
    """How many values come of a thousand inputs."""
    driver = built(name, OPTIONS.get(name, {}))
    assert isinstance(driver, Pushed)
    count = 0
    for number in range(1000):
        for values in driver.hear(Heard(said(), float(number))):
            count += sum(not isinstance(value, Bad) for value in values.values())
    return count


def test_an_input_can_be_had_again() -> None:
    samples = [b"$GPRMC,,V,,,,,,,,,,N*53\r\n", b"PC12345678"]
    first, again = ([damaged(Random(7), samples) for _ in range(50)] for _ in range(2))
    assert first == again


def surprised(_: Random) -> None:
    raise KeyError("mode")


def test_an_exception_is_noticed_with_its_input() -> None:
    outcome = fed(Decoder("one", surprised, None), 100, SEED)
    assert outcome.inputs == 1
    assert outcome.fault == "input 1 of seed 20261122: KeyError: 'mode'"


def test_a_decoder_that_hoards_is_noticed() -> None:
    hoard: list[bytes] = []
    outcome = fed(Decoder("one", lambda chance: hoard.append(chance.randbytes(64)), hoard), 10_000, SEED)
    assert "bytes more than when it was new" in outcome.fault
    assert held([b"x" * MOST_KEPT]) > MOST_KEPT


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), True, "warm", (91.0, 0.0)], ids=["nan", "inf", "bool", "word", "place"]
)
def test_a_value_that_its_kind_cannot_have_is_noticed(value: Any) -> None:
    driver = built("people_counter", {})
    feed = checked(driver, lambda _: ({"people_in": value},))
    assert "AssertionError: people_in is" in fed(Decoder("one", feed, None), 1, SEED).fault
