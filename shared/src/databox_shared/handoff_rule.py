"""The rule of the hand-off, pure: what an edge owes, and which run to ask for.

Every upstream materialization is answered by at least one successful run of the downstream job
that started after it, for exactly its days; none is lost, and none is answered twice without
need. `decide` is told everything that was materialized after the cursor and every run that
answers, and keeps nothing itself, so a killed daemon, a lost cursor or a redeploy of either side
forgets nothing. Order is told by storage ids, never by clocks.
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


@dataclass(frozen=True)
class Answer:
    """One downstream run: it answers `days` and unpartitioned assets up to `answers_to`."""

    run_id: str
    outcome: Outcome
    days: frozenset[date]
    answers_to: int
    ended_at: float | None = None

    def covers(self, event: Materialization) -> bool:
        """Whether this run is for that materialization; every run reads unpartitioned assets."""
        return event.storage_id <= self.answers_to and (event.day is None or event.day in self.days)


@dataclass(frozen=True)
class Launch:
    """The run to ask for: these days, answering everything up to `answers_to`."""

    days: tuple[date, ...]
    answers_to: int
    attempt: int
    upstream_run_id: str


@dataclass(frozen=True)
class Decision:
    """What to do now. `pending` is the number of materializations without an answer.

    `reason` says why nothing is launched for them, or for some of them.
    """

    cursor: int
    launch: Launch | None
    pending: int
    reason: str


def retry_at(failed: Sequence[Answer]) -> float:
    """When a run may be asked for again (seconds since the epoch): 30 s, doubled per failure."""
    newest = max((answer.ended_at or 0.0) for answer in failed)
    return newest + FIRST_RETRY_SECONDS * 2 ** (len(failed) - 1)


def decide(
    *,
    cursor: int,
    events: Sequence[Materialization],
    answers: Sequence[Answer],
    unfinished_runs: frozenset[str],
    now: float,
) -> Decision:
    """Decide what to launch, given all materializations after `cursor` and all runs that answer.

    `unfinished_runs` are upstream runs that may still announce more: their materializations wait,
    so that one run answers all of them.
    """
    pending = sorted(
        (
            event
            for event in events
            if not any(
                answer.outcome is Outcome.SUCCEEDED and answer.covers(event) for answer in answers
            )
        ),
        key=lambda event: event.storage_id,
    )
    if not pending:
        newest = max((event.storage_id for event in events), default=cursor)
        return Decision(newest, None, 0, f"every materialization up to #{newest} is answered")
    # nothing below the oldest unanswered one needs to be read again
    cursor = max(cursor, pending[0].storage_id - 1)
    running = [answer for answer in answers if answer.outcome is Outcome.IN_FLIGHT]
    if running:
        # one run at a time: a location has one writer, and what piles up is answered by one run
        days = format_days(running[0].days) or "unpartitioned assets"
        reason = f"run {running[0].run_id[:8]} is in flight for {days}"
        return Decision(cursor, None, len(pending), reason)

    ready: list[Materialization] = []
    attempt = 1
    reasons: list[str] = []
    for day, group in _by_day(pending).items():
        failed = [a for a in answers if a.outcome is Outcome.FAILED and a.covers(group[-1])]
        waiting = _why_wait(day, group, failed, unfinished_runs, now)
        if waiting:
            reasons.append(waiting)
        else:
            attempt = max(attempt, len(failed) + 1)
            ready += group
    reason = "; ".join(dict.fromkeys(reasons))
    if not ready:
        return Decision(cursor, None, len(pending), reason)
    newest = max(ready, key=lambda event: event.storage_id)
    asked = tuple(sorted({event.day for event in ready if event.day is not None}))
    launch = Launch(asked, newest.storage_id, attempt, newest.run_id)
    return Decision(cursor, launch, len(pending), reason)


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
            f"{len(failed) - 1} before it failed; mend the cause, then re-execute that run or "
            f"materialize the upstream asset again"
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
