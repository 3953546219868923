"""Whatever happens, in whatever order, a request to write is carried out once at most, and every answer is true."""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from examples import examples
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from test_writes import Desk

from gateway.hub.writes import STORE_S, WRITE_S
from gateway.model import Adjust, Adjusted, Decision, Recovered, Row, Stored, Tick, Unstored

IDS = ("c1", "c2")
POINTS = {"c1": ("setpoint", -18.5), "c2": ("delay", 60)}


class WriteMachine(RuleBasedStateMachine):
    """A platform that repeats itself, a disk, a link, the time, and a gateway that is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.disk: dict[str, str] = {}  # what survives: state as of the last commit
        self.sent: Counter[str] = Counter()
        self.done: set[str] = set()
        self.on_the_wire: list[Adjust] = []
        self.uncommitted: list[Decision] = []
        self.desk = Desk()

    def decided(self, decision: Decision) -> None:
        self.on_the_wire += [write for write in decision.writes if isinstance(write, Adjust)]
        self.sent.update(write.key.rsplit("/")[-1] for write in decision.writes if isinstance(write, Adjust))
        if decision.records or decision.state:
            self.uncommitted.append(decision)

    @rule(id_=st.sampled_from(IDS))
    def ask(self, id_: str) -> None:
        point, value = POINTS[id_]
        self.decided(self.desk.ask(id_, point=point, value=value))

    @rule(id_=st.sampled_from(IDS))
    def ask_and_commit(self, id_: str) -> None:
        self.ask(id_)
        self.commit()

    @rule()
    def commit(self) -> None:
        decisions, self.uncommitted = self.uncommitted, []
        for decision in decisions:
            for change in decision.state:
                if change.text is None:
                    self.disk.pop(change.key, None)
                else:
                    self.disk[change.key] = change.text
            rows = tuple(Row(1, "run2", record) for record in decision.records)
            self.decided(self.desk.tell(Stored(rows)))

    @rule()
    def disk_fails(self) -> None:
        for decision in list(self.uncommitted):  # the rows wait in memory, and may be stored later
            self.decided(self.desk.tell(Unstored(tuple(Row(1, "run2", record) for record in decision.records))))

    @rule(result=st.sampled_from(["done", "failed", "outcome_unknown"]))
    def link_tells(self, result: str) -> None:
        if self.on_the_wire:
            write = self.on_the_wire.pop(0)
            if result == "done":
                self.done.add(write.key.rsplit("/")[-1])
            back = write.value if result == "done" else None
            self.decided(self.desk.tell(Adjusted(write.key, result, back, "")))

    @rule(seconds=st.sampled_from([0.1, STORE_S, WRITE_S]))
    def wait(self, seconds: float) -> None:
        self.decided(self.desk.tell(Tick(), seconds))

    @rule()
    def kill(self) -> None:
        self.uncommitted, self.on_the_wire = [], []
        self.desk = Desk(self.disk, recovered=False)
        self.desk.replies.clear()

    @rule()
    def recover(self) -> None:
        if not self.desk.hub.started:
            self.decided(self.desk.tell(Recovered("kept", None, dict(self.disk))))

    @invariant()
    def nothing_is_carried_out_twice(self) -> None:
        assert not [id_ for id_, times in self.sent.items() if times > 1]

    @invariant()
    def only_what_was_done_is_called_done_and_nothing_sent_is_called_refused(self) -> None:
        for reply in self.desk.replies:
            assert reply.result != "done" or reply.id in self.done
            assert reply.result != "refused" or "under way" in reply.detail or "ask again" in reply.detail


WriteMachine.TestCase.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)
test_a_write_is_carried_out_once_at_most = WriteMachine.TestCase
