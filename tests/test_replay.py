"""`sitewarden replay` on journals that the real hub and journal have made: what came and went, and what would have."""

from __future__ import annotations

import json
import random
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from journal_scene import NOW
from past_scene import RULES, SITE, Run, run_of, written

from gateway.cli import CANNOT_CREATE, CONFIG, FAILED, OK, main
from gateway.cli.replay import Replay
from gateway.cli.replay_report import as_json, lines
from gateway.config.installed import read_config
from gateway.journal.past import Past
from gateway.model import Reason, Trust
from gateway.replaying.heard import Heard

LONG_AGO = "2026-01-01"
SVG = "{http://www.w3.org/2000/svg}"
TABLE_SAME = """\
2026-11-21 22:28:20 to 2026-11-21 23:28:20 UTC: 1,380 values in 695 readings of 1 run
Tried: configuration CONFIG, beside what happened, under CONFIG.

ALARM           HAPPENED  TRIED  SAME  MOVED  NEW  GONE  STOOD (HAPPENED)  STOOD (TRIED)
fridge-warm     3         3      3     0      0    0     17 min 0 s        17 min 0 s
freezer-silent  1         1      1     0      0    0     3 min 10 s        3 min 10 s

no difference: every alarm comes and goes as it did

          ALARMS  A DAY  MOST IN 10 MIN                FLOODS  IN FLOOD  HELD FOR CHATTERING
happened  4       -      2, until 2026-11-21 23:01:00  0       -         0
tried     4       -      2, until 2026-11-21 23:01:00  0       -         0
"""
TABLE_CHANGED = """\
ALARM           HAPPENED  TRIED         SAME  MOVED  NEW  GONE  STOOD (HAPPENED)  STOOD (TRIED)
fridge-warm     3         3             0     3      0    0     17 min 0 s        6 min 30 s
freezer-cold    0         1             0     0      1    0     -                 1 h 0 min
freezer-silent  1         no such rule  0     0      0    1     3 min 10 s        -
"""


def replay(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, output and errors of one command."""
    code = main(["replay", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    code, out, _ = replay(capsys, *arguments, "--json")
    assert code == OK
    found: dict[str, Any] = json.loads(out)
    return found


def verdicts(found: dict[str, Any]) -> dict[str, list[str]]:
    return {it["alarm"]: [coming["verdict"] for coming in it["comings"]] for it in found["alarms"]}


def an_hour(past: Run) -> None:
    """The fridge gets warm three times, and the freezer does not answer for five minutes."""
    for number in range(360):
        past.say("fridge", temperature=9.5 if number % 120 >= 70 and number % 120 < 110 else 4.0, humidity=40.0)
        if 180 <= number < 210:
            past.say("freezer", {"temperature": Reason.NO_REPLY, "humidity": Reason.NO_REPLY})
        else:
            past.say("freezer", temperature=-18.0, humidity=40.0)
        past.wait(10)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return written(tmp_path, RULES)


@pytest.fixture
def state(tmp_path: Path, site: Path) -> Path:
    with run_of(tmp_path / "state", site, "a" * 16) as past:
        an_hour(past)
    return tmp_path / "state"


# ---------------------------------------------------------------- beside what happened


def test_the_same_rules_come_and_go_as_they_did(state: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = replay(capsys, "--state", state, "--config", site, "--since", LONG_AGO)
    assert code == OK
    table, _, notes = out.partition("\n- ")
    assert table == TABLE_SAME.replace("CONFIG", read_config(site).hash)
    assert re.fullmatch(r"1,380 values judged in [0-9.]+ s: [0-9,]+ values a second\n", err)
    assert "There are no readings from before 2026-11-21 22:28:20 UTC" in notes


def test_what_changed_rules_would_have_done_is_told_coming_by_coming(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = RULES.replace("for: 1m", "for: 4m30s").replace(
        "freezer-silent: {point: freezer.temperature, silent_for: 2m}",
        "freezer-cold: {point: freezer.temperature, below: -17, for: 0s, clear_for: 0s}",
    )
    new = written(site.parent, other.replace("4m30s", "270s"), "new.yaml")
    code, out, _ = replay(capsys, "--state", state, "--config", new, "--since", LONG_AGO)
    assert code == OK
    assert TABLE_CHANGED in out
    differences = [
        line.split("  ", 2)[2].strip() for line in out.splitlines() if line.startswith("2026") and "UTC" not in line
    ]
    assert differences == [
        "would come, and stand from 2026-11-21 22:28:20 to the end",
        "comes 3 min 30 s later",
        "would not come; it stood 3 min 10 s",
        "comes 3 min 30 s later",
        "comes 3 min 30 s later",
    ]


def test_one_value_of_the_configuration_can_be_tried_without_a_file(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(
        capsys, "--state", state, "--config", site, "--since", LONG_AGO,
        "--set", "rules.fridge-warm.above=10", "--set", "rules.fridge-warm.clear_below=9",
    )  # fmt: skip
    assert verdicts(found) == {"fridge-warm": ["gone"] * 3, "freezer-silent": ["same"]}


def test_two_configurations_can_be_compared_in_place_of_what_happened(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = written(site.parent, RULES.replace("above: 7, clear_below: 6", "above: 20"), "old.yaml")
    code, out, _ = replay(capsys, "--state", state, "--config", site, "--compare", old, "--since", LONG_AGO)
    assert code == OK
    assert "ALARM           COMPARED  TRIED  SAME  MOVED  NEW  GONE" in out
    assert "fridge-warm     0         3      0     0      3    0" in out


def test_only_the_wanted_time_is_judged_and_what_stood_at_its_beginning_stands(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(
        capsys, "--state", state, "--config", site, "--since", "2026-11-21T22:42", "--until", "2026-11-21T23:00"
    )
    warm, silent = found["alarms"]
    assert warm["beside"] == warm["tried"]
    assert warm["comings"] == [{"verdict": "same", "beside": [None, NOW + 1_200_000], "tried": [None, NOW + 1_200_000]}]
    assert silent["comings"] == []
    assert found["readings"] == 208


# ---------------------------------------------------------------- what the journal does not have


BY_EXCEPTION = """
report: {temperature: {deadband: 0.2, max_every: 15m}, humidity: {deadband: 2, max_every: 15m}}
"""


def test_a_point_that_was_not_recorded_since_it_did_not_move_is_not_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = written(tmp_path, RULES + BY_EXCEPTION)
    with run_of(tmp_path / "state", site, "a" * 16) as past:
        an_hour(past)
    found = told(capsys, "--state", tmp_path / "state", "--config", site, "--since", LONG_AGO)
    assert found["values"] < 100
    assert verdicts(found) == {"fridge-warm": ["same"] * 3, "freezer-silent": ["same"]}
    assert any("1 such points count as heard" in note for note in found["notes"])


def test_what_ends_with_a_run_is_silent_after_max_every_and_not_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The freezer says one thing, and then nothing at all, not even that it does not answer."""
    site = written(tmp_path, RULES + BY_EXCEPTION)
    with run_of(tmp_path / "state", site, "a" * 16) as past:
        past.say("freezer", temperature=-18.0, humidity=40.0)
        for _ in range(200):
            past.wait(10)
            past.say("fridge", temperature=4.0, humidity=40.0)
    found = told(capsys, "--state", tmp_path / "state", "--config", site, "--since", LONG_AGO)
    (coming,) = found["alarms"][1]["comings"]
    began, heard_until = coming["tried"][0], NOW + 100_000 + 15 * 60_000
    assert heard_until < began <= heard_until + 2 * 60_000 + 10_000


MANY_RULES = """
hours: {open: {open: [mon-fri 06:00-22:00, sat 08:00-23:00]}}
rules:
  warm: {point: fridge.temperature, above: 7, clear_below: 6, for: 1m, clear_for: 30s}
  cold: {point: fridge.temperature, below: 2, clear_above: 2, for: 0s, clear_for: 0s, latch: true}
  band: {point: freezer.humidity, outside: [30, 50], clear_above: 32, clear_below: 48, for: 20s, clear_for: 0s}
  fast: {point: freezer.temperature, changes_faster_than: 3/5min}
  silent: {point: freezer.temperature, silent_for: 2m}
  damp: {kind: humidity, above: 48, clear_below: 48, for: 0s, clear_for: 0s, not_during: open}
  two: {all_of: [{point: fridge.temperature, above: 6}, {point: freezer.humidity, above: 42}], for: 15s}
"""
REPORTS = ("", "report: {temperature: {max_every: 5m}, humidity: {max_every: 10m, send: {deadband: 2}}}\n")


@pytest.mark.parametrize("report", REPORTS, ids=["every-reading", "by-exception"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_every_kind_of_rule_comes_and_goes_as_it_did(
    tmp_path: Path, report: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three runs, faults, and people who acknowledge and reset."""
    chance = random.Random(seed)
    site = written(tmp_path, MANY_RULES + report)
    mono = 100.0
    for name in "abc":
        with run_of(tmp_path / "state", site, name * 16, mono) as past:
            wander(past, chance)
        mono = past.mono + chance.randrange(10, 4000)
    found = told(capsys, "--state", tmp_path / "state", "--config", site, "--since", LONG_AGO)
    comings = [verdict for its in verdicts(found).values() for verdict in its]
    assert set(comings) == {"same"}
    assert len(comings) > 20
    assert found["runs"] == 3


def wander(past: Run, chance: random.Random) -> None:
    fridge, freezer, damp, lost = 5.0, -18.0, 40.0, 0
    for _ in range(300):
        if chance.random() < 0.2:
            fridge = round(min(10.0, max(0.0, fridge + chance.choice([-1, -0.5, 0.5, 1]))), 1)
        if chance.random() < 0.1:
            freezer = min(-8.0, max(-25.0, freezer + chance.choice([-4, -1, 1, 4])))
        if chance.random() < 0.1:
            damp = min(60.0, max(20.0, damp + chance.choice([-6, -2, 2, 6])))
        lost = lost - 1 if lost else chance.choice([1, 3, 6, 40]) if chance.random() < 0.03 else 0
        past.say("fridge", temperature=fridge, humidity=damp)
        past.wait(3)
        if lost:
            past.say("freezer", {"temperature": Reason.NO_REPLY, "humidity": Reason.NO_REPLY})
        else:
            past.say("freezer", temperature=freezer, humidity=damp + 1)
        past.wait(7)
        if chance.random() < 0.02:
            past.act(chance.choice(["acknowledge", "reset"]), chance.choice(["warm", "cold", "fast"]))


# ---------------------------------------------------------------- runs and clocks


def test_an_alarm_goes_on_in_the_next_run_and_a_delay_begins_anew(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    with run_of(state, site, "a" * 16) as past:
        for _ in range(10):
            past.say("fridge", temperature=9.0, humidity=40.0)
            past.wait(10)
    with run_of(state, site, "b" * 16, mono=300.0) as past:
        past.say("fridge", temperature=4.0, humidity=40.0)
        past.wait(10)
        past.say("fridge", temperature=9.0, humidity=40.0)
        past.wait(50)
    with run_of(state, site, "c" * 16, mono=500.0) as past:
        for _ in range(10):
            past.say("fridge", temperature=9.0, humidity=40.0)
            past.wait(10)
    found = told(capsys, "--state", state, "--config", site, "--since", LONG_AGO)
    assert [it["tried"] for it in found["alarms"][0]["comings"]] == [
        [NOW + 160_000, NOW + 300_000],
        [NOW + 560_000, None],
    ]
    assert verdicts(found)["fridge-warm"] == ["same", "same"]


def test_readings_of_a_wrong_clock_have_the_right_times(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    with run_of(state, site, "a" * 16, offset_ms=1_000_000_000_000, trust=Trust.UNSYNCED) as past:
        for _ in range(30):
            past.say("fridge", temperature=9.0, humidity=40.0)
            past.wait(10)
        past.offset_ms, past.trust = NOW, Trust.SYNCED
        past.say("fridge", temperature=4.0, humidity=40.0)
        past.wait(10)
    found = told(capsys, "--state", state, "--config", site, "--since", LONG_AGO)
    assert found["alarms"][0]["comings"] == [
        {"verdict": "same", "beside": [NOW + 160_000, NOW + 400_000], "tried": [NOW + 160_000, NOW + 400_000]}
    ]
    assert "30 readings were made while the clock was wrong; they have the right times here." in found["notes"]


# ---------------------------------------------------------------- floods and chatter


def test_chattering_alarms_are_held_and_floods_counted(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value goes over the limit and back each ten seconds: as it was configured, that is no alarm at all."""
    state = tmp_path / "state"
    with run_of(state, site, "a" * 16) as past:
        for number in range(180):
            past.say("fridge", temperature=9.0 if number % 2 else 4.0, humidity=40.0)
            past.wait(10)
    limits = "".join(
        f"  w{n}: {{point: fridge.temperature, above: {n}.5, for: 0s, clear_for: 0s}}\n" for n in range(4, 8)
    )
    new = written(tmp_path, "rules:\n" + limits, "new.yaml")
    found = told(capsys, "--state", state, "--config", new, "--since", LONG_AGO)
    assert [(it["tried"]["raised"], it["tried"]["held"]) for it in found["alarms"][:4]] == [(9, 3)] * 4
    assert (found["load"]["beside"]["alarms"], found["load"]["beside"]["floods"]) == (1, 0)
    tried = found["load"]["tried"]
    assert (tried["alarms"], tried["held_for_chattering"]) == (36, 12)
    assert tried["most_in_10_min"] == 12
    assert tried["floods"] >= 1


def test_of_a_warning_and_its_alarm_that_come_at_once_one_counts_as_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = "{{point: fridge.temperature, above: {}, for: 0s, clear_for: 0s, hold_chattering: false, priority: {}}}"
    rules = f"rules:\n  warm: {limit.format(6, 'low')}\n  hot: {limit.format(8, 'high')}\n"
    site, state = written(tmp_path, rules), tmp_path / "state"
    with run_of(state, site, "a" * 16) as past:
        for number in range(16):
            past.say("fridge", temperature=9.0 if number % 2 else 4.0, humidity=40.0)
            past.wait(10)
    found = told(capsys, "--state", state, "--config", site, "--since", LONG_AGO)
    assert verdicts(found) == {"warm": ["same"] * 8, "hot": ["same"] * 8}
    for load in (found["load"]["beside"], found["load"]["tried"]):
        assert (load["alarms"], load["floods"]) == (8, 0), "as in the daemon, which has seen no flood"


# ---------------------------------------------------------------- the page


class Tags(HTMLParser):
    """Checks that what is opened is closed, and keeps names and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def drawn(page: str) -> Iterator[ET.Element]:
    return (ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL))


def test_the_page_shows_each_alarm_by_itself_and_needs_nothing_else(
    state: Path, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = written(tmp_path, RULES.replace("for: 1m", "for: 2m"), "new.yaml")
    page = tmp_path / "page.html"
    assert replay(capsys, "--state", state, "--config", new, "--since", LONG_AGO, "--html", page)[0] == OK
    text = page.read_text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert {"script", "link", "img", "iframe", "object"}.isdisjoint(tag for tag, _ in tags.seen)
    assert not [name for _, given in tags.seen for name in given if name in {"src", "href"} or name.startswith("on")]
    assert "://" not in text
    assert "url(" not in text
    warm, silent = drawn(text)
    assert warm.get("aria-label") == "fridge-warm"
    bands = {name: [it for it in warm.iter("rect") if it.get("class") == name] for name in ("happened", "tried")}
    assert [len(it) for it in bands.values()] == [3, 3]
    for was, would in zip(bands["happened"], bands["tried"], strict=True):  # a minute later of an hour, on 890 wide
        assert float(would.get("x", 0)) - float(was.get("x", 0)) == pytest.approx(890 / 60, abs=0.2)
    assert [it.get("class") for it in warm.iter("line")] == [*["grid"] * 5, "limit", "clear", "axis"]
    height = float(warm.get("viewBox", "").split()[3])
    assert all(float(it.get("y", 0)) < height - 4 for it in warm.iter("text")), "nothing is cut off"
    (line,) = warm.iter("polyline")
    places = [tuple(map(float, place.split(","))) for place in line.get("points", "").split()]
    assert all(one[0] <= other[0] for one, other in pairwise(places))
    assert {y for _, y in places} == {min(y for _, y in places), max(y for _, y in places)}
    limit = next(it for it in warm.iter("line") if it.get("class") == "limit")
    assert min(y for _, y in places) < float(limit.get("y1", 0)) < max(y for _, y in places)
    assert len([it for it in silent.iter("rect") if it.get("class") == "tried"]) == 1
    assert "comes 1 min 0 s later" in tags.text


def test_what_a_stranger_wrote_is_text_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = written(tmp_path, RULES, site=SITE.replace("Distribution centre 3", "<script>alert(1)</script>"))
    with run_of(tmp_path / "state", site, "a" * 16) as past:
        past.say("fridge", temperature=4.0, humidity=40.0)
    page = tmp_path / "page.html"
    replay(capsys, "--state", tmp_path / "state", "--config", site, "--since", LONG_AGO, "--html", page)
    assert "<script>" not in page.read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.read_text()


WORDS = """
links:
  bus1: {type: serial, port: /dev/ttyUSB0, baudrate: 9600}
  gpio: {type: gpio}
devices:
  fridge: {driver: modbus, link: bus1, unit: 1, profile: xy-md02, every: 10s, zone: shop/fridge}
  freezer: {driver: modbus, link: bus1, unit: 2, profile: xy-md02, every: 10s, zone: shop/freezer}
  smoke-1: {driver: contact, link: gpio, pin: 17, kind: smoke, zone: shop}
rules:
  fire: {kind: smoke, equals: alarm, priority: high, latch: true}
  both: {all_of: [{point: fridge.temperature, above: 8}, {point: smoke-1.smoke, equals: alarm}]}
"""


def test_words_and_several_points_are_drawn_too_and_broken_where_nothing_was_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = written(tmp_path, WORDS, site="site: {id: dc3}\ngateway: {id: gw1}\n")
    with run_of(tmp_path / "state", site, "a" * 16) as past:
        for number in range(300):
            if 200 <= number < 230:
                past.say("fridge", {"temperature": Reason.NO_REPLY, "humidity": Reason.NO_REPLY})
            else:
                past.say("fridge", temperature=9.0 if number > 120 else 4.0, humidity=40.0)
            past.say("smoke-1", smoke="alarm" if 100 <= number < 150 else "normal")
            past.wait(10)
    page = tmp_path / "page.html"
    found = told(capsys, "--state", tmp_path / "state", "--config", site, "--since", LONG_AGO, "--html", page)
    assert verdicts(found) == {"fire@smoke-1.smoke": ["same"], "both": ["same"], "smoke-1-smoke-fault": []}
    fire, both, *_ = drawn(page.read_text())
    labels = {it.text: float(it.get("y", 0)) - 4 for it in fire.iter("text") if it.text in {"normal", "alarm"}}
    limit = next(it for it in fire.iter("line") if it.get("class") == "limit")
    assert float(limit.get("y1", 0)) == pytest.approx(labels["alarm"])
    assert labels["normal"] > labels["alarm"]
    assert [len(list(svg.iter("polyline"))) for svg in (fire, both)] == [1, 2 + 1]


def test_a_page_that_cannot_be_written_is_told_and_none_takes_the_place_of_the_journal(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = ("--state", state, "--config", site, "--since", LONG_AGO, "--html")
    assert replay(capsys, *wanted, state / "no" / "page.html")[0] == CANNOT_CREATE
    assert replay(capsys, *wanted, state / "journal.db")[0] == CANNOT_CREATE


# ---------------------------------------------------------------- what is in the way


def test_a_damaged_row_is_passed_over_and_told(state: Path, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(state / "journal.db", isolation_level=None)) as db:
        db.execute("UPDATE telemetry SET text = CAST(x'5b31ff' AS TEXT) WHERE id & 0xFFFFFFFFFF = 7")
        db.execute("UPDATE telemetry SET text = '{', shape = NULL WHERE id & 0xFFFFFFFFFF = 9")
        db.execute("UPDATE telemetry SET shape = 12345 WHERE id & 0xFFFFFFFFFF = 11")
        db.execute("UPDATE event SET text = '[]' WHERE id & 0xFFFFFFFFFF = 1")
    found = told(capsys, "--state", state, "--config", site, "--since", LONG_AGO)
    assert found["damaged"] == 4
    assert f"Damaged and passed over: 4; the first of the readings is record 7 of run {'a' * 16}." in found["notes"]
    assert found["readings"] == 692


def test_devices_that_are_not_configured_any_more_are_named_and_points_that_never_came(
    state: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = written(site.parent, RULES.replace("freezer", "icebox"), "new.yaml", SITE.replace("freezer", "icebox"))
    code, out, _ = replay(capsys, "--state", state, "--config", new, "--since", LONG_AGO)
    assert code == OK
    assert "Not in this configuration, and judged by no rule: freezer." in out
    assert "icebox-silent   0         1, no values" in out


def test_a_wrong_configuration_is_refused_before_anything_is_read(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = written(tmp_path, RULES.replace("above: 7", "abvoe: 7"), "new.yaml")
    code, out, err = replay(capsys, "--state", state, "--config", new)
    assert (code, out) == (CONFIG, "")
    assert "abvoe" in err


def test_a_journal_without_a_reading_is_no_fault(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_of(tmp_path / "state", site, "a" * 16):
        pass
    page = tmp_path / "page.html"
    found = told(capsys, "--state", tmp_path / "state", "--config", site, "--html", page)
    assert (found["readings"], found["runs"], found["load"]["tried"]["alarms"]) == (0, 0, 0)
    assert found["without_values"] == {"freezer": ["temperature"], "fridge": ["temperature"]}
    assert "no values" in page.read_text()


def test_what_is_older_than_wanted_is_passed_over_whatever_clock_it_has(
    tmp_path: Path, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    with run_of(state, site, "a" * 16) as past:
        an_hour(past)
    with run_of(state, site, "b" * 16, mono=9000.0, offset_ms=0, trust=Trust.UNSYNCED) as past:
        past.say("fridge", temperature=4.0, humidity=40.0)
    with run_of(state, site, "c" * 16, mono=10_000.0, boot="boot-2") as past:
        past.say("fridge", temperature=4.0, humidity=40.0)
    found = told(capsys, "--state", state, "--config", site, "--since", "2026-11-22T00:00")
    assert (found["readings"], found["runs"]) == (1, 1)
    assert not [it for it in found["alarms"] if it["comings"]]
    assert any("Left out are 1 readings of a clock that was not set" in note for note in found["notes"])


def test_a_place_without_a_journal_or_an_empty_time_is_told(
    state: Path, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(capsys, "--state", tmp_path / "none", "--config", site)[0] == FAILED
    wrong = ("--since", "2026-11-22", "--until", "2026-11-21")
    code, _, err = replay(capsys, "--state", state, "--config", site, *wrong)
    assert code == FAILED
    assert "--since is not before --until" in err


class Impatient(Past):
    """A past that is looked at by a person who presses Ctrl-C after the first readings."""

    def readings(self) -> Iterator[Heard]:
        for heard in super().readings():
            yield heard._replace(readings=heard.readings[:200])
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def _minds_ctrl_c() -> Iterator[None]:
    """Whoever starts the tests in the background of a shell has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_minds_ctrl_c")
def test_ctrl_c_shows_what_was_judged_until_then(state: Path, site: Path) -> None:
    past = Impatient(state / "journal.db", 0, 1 << 62)
    past.look()
    report = Replay(past, read_config(site), None, plots=False).run()
    assert report.interrupted
    found = as_json(report)
    assert (found["interrupted"], found["readings"]) == (True, 200)
    text = "\n".join(lines(report))
    assert "It was interrupted: everything here is of the time until then." in text
    assert "2026-11-21 22:28:20 to 2026-11-21 22:44:50 UTC: 400 values in 200 readings of 1 run" in text
