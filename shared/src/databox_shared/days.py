"""Days: the one partitioning of Databox, and which days a run is for.

A run can be for days in three ways: a partition or a range of partitions chosen in Dagster, or a
set of days with gaps in the tag `databox/days`, which the daily run and the hand-off use because
Dagster's ranges have no gaps. Code asks `run_days` and never looks at the three itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import dagster as dg

FIRST_DAY = date(2015, 1, 1)
DAYS_TAG = "databox/days"

DAILY_TAG = "databox/daily"
"""The date (ISO) whose daily run this is. A date has one, whoever starts it."""

READ_DATE_TAG = "databox/read_date"
"""The local date (ISO) that a run is for. A run with the same one decides and reads the same."""

# today too: east of Greenwich a day is over before UTC has reached its end
daily_partitions = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=1)
"""Local calendar days of observation; the same definition on both sides of every edge."""


class DaysError(ValueError):
    """A text that should name days does not."""


def day_ranges(days: Iterable[date]) -> list[tuple[date, date]]:
    """Merge days into ranges of neighbours, first and last included, in order."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and ranges[-1][1] + timedelta(days=1) == day:
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def format_days(days: Iterable[date]) -> str:
    """Write days as `2026-11-15/2026-11-22,2026-10-23`-like text: ISO dates and intervals."""
    return ",".join(
        first.isoformat() if first == last else f"{first.isoformat()}/{last.isoformat()}"
        for first, last in day_ranges(days)
    )


def parse_days(text: str) -> list[date]:
    """Read what `format_days` wrote; days come sorted and once. Raises `DaysError`."""
    days: set[date] = set()
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first_text, _, last_text = part.partition("/")
        try:
            first = date.fromisoformat(first_text)
            last = date.fromisoformat(last_text or first_text)
        except ValueError:
            msg = f"{part!r} is neither a day (2026-11-20) nor a range (2026-11-20/2026-11-22)"
            raise DaysError(msg) from None
        if last < first:
            msg = f"the range {part!r} ends before it begins"
            raise DaysError(msg)
        days.update(first + timedelta(days=n) for n in range((last - first).days + 1))
    return sorted(days)


def run_days(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> list[date] | None:
    """The days that this run is for, or None if nobody named any: the caller decides then."""
    if context.has_partition_key or context.has_partition_key_range:
        return [date.fromisoformat(key) for key in context.partition_keys]
    tag = context.run.tags.get(DAYS_TAG)
    return parse_days(tag) if tag is not None else None
