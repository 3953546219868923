"""The campaigns in small, each with a fixed seed; the commands in their files run them whole."""

from __future__ import annotations

import random
import shutil

import pytest
from broker_restarts import on_the_brokers_word, on_the_platforms_word
from cuts import cuts
from kills import kills

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]


@pytest.mark.promise("at-least-once")
def test_a_daemon_that_is_killed_at_any_moment_loses_nothing_that_was_committed() -> None:
    told = kills(6, 86)
    assert told["killed online"] + told["killed offline"] + told["killed before the journal knew the run"] == 6
    assert told["starts that name what was before"] >= 1  # more, unless a busy machine starts slowly
    assert told["records committed"] > told["events among them"] > 0


def test_a_connection_that_is_cut_at_any_byte_loses_nothing() -> None:
    told = cuts(40, 6)
    assert sum(told[what] for what in told if what.endswith("the broker")) >= 40
    assert told["came again"] > 0, "cuts do hurt"


def test_a_broker_that_is_ended_under_load_costs_nothing_and_what_it_forgets_comes_on_request() -> None:
    told = on_the_brokers_word(4, random.Random(89))
    assert (told["SIGTERM"], told["SIGKILL"]) == (2, 2)
    assert told["forgotten by killed brokers, and sent on request"] > 0, "the platform came late"


def test_a_broker_that_is_killed_costs_nothing_where_the_platform_confirms() -> None:
    told = on_the_platforms_word(2, random.Random(3))
    assert told["the platform away"] > 0, "then the broker forgets what it has acknowledged"
    assert told["came as backlog"] > 0
