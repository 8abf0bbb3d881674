"""The rule of the hand-off, pure: what an edge owes, and which run to ask for.

Every upstream materialization is answered by at least one successful run of the downstream job
that started after it, for exactly its days; none is lost, and none is answered twice without
need. `decide` is told everything that was materialized after the cursor and every run that
answers, and keeps nothing itself, so a killed daemon, a lost cursor or a redeploy of either side
forgets nothing.

Order is told by storage ids, never by clocks. But SQLite gives the ids of deleted events again,
so what points at an event is a mark, its id and its time, and one that no longer fits an event is
not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum

from databox_shared.days import format_days

MAX_ATTEMPTS = 5
FIRST_RETRY_SECONDS = 30.0


class Outcome(Enum):
    """What became of a run, as far as the hand-off cares."""

    IN_FLIGHT = "in flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Materialization:
    """One upstream materialization. `day` is None for an unpartitioned asset."""

    storage_id: int
    day: date | None
    run_id: str
    at: float = 0.0

    @property
    def mark(self) -> str:
        """Tells it from any other, also from a later one that got its id."""
        return f"{self.storage_id}@{self.at!r}"


NO_MARK = "0@0.0"


def mark_id(mark: str) -> int:
    """The storage id in a mark; 0, before everything, for a text that is none."""
    number, at, _ = mark.partition("@")
    return int(number) if at and number.isdecimal() else 0


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

    `after` is the newest failed run that it repeats, if it repeats one.
    """

    days: tuple[date, ...]
    answers_to: str
    after: str | None
    upstream_run_id: str


@dataclass(frozen=True)
class Decision:
    """What to do now. `pending` is the number of materializations without an answer.

    `reason` says why nothing is launched for them, or for some of them.
    """

    cursor: str
    launch: Launch | None
    pending: int
    reason: str


def retry_at(failed: Sequence[Answer]) -> float:
    """When a run may be asked for again (seconds since the epoch): 30 s, doubled per failure."""
    newest = max((answer.ended_at or 0.0) for answer in failed)
    return newest + FIRST_RETRY_SECONDS * 2 ** (len(failed) - 1)


def is_trusted(cursor: str, events: Sequence[Materialization]) -> bool:
    """Whether events read from the cursor's own id on begin with the cursor's event.

    If not, events were deleted, ids may have been given again, and all must be read anew.
    """
    return cursor == NO_MARK or any(event.mark == cursor for event in events)


def decide(
    *,
    cursor: str,
    events: Sequence[Materialization],
    answers: Sequence[Answer],
    unfinished_runs: frozenset[str],
    now: float,
    horizon: int | None = None,
) -> Decision:
    """Decide what to launch, given all materializations after `cursor` and all runs that answer.

    `unfinished_runs` are upstream runs that may still announce more: their materializations wait,
    so that one run answers all of them. With a `horizon` there are more events beyond that id.
    """
    events = sorted(events, key=lambda event: event.storage_id)
    answers = [answer for answer in answers if _is_believed(answer, cursor, events, horizon)]
    done = [answer for answer in answers if answer.outcome is Outcome.SUCCEEDED]
    pending = [event for event in events if not any(answer.covers(event) for answer in done)]
    if not pending:
        cursor = events[-1].mark if events else cursor
        reason = f"every materialization up to #{mark_id(cursor)} is answered"
        return Decision(cursor, None, 0, reason)
    # nothing below the oldest unanswered one needs to be read again
    answered = [event.mark for event in events if event.storage_id < pending[0].storage_id]
    cursor = answered[-1] if answered else cursor
    running = [answer for answer in answers if answer.outcome is Outcome.IN_FLIGHT]
    if running:
        # one run at a time: a location has one writer, and what piles up is answered by one run
        days = format_days(running[0].days) or "unpartitioned assets"
        reason = f"run {running[0].run_id[:8]} is in flight for {days}"
        return Decision(cursor, None, len(pending), reason)
    return _launch(cursor, pending, answers, unfinished_runs, now)


def _launch(
    cursor: str,
    pending: Sequence[Materialization],
    answers: Sequence[Answer],
    unfinished_runs: frozenset[str],
    now: float,
) -> Decision:
    ready: list[Materialization] = []
    repeated: list[Answer] = []
    reasons: list[str] = []
    for day, group in _by_day(pending).items():
        failed = [a for a in answers if a.outcome is Outcome.FAILED and a.covers(group[-1])]
        waiting = _why_wait(day, group, failed, unfinished_runs, now)
        if waiting:
            reasons.append(waiting)
        else:
            repeated += failed
            ready += group
    reason = "; ".join(dict.fromkeys(reasons))
    if not ready:
        return Decision(cursor, None, len(pending), reason)
    newest = max(ready, key=lambda event: event.storage_id)
    last = max(repeated, key=lambda answer: (answer.ended_at or 0.0, answer.run_id), default=None)
    launch = Launch(
        days=tuple(sorted({event.day for event in ready if event.day is not None})),
        answers_to=newest.mark,
        after=last.run_id if last else None,
        upstream_run_id=newest.run_id,
    )
    return Decision(cursor, launch, len(pending), reason)


def _is_believed(
    answer: Answer, cursor: str, events: Sequence[Materialization], horizon: int | None
) -> bool:
    if answer.outcome is Outcome.IN_FLIGHT:
        return True
    number = mark_id(answer.answers_to)
    beyond = horizon is not None and number > horizon
    if number <= mark_id(cursor) or beyond:
        return True
    return any(event.mark == answer.answers_to for event in events)


def _why_wait(
    day: date | None,
    group: Sequence[Materialization],
    failed: Sequence[Answer],
    unfinished_runs: frozenset[str],
    now: float,
) -> str | None:
    unfinished = [event.run_id for event in group if event.run_id in unfinished_runs]
    if unfinished:
        return f"upstream run {unfinished[0][:8]} is not finished"
    if len(failed) >= MAX_ATTEMPTS:
        return (
            f"gave up on {day or 'unpartitioned assets'}: run {failed[0].run_id[:8]} and "
            f"{len(failed) - 1} before it failed; mend the cause, then re-execute all of "
            f"that run or materialize the upstream asset again"
        )
    if failed and now < retry_at(failed):
        due = datetime.fromtimestamp(retry_at(failed), UTC).strftime("%H:%M:%S")
        return (
            f"run {failed[0].run_id[:8]} failed; attempt {len(failed) + 1} of {MAX_ATTEMPTS} "
            f"at {due} UTC"
        )
    return None


def _by_day(events: Sequence[Materialization]) -> dict[date | None, list[Materialization]]:
    groups: dict[date | None, list[Materialization]] = {}
    for event in events:
        groups.setdefault(event.day, []).append(event)
    return groups
