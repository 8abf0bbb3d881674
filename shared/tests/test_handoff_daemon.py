"""The hand-off under Dagster's real sensor daemon and storage, as a state machine.

Any order of announcements, ticks, deaths of the daemon between two of its effects, runs that
start, succeed, fail, are cancelled or lost, lost cursors, other versions, deletions and clocks.
"""

from contextlib import ExitStack
from datetime import date, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from edge_world import EFFECTS, EdgeWorld, Event, edge_world
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from databox_shared.days import DAYS_TAG, parse_days
from databox_shared.handoff import TICK_SECONDS
from databox_shared.handoff_alert import ALERT_TAG
from databox_shared.handoff_cursor import ANSWERS_TO_TAG, SETTLE_SECONDS, mark_id
from databox_shared.handoff_rule import FIRST_RETRY_SECONDS, MAX_ATTEMPTS

pytestmark = pytest.mark.slow

FIRST = date(2026, 11, 1)
some_days = st.sets(st.integers(0, 4).map(lambda n: FIRST + timedelta(days=n)), min_size=1)
FAILED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


class DaemonMachine(RuleBasedStateMachine):
    """What may happen to an edge, in any order."""

    @initialize()
    def begin(self) -> None:
        self.stack = ExitStack()
        self.world: EdgeWorld = self.stack.enter_context(edge_world())
        self.upstream: list[str] = []
        self.known: set[str] = set()
        self.was_tampered_with = False
        self.clock_went_back = False
        self.elapsed = 0.0

    # upstream

    @rule(days=some_days, with_unpartitioned=st.booleans(), goes_on=st.booleans())
    def a_run_announces(self, days: set[date], with_unpartitioned: bool, goes_on: bool) -> None:
        run_id = self.world.upstream_run()
        self.world.announce([*sorted(days), *([None] if with_unpartitioned else [])], run_id)
        if goes_on:
            self.upstream.append(run_id)
        else:
            self.world.end_upstream_run(run_id)

    @precondition(lambda self: self.upstream)
    @rule(days=some_days)
    def it_announces_more_and_ends(self, days: set[date]) -> None:
        run_id = self.upstream.pop()
        self.world.announce(sorted(days), run_id)
        self.world.end_upstream_run(run_id)

    @rule(days=some_days)
    def an_event_is_stored_and_seen_late(self, days: set[date]) -> None:
        self.world.announce(sorted(days), is_late=True)
        self.elapsed = 0.0

    @precondition(lambda self: self.world.hidden)
    @rule()
    def it_is_seen(self) -> None:
        self.world.commit()

    # the daemon

    @rule()
    def tick(self) -> None:
        self._tick()

    @rule(effect=st.sampled_from(EFFECTS), by_error=st.booleans())
    def the_daemon_dies_in_a_tick(self, effect: str, by_error: bool) -> None:
        self._tick(effect, by_error=by_error and effect != "TICK_SAVED")

    @rule(
        change=st.sampled_from(
            [
                lambda _: None,
                lambda _: "7",
                lambda _: "no cursor at all",
                # a version that knew only marks, and one that knows more than this one
                lambda text: str(text).split()[0] if text else None,
                lambda text: f"{text} and more" if text else None,
            ]
        )
    )
    def the_cursor_is_lost_or_another_version_wrote_it(self, change: object) -> None:
        self.world.save_cursor(change)

    # downstream

    @precondition(lambda self: self.world.in_flight())
    @rule()
    def the_run_starts(self) -> None:
        run = self.world.in_flight()[0]
        if run.run_id not in self.world.began:
            self.world.start(run)

    @precondition(lambda self: self.world.in_flight())
    @rule(how=st.sampled_from(["succeeds", "succeeds", "fails", "is cancelled"]))
    def the_run_ends(self, how: str) -> None:
        self.world.end(self.world.in_flight()[0], how)

    @precondition(lambda self: not self.world.in_flight())
    @rule()
    def all_attempts_fail(self) -> None:
        for _ in range(MAX_ATTEMPTS):
            self._wait(1000.0)
            self._tick()
            for run in self.world.in_flight():
                self.world.start(run)
                self.world.end(run, "fails")
        self._tick()

    @rule(is_down=st.booleans())
    def the_webhook(self, is_down: bool) -> None:
        self.world.is_webhook_down = is_down

    # people and clocks

    @precondition(lambda self: self.world.runs(*FAILED, dg.DagsterRunStatus.SUCCESS))
    @rule(data=st.data())
    def somebody_deletes_a_run(self, data: st.DataObject) -> None:
        ended = self.world.runs(*FAILED, dg.DagsterRunStatus.SUCCESS)
        record = data.draw(st.sampled_from(ended))
        self.world.instance.delete_run(record.dagster_run.run_id)
        self.was_tampered_with = True

    @precondition(lambda self: not self.world.in_flight())
    @rule()
    def run_wipe(self) -> None:
        self.world.instance.wipe()
        self.world.hidden.clear()
        self.upstream.clear()
        self.was_tampered_with = True

    @rule(seconds=st.sampled_from([1.0, 31.0, 61.0, 700.0, 100_000.0, -3600.0]))
    def the_clock_moves(self, seconds: float) -> None:
        self._wait(seconds)

    def _wait(self, seconds: float, *, passed: float = 0.0) -> None:
        self.elapsed += max(seconds, passed)
        if self.elapsed >= SETTLE_SECONDS - 10:
            # no transaction takes so long
            self.world.commit()
        self.clock_went_back |= seconds < 0
        self.world.now += seconds

    def _tick(self, dies_after: str | None = None, *, by_error: bool = False) -> None:
        owed, failed = self.world.owed(), self.world.runs(*FAILED)
        self.world.tick(dies_after=dies_after, by_error=by_error)
        self._wait(0.0, passed=TICK_SECONDS)
        fresh = [r.dagster_run for r in self.world.runs() if r.dagster_run.run_id not in self.known]
        self.known |= {run.run_id for run in fresh}
        for run in fresh:
            self._is_needed(run, owed)
            self._is_no_storm(run, owed, failed)

    def _is_needed(self, run: dg.DagsterRun, owed: list[Event]) -> None:
        if self.was_tampered_with:
            return
        days = {event.day for event in owed}
        asked = set(parse_days(run.tags[DAYS_TAG]))
        assert asked <= days, f"a day that nothing needs: {asked - days}"
        assert asked or None in days, "a run that nothing needs"

    def _is_no_storm(
        self, run: dg.DagsterRun, owed: list[Event], failed: list[dg.RunRecord]
    ) -> None:
        for day in parse_days(run.tags[DAYS_TAG]):
            newest = max((e.storage_id for e in owed if e.day == day), default=0)
            tried = [
                record
                for record in failed
                if mark_id(record.dagster_run.tags[ANSWERS_TO_TAG]) >= newest
                and day in parse_days(record.dagster_run.tags[DAYS_TAG])
            ]
            if not newest or not tried or self.was_tampered_with:
                continue
            assert len(tried) < MAX_ATTEMPTS, "a run that was given up is asked for again"
            if not self.clock_went_back:
                pause = self.world.now - (tried[0].end_time or 0.0)
                assert pause >= FIRST_RETRY_SECONDS * 2 ** (len(tried) - 1), "retried too early"

    # what always holds

    @invariant()
    def no_tick_fails(self) -> None:
        assert not self.world.errors

    @invariant()
    def one_run_is_in_flight(self) -> None:
        assert len(self.world.in_flight()) <= 1

    @invariant()
    def the_cursor_passes_nothing_that_is_owed(self) -> None:
        if not self.was_tampered_with:
            passed = self.world.passed
            assert all(event.storage_id > passed for event in self.world.owed())

    @invariant()
    def nothing_is_told_twice(self) -> None:
        assert len(set(self.world.told)) == len(self.world.told)

    def teardown(self) -> None:
        """When things go well again, all is answered, in few runs, and it is quiet."""
        world = self.world
        with self.stack:
            world.is_webhook_down = False
            world.commit()
            for run_id in self.upstream:
                world.end_upstream_run(run_id)
            # a fresh materialization wakes up what was given up
            world.announce(sorted({e.day for e in world.events() if e.day is not None}))
            world.announce([None])
            before = len(world.runs())
            for _ in range(4):
                world.now += 100_000.0
                world.tick()
                for run in world.in_flight():
                    if run.run_id not in world.began:
                        world.start(run)
                    world.end(run, "succeeds")
            assert not world.owed()
            assert len(world.runs()) - before <= 1
            assert not world.errors
            assert "is answered" in world.reason or "nothing was materialized" in world.reason


DaemonMachine.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=24,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
TestDaemon = DaemonMachine.TestCase


def let_runs_fail(world: EdgeWorld) -> None:
    world.now += 1000.0
    world.tick()
    for run in world.in_flight():
        world.start(run)
        world.end(run, "fails")


def test_a_backfill_of_a_year_is_answered_in_at_most_five_runs_while_the_daemon_dies() -> None:
    days = [FIRST - timedelta(days=number) for number in range(365)]
    with edge_world() as world:
        for number, effect in enumerate(EFFECTS):
            # a run of its own for each day, as a backfill without a policy has
            for day in days[number :: len(EFFECTS)]:
                world.announce([day])
            world.tick(dies_after=effect)
            world.tick()
            for run in world.in_flight():
                if run.run_id in world.began:
                    world.end(run, "succeeds")
                else:
                    world.start(run)
        for _ in range(3):
            world.tick()
            for run in world.in_flight():
                if run.run_id not in world.began:
                    world.start(run)
                world.end(run, "succeeds")
        assert not world.owed()
        assert len(world.runs()) <= 5


def test_what_is_given_up_is_told_once_and_again_only_when_a_new_run_gives_up() -> None:
    with edge_world() as world:
        world.is_webhook_down = True
        world.announce([FIRST, FIRST + timedelta(days=1)])
        for _ in range(MAX_ATTEMPTS + 2):
            let_runs_fail(world)
        assert world.told == [], "the webhook is down"
        assert "gave up on 2026-11-01/2026-11-02" in world.reason
        assert not world.errors
        world.is_webhook_down = False
        world.tick()
        assert world.told == [], "it was tried a moment ago"
        for _ in range(3):
            world.now += 1000.0
            world.tick()
            world.save_cursor(lambda _: None)
        (text,) = world.told
        assert "gave up on 2026-11-01/2026-11-02" in text
        world.announce([FIRST])
        for _ in range(MAX_ATTEMPTS + 2):
            let_runs_fail(world)
        assert len(world.told) == 2
        last = world.runs()[0].dagster_run
        assert ALERT_TAG in last.tags
        again = create_run_for_test(
            world.instance,
            job_name="answer",
            # Dagster copies the tags of what is executed again
            tags=last.tags,
            parent_run_id=last.run_id,
            root_run_id=last.run_id,
        )
        world.start(again)
        world.end(again, "fails")
        for _ in range(3):
            world.tick()
        assert len(world.told) == 3, "a re-execution that fails is an incident of its own"


def test_a_sensor_that_ticked_while_the_clock_was_ahead_ticks_again_once_it_was_put_right() -> None:
    with edge_world() as world:
        world.now += 3600.0
        world.tick()
        world.now -= 3600.0
        world.announce([FIRST])
        world.tick()
        assert world.in_flight()


def test_a_run_that_a_dead_daemon_never_queued_does_not_hold_its_edge() -> None:
    with edge_world() as world:
        world.announce([FIRST])
        world.tick(dies_after="RUN_CREATED")
        assert not world.in_flight()
        # too late for Dagster to take up the tick that died
        world.now += 100_000.0
        world.tick()
        (run,) = world.in_flight()
        world.start(run)
        world.end(run, "succeeds")
        assert not world.owed()


def test_what_is_beyond_a_full_window_is_not_held_up_by_what_was_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("databox_shared.handoff.MAX_EVENTS_PER_KEY", 3)
    with edge_world() as world:
        world.announce([FIRST])
        for _ in range(MAX_ATTEMPTS):
            let_runs_fail(world)
        for number in range(1, 8):
            world.announce([FIRST + timedelta(days=number)])
        for _ in range(12):
            world.now += SETTLE_SECONDS
            world.tick()
            for run in world.in_flight():
                world.start(run)
                world.end(run, "succeeds")
        assert [event.day for event in world.owed()] == [FIRST]


@pytest.mark.parametrize("is_answered", [False, True])
def test_days_that_were_stepped_over_before_anybody_could_be_told_are_told_unless_answered(
    monkeypatch: pytest.MonkeyPatch, is_answered: bool
) -> None:
    monkeypatch.setattr("databox_shared.handoff.MAX_EVENTS_PER_KEY", 3)
    with edge_world() as world:
        world.is_webhook_down = True
        world.announce([FIRST])
        for _ in range(MAX_ATTEMPTS + 1):
            let_runs_fail(world)
        days = [FIRST + timedelta(days=number) for number in range(1, 8)]
        for day in [*days, FIRST] if is_answered else days:
            world.announce([day])
        for _ in range(12):
            world.now += SETTLE_SECONDS
            world.tick()
            for run in world.in_flight():
                world.start(run)
                world.end(run, "succeeds")
        world.is_webhook_down = False
        for _ in range(2):
            world.now += 1000.0
            world.tick()
        assert len(world.told) == (0 if is_answered else 1)
        assert is_answered or "gave up on 2026-11-01: run" in world.told[0]
