"""The rule of the hand-off as a state machine: any order of events, ticks, deaths and clocks.

The machine keeps its own truth, told by a counter that grows with everything that happens, and
holds `decide` to it. It knows nothing of cursors and tags.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from databox_shared.handoff_cursor import (
    NO_MARK,
    SETTLE_SECONDS,
    Cursor,
    Materialization,
    mark_id,
)
from databox_shared.handoff_rule import (
    MAX_ATTEMPTS,
    Answer,
    Decision,
    Outcome,
    decide,
    is_trusted,
    retry_at,
)

FIRST = date(2026, 11, 1)
some_days = st.sets(st.integers(0, 5).map(lambda n: FIRST + timedelta(days=n)), min_size=1)


@dataclass
class Run:
    """A downstream run as it really is: what it is for, and the moment when it started."""

    answer: Answer
    started: int | None = None
    is_deleted: bool = False


@dataclass
class World:
    """Everything that survives a killed daemon: the storage.

    `late` are events that have an id and are not committed yet: nobody sees them.
    """

    events: list[Materialization] = field(default_factory=list[Materialization])
    late: list[Materialization] = field(default_factory=list[Materialization])
    moments: dict[str, int] = field(default_factory=dict[str, int])
    runs: list[Run] = field(default_factory=list[Run])
    unfinished: set[str] = field(default_factory=set[str])
    cursor: str = NO_MARK
    now: float = 1_000_000.0

    def announce(self, day: date | None, run_id: str, moment: int, *, late: bool = False) -> None:
        """Store an event under the next id, as SQLite does: the id of a deleted one comes again."""
        newest = max((event.storage_id for event in [*self.events, *self.late]), default=0)
        event = Materialization(newest + 1, day, run_id, self.now + moment / 1e4)
        self.moments[event.mark] = moment
        (self.late if late else self.events).append(event)

    def commit(self) -> None:
        self.events += self.late
        self.late.clear()

    def look(self) -> Decision:
        cursor = Cursor.parse(self.cursor)
        events = [event for event in self.events if event.storage_id >= mark_id(cursor.passed)]
        if not is_trusted(cursor, events):
            cursor, events = Cursor(), self.events
        return decide(
            cursor=cursor,
            events=[event for event in events if event.mark != cursor.passed],
            answers=[run.answer for run in reversed(self.runs) if not run.is_deleted],
            unfinished_runs=frozenset(self.unfinished),
            now=self.now,
        )

    def in_flight(self) -> list[Run]:
        return [run for run in self.runs if run.answer.outcome is Outcome.IN_FLIGHT]

    def is_answered(self, event: Materialization) -> bool:
        return any(
            run.answer.outcome is Outcome.SUCCEEDED
            and run.started is not None
            and run.started > self.moments[event.mark]
            and (event.day is None or event.day in run.answer.days)
            for run in self.runs
        )


class HandoffMachine(RuleBasedStateMachine):
    """Upstream announces, the daemon ticks and dies, runs start and end, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.moment = 0
        self.was_tampered_with = False
        self.passed = 0.0

    def _next(self) -> int:
        self.moment += 1
        return self.moment

    @rule(days=some_days, late=st.booleans())
    def announce_in_a_transaction(self, days: set[date], late: bool) -> None:
        for day in sorted(days):
            self.world.announce(day, f"up{self._next():06d}", self._next(), late=late)

    @precondition(lambda self: self.world.late)
    @rule()
    def transaction_ends(self) -> None:
        self.world.commit()

    @rule(days=some_days, with_unpartitioned=st.booleans(), goes_on=st.booleans())
    def announce(self, days: set[date], with_unpartitioned: bool, goes_on: bool) -> None:
        run_id = f"up{self._next():06d}"
        keys: list[date | None] = [*sorted(days)]
        for day in [*keys, None] if with_unpartitioned else keys:
            self.world.announce(day, run_id, self._next())
        if goes_on:
            self.world.unfinished.add(run_id)

    @precondition(lambda self: self.world.unfinished)
    @rule(data=st.data())
    def upstream_run_announces_more(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.world.unfinished)))
        for day in sorted(data.draw(some_days)):
            self.world.announce(day, run_id, self._next())

    @precondition(lambda self: self.world.unfinished)
    @rule(data=st.data())
    def upstream_run_ends(self, data: st.DataObject) -> None:
        self.world.unfinished.remove(data.draw(st.sampled_from(sorted(self.world.unfinished))))

    @rule(dies=st.sampled_from(["no", "before the run is created", "before the cursor is saved"]))
    def tick(self, dies: str) -> None:
        decision = self.world.look()
        launch = decision.launch
        if launch is not None and dies != "before the run is created":
            assert not self.world.in_flight(), "two runs in flight on one edge"
            owed = {e.day for e in self.world.events if not self.world.is_answered(e)}
            if not self.was_tampered_with:
                assert owed & {None, *launch.days}, "a run that nothing needs"
                assert set(launch.days) <= owed, "a day that nothing needs"
            answer = Answer(
                run_id=f"down{self._next():06d}",
                outcome=Outcome.IN_FLIGHT,
                days=frozenset(launch.days),
                answers_to=launch.answers_to,
            )
            self.world.runs.append(Run(answer))
        if dies == "no":
            self.world.cursor = str(decision.cursor)

    @precondition(lambda self: self.world.in_flight())
    @rule()
    def run_starts(self) -> None:
        run = self.world.in_flight()[0]
        if run.started is None:
            run.started = self._next()
            newest = max(self.world.events, key=lambda e: e.storage_id, default=None)
            run.answer = replace(run.answer, answers_to=newest.mark if newest else NO_MARK)

    @precondition(lambda self: self.world.in_flight())
    @rule(succeeds=st.booleans())
    def run_ends(self, succeeds: bool) -> None:
        run = self.world.in_flight()[0]
        # a run that never started can only be cancelled or lost
        outcome = Outcome.SUCCEEDED if succeeds and run.started is not None else Outcome.FAILED
        run.answer = replace(run.answer, outcome=outcome, ended_at=self.world.now)

    @rule()
    def cursor_is_lost(self) -> None:
        self.world.cursor = NO_MARK

    @precondition(lambda self: self.world.events)
    @rule(data=st.data())
    def somebody_deletes_events(self, data: st.DataObject) -> None:
        event = data.draw(st.sampled_from(self.world.events))
        self.world.events.remove(event)
        self.was_tampered_with = True

    @precondition(lambda self: self.world.runs)
    @rule(data=st.data())
    def somebody_deletes_a_finished_run(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self.world.runs))
        if run.answer.outcome is not Outcome.IN_FLIGHT:
            run.is_deleted = True
            self.was_tampered_with = True

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 600.0, -3600.0]))
    def clock_jumps(self, seconds: float) -> None:
        self.passed += max(seconds, 0.0)
        if self.passed >= SETTLE_SECONDS:
            # no transaction takes so long
            self.world.commit()
            self.passed = 0.0
        self.world.now += seconds

    @invariant()
    def nothing_is_forgotten(self) -> None:
        owed = [event for event in self.world.events if not self.world.is_answered(event)]
        decision = self.world.look()
        assert decision.pending >= len(owed), "a materialization was counted as answered"
        if not decision.pending:
            assert not owed
        for event in owed:
            passed = mark_id(decision.cursor.passed)
            assert event.storage_id > passed, "the cursor passed an open one"
        for event in self.world.late:
            if not self.was_tampered_with:
                passed = mark_id(decision.cursor.passed)
                assert event.storage_id > passed, "the cursor passed one that nobody has seen"

    def teardown(self) -> None:
        """From any state, when things go well again, everything is answered in few runs."""
        self.world.unfinished.clear()
        self.world.commit()
        for run in self.world.in_flight():
            run.answer = replace(run.answer, outcome=Outcome.FAILED, ended_at=self.world.now)
        # a fresh materialization wakes up what was given up
        for day in sorted({e.day for e in self.world.events if e.day is not None}):
            self.world.announce(day, "again", self._next())
        self.world.announce(None, "again", self._next())
        before = len(self.world.runs)
        for _ in range(3):
            self.world.now += 10_000_000.0
            self.tick("no")
            if self.world.in_flight():
                self.run_starts()
                self.run_ends(succeeds=True)
        assert all(self.world.is_answered(event) for event in self.world.events)
        assert len(self.world.runs) - before <= 1
        # and when all has settled, the cursor leaves nothing to be read again
        for _ in range(2):
            self.tick("no")
            self.world.now += SETTLE_SECONDS
        decision = self.world.look()
        assert decision.pending == 0
        assert decision.cursor.passed == self.world.events[-1].mark


HandoffMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestHandoff = HandoffMachine.TestCase


def test_a_burst_of_a_year_is_answered_by_one_run_when_its_upstream_run_has_ended() -> None:
    world = World(unfinished={"backfill"})
    for number in range(365):
        world.announce(FIRST + timedelta(days=number), "backfill", number)
        assert world.look().launch is None
    world.unfinished.clear()
    launch = world.look().launch
    assert launch is not None
    assert len(launch.days) == 365


def test_a_failed_run_is_retried_with_growing_pauses_and_then_given_up_with_what_to_do() -> None:
    world = World(events=[Materialization(1, FIRST, "up")])
    pauses: list[float] = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        launch = world.look().launch
        assert launch is not None
        assert launch.after == (f"down{attempt - 1}" if attempt > 1 else None)
        mark = launch.answers_to
        failed = Answer(f"down{attempt}", Outcome.FAILED, frozenset({FIRST}), mark, world.now)
        world.runs.append(Run(failed))
        assert world.look().launch is None
        due = retry_at([run.answer for run in reversed(world.runs)], world.now)
        pauses.append(due - world.now)
        world.now = due
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0]
    world.now += 1e9
    decision = world.look()
    assert decision.launch is None
    assert decision.pending == 1
    assert "gave up on 2026-11-01" in decision.reason
    assert "mend the cause" in decision.reason
