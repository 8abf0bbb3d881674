"""One evaluation of models by SQLMesh's scheduler, with everything that happened written down.

SQLMesh prints progress and keeps audit results to itself; Dagster wants rows per day, every
audit's count and a sentence per failure. Nothing here decides what is evaluated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from sqlglot import exp
from sqlmesh.core.context import Context
from sqlmesh.core.environment import EnvironmentNamingInfo
from sqlmesh.core.model import Model
from sqlmesh.core.model.definition import AuditResult
from sqlmesh.core.scheduler import Scheduler
from sqlmesh.core.snapshot import Snapshot, SnapshotEvaluator
from sqlmesh.utils.date import to_datetime
from sqlmesh.utils.errors import NodeAuditsErrors

Interval = tuple[int, int]
"""Milliseconds since the epoch, the end excluded, as SQLMesh counts days."""

EXAMPLES = 5

Rows = dict[date | None, int | None]


@dataclass(frozen=True)
class AuditCount:
    """What one audit found: bad rows, over all days that the run evaluated.

    `examples` has a few of them, by what of the model's grain they have and by nothing else: the
    rest of a bad row may be what nobody may see.
    """

    model: str
    audit: str
    blocking: bool
    bad_rows: int
    query: str
    examples: tuple[str, ...] = ()

    @property
    def blocks(self) -> bool:
        """Whether this result stops the run."""
        return self.blocking and self.bad_rows > 0


@dataclass
class Evaluation:
    """What one run evaluated, by `schema.table`.

    `rows` has the rows of each evaluated day, the day `None` standing for the whole of a model
    that is not by day; a view has no number of rows. `failures` are sentences; `skipped` models
    read a failed one and were not reached.
    """

    rows: dict[str, Rows] = field(default_factory=dict[str, Rows])
    audits: dict[tuple[str, str], AuditCount] = field(
        default_factory=dict[tuple[str, str], AuditCount]
    )
    failures: list[str] = field(default_factory=list[str])
    skipped: list[str] = field(default_factory=list[str])


class RecordingScheduler(Scheduler):
    """SQLMesh's scheduler over deployed snapshots; `evaluation` is what it did."""

    def __init__(
        self,
        context: Context,
        snapshots: Iterable[Snapshot],
        naming_info: EnvironmentNamingInfo,
        log: Callable[[str], None],
    ) -> None:
        recorded = _RecordedAudits(context.snapshot_evaluator, self._record_audits)
        super().__init__(
            snapshots,
            cast("SnapshotEvaluator", recorded),
            context.state_sync,
            default_catalog=context.default_catalog,
            console=context.console,
        )
        self.naming_info = naming_info
        self.evaluation = Evaluation()
        self._adapter = context.engine_adapter
        self._log = log

    def evaluate(self, snapshot: Snapshot, *args: Any, **kwargs: Any) -> list[AuditResult]:
        """Evaluate one model for one range of days, as SQLMesh does, and count its rows."""
        began = time.perf_counter()
        results = super().evaluate(snapshot, *args, **kwargs)
        days = days_between(kwargs["start"], kwargs["end"]) if is_by_day(snapshot) else None
        rows = self._count(snapshot, days)
        self.evaluation.rows.setdefault(table_of(snapshot), {}).update(rows)
        said = [f"{len(days)} {'day' if len(days) == 1 else 'days'}"] if days else []
        if None not in rows.values():
            said.append(f"{sum(count or 0 for count in rows.values())} rows")
        said.append(f"{time.perf_counter() - began:.1f} s")
        self._log(f"{table_of(snapshot)}: {', '.join(said)}")
        return results

    def _count(self, snapshot: Snapshot, days: list[date] | None) -> Rows:
        table = snapshot.table_name()
        if snapshot.model.kind.is_view:
            # a view may stand for more rows than are worth counting
            return {None: None}
        if days is None:
            [(total,)] = self._adapter.fetchall(f"SELECT COUNT(*) FROM {table}")
            return {None: int(total)}
        day = snapshot.model.time_column
        column = day.column.name if day else ""
        counted = self._adapter.fetchall(
            f"SELECT {column}, COUNT(*) FROM {table} "
            f"WHERE {column} BETWEEN DATE '{days[0]}' AND DATE '{days[-1]}' GROUP BY 1"
        )
        return {**dict.fromkeys(days, 0), **cast("dict[date, int]", dict(counted))}

    def _record_audits(self, snapshot: Snapshot, results: list[AuditResult]) -> None:
        audits = self.evaluation.audits
        for result in results:
            key = (table_of(snapshot), result.audit.name)
            earlier = audits.get(key, AuditCount(*key, result.blocking, 0, ""))
            query = result.query.sql(dialect="duckdb", pretty=True) if result.query else ""
            bad_rows = int(result.count or 0)
            examples = list(earlier.examples)
            if bad_rows and isinstance(result.query, exp.Query):
                examples += self._examples(snapshot, result.query)
            audits[key] = AuditCount(
                *key,
                result.blocking,
                earlier.bad_rows + bad_rows,
                query,
                tuple(examples[:EXAMPLES]),
            )

    def _examples(self, snapshot: Snapshot, query: exp.Query) -> list[str]:
        grain = grain_of(snapshot.model)
        # as an expression, so that each engine gets it in its own words
        rows = self._adapter.fetchdf(exp.select("*").from_(query.subquery("bad")).limit(EXAMPLES))
        shown = [name for name in map(str, rows.columns) if name in grain]
        return [
            ", ".join(f"{name} {value}" for name, value in zip(shown, row, strict=True))
            for row in rows[shown].itertuples(index=False)
            if shown
        ]


class _RecordedAudits:
    """A snapshot evaluator that also reports what audits found, the passed ones included."""

    def __init__(
        self, evaluator: SnapshotEvaluator, report: Callable[[Snapshot, list[AuditResult]], None]
    ) -> None:
        self._evaluator = evaluator
        self._report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    def audit(self, snapshot: Snapshot, **kwargs: Any) -> list[AuditResult]:
        results = self._evaluator.audit(snapshot, **kwargs)
        self._report(snapshot, results)
        return results


def table_of(snapshot: Snapshot) -> str:
    """`schema.table` of a model's snapshot."""
    return f"{snapshot.model.schema_name}.{snapshot.model.view_name}"


def grain_of(model: Model) -> set[str]:
    """The columns that tell a model's rows apart."""
    return {column.name for item in model.grains for column in item.find_all(exp.Column)}


def period_of(model: Model) -> str | None:
    """How a model is evaluated: by `day`, or by `week`, `month` or `year`; None for as a whole.

    A tag `by_month` says that its time column holds the first day of a month, whose rows are all
    made again when a day of it is.
    """
    if model.time_column is None:
        return None
    tags = [tag for tag in model.tags if tag.startswith("by_")]
    return tags[0].removeprefix("by_") if tags else "day"


def is_by_day(snapshot: Snapshot) -> bool:
    """Whether a model is evaluated day by day."""
    return period_of(snapshot.model) == "day"


def whole_periods(period: str, days: Iterable[date]) -> set[date]:
    """All days of the weeks (from Monday), months or years that `days` are in."""
    first = {
        "day": lambda day: day,
        "week": lambda day: day - timedelta(days=day.weekday()),
        "month": lambda day: day.replace(day=1),
        "year": lambda day: day.replace(month=1, day=1),
    }[period]
    # a day of the next period: no period is longer than 366 days
    length = {"day": 1, "week": 7, "month": 31, "year": 366}[period]
    starts = {first(day) for day in days}
    return {
        day
        for start in starts
        for day in (start + timedelta(days=n) for n in range(length))
        if first(day) == start
    }


def interval_of(first: date, last: date) -> Interval:
    """A range of days, both ends included, as SQLMesh counts it."""
    start = datetime.combine(first, datetime.min.time(), UTC)
    end = datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC)
    return int(start.timestamp() * 1000), int(end.timestamp() * 1000)


def days_between(start: Any, end: Any) -> list[date]:
    """The days of an interval as SQLMesh counts it, its end excluded."""
    first, after = to_datetime(start).date(), to_datetime(end).date()
    return [first + timedelta(days=n) for n in range((after - first).days)]


def failure_sentence(table: str, error: BaseException) -> str:
    """What failed, where, and with an audit how many rows."""
    cause = error.__cause__ or error
    if isinstance(cause, NodeAuditsErrors):
        found = ", ".join(
            f"the audit {audit.audit_name} found {audit.count} bad rows" for audit in cause.errors
        )
        return f"{table}: {found}; its query is in the check's metadata"
    return f"{table}: {cause}"
