"""The history of quality: what every run found, and how each table stands.

The quality location's own file, written by the run that holds its lock, and published like every
location's file. It is written after the decision to release, and never decides anything itself.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import Table, contract
from quality_location.checks import literal
from quality_location.evaluate import Outcome

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONTRACT = "data_quality"
RESULTS = contract(CONTRACT).tables["check_results"]
SCORECARD = contract(CONTRACT).tables["scorecard"]
RUNS_SCORED = 30
# the file is named for its location; another name for the catalog keeps it apart from a schema
_CATALOG = "history"


@dataclass(frozen=True)
class Recorded:
    """What the history says after a run.

    `rows` maps table → rows; `scorecard` is one mapping per table of the warehouse, worst first;
    `new_failures` are checks, as `schema.table:check`, that failed now and not in the run before.
    """

    rows: Mapping[str, int]
    scorecard: Sequence[Mapping[str, Any]]
    new_failures: Sequence[str]


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
        for table in (RESULTS, SCORECARD):
            connection.execute(_create(table))
        connection.execute(f"DELETE FROM {_name(RESULTS)} WHERE run_id = {literal(run_id)}")
        before = _failed(connection)
        rows = ", ".join(_row(outcome, run_id, checked_at, snapshots) for outcome in outcomes)
        names = ", ".join(column.name for column in RESULTS.columns)
        connection.execute(f"INSERT INTO {_name(RESULTS)} ({names}) VALUES {rows}")
        connection.execute(f"DELETE FROM {_name(SCORECARD)}")
        connection.execute(f"INSERT INTO {_name(SCORECARD)} BY NAME {_SCORECARD_SQL}")
        cursor = connection.execute(
            f"FROM {_name(SCORECARD)} "
            "ORDER BY failed DESC, warned DESC, runs_passed, schema_name, table_name"
        )
        names = [item[0] for item in cursor.description or []]
        scorecard = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        counted = connection.execute(f"SELECT count(*) FROM {_name(RESULTS)}").fetchall()
        return Recorded(
            rows={RESULTS.name: counted[0][0], SCORECARD.name: len(scorecard)},
            scorecard=scorecard,
            new_failures=sorted(_failed(connection) - before),
        )


_LAST_RUN = "SELECT run_id FROM history.data_quality.check_results ORDER BY checked_at DESC LIMIT 1"

_SCORECARD_SQL = f"""
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
"""


def outcome_word(outcome: Outcome) -> str:
    """Passed, warned or failed, as the history and the page say it."""
    return "passed" if outcome.passed else "failed" if outcome.blocks else "warned"


def _failed(connection: "DuckDBPyConnection") -> set[str]:
    found = connection.execute(
        f"SELECT schema_name || '.' || table_name || ':' || check_name FROM {_name(RESULTS)} "
        f"WHERE outcome = 'failed' AND run_id = ({_LAST_RUN})"
    )
    return {row[0] for row in found.fetchall()}


def _row(outcome: Outcome, run_id: str, checked_at: datetime, snapshots: Mapping[str, int]) -> str:
    table = outcome.check.table
    values: dict[str, str | int] = {
        "run_id": run_id,
        "schema_name": table.schema,
        "table_name": table.name,
        "check_name": outcome.check.name,
        "checked_at": checked_at.replace(tzinfo=None).isoformat(sep=" "),
        "owner": table.owner,
        "outcome": outcome_word(outcome),
        "failing_rows": outcome.failing_rows,
        "checked_rows": outcome.rows,
        "reason": outcome.reason,
        "ingestion_snapshot": snapshots["ingestion"],
        "transform_snapshot": snapshots["transform"],
    }
    ordered = [values[column.name] for column in RESULTS.columns]
    return f"({', '.join(literal(v) if isinstance(v, str) else str(v) for v in ordered)})"


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
