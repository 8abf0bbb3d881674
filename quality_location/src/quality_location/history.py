"""The history of quality: what every run found, and how each table stands.

The quality location's own file, written by the run that holds its lock, and published like every
location's file. It is written after the decision to release, and never decides anything itself.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import dagster as dg

from databox_shared.contracts import Table, contract
from databox_shared.days import format_days, parse_days
from quality_location.checks import literal
from quality_location.evaluate import NOT_ASKED, Outcome

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONTRACT = "data_quality"


def _filled(*names: str) -> list[Table]:
    """The tables that this module fills: those of the contract, and no other loads."""
    tables = contract(CONTRACT).tables
    if set(tables) != set(names):
        differing = ", ".join(sorted(set(tables) ^ set(names)))
        msg = f"the contract {CONTRACT} and the tables that quality fills differ in: {differing}"
        raise dg.DagsterInvalidDefinitionError(msg)
    return [tables[name] for name in names]


RESULTS, SCORECARD, INCIDENTS = _filled("check_results", "scorecard", "incidents")
RUNS_SCORED = 30
INCIDENTS_TOLD, REASON_LENGTH = 10, 300
# the file is named for its location; another name for the catalog keeps it apart from a schema
_CATALOG = "history"
_MOMENT = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True)
class Incident:
    """A blocking check that fails, from its first failing run on."""

    table: str
    check: str
    owner: str
    run_id: str
    reason: str


@dataclass(frozen=True)
class Recorded:
    """What the history says after a run.

    `rows` maps table → rows; `scorecard` is one mapping per table of the warehouse, worst first;
    `untold` are open incidents that nobody has been told of.
    """

    rows: Mapping[str, int]
    scorecard: Sequence[Mapping[str, Any]]
    untold: Sequence[Incident]


def alert_text(incidents: Sequence[Incident]) -> str:
    """What happened, where, in which run, and who looks after it; the causes before what follows.

    A table that is gone, or a source that broke, opens an incident for nearly every check: the
    first ones are told and the others counted, so that the message can be read.
    """
    causes_first = sorted(incidents, key=lambda incident: incident.reason.startswith(NOT_ASKED))
    lines = [
        f"{incident.table}: {incident.check}: {shorten(incident.reason, REASON_LENGTH)} "
        f"(run {incident.run_id[:8]}, {incident.owner})"
        for incident in causes_first[:INCIDENTS_TOLD]
    ]
    if others := causes_first[INCIDENTS_TOLD:]:
        tables = len({incident.table for incident in others})
        lines.append(
            f"And {len(others)} more checks of {tables} tables: see {INCIDENTS.full_name}."
        )
    return "\n".join(["Databox withholds its release; the last good one stays.", *lines])


def record(
    connection: "DuckDBPyConnection",
    file: Path,
    outcomes: Sequence[Outcome],
    *,
    run_id: str,
    checked_at: datetime,
    snapshots: Mapping[str, int],
) -> Recorded:
    """Add a run to the history; adding it again changes nothing."""
    with _attached(connection, file):
        for table in contract(CONTRACT).tables.values():
            connection.execute(_create(table))
        connection.execute(f"DELETE FROM {_name(RESULTS)} WHERE run_id = {literal(run_id)}")
        rows = ", ".join(_row(outcome, run_id, checked_at, snapshots) for outcome in outcomes)
        names = ", ".join(column.name for column in RESULTS.columns)
        connection.execute(f"INSERT INTO {_name(RESULTS)} ({names}) VALUES {rows}")
        for statement in (*_INCIDENTS_SQL, *_SCORECARD_SQL):
            connection.execute(statement.format(run_id=literal(run_id)))
        cursor = connection.execute(
            f"FROM {_name(SCORECARD)} "
            "ORDER BY failed DESC, warned DESC, runs_passed, schema_name, table_name"
        )
        columns = [item[0] for item in cursor.description or []]
        scorecard = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        counts = {
            table.name: connection.execute(f"SELECT count(*) FROM {_name(table)}").fetchall()[0][0]
            for table in contract(CONTRACT).tables.values()
        }
        untold = connection.execute(
            "SELECT schema_name || '.' || table_name, check_name, owner, run_id, reason "
            f"FROM {_name(INCIDENTS)} WHERE {_UNTOLD} ORDER BY ALL"
        ).fetchall()
        return Recorded(counts, scorecard, [Incident(*row) for row in untold])


def last_failing_days(
    connection: "DuckDBPyConnection", file: Path
) -> Mapping[dg.AssetCheckKey, list[date]]:
    """The days on which each check failed in the run before; empty before the first run."""
    if not file.exists():
        return {}
    with _attached(connection, file):
        connection.execute(_create(RESULTS))
        found = connection.execute(
            f"SELECT schema_name, table_name, check_name, failing_days FROM {_name(RESULTS)} "
            f"WHERE checked_at = (SELECT max(checked_at) FROM {_name(RESULTS)}) "
            "AND failing_days IS NOT NULL"
        ).fetchall()
    return {
        dg.AssetCheckKey(dg.AssetKey([schema, table]), check): parse_days(days)
        for schema, table, check, days in found
    }


def mark_told(connection: "DuckDBPyConnection", file: Path, told_at: datetime) -> None:
    """Note that people have been told of every open incident."""
    with _attached(connection, file):
        connection.execute(
            f"UPDATE {_name(INCIDENTS)} SET alerted_at = {_timestamp(told_at)} WHERE {_UNTOLD}"
        )


_UNTOLD = "alerted_at IS NULL AND closed_at IS NULL"

_CHECK = "schema_name, table_name, check_name"

# a run that is recorded again finds its own incident open, and changes nothing
_INCIDENTS_SQL = (
    """
UPDATE history.data_quality.incidents SET closed_at = r.checked_at
FROM history.data_quality.check_results r
WHERE r.run_id = {run_id} AND r.outcome <> 'failed' AND incidents.closed_at IS NULL
AND incidents.schema_name = r.schema_name AND incidents.table_name = r.table_name
AND incidents.check_name = r.check_name""",
    f"""
INSERT INTO history.data_quality.incidents BY NAME
SELECT {_CHECK}, checked_at AS opened_at, owner, run_id, failing_rows, reason
FROM history.data_quality.check_results
WHERE run_id = {{run_id}} AND outcome = 'failed' AND ({_CHECK}) NOT IN (
    SELECT ({_CHECK}) FROM history.data_quality.incidents WHERE closed_at IS NULL
)""",
)

_SCORECARD_SQL = (
    "DELETE FROM history.data_quality.scorecard",
    f"""
INSERT INTO history.data_quality.scorecard BY NAME
WITH results AS (
    SELECT *, dense_rank() OVER (ORDER BY checked_at DESC, run_id) AS age
    FROM history.data_quality.check_results
),
per_run AS (
    SELECT
        schema_name, table_name, age, checked_at, arg_min(owner, age) AS owner,
        count(*) AS checks,
        count(*) FILTER (outcome = 'warned') AS warned,
        count(*) FILTER (outcome = 'failed') AS failed
    FROM results GROUP BY ALL
)
SELECT
    schema_name, table_name,
    arg_min(owner, age) AS owner,
    arg_min(checks, age) AS checks,
    arg_min(warned, age) AS warned,
    arg_min(failed, age) AS failed,
    count(*) FILTER (age <= {RUNS_SCORED}) AS runs,
    count(*) FILTER (age <= {RUNS_SCORED} AND failed = 0) AS runs_passed,
    max(checked_at) FILTER (failed > 0) AS last_failed_at,
    max(checked_at) AS checked_at
FROM per_run
GROUP BY schema_name, table_name
HAVING min(age) = 1  -- a table that is no longer checked has no score
""",
)


def outcome_word(outcome: Outcome) -> str:
    """Passed, warned or failed, as the history and the page say it."""
    return "passed" if outcome.passed else "failed" if outcome.blocks else "warned"


def _row(outcome: Outcome, run_id: str, checked_at: datetime, snapshots: Mapping[str, int]) -> str:
    table = outcome.check.table
    values: dict[str, str | int | None] = {
        "run_id": run_id,
        "schema_name": table.schema,
        "table_name": table.name,
        "check_name": outcome.check.name,
        "checked_at": f"{checked_at:{_MOMENT}}",
        "owner": table.owner,
        "outcome": outcome_word(outcome),
        "failing_rows": outcome.failing_rows,
        "checked_rows": outcome.rows,
        "failing_days": format_days(outcome.failing_by_day) or None,
        "reason": outcome.reason,
        "ingestion_snapshot": snapshots["ingestion"],
        "transform_snapshot": snapshots["transform"],
    }
    ordered = [values[column.name] for column in RESULTS.columns]
    return f"({', '.join(map(_sql, ordered))})"


def _sql(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    return literal(value) if isinstance(value, str) else str(value)


def _create(table: Table) -> str:
    columns = [f"{c.name} {c.type}{' NOT NULL' if c.required else ''}" for c in table.columns]
    # the file outlives the contract it was made under: a column that is new is added
    added = [
        f"ALTER TABLE {_name(table)} ADD COLUMN IF NOT EXISTS {c.name} {c.type}"
        for c in table.columns
    ]
    return (
        f"CREATE SCHEMA IF NOT EXISTS {_CATALOG}.{table.schema}; "
        f"CREATE TABLE IF NOT EXISTS {_name(table)} ({', '.join(columns)}); {'; '.join(added)}"
    )


def _timestamp(moment: datetime) -> str:
    return f"TIMESTAMP '{moment:{_MOMENT}}'"


def _name(table: Table) -> str:
    return f"{_CATALOG}.{table.full_name}"


@contextmanager
def _attached(connection: "DuckDBPyConnection", file: Path) -> Generator[None]:
    connection.execute(f"ATTACH {literal(str(file))} AS {_CATALOG}")
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute(f"DETACH {_CATALOG}")
