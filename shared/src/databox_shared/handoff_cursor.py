"""How far an edge is answered for good, and when that may be said.

Order is told by storage ids, never by clocks. But SQLite gives the ids of deleted events again, so
what points at an event is a mark, its id and its time. And PostgreSQL gives an id before the
event is committed, so an event with a lower id can become visible after one with a higher id.

What lies behind the cursor is never read again. So it passes an event only when every event with
a lower id must be visible: when the event itself was seen `SETTLE_SECONDS` ago. Proof: a lower id
was given before the higher one was seen, so its transaction is older than that; none of Dagster's
takes so long. Events older than an hour are passed at once, or a lost cursor would come back
slowly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

ANSWERS_TO_TAG = "databox/answers_to"
SETTLE_SECONDS = 60.0
OLD_SECONDS = 3600.0
NO_MARK = "0@0.0"


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


def mark_id(mark: str) -> int:
    """The storage id in a mark; 0, before everything, for a text that is none."""
    number, at, _ = mark.partition("@")
    return int(number) if at and number.isdecimal() else 0


def mark_at(mark: str) -> float:
    """When the event of a mark was made (seconds since the epoch)."""
    return float(mark.partition("@")[2])


@dataclass(frozen=True)
class Cursor:
    """Everything up to the mark `passed` is answered and is not read again.

    Up to the mark `seen` everything can be passed when `SETTLE_SECONDS` have gone by `since`
    (seconds since the epoch).
    """

    passed: str = NO_MARK
    seen: str = NO_MARK
    since: float = 0.0

    @classmethod
    def parse(cls, text: str | None) -> Cursor:
        """Read a saved cursor. One that makes no sense is none: everything is read again."""
        passed, *rest = (text or "").split()[:3] or [NO_MARK]
        if passed != NO_MARK and not mark_id(passed):
            return cls()
        try:
            seen, since = rest
            return cls(passed, seen, float(since))
        except ValueError:
            return cls(passed)

    def __str__(self) -> str:
        """What is saved: an older version of this module reads it as a mark that fits no event."""
        return self.passed if self.seen == NO_MARK else f"{self.passed} {self.seen} {self.since!r}"

    def settle(
        self, answered: list[Materialization], newest: Materialization, now: float
    ) -> Cursor:
        """Pass what has settled of the events after the cursor that are `answered`, by id.

        `newest` is the newest event that is visible now.
        """
        age = now - self.since
        is_watching = mark_id(self.seen) > mark_id(self.passed)
        settled = mark_id(self.seen) if is_watching and age >= SETTLE_SECONDS else 0
        old = (event.storage_id for event in answered if event.at < now - OLD_SECONDS)
        limit = max([settled, *old])
        passed = [event.mark for event in answered if event.storage_id <= limit]
        moved = replace(self, passed=passed[-1]) if passed else self
        if moved.passed == newest.mark:
            return Cursor(moved.passed)
        # a clock that was put back would make us wait for as long as that
        if settled or not is_watching or age < 0:
            return replace(moved, seen=newest.mark, since=now)
        return moved
