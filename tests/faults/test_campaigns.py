"""The campaigns in small, each with a fixed seed; the commands in their files run them whole."""

from __future__ import annotations

import shutil

import pytest
from broker_restarts import broker_restarts
from cuts import cuts
from kills import kills

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]


@pytest.mark.promise("at-least-once")
def test_a_daemon_that_is_killed_at_any_moment_loses_nothing_that_was_committed() -> None:
    told = kills(6, 6)
    assert told["killed online"] + told["killed offline"] + told["killed before the journal knew the run"] == 6
    assert told["killed offline"] >= 2
    assert told["came again after a kill"] > 0, "kills do hurt"


@pytest.mark.promise("at-least-once")
def test_a_connection_that_is_cut_at_any_byte_loses_nothing() -> None:
    told = cuts(40, 6)
    assert sum(told[what] for what in told if what.endswith("the broker")) >= 40
    assert told["came again"] > 0, "cuts do hurt"


def test_a_broker_that_is_ended_under_load_costs_nothing_and_what_it_forgets_comes_on_request() -> None:
    told = broker_restarts(6, 6)
    assert (told["SIGTERM"], told["SIGKILL"]) == (3, 3)
    assert told["forgotten by killed brokers"] > 0, "kills of a broker do hurt"
