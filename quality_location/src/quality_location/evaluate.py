"""Evaluates checks on attached snapshots: all row checks of one table in one scan of it.

Only reads. A check whose tables lack a column of their contract fails with that reason and is not
asked; anything else that goes wrong is raised, never taken for a result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import RAW, Table
from quality_location.checks import (
    Check,
    ColumnsCheck,
    FreshnessCheck,
    RowCheck,
    asked_regions,
    date_column,
    relation,
    table_named,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE_ROWS = 10
NOT_ASKED = "It could not be asked"
# of a view that is released as one
DAYS_OF_A_VIEW = 7
_DAYS_NAMED = 10


@dataclass(frozen=True)
class Outcome:
    """What became of one check. `reason` is a sentence, for a passed check as for a failed one.

    `rows` were looked at (0 if none were). `failing_by_day` counts failing rows per day of a table
    with days, `sample` is a Markdown table without private columns, and `query` gives the failing
    rows in any DuckDB shell.
    """

    check: Check
    failing_rows: int
    reason: str
    rows: int = 0
    failing_by_day: Mapping[date, int] = field(default_factory=dict[date, int])
    sample: str = ""
    query: str = ""

    @property
    def passed(self) -> bool:
        """No row fails."""
        return self.failing_rows == 0

    @property
    def is_asked(self) -> bool:
        """For a check of rows: whether the rows were looked at; else its tables are broken."""
        return self.passed or self.rows > 0

    @property
    def blocks(self) -> bool:
        """Whether the release must not be made."""
        tolerated = self.check.tolerates * self.rows if isinstance(self.check, RowCheck) else 0
        return self.check.blocking and self.failing_rows > tolerated


def evaluate_table(
    connection: "DuckDBPyConnection",
    table: Table,
    checks: Sequence[Check],
    *,
    broken: Mapping[str, str],
    now: datetime,
    newest_days_only: bool = False,
) -> list[Outcome]:
    """Evaluate all checks of one table, in their order.

    `broken` says of each table, by full name, what is wrong with its columns (`broken_tables`).
    With `newest_days_only` the rows of the newest days stand for all, if rows have a date.
    """
    columns = table_columns(connection, table)
    scan: _Scan | None = None
    outcomes: list[Outcome] = []
    askable = [c for c in checks if not any(t.full_name in broken for t in (table, *_reads(c)))]
    rows = [check for check in askable if isinstance(check, RowCheck)]
    if rows:
        scan = _Scan(connection, table, rows, newest_days_only)
    for check in checks:
        if isinstance(check, ColumnsCheck):
            outcomes.append(_columns_outcome(check, columns))
        elif isinstance(check, RowCheck) and scan is not None and check in askable:
            outcomes.append(scan.outcome(check))
        elif isinstance(check, FreshnessCheck) and check in askable:
            outcomes.append(_freshness(connection, check, now))
        else:
            read = (table, *_reads(check))
            why = "; ".join(broken[t.full_name] for t in read if t.full_name in broken)
            outcomes.append(Outcome(check, 1, f"{NOT_ASKED}: {why}."))
    return outcomes


def _reads(check: Check) -> tuple[Table, ...]:
    return check.reads if isinstance(check, RowCheck | FreshnessCheck) else ()


def broken_tables(connection: "DuckDBPyConnection", tables: Sequence[Table]) -> dict[str, str]:
    """Tables that are missing, or miss a column of their contract, and what is wrong."""
    broken: dict[str, str] = {}
    for table in tables:
        wrong = _missing_or_mistyped(table, table_columns(connection, table))
        if wrong:
            broken[table.full_name] = f"{table.full_name}: {', '.join(wrong)}"
    return broken


def table_columns(connection: "DuckDBPyConnection", table: Table) -> dict[str, str] | None:
    """Name → type of the columns that are really there, or None without the table or view."""
    import duckdb

    try:
        # DESCRIBE binds a view anew; the catalog would repeat the types of when it was made
        described = connection.execute(f"DESCRIBE {relation(table)}").fetchall()
    except duckdb.CatalogException:
        # asked only then: a lake reads all that it knows of all tables to answer this
        catalog = relation(table).partition(".")[0]
        # no parameters: to bind one, DuckDB imports pandas and pyarrow, which takes a second
        found = connection.execute(
            f"SELECT 1 FROM information_schema.tables WHERE table_catalog = '{catalog}' "
            f"AND table_schema = '{table.schema}' AND table_name = '{table.name}'"
        ).fetchone()
        if found is None:
            return None
        raise
    return {str(row[0]): str(row[1]) for row in described}


def _missing_or_mistyped(table: Table, columns: Mapping[str, str] | None) -> list[str]:
    if columns is None:
        return ["the table is not there"]
    wrong: list[str] = []
    for column in table.columns:
        actual = columns.get(column.name)
        if actual is None:
            wrong.append(f"column {column.name} is missing")
        elif actual != column.type:
            wrong.append(f"column {column.name} is {actual} instead of {column.type}")
    return wrong


def _columns_outcome(check: ColumnsCheck, columns: Mapping[str, str] | None) -> Outcome:
    table = check.table
    query = f"DESCRIBE {relation(table)}"
    if not check.unknown:
        wrong = _missing_or_mistyped(table, columns)
        reason = f"{len(table.columns)} columns are as in the contract"
        return Outcome(check, len(wrong), _sentence(wrong, reason), query=query)
    known = {column.name for column in table.columns}
    # the loader's own bookkeeping is not data
    unknown = [c for c in columns or {} if c not in known and not c.startswith("_dlt_")]
    wrong = [f"column {name} is not in the contract" for name in unknown]
    return Outcome(check, len(wrong), _sentence(wrong, "Every column is known"), query=query)


class _Scan:
    """One pass over a table that counts, in all and per day, the rows that fail each condition."""

    def __init__(
        self,
        connection: "DuckDBPyConnection",
        table: Table,
        rows: Sequence[RowCheck],
        newest_days_only: bool,
    ) -> None:
        self._connection = connection
        self._table = table
        newest = _newest_days(table) if newest_days_only else ""
        self._source = newest or relation(table)
        self._which = f" of the newest {DAYS_OF_A_VIEW} days" if newest else ""
        day = table.day_column
        inner = [f"t.{day} AS day"] if day else []
        outer = ["day", "grouping(day) AS total"] if day else ["1 AS total"]
        outer.append("count(*) AS rows")
        for number, check in enumerate(rows):
            flags = [f"c{number}_{n}" for n in range(len(check.fails))]
            conditions = zip(check.fails.values(), flags, strict=True)
            inner += [f"coalesce({sql}, false) AS {flag}" for sql, flag in conditions]
            outer.append(f"count(*) FILTER ({' OR '.join(flags)}) AS c{number}")
            outer += [f"count(*) FILTER ({flag}) AS {flag}" for flag in flags]
        per_day = "GROUP BY GROUPING SETS ((), (day)) ORDER BY day" if day else ""
        cursor = connection.execute(
            f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM {self._source} t) "
            f"{per_day}"
        )
        names = [str(item[0]) for item in cursor.description or []]
        groups = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        self._total: dict[str, Any] = next((g for g in groups if g["total"]), {"rows": 0})
        # a row without a day counts in the total only
        self._days = [g for g in groups if not g["total"] and g["day"] is not None]
        self._numbers = {check.name: f"c{number}" for number, check in enumerate(rows)}

    def outcome(self, check: RowCheck) -> Outcome:
        number = self._numbers[check.name]
        rows, failing = self._total["rows"], self._total.get(number, 0)
        query = _failing_rows_query(check, self._source)
        if not failing:
            reason = f"All {rows:,} rows{self._which} pass."
            return Outcome(check, 0, reason, rows=rows, query=query)
        per_condition = {label: self._total[f"{number}_{n}"] for n, label in enumerate(check.fails)}
        what = ", ".join(f"{label} ({count:,})" for label, count in per_condition.items() if count)
        by_day = {group["day"]: group[number] for group in self._days if group[number]}
        return Outcome(
            check,
            failing,
            f"{failing:,} of {rows:,} rows{self._which} fail: {what}{_named_days(by_day)}.",
            rows=rows,
            failing_by_day=by_day,
            sample=_markdown(self._connection, f"{query} LIMIT {SAMPLE_ROWS}"),
            query=query,
        )


def _freshness(connection: "DuckDBPyConnection", check: FreshnessCheck, now: datetime) -> Outcome:
    query = _newest_by_region(check) if check.has_regions else _newest(check)
    found = connection.execute(query).fetchall()
    left_out = [str(region) for region, _, is_asked in found if not is_asked]
    asked = [(str(region), newest) for region, newest, is_asked in found if is_asked]
    judged = {region: newest for region, newest in asked if newest is not None}
    if not judged and check.may_be_empty:
        return Outcome(check, 0, "No region that is asked for has such a row.", query=query)
    if not judged or (check.needs_every_region and len(judged) < len(asked)):
        without = [region for region, newest in asked if newest is None and region]
        where = f" for {', '.join(without)}" if without else ""
        return Outcome(check, 1, f"There is no such row at all{where}.", query=query)
    ages = {
        region: max((now - _moment(newest)) / timedelta(hours=1), 0)
        for region, newest in judged.items()
    }
    worst, *others = sorted(ages, key=lambda region: (-ages[region], region))
    reason = (
        f"The newest{f' of {worst}' if worst else ''} is {judged[worst]}, {ages[worst]:.0f} hours "
        f"ago; {check.hours:g} hours are allowed."
    )
    too_old = [region for region in others if ages[region] > check.hours]
    reason += f" Too old as well: {', '.join(too_old)}." if too_old else ""
    reason += f" Not asked for any more: {', '.join(left_out)}." if left_out else ""
    return Outcome(check, int(ages[worst] > check.hours), reason, query=query)


def _newest(check: FreshnessCheck) -> str:
    return (
        f"SELECT '' AS region_code, max({check.moment}) AS newest, true AS is_asked "
        f"FROM {relation(check.table)} t"
    )


def _newest_by_region(check: FreshnessCheck) -> str:
    rows = f"SELECT t.region_code, {check.moment} AS moment FROM {relation(check.table)} t"
    if check.of_days:
        stats = relation(table_named(RAW, "region_stats"))
        rows += (
            f" UNION ALL SELECT region_code, obs_date FROM {stats} WHERE num_checklists = 0 "
            f"AND region_code IN (SELECT region_code FROM {relation(check.table)})"
        )
    return (
        "SELECT region_code, max(moment) AS newest, bool_or(asked.region_code IS NOT NULL) "
        f"AS is_asked FROM ({rows}) FULL JOIN {asked_regions()} asked USING (region_code) "
        "GROUP BY region_code ORDER BY newest, region_code"
    )


def _newest_days(table: Table) -> str:
    """The newest days of a table as a subquery; empty if its rows have no date."""
    day = date_column(table)
    if day is None:
        return ""
    rows = relation(table)
    return f"(FROM {rows} WHERE {day} > (SELECT max({day}) FROM {rows}) - {DAYS_OF_A_VIEW})"


def _failing_rows_query(check: RowCheck, source: str) -> str:
    shown = list(dict.fromkeys((*check.table.key, *check.shows)))
    private = {column.name for column in check.table.columns if column.private}
    columns = [name for name in shown if name not in private] + list(check.explains)
    anything = " OR ".join(f"coalesce({sql}, false)" for sql in check.fails.values())
    explained = "".join(f", {sql} AS {name}" for name, sql in check.explains.items())
    judged = f"SELECT *{explained}, {anything} AS is_failing FROM {source} t"
    return f"SELECT {', '.join(columns)} FROM ({judged}) WHERE is_failing ORDER BY ALL"


def _moment(value: date | datetime) -> datetime:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.combine(value + timedelta(days=1), time(), UTC)


def _sentence(wrong: Sequence[str], otherwise: str) -> str:
    text = ", ".join(wrong) or otherwise
    return f"{text[0].upper()}{text[1:]}."


def _named_days(by_day: Mapping[date, int]) -> str:
    if not by_day:
        return ""
    named = list(by_day)[:_DAYS_NAMED]
    more = f" and {len(by_day) - len(named)} more days" if len(by_day) > len(named) else ""
    return f"; on {', '.join(map(str, named))}{more}"


def _markdown(connection: "DuckDBPyConnection", query: str) -> str:
    cursor = connection.execute(query)
    names = [str(item[0]) for item in cursor.description or []]
    lines = [names, ["---"] * len(names), *([_cell(v) for v in row] for row in cursor.fetchall())]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
