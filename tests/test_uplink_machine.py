"""The whole sender where only the platform's word counts, against a slow obvious model of broker and platform."""

from __future__ import annotations

import json
from collections import deque
from typing import NamedTuple

from examples import examples
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sender_desk import Desk
from uplink_scene import MemoryJournal, event, reading

from gateway.model import SENT_LANES, Lane, Record
from gateway.uplink.wire import Down, Landed

lanes = st.sampled_from(SENT_LANES)


class Name(NamedTuple):
    run: str
    lane: Lane
    seq: int


class PlatformMachine(RuleBasedStateMachine):
    """A broker that forgets, a connection that ends, a platform whose word gets lost or comes twice, and restarts."""

    @initialize(window=st.integers(1, 8))
    def begin(self, window: int) -> None:
        self.window = window
        self.lives = 0
        self.got: set[Name] = set()
        self.confirmed: set[Name] = set()
        self.letters: deque[bytes] = deque()  # confirmations that the platform has written
        self.journal = MemoryJournal()
        self.start()

    def start(self) -> None:
        self.lives += 1
        self.run = f"run-{self.lives}"
        self.desk = Desk(
            run=self.run,
            journal=self.journal,
            window=self.window,
            linger=0.0,
            keepalive=1e9,
            acknowledged_by="platform",
            confirm_within=30.0,
        )
        self.seqs = dict.fromkeys(Lane, 0)
        self.unstored: list[Record] = []
        self.up = False

    # ------------------------------------------------------------ the gateway

    @rule(telemetry=st.integers(0, 30), events=st.integers(0, 3), stores=st.booleans())
    def makes(self, telemetry: int, events: int, stores: bool) -> None:
        for lane, count in ((Lane.TELEMETRY, telemetry), (Lane.EVENT, events)):
            for _ in range(count):
                self.seqs[lane] += 1
                record = (reading if lane is Lane.TELEMETRY else event)(self.seqs[lane])
                self.unstored.append(record)
                if lane is Lane.EVENT:
                    self.desk.tell(record)
        if stores:
            self.stores()

    @rule()
    def stores(self) -> None:
        made, self.unstored = self.unstored, []
        self.desk.tell(self.journal.store(made, self.run))

    @rule()
    def the_journal_answers(self) -> None:
        self.desk.answer_all()

    @rule(seconds=st.sampled_from([0.3, 1.1, 31.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.desk.tell(later=seconds)

    @rule()
    def is_killed_and_starts_again(self) -> None:
        self.desk.answer_all()  # what it has told the journal
        self.start()

    # ------------------------------------------------------------ the broker

    @precondition(lambda self: not self.up)
    @rule()
    def connects(self) -> None:
        self.up = True
        self.desk.wire.sent.clear()
        self.desk.connect()

    @precondition(lambda self: self.up)
    @rule(arrives=st.integers(0, 3))
    def the_connection_ends(self, arrives: int) -> None:
        """Some messages got through, whose acknowledgements are lost."""
        for _, _, publication in self.desk.wire.sent[:arrives]:
            self.deliver(publication.topic, publication.payload)
        self.up = False
        self.desk.wire.sent.clear()
        self.desk.tell(Down(self.desk.connection, "lost", ""))

    @precondition(lambda self: self.up and self.desk.wire.sent)
    @rule(count=st.integers(1, 8), forgets=st.booleans(), last_first=st.booleans())
    def takes(self, count: int, forgets: bool, last_first: bool) -> None:
        """Acknowledges messages, and delivers them or forgets them."""
        for _ in range(min(count, len(self.desk.wire.sent))):
            connection, token, publication = self.desk.wire.sent.pop(-1 if last_first else 0)
            if not forgets:
                self.deliver(publication.topic, publication.payload)
            self.desk.tell(Landed(connection, token, 0, "Success"))

    def deliver(self, topic: str, payload: bytes) -> None:
        name = topic.rpartition("/")[2]
        if name == "event":
            said = json.loads(payload)
            self.got.add(Name(said["run"], Lane.EVENT, said["seq"]))
        elif name == "telemetry":
            said = json.loads(payload)
            self.got |= {Name(said["run"], Lane.TELEMETRY, record["seq"]) for record in said["records"]}

    # ------------------------------------------------------------ the platform

    @rule(lane=lanes, least=st.integers(1, 40), data=st.data())
    def writes_a_confirmation(self, lane: Lane, least: int, data: st.DataObject) -> None:
        runs = sorted({name.run for name in self.got if name.lane is lane})
        if runs:
            self.write(data.draw(st.sampled_from(runs)), lane, least)

    def write(self, run: str, lane: Lane, least: int = 1) -> None:
        seqs = [seq for of_run, of_lane, seq in self.got if (of_run, of_lane) == (run, lane) and seq >= least]
        if seqs:
            ranges = [[seq, seq] for seq in sorted(seqs)[:900]]
            self.letters.append(json.dumps({"run": run, "lane": lane, "ranges": ranges}).encode())

    @precondition(lambda self: self.up and self.letters)
    @rule(times=st.sampled_from([1, 1, 2]))
    def a_confirmation_comes(self, times: int) -> None:
        letter = self.letters.popleft()
        said = json.loads(letter)
        for first, last in said["ranges"]:
            self.confirmed |= {Name(said["run"], Lane(said["lane"]), seq) for seq in range(first, last + 1)}
        for _ in range(times):
            self.desk.hear("stored", letter)

    @precondition(lambda self: self.letters)
    @rule()
    def a_confirmation_is_lost(self) -> None:
        self.letters.popleft()

    @precondition(lambda self: self.up)
    @rule(lane=lanes, first=st.integers(1, 40), count=st.integers(0, 40), number=st.integers(1, 3))
    def wants_some_once_more(self, lane: Lane, first: int, count: int, number: int) -> None:
        wanted = {"run": f"run-{number}", "lane": lane, "from": first, "to": first + count}
        fields = {"id": f"r-{first}-{count}", "name": "resend", "args": wanted, "issuer": "p", "expires": 2**50}
        self.desk.hear("command", json.dumps(fields).encode())

    # ------------------------------------------------------------ what always holds

    @invariant()
    def nothing_counts_as_acknowledged_that_was_not_confirmed(self) -> None:
        if hasattr(self, "journal"):
            for lane in Lane:
                for row in self.journal.rows[lane]:
                    if row.id in self.journal.acked[lane]:
                        assert Name(row.run, lane, row.record.seq) in self.confirmed

    def teardown(self) -> None:
        """A quiet hour later everything that was stored has arrived and is confirmed."""
        if not hasattr(self, "desk"):
            return
        self.letters.clear()
        self.stores()
        if not self.up:
            self.connects()
        for _ in range(500):
            self.the_journal_answers()
            if self.desk.wire.sent:
                self.takes(8, forgets=False, last_first=False)
            for run, lane in {(name.run, name.lane) for name in self.got - self.confirmed}:
                self.write(run, lane)
            while self.letters:
                self.a_confirmation_comes(1)
            if not any(map(self.journal.unacked, Lane)):
                break
            self.time_passes(31.0)
        assert not any(map(self.journal.unacked, Lane)), "something never arrived"
        stored = {Name(row.run, lane, row.record.seq) for lane in Lane for row in self.journal.rows[lane]}
        assert stored <= self.got


TestPlatformMachine = PlatformMachine.TestCase
TestPlatformMachine.settings = settings(
    max_examples=examples(40), stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
