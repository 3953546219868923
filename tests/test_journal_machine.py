"""The journal against a toy: random commits, acknowledgements, retention, failures, stops and kills on a real file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from journal_scene import MB, NOW, backlog

from gateway.journal.inspection import slices
from gateway.journal.store import Store
from gateway.journal.waiting import Waiting
from gateway.model import SENT_LANES, Acked, Decision, Lane, PreviousRun, Record, ResendWanted, Row, StateChange, Trust

SHM = Path("/dev/shm")  # thousands of syncs: a busy disk would make minutes of them
UPLINKS = ("one", "two")
OLD = NOW - 1_000_000
KEEP_S = 500.0

lanes = st.sampled_from(SENT_LANES)
uplinks = st.sampled_from(UPLINKS)


class Known(NamedTuple):
    """A row of the toy, in the order of ids."""

    run: int
    seq: int
    old: bool


class JournalMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="journal-", dir=SHM if SHM.is_dir() else None))
        self.lives = 0
        self.run_no = 0
        self.rows: dict[Lane, dict[Known, str]] = {lane: {} for lane in Lane}
        self.ids: dict[Lane, dict[Known, int]] = {lane: {} for lane in Lane}
        self.acked: dict[tuple[str, Lane], set[Known]] = {
            (name, lane): set() for name in UPLINKS for lane in SENT_LANES
        }
        self.acked_on_disk = {key: set(known) for key, known in self.acked.items()}
        self.state: dict[str, str] = {}
        self.seqs = dict.fromkeys(Lane, 0)
        self.waiting = Waiting()
        self.store = self.begin(self.folder / "0" / "journal.db")

    def begin(self, path: Path) -> Store:
        self.run_no += 1
        store = Store(path, f"run-{self.run_no}", "boot-1", UPLINKS, 4 * MB)
        found, dropped = store.open(NOW)
        assert dropped == ()
        assert found.state == self.state
        last_numbers = self.seqs[Lane.EVENT], self.seqs[Lane.TELEMETRY]
        assert found.previous == (PreviousRun(f"run-{self.run_no - 1}", *last_numbers) if self.run_no > 1 else None)
        self.seqs = dict.fromkeys(Lane, 0)
        self.waiting = Waiting()
        return store

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def commit(self) -> None:
        rows = self.store.commit(self.waiting, (), NOW)
        for row in rows:
            known = Known(self.run_no, row.record.seq, row.record.ts == OLD)
            self.rows[row.record.lane][known] = row.record.text
            self.ids[row.record.lane][known] = row.id
        self.state = {k: v for k, v in (self.state | self.waiting.state).items() if v is not None}
        self.acked_on_disk = {key: set(known) for key, known in self.acked.items()}

    # ------------------------------------------------------------ what happens to it

    @rule(
        events=st.integers(0, 3),
        readings=st.integers(0, 6),
        local=st.integers(0, 3),
        skipped=st.sampled_from([0, 0, 0, 2]),
        old=st.booleans(),
        state=st.dictionaries(st.sampled_from("abc"), st.none() | st.text(max_size=3), max_size=2),
        times=st.sampled_from([1, 1, 2]),
    )
    def a_group_is_stored(
        self, events: int, readings: int, local: int, skipped: int, old: bool, state: dict[str, str | None], times: int
    ) -> None:
        self.seqs[Lane.TELEMETRY] += skipped
        records = []
        for lane, count in ((Lane.EVENT, events), (Lane.TELEMETRY, readings), (Lane.LOCAL, local)):
            for _ in range(count):
                self.seqs[lane] += 1
                seq = self.seqs[lane]
                text = f'{{"device":"{lane}-{self.run_no}","values":{{"n":{seq}}}}}'  # of readings the names go once
                records.append(Record(lane, seq, OLD if old else NOW, Trust.SYNCED, 0, text))
        self.waiting.add(Decision(tuple(records), tuple(StateChange(k, v) for k, v in state.items())), 0.0)
        if skipped and not readings:
            self.seqs[Lane.TELEMETRY] -= skipped  # a hole shows with the number that follows it
        for _ in range(times):
            self.commit()
        self.waiting.clear()

    @rule(uplink=uplinks, lane=lanes, data=st.data())
    def an_uplink_acknowledges(self, uplink: str, lane: Lane, data: st.DataObject) -> None:
        rows = sorted(self.rows[lane])
        if rows:
            at = data.draw(st.integers(0, len(rows) - 1))
            some = rows[at : at + data.draw(st.integers(1, 6))]
            ids = tuple((self.ids[lane][row], self.ids[lane][row]) for row in some)
            self.store.acknowledge(Acked(uplink, lane, ids))
            self.acked[uplink, lane] |= set(some)

    @rule(uplink=uplinks, lane=lanes, data=st.data())
    def a_platform_wants_some_once_more(self, uplink: str, lane: Lane, data: st.DataObject) -> None:
        """Of any run, more than there is; on the disk at once."""
        run = data.draw(st.integers(1, self.run_no))
        first = data.draw(st.integers(1, 12))
        last = data.draw(st.integers(first, 30))
        answer = self.store.resend(ResendWanted(uplink, f"run-{run}", lane, first, last, print), NOW)
        again = {row for row in self.rows[lane] if row.run == run and first <= row.seq <= last}
        assert answer.again == len(again)
        self.acked[uplink, lane] -= again
        if not answer.refusal and (answer.again or answer.gone):
            self.acked_on_disk = {key: set(known) for key, known in self.acked.items()}

    @rule()
    def what_is_old_is_forgotten(self) -> None:
        while self.store.upkeep.forget_old(NOW, KEEP_S):
            pass
        rows = self.store.ledger.rows()
        if rows < sum(map(len, self.rows.values())):  # what has nothing to delete is no write
            self.acked_on_disk = {key: set(known) for key, known in self.acked.items()}
        for lane in Lane:
            by_all = set(self.rows[lane])
            if lane in SENT_LANES:
                by_all = set.intersection(*(self.acked[name, lane] for name in UPLINKS))
            young = min((row for row in self.rows[lane] if row in by_all and not row.old), default=None)
            if lane is Lane.EVENT:  # nor does an event that is not acknowledged let younger ones go
                young = min((row for row in self.rows[lane] if row not in by_all or not row.old), default=None)
            gone = [row for row in by_all & set(self.rows[lane]) if row.old]
            for row in sorted(gone):
                if self._is_gone(lane, row):
                    del self.rows[lane][row]
                else:
                    assert young is not None  # only a younger one before it may keep an old row
                    assert young < row

    def _is_gone(self, lane: Lane, row: Known) -> bool:
        sql = f"SELECT count(*) FROM {lane} WHERE id = ?"
        return bool(self.store.handle.db.execute(sql, (self.ids[lane][row],)).fetchone() == (0,))

    @rule()
    def the_handle_fails_and_the_run_goes_on(self) -> None:
        self.store.handle.abandon()
        self.store.open(NOW)
        self.acked_on_disk = {key: set(known) for key, known in self.acked.items()}

    @rule()
    def the_daemon_stops_and_starts_again(self) -> None:
        self.commit()
        self.store.close()
        self.store = self.begin(self.store.handle.path)

    @rule()
    def the_daemon_is_killed_and_starts_again(self) -> None:
        """What the disk holds at this moment is all that is left; acknowledgements since the last commit are not."""
        self.lives += 1
        left = self.folder / str(self.lives)
        left.mkdir()
        for name in self.store.handle.path.parent.iterdir():
            if name.name in {"journal.db", "journal.db-wal"}:
                shutil.copy(name, left)
        self.store.close()
        self.acked = {key: set(known) for key, known in self.acked_on_disk.items()}
        self.store = self.begin(left / "journal.db")

    # ------------------------------------------------------------ what always holds

    @initialize()
    def nothing_is_there(self) -> None:
        assert self.store.ledger.rows() == 0

    @invariant()
    def counts_are_exact(self) -> None:
        assert self.store.ledger.rows() == sum(len(rows) for rows in self.rows.values())
        for name in UPLINKS:
            left = sum(len(set(self.rows[lane]) - self.acked[name, lane]) for lane in SENT_LANES)
            assert self.store.ledger.backlog(name) == left

    @invariant()
    def what_is_local_is_there_for_people(self) -> None:
        lines = [line for lines in slices(self.store.handle.path, Lane.LOCAL) for line in lines]
        assert [line.text for line in lines] == [self.rows[Lane.LOCAL][row] for row in sorted(self.rows[Lane.LOCAL])]

    @invariant()
    def each_uplink_can_read_what_it_does_not_have_and_nothing_else(self) -> None:
        for name in UPLINKS:
            for lane in SENT_LANES:
                left = sorted(set(self.rows[lane]) - self.acked[name, lane])
                after = 0
                found: list[Row] = []
                while True:
                    answer = backlog(self.store, lane, after=after, limit=3, uplink=name)
                    found += answer.rows
                    if answer.done:
                        break
                    after = answer.rows[-1].id
                assert [(row.run, row.record.seq) for row in found] == [(f"run-{row.run}", row.seq) for row in left]
                assert [row.record.text for row in found] == [self.rows[lane][row] for row in left]
                assert [row.id for row in found] == sorted(row.id for row in found)


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=examples(40), stateful_step_count=25, deadline=None)
