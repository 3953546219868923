"""Wall time and its trust: what the machine's clock claims, what the hub makes of it, what records are corrected by."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_scene import running
from test_hub import plan

from gateway import records
from gateway.clock import SystemClock, floor_ts
from gateway.correction import Corrections
from gateway.hub.decide import Hub
from gateway.hub.plan import Plan
from gateway.model import (
    AlarmView,
    Backlog,
    Correction,
    Decision,
    Fact,
    Lane,
    Moment,
    Reading,
    Record,
    Recovered,
    Row,
    Stopping,
    Stored,
    Tick,
    TimeKnown,
    Trust,
)
from gateway.release import BUILD_TS
from gateway.uplink import contract
from gateway.uplink.board import Board
from gateway.uplink.outbox import Options, Outbox
from gateway.uplink.window import Message
from gateway.uplink.wire import Up

T0 = BUILD_TS + 10_000_000_000
HOUR_MS = 3_600_000


class Site:
    """A gateway in one boot: true time, what its wall clock is off by, what its kernel says; and its runs."""

    def __init__(self, off_ms: int = 0, trust: Trust = Trust.SYNCED, boot: str = "boot-1") -> None:
        self.mono = 1000.0
        self.off_ms = off_ms
        self.trust = trust
        self.boot = boot
        self.stored: dict[str, str] = {}
        self.rows: list[Row] = []
        self.corrections = Corrections()
        self.views: dict[str, AlarmView] = {}
        self.events: list[dict[str, Any]] = []
        self._runs = 0
        self.start()

    def true_ts(self, mono: float | None = None) -> int:
        return T0 + round((self.mono if mono is None else mono) * 1000)

    def now(self) -> Moment:
        return Moment(self.mono, self.true_ts() + self.off_ms, self.trust)

    def plan(self) -> Plan:
        return plan()

    def start(self, boot: str | None = None, *, recovered: bool = True) -> None:
        self.boot = boot or self.boot
        self._runs += 1
        self.run = f"run{self._runs}"
        self.hub = Hub(replace(self.plan(), run=self.run, boot=self.boot), self.now())
        if recovered:
            self.tell(Recovered("kept", None, dict(self.stored)))

    def tell(self, fact: Fact, after_s: float = 0.0) -> Decision:
        self.mono += after_s
        decision = self.hub.handle(fact, self.now())
        self.rows += [Row(len(self.rows) + 1, self.run, record) for record in decision.records]
        self.events += [json.loads(record.text) for record in decision.records if record.lane is Lane.EVENT]
        for key, text in decision.state:
            self.stored.pop(key, None)
            if text is not None:
                self.stored[key] = text
        for notice in decision.notices:
            if isinstance(notice, Correction):
                self.corrections.learn(notice)
            elif isinstance(notice, AlarmView):
                self.views[notice.alarm] = notice
        return decision

    def read(self, after_s: float = 1.0, temperature: float = -18.0) -> Decision:
        self.mono += after_s
        now = self.now()
        return self.tell(Reading("cold-1", now.mono, now.ts, {"temperature": temperature}, {}))

    def synchronise(self) -> None:
        self.off_ms, self.trust = 0, Trust.SYNCED
        self.tell(Tick(), 0.5)

    def newest(self) -> Trust:
        """The trust of the newest record."""
        return self.rows[-1].record.trust

    def named(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def off(self, row: Row) -> int:
        """How far a row's time is from the true time of its making."""
        return row.record.ts - self.true_ts(row.record.mono_ms / 1000)

    def as_corrected_by_events(self, row: Row) -> int:
        """What a consumer makes of the time of a row that came before the clock was known."""
        lane, seq, ts = row.record.lane, row.record.seq, row.record.ts
        for told in self.named("clock_corrected"):
            first, last = told[f"first_{lane}"], told[f"last_{lane}"]
            if told["of_run"] == row.run and told["was"] == row.record.trust and first <= seq:
                ts += told["by_ms"] if last is None or seq <= last else 0
        return ts


# ---------------------------------------------------------------- what the machine's clock claims


def test_a_clock_before_the_build_is_never_trusted_whatever_the_kernel_says(tmp_path: Path) -> None:
    wall = BUILD_TS - 1
    clock = SystemClock(lambda: True, lambda: wall, tmp_path, tmp_path / "none")
    assert clock.now().trust is Trust.UNSYNCED
    wall = BUILD_TS
    assert clock.now().trust is Trust.SYNCED


def test_the_epoch_that_the_system_was_shipped_with_is_a_floor(tmp_path: Path) -> None:
    epoch = tmp_path / "clock-epoch"
    epoch.touch()
    os.utime(epoch, (T0 / 1000, T0 / 1000))
    assert floor_ts(epoch) == T0
    assert floor_ts(tmp_path / "none") == BUILD_TS
    assert SystemClock(lambda: True, lambda: T0 - 1, tmp_path, epoch).now().trust is Trust.UNSYNCED


@pytest.mark.parametrize(
    ("hctosys", "shows", "trust"),
    [
        ("1", T0, Trust.RTC),
        ("0", T0, Trust.UNSYNCED),
        ("1", 0, Trust.UNSYNCED),  # an empty battery, and a wall time that was saved at the last shutdown
        ("1", T0 - HOUR_MS, Trust.UNSYNCED),  # wall time was set by something else since
    ],
)
def test_a_hardware_clock_counts_only_if_it_set_the_clock_and_still_agrees(
    tmp_path: Path, hctosys: str, shows: int, trust: Trust
) -> None:
    folder = tmp_path / "rtc0"
    folder.mkdir()
    (folder / "hctosys").write_text(f"{hctosys}\n")
    (folder / "since_epoch").write_text(f"{shows // 1000}\n")
    assert SystemClock(lambda: False, lambda: T0, tmp_path, tmp_path / "none").now().trust is trust
    assert SystemClock(lambda: True, lambda: T0, tmp_path, tmp_path / "none").now().trust is Trust.SYNCED


def test_the_kernel_is_asked_at_once_when_somebody_has_set_the_clock(tmp_path: Path) -> None:
    synced, wall = True, T0
    clock = SystemClock(lambda: synced, lambda: wall, tmp_path, tmp_path / "none")
    assert clock.now().trust is Trust.SYNCED
    synced, wall = False, T0 + HOUR_MS
    assert clock.now().trust is Trust.UNSYNCED


def test_the_machine_can_be_asked() -> None:
    now = SystemClock().now()
    assert now.trust in {Trust.SYNCED, Trust.RTC, Trust.UNSYNCED}
    assert now.ts > 0


# ---------------------------------------------------------------- a clock that was wrong at boot


@pytest.mark.parametrize("off_ms", [-T0, -3 * 24 * HOUR_MS], ids=["1970", "three days behind"])
@pytest.mark.promise("time-corrected")
def test_records_of_a_clock_that_was_wrong_at_boot_leave_with_the_right_time_once_it_is_known(off_ms: int) -> None:
    site = Site(off_ms, Trust.UNSYNCED)
    for _ in range(3):
        site.read(10)
    early = list(site.rows)
    assert {row.record.trust for row in early} == {Trust.UNSYNCED}
    site.synchronise()
    for row in map(site.corrections.of, early):
        assert (row.record.trust, site.off(row)) == (Trust.ESTIMATED, 0)
    site.read()
    late = site.corrections.of(site.rows[-1])
    assert (late.record.trust, site.off(late)) == (Trust.SYNCED, 0)


@pytest.mark.promise("time-corrected")
def test_who_has_the_records_already_is_told_which_and_by_how_much_their_times_were_wrong() -> None:
    site = Site(-3 * 24 * HOUR_MS, Trust.UNSYNCED)
    site.read()
    site.read()
    site.synchronise()
    (told,) = site.named("clock_corrected")
    assert told == {
        "event": "clock_corrected",
        "of_run": "run1",
        "boot": "boot-1",
        "was": "unsynced",
        "by_ms": 3 * 24 * HOUR_MS,
        "offset_ms": T0,
        "until_mono_ms": 1_002_500,
        "first_event": 1,
        "last_event": 1,
        "first_telemetry": 1,
        "last_telemetry": 2,
    }
    assert [event["by_ms"] for event in site.named("clock_stepped")] == [3 * 24 * HOUR_MS]


def test_a_clock_that_becomes_trusted_without_a_jump_vouches_for_what_was_recorded() -> None:
    site = Site(0, Trust.UNSYNCED)
    site.read()
    site.synchronise()
    assert [event["by_ms"] for event in site.named("clock_corrected")] == [0]
    assert site.corrections.of(site.rows[1]).record.trust is Trust.ESTIMATED
    assert not site.named("clock_stepped")


def test_a_hardware_clock_that_was_right_is_left_alone_and_one_that_was_wrong_corrected() -> None:
    right, wrong = Site(300, Trust.RTC), Site(-90_000, Trust.RTC)
    for site in (right, wrong):
        site.read()
        site.synchronise()
    assert not right.named("clock_corrected")
    assert right.corrections.of(right.rows[0]).record.trust is Trust.RTC
    assert [event["by_ms"] for event in wrong.named("clock_corrected")] == [90_000]


def test_a_reading_that_was_taken_before_the_jump_and_judged_after_it_gets_the_right_time() -> None:
    site = Site(-3 * 24 * HOUR_MS, Trust.UNSYNCED)
    sampled = site.now()
    site.mono += 0.2
    site.off_ms, site.trust = 0, Trust.SYNCED
    site.tell(Reading("smoke-1", sampled.mono, sampled.ts, {"smoke": "alarm"}, {}))
    of_the_reading = [row for row in site.rows if row.record.mono_ms == 1_000_000 and row.record.seq > 1]
    of_the_reading += [row for row in site.rows if row.record.lane is Lane.TELEMETRY]
    assert len(of_the_reading) == 2
    for row in of_the_reading:
        assert (row.record.trust, site.off(row)) == (Trust.ESTIMATED, 0)
    assert site.views["any-smoke@smoke-1.smoke"].since == site.true_ts(1000.0)


def test_an_alarm_that_stands_shows_since_when_it_really_does() -> None:
    site = Site(-3 * 24 * HOUR_MS, Trust.UNSYNCED)
    site.tell(Reading("smoke-1", site.now().mono, site.now().ts, {"smoke": "alarm"}, {}))
    site.mono += 100
    site.synchronise()
    assert site.views["any-smoke@smoke-1.smoke"].since == site.true_ts(1000.0)
    assert json.loads(site.stored["alarm/any-smoke@smoke-1.smoke"])["since"] == site.true_ts(1000.0)


# ---------------------------------------------------------------- restarts


def test_a_restart_in_the_same_boot_still_corrects_the_run_before_and_a_new_boot_does_not() -> None:
    same, other = Site(-T0, Trust.UNSYNCED), Site(-T0, Trust.UNSYNCED)
    for site, boot in ((same, "boot-1"), (other, "boot-2")):
        site.read()
        site.start(boot)
        site.read()
        site.synchronise()
    assert [event["of_run"] for event in same.named("clock_corrected")] == ["run1", "run2"]
    assert same.named("clock_corrected")[0]["last_telemetry"] is None
    assert {same.off(same.corrections.of(row)) for row in same.rows} == {0}
    assert [event["of_run"] for event in other.named("clock_corrected")] == ["run2"]
    assert other.corrections.of(other.rows[0]).record.trust is Trust.UNSYNCED, "of that boot nothing is known"


def test_a_run_that_starts_with_a_good_clock_corrects_the_one_before_it_at_once() -> None:
    site = Site(-T0, Trust.UNSYNCED)
    site.read()
    site.off_ms, site.trust = 0, Trust.SYNCED
    site.start()
    assert [event["of_run"] for event in site.named("clock_corrected")] == ["run1"]
    assert site.off(site.corrections.of(site.rows[0])) == 0
    assert not [key for key in site.stored if key.startswith("clock/eras")]


def test_a_run_that_ends_before_the_journal_has_opened_is_corrected_and_forgets_no_other() -> None:
    site = Site(-T0, Trust.UNSYNCED)
    site.read()
    site.start(recovered=False)
    site.read()
    site.tell(Stopping("at once"))
    site.start()
    site.synchronise()
    assert [event["of_run"] for event in site.named("clock_corrected")] == ["run1", "run2", "run3"]
    assert {site.off(site.corrections.of(row)) for row in site.rows} == {0}


def test_a_clock_that_never_settles_fills_no_memory() -> None:
    site = Site(-T0, Trust.UNSYNCED)
    for number in range(1000):
        site.off_ms = -T0 + number * 5000
        site.read()
    assert len(site.stored["clock/eras/run1"]) < 10_000
    site.synchronise()
    assert len(site.named("clock_corrected")) <= 128
    assert {site.off(site.corrections.of(row)) for row in site.rows} == {0}, "one correction is enough for all"


def test_the_backlog_of_an_earlier_run_leaves_corrected_after_a_restart(tmp_path: Path) -> None:
    site = Site(-T0, Trust.UNSYNCED)
    site.read()
    early = [row.record for row in site.rows]
    site.synchronise()
    path = tmp_path / "journal.db"
    with running(path, SystemClock(), run="run1") as first:
        first.post(*early, **site.stored)
        first.stored(1)
    with running(path, SystemClock(), run="run2") as second:
        answer = second.ask(Lane.TELEMETRY)
        assert second.sender.so_far(Stored) == []
        outbox = connected()
        for correction in second.sender.so_far(Correction):  # told before the answer was given
            outbox.corrections.learn(correction)
    assert [row.record.ts for row in answer.rows] == [early[1].ts], "stored rows never change"
    outbox.stored(answer.rows, 0.0)
    assert sent(outbox, "telemetry") == [("estimated", site.true_ts(early[1].mono_ms / 1000))]


def connected(run: str = "run1") -> Outbox:
    about = plan().about
    outbox = Outbox(run, contract.Topics.of(about), Board(about, "platform"), Options(20, 0.0, 100))
    outbox.connected(Up(1, "5"))
    return outbox


def sent(outbox: Outbox, topic: str) -> list[tuple[str, int]]:
    """Trust and time of each record that leaves under this topic now."""
    found = []
    while (message := outbox.next(10.0)) is not None:
        assert isinstance(message, Message)
        outbox.window.launch(message, 10.0)
        payload = json.loads(message.publication.payload)
        if topic in message.publication.topic and message.lane is not None:
            found += [(payload["tq"], record["ts"]) for record in payload.get("records", [payload])]
    return found


def test_what_waits_in_a_sender_leaves_corrected_and_apart_from_what_needs_no_correction() -> None:
    site = Site(-T0, Trust.UNSYNCED)
    site.read()
    site.synchronise()
    site.read()
    outbox = connected()
    outbox.stored(site.rows, 0.0)
    for notice in (Correction("run1", 1_001_500, T0), Correction("run0", 9_999_999, 5)):
        outbox.corrections.learn(notice)
    assert sent(outbox, "telemetry") == [("estimated", T0 + 1_001_000), ("synced", T0 + 1_002_500)]
    again = connected()
    again.stored(site.rows, 0.0)
    again.corrections.learn(Correction("run1", 1_001_500, T0))
    assert [trust for trust, _ in sent(again, "event")][:2] == ["estimated", "synced"]


def test_the_doubtful_backlog_of_an_earlier_run_waits_for_what_the_hub_knows_of_its_clock() -> None:
    site = Site(-T0, Trust.UNSYNCED)
    site.read()
    outbox = connected("run2")
    for lane, question in outbox.questions(0.0):
        rows = tuple(row for row in site.rows if row.record.lane is lane)
        outbox.answered(question.number, Backlog(lane, rows, 10, done=True))
    assert sent(outbox, "event") == sent(outbox, "telemetry") == []
    assert outbox.due_at(20.0, 30.0) is None, "nothing to wake up for"
    outbox.corrections.learn(Correction("run1", 1_001_500, T0))
    started = records.started("0.1.0", "a1b2", "kept", None)
    outbox.handed_over(Record(Lane.EVENT, 1, T0, Trust.SYNCED, 1_002_000, started), 0.0)
    assert sorted(trust for trust, _ in sent(outbox, "")) == ["estimated", "estimated", "synced"]


# ---------------------------------------------------------------- jumps while running


@pytest.mark.parametrize("by_ms", [HOUR_MS, -HOUR_MS])
def test_a_jump_while_running_is_an_event_and_disturbs_no_delay_and_no_order(by_ms: int) -> None:
    site = Site()
    site.read(0, -10.0)
    site.off_ms = by_ms
    site.tell(Tick(), 30)
    assert [event["by_ms"] for event in site.named("clock_stepped")] == [by_ms]
    site.tell(Tick(), 29.9)
    assert not site.named("alarm")
    site.tell(Tick(), 0.1)
    assert [event["alarm"] for event in site.named("alarm")] == ["warm"]
    assert [row.record.seq for row in site.rows if row.record.lane is Lane.EVENT] == [1, 2, 3]


def test_slow_slewing_is_no_jump() -> None:
    site = Site()
    for _ in range(100):
        site.off_ms += 500
        site.read(5)
    assert not site.named("clock_stepped")


def test_a_clock_that_loses_its_server_is_estimated_and_one_that_is_set_by_hand_after_that_is_not_trusted() -> None:
    site = Site()
    site.trust = Trust.UNSYNCED
    site.read()
    assert site.newest() == Trust.ESTIMATED
    site.off_ms = HOUR_MS
    site.read()
    assert site.newest() == Trust.UNSYNCED
    hardware = Site(0, Trust.RTC)
    hardware.off_ms = HOUR_MS
    hardware.read()
    assert hardware.newest() == Trust.UNSYNCED


# ---------------------------------------------------------------- the floor


def test_the_last_trusted_time_is_kept_with_what_is_stored_anyway_and_is_the_next_floor() -> None:
    site = Site()
    kept = [site.stored["clock/trusted"]]
    for _ in range(130):
        site.read(1)
        kept.append(site.stored["clock/trusted"])
    assert len(set(kept)) == 3, "at the start and once a minute"
    site.tell(Stopping("by hand"), 5)
    assert site.stored["clock/trusted"] == str(site.true_ts())
    site.off_ms = -HOUR_MS
    site.start()
    site.read()
    assert site.newest() == Trust.UNSYNCED, "whatever the kernel says"
    site.off_ms = 0
    site.read()
    assert site.newest() == Trust.SYNCED


@pytest.mark.parametrize("key", ["clock/trusted", "clock/eras/run0", "clock/correction/run1/5"])
@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "garbage", '{"boot":"boot-1","since":1,"eras":[[1]]}', '["a",1]']
)
def test_state_that_is_not_ours_breaks_nothing(key: str, text: str) -> None:
    site = Site()
    site.stored[key] = text
    site.start()
    site.read()
    assert site.newest() == Trust.SYNCED


# ---------------------------------------------------------------- another source of time


def test_another_source_confirms_the_clock_or_dates_what_was_recorded() -> None:
    right, wrong = Site(0, Trust.UNSYNCED), Site(-T0, Trust.UNSYNCED)
    for site in (right, wrong):
        site.read()
        site.tell(TimeKnown(site.mono, site.true_ts(), Trust.GPS), 0.3)
        assert site.off(site.corrections.of(site.rows[1])) == 0
        site.read()
    assert right.newest() == Trust.GPS
    assert wrong.newest() == Trust.UNSYNCED
    right.read(700)
    assert right.newest() == Trust.ESTIMATED, "nothing was heard for ten minutes"
    told = len(wrong.events)
    wrong.tell(TimeKnown(wrong.mono, wrong.true_ts(), Trust.GPS), 1)
    assert len(wrong.events) == told, "once a minute at most"


# ---------------------------------------------------------------- the law

_STORY = st.lists(
    st.one_of(
        st.tuples(st.just("read"), st.integers(0, 30)),
        st.tuples(st.just("set"), st.sampled_from([-T0, -3 * 24 * HOUR_MS, -HOUR_MS, 7 * HOUR_MS, 5000])),
        st.tuples(st.sampled_from(["lose", "sync", "restart", "smoke"]), st.just(0)),
    ),
    max_size=30,
)


@given(st.sampled_from([Trust.UNSYNCED, Trust.SYNCED]), st.sampled_from([0, -T0, -HOUR_MS]), _STORY)
def test_once_the_time_is_known_no_record_of_the_boot_is_left_with_a_wrong_one(
    trust: Trust, off_ms: int, story: list[tuple[str, int]]
) -> None:
    site = Site(off_ms if trust is Trust.UNSYNCED else 0, trust)
    for what, number in story:
        if what == "read":
            site.read(number)
        elif what == "set":
            site.off_ms, site.trust = number, Trust.UNSYNCED
        elif what == "lose":
            site.trust = Trust.UNSYNCED
        elif what == "sync":
            site.synchronise()
        elif what == "restart":
            site.mono += 1
            site.start()
        else:
            now = site.now()
            word = "alarm" if len(site.rows) % 2 else "normal"
            site.tell(Reading("smoke-1", now.mono, now.ts, {"smoke": word}, {}))
    site.synchronise()
    for row in site.rows:
        assert abs(site.off(site.corrections.of(row))) <= 2
        assert abs(site.as_corrected_by_events(row) - site.true_ts(row.record.mono_ms / 1000)) <= 2
    identities = [(row.run, row.record.lane, row.record.seq) for row in site.rows]
    assert len(set(identities)) == len(identities)


@pytest.mark.promise("time-of-the-sample")
def test_records_keep_their_own_time_when_nothing_is_wrong() -> None:
    record = Record(Lane.EVENT, 1, T0, Trust.SYNCED, 5, '{"event":"x"}')
    corrections = Corrections()
    corrections.learn(Correction("run1", 10, 0))
    assert corrections.of(Row(1, "run1", record)).record is record
