"""How much telemetry is under way on a line: enough to fill it, so little that an event is not behind it for long."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

import pytest

from gateway.uplink.line import LEAST_BYTES, MOST_BYTES, WAIT_S
from gateway.uplink.window import Message, Window
from gateway.uplink.wire import Publication

RECORD = 350  # bytes: twenty values


class Way(NamedTuple):
    """A line of so many bytes a second, whose answers take `base_s` at least, and up to `jitter_s` more."""

    bytes_per_s: float
    base_s: float = 0.05
    jitter_s: float = 0.0


class Transmission:
    """A sender that always has telemetry, on one way after the other, in simulated time."""

    def __init__(self) -> None:
        self.window = Window()
        self.window.open(1000)
        self.now = 1000.0
        self.free_at = 0.0  # when the line has carried all that was given to it
        self.answers: deque[tuple[float, int]] = deque()  # when, and of which message: brokers answer in order
        self.chance = random.Random(1)

    def go(self, way: Way, seconds: float) -> tuple[float, float]:
        """The share of the line that was used, and for how long an event would have waited for telemetry, at most."""
        end, carried, worst = self.now + seconds, 0, 0.0
        while self.now < end:
            while self.window.has_room_for_bulk(hist=False):
                size = max(RECORD, self.window.most_bytes // RECORD * RECORD)
                message = Message(Publication("t", b"x" * size), bulk=True)
                self._leave(message, way)
                carried += size
            worst = max(worst, self.free_at - self.now)
            self.now, token = self.answers.popleft()
            self.window.land(token, self.now)
        return carried / (way.bytes_per_s * seconds), worst

    def _leave(self, message: Message, way: Way) -> None:
        self.free_at = max(self.free_at, self.now) + len(message.publication.payload) / way.bytes_per_s
        answered = self.free_at + way.base_s + self.chance.uniform(0, way.jitter_s)
        if self.answers:
            answered = max(answered, self.answers[-1][0])
        self.answers.append((answered, self.window.launch(message, self.now)))


@pytest.mark.parametrize("bytes_per_s", [8_000, 16_000, 64_000, 200_000])
@pytest.mark.parametrize("base_s", [0.002, 0.05, 0.3])
def test_a_slow_line_is_filled_and_an_event_does_not_wait_long(bytes_per_s: float, base_s: float) -> None:
    way, sending = Way(bytes_per_s, base_s), Transmission()
    sending.go(way, 20)
    used, worst_s = sending.go(way, 50)
    assert used > 0.75
    assert worst_s < WAIT_S + 1.5 * LEAST_BYTES / bytes_per_s


def test_a_fast_line_gets_all_that_may_be_under_way() -> None:
    sending = Transmission()
    sending.go(Way(10_000_000, 0.02), 2)
    assert sending.window.most_bytes == MOST_BYTES // 4


def test_a_satellite_costs_its_distance_and_no_more() -> None:
    sending, way = Transmission(), Way(1_000_000, 0.7)
    sending.go(way, 30)
    used, _ = sending.go(way, 20)
    assert used > 0.8 * MOST_BYTES / 0.7 / way.bytes_per_s


def test_a_line_that_becomes_slow_is_believed_after_a_few_answers_and_one_that_becomes_fast_as_well() -> None:
    sending = Transmission()
    sending.go(Way(2_000_000), 20)
    sending.go(Way(16_000), 20)
    _, worst_s = sending.go(Way(16_000), 30)
    assert worst_s < 1.75 * WAIT_S
    sending.go(Way(2_000_000), 5)
    used, _ = sending.go(Way(2_000_000), 20)
    assert used > 0.35  # what 64 kB under way give at 50 ms


def test_another_line_that_is_longer_is_found_out_within_two_minutes() -> None:
    sending = Transmission()
    sending.go(Way(200_000, 0.02), 30)
    sending.go(Way(200_000, 0.5), 130)
    used, _ = sending.go(Way(200_000, 0.5), 30)
    assert used > 0.5


def test_answers_that_come_late_now_and_then_are_no_reason_to_send_less() -> None:
    sending, way = Transmission(), Way(200_000, 0.05, jitter_s=0.15)
    sending.go(way, 20)
    used, _ = sending.go(way, 40)
    assert used > 0.75
