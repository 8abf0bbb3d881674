"""The rule of the hand-off, pure: what an edge owes, and which run to ask for.

Every upstream materialization is answered by at least one successful run of the downstream job
that started after it, for exactly its days; none is lost, and none is answered twice without
need. `decide` is told everything that was materialized after the cursor and every run that
answers, and keeps nothing itself, so a killed daemon, a lost cursor or a redeploy of either side
forgets nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum

from databox_shared.days import format_days
from databox_shared.handoff_cursor import NO_MARK, Cursor, Materialization, mark_id

MAX_ATTEMPTS = 5
FIRST_RETRY_SECONDS = 30.0
# a run that ended later than this after now was ended by a clock that has since been put back
CLOCK_SLACK_SECONDS = 60.0


class Outcome(Enum):
    """What became of a run, as far as the hand-off cares."""

    IN_FLIGHT = "in flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PARTIAL = "re-executed in part, which answers nothing"


@dataclass(frozen=True)
class Answer:
    """One downstream run: it answers `days`, and unpartitioned assets, up to a mark."""

    run_id: str
    outcome: Outcome
    days: frozenset[date]
    answers_to: str
    ended_at: float | None = None

    def covers(self, event: Materialization) -> bool:
        """Whether this run is for that materialization; every run reads unpartitioned assets."""
        return event.storage_id <= mark_id(self.answers_to) and (
            event.day is None or event.day in self.days
        )


@dataclass(frozen=True)
class Launch:
    """The run to ask for: these days, answering everything up to the mark `answers_to`.

    `after` is the newest run of the edge that has ended, whatever became of it.
    """

    days: tuple[date, ...]
    answers_to: str
    after: str | None
    upstream_run_id: str


class Wait(Enum):
    """Why days have no answer yet."""

    FOR_RUN = "waiting"
    FOR_UPSTREAM = "upstream goes on"
    FOR_RETRY = "to be retried"
    GIVEN_UP = "given up"


@dataclass(frozen=True)
class Waiting:
    """Days without an answer, for one reason; None among them are unpartitioned assets.

    `run_id` is the upstream run that is waited for, or the newest run that failed.
    """

    wait: Wait
    run_id: str
    days: tuple[date | None, ...]
    failures: int = 0
    retry_at: float = 0.0

    @property
    def days_in_words(self) -> str:
        """The days as ranges."""
        days = format_days(day for day in self.days if day is not None)
        unpartitioned = "unpartitioned assets" if None in self.days else ""
        return ",".join(filter(None, [days, unpartitioned]))

    @property
    def reason(self) -> str:
        """Why they wait, in a sentence, and what to do if it is for a person."""
        if self.wait is Wait.FOR_RUN:
            return f"{self.days_in_words} can be answered"
        if self.wait is Wait.FOR_UPSTREAM:
            return f"upstream run {self.run_id[:8]} is not finished"
        if self.wait is Wait.FOR_RETRY:
            due = datetime.fromtimestamp(self.retry_at, UTC).strftime("%H:%M:%S")
            attempt = f"attempt {self.failures + 1} of {MAX_ATTEMPTS}"
            return f"run {self.run_id[:8]} failed; {attempt} at {due} UTC"
        before = f" and {self.failures - 1} before it" if self.failures > 1 else ""
        return (
            f"gave up on {self.days_in_words}: run {self.run_id[:8]}{before} failed; mend the "
            f"cause, then re-execute all of that run or materialize the upstream asset again"
        )


@dataclass(frozen=True)
class Decision:
    """What to do now. `pending` is the number of materializations without an answer.

    `waiting` says why each of their days has none, `running` is the run in flight, `answered_to`
    the mark up to which all is answered, and `reason` says in words why nothing is launched.
    """

    cursor: Cursor
    launch: Launch | None
    pending: int
    reason: str
    answered_to: str
    waiting: tuple[Waiting, ...] = ()
    running: Answer | None = None

    @property
    def given_up(self) -> tuple[Waiting, ...]:
        """The days that are not tried again, by the run that failed last."""
        return tuple(waiting for waiting in self.waiting if waiting.wait is Wait.GIVEN_UP)


def retry_at(failed: Sequence[Answer], now: float) -> float:
    """When a run may be asked for again (seconds since the epoch): 30 s, doubled per failure.

    `failed` are the failed runs, newest first.
    """
    ended_at = failed[0].ended_at or 0.0
    if ended_at > now + CLOCK_SLACK_SECONDS:
        return now
    return ended_at + FIRST_RETRY_SECONDS * 2 ** (len(failed) - 1)


def is_trusted(cursor: Cursor, events: Sequence[Materialization]) -> bool:
    """Whether events read from the cursor's own id on begin with the cursor's event.

    If not, events were deleted, ids may have been given again, and all must be read anew.
    """
    return cursor.passed == NO_MARK or any(event.mark == cursor.passed for event in events)


def decide(
    *,
    cursor: Cursor,
    events: Sequence[Materialization],
    answers: Sequence[Answer],
    unfinished_runs: frozenset[str],
    now: float,
    horizon: int | None = None,
) -> Decision:
    """Decide what to launch, given all materializations after `cursor` and all runs that answer.

    `answers` are ordered as they were created, newest first: a clock can be put back.
    `unfinished_runs` are upstream runs that may still announce more: their materializations wait,
    so that one run answers all of them. With a `horizon` there are more events beyond that id.
    """
    if not events:
        to = mark_id(cursor.passed)
        return Decision(cursor, None, 0, f"nothing was materialized since #{to}", cursor.passed)
    events = sorted(events, key=lambda event: event.storage_id)
    running = next((a for a in answers if a.outcome is Outcome.IN_FLIGHT), None)
    ended = next((a.run_id for a in answers if a.outcome is not Outcome.IN_FLIGHT), None)
    believed = _believed(answers, cursor, events, horizon)
    pending = _pending(events, believed)
    failed = [answer for answer in believed if answer.outcome is Outcome.FAILED]
    waiting = _waiting(pending, failed, unfinished_runs, now)
    # beyond a full window there may be others to answer: what is given up is stepped over
    stepped_over = {
        day
        for group in waiting
        if group.wait is Wait.GIVEN_UP and horizon is not None
        for day in group.days
    }
    first_open = next((e.storage_id for e in pending if e.day not in stepped_over), None)
    answered = [e for e in events if first_open is None or e.storage_id < first_open]
    answered_to = answered[-1].mark if answered else cursor.passed
    cursor = cursor.settle(answered, events[-1], now)
    launch = None
    if running is not None:
        # one run at a time: a location has one writer, and what piles up is answered by one run
        days = format_days(running.days) or "unpartitioned assets"
        reason = f"run {running.run_id[:8]} is in flight for {days}"
    elif not pending:
        reason = f"every materialization up to #{mark_id(answered_to)} is answered"
    else:
        ready = {day for group in waiting if group.wait is Wait.FOR_RUN for day in group.days}
        launch = _launch([event for event in pending if event.day in ready], ended)
        said = [group.reason for group in waiting if group.wait is not Wait.FOR_RUN]
        reason = "; ".join(dict.fromkeys(said))
    return Decision(cursor, launch, len(pending), reason, answered_to, waiting, running)


def _launch(ready: Sequence[Materialization], ended: str | None) -> Launch | None:
    if not ready:
        return None
    return Launch(
        days=tuple(sorted({event.day for event in ready if event.day is not None})),
        answers_to=ready[-1].mark,
        after=ended,
        upstream_run_id=ready[-1].run_id,
    )


def _believed(
    answers: Sequence[Answer],
    cursor: Cursor,
    events: Sequence[Materialization],
    horizon: int | None,
) -> list[Answer]:
    marks = {event.mark for event in events}

    def is_believed(answer: Answer) -> bool:
        # its event was deleted, and its id may have been given again
        number = mark_id(answer.answers_to)
        is_beyond = horizon is not None and number > horizon
        return number <= mark_id(cursor.passed) or is_beyond or answer.answers_to in marks

    return [answer for answer in answers if is_believed(answer)]


def _pending(
    events: Sequence[Materialization], believed: Sequence[Answer]
) -> list[Materialization]:
    answered_to: dict[date | None, int] = defaultdict(int)
    for answer in believed:
        if answer.outcome is Outcome.SUCCEEDED:
            for day in (None, *answer.days):
                answered_to[day] = max(answered_to[day], mark_id(answer.answers_to))
    return [event for event in events if event.storage_id > answered_to[event.day]]


def _waiting(
    pending: Sequence[Materialization],
    failed: Sequence[Answer],
    unfinished_runs: frozenset[str],
    now: float,
) -> tuple[Waiting, ...]:
    newest = {event.day: event for event in pending}
    unfinished = {e.day: e.run_id for e in pending if e.run_id in unfinished_runs}
    groups: dict[tuple[Wait, str, int, float], list[date | None]] = defaultdict(list)
    for day, event in sorted(newest.items(), key=lambda item: item[0] or date.max):
        tried = [answer for answer in failed if answer.covers(event)]
        due = retry_at(tried, now) if tried else 0.0
        run_id = tried[0].run_id if tried else ""
        if day in unfinished:
            key = (Wait.FOR_UPSTREAM, unfinished[day], 0, 0.0)
        elif len(tried) >= MAX_ATTEMPTS:
            key = (Wait.GIVEN_UP, run_id, len(tried), 0.0)
        elif now < due:
            key = (Wait.FOR_RETRY, run_id, len(tried), due)
        else:
            key = (Wait.FOR_RUN, run_id, len(tried), 0.0)
        groups[key].append(day)
    return tuple(
        Waiting(wait, run_id, tuple(days), failures, due)
        for (wait, run_id, failures, due), days in groups.items()
    )
