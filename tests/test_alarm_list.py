"""The alarms as a person reads them: no alarms, long ids, many of them, and a narrow screen."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from uplink_scene import TS, alarm

from gateway.cli.alarm_list import alarm_lines
from gateway.model import AlarmState, AlarmView, Hidden, Hiding, Priority

LONG = "any-smoke@smoke-detector-above-the-sorting-line-number-7.smoke"
NOW = TS + 125_000


def shown(*views: AlarmView, width: int | None = None) -> list[str]:
    asked: list[dict[str, Any]] = [asdict(view) for view in views]
    return list(alarm_lines(asked, NOW, width))


def test_without_alarms_that_is_said() -> None:
    assert shown() == ["no alarms"]


def test_the_most_urgent_stands_first_and_below_each_what_is_wrong_and_what_to_do() -> None:
    low = replace(alarm(AlarmState.RTN_UNACK, "low"), priority=Priority.LOW, say="")
    smoke = replace(alarm(AlarmState.UNACK_ACTIVE, LONG), tell=("shift leader",), report="unconfirmed", test=True)
    shelved = Hidden(Hiding.SHELVED, "Ada (user ada)", "the door is being mended", TS + 1_800_000)
    hidden = replace(alarm(AlarmState.ACK_ACTIVE, "warm"), hidden=shelved)
    assert shown(hidden, low, smoke) == [
        "3 alarms: 1 high, 1 low; 2 unacknowledged; 1 hidden",
        "PRIORITY  STATE                 SINCE (UTC)       FOR        ALARM",
        f"high      unacknowledged        2026-11-21 22:26  2 min 5 s  {LONG}",
        "    Room 1 is too warm [test] [unconfirmed]",
        "    -> Close the door (tell shift leader)",
        "low       over, unacknowledged  2026-11-21 22:26  2 min 5 s  low",
        "    Room 1 is too warm",
        "high      acknowledged          2026-11-21 22:26  2 min 5 s  warm",
        "    Room 1 is too warm [shelved until 2026-11-21 22:56:40 by Ada (user ada): the door is being mended]",
    ]


def test_on_a_narrow_screen_nothing_is_wider_but_an_id_which_can_be_copied() -> None:
    words = replace(alarm(AlarmState.UNACK_ACTIVE, LONG), text="Room 1 is too warm " * 9, say="Close the door " * 9)
    for width in (60, 70, 80):
        lines = shown(words, alarm(AlarmState.ACK_ACTIVE), width=width)
        assert f"    {LONG}" in lines
        assert all(len(line) <= width for line in lines if LONG not in line)
        assert " ".join(line.strip() for line in lines).count("Close the door") == 10


def test_of_many_the_newest_of_a_priority_stands_first_and_every_state_has_words() -> None:
    states = [state for state in AlarmState if state is not AlarmState.NORMAL]
    views = [replace(alarm(states[n % len(states)], f"a-{n}"), since=TS - n * 1000) for n in range(500)]
    lines = shown(*reversed(views))
    rows = [line for line in lines if line.startswith("high")]
    assert [row.rpartition(" ")[2] for row in rows] == [f"a-{n}" for n in range(500)]
    assert lines[0] == "500 alarms: 500 high; 300 unacknowledged"
    assert not any("_" in row for row in rows)
