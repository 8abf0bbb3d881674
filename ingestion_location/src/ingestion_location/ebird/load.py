"""Load: from landing files into the working file, through dlt, in Arrow.

The types are the contract's and frozen. A load replaces whole days (or whole snapshots), so a row
that was withdrawn upstream is withdrawn here, and loading the same files again changes nothing.
It must never be run by two processes at once: the caller holds the location's writer lock.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import RAW
from ingestion_location.ebird.sources import Files, NewFields, sources
from ingestion_location.ebird.tables import RAW_TABLES, RESOURCES, RawTable, new_columns, select

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# DuckDB's own row groups: others are put together again, which makes the insert twice as expensive
ROWS_AT_ONCE = 122_880

# of loads that failed: more than anybody looks into, and each may be as large as a month
KEPT_FOLDERS = 3

_DLT_ENVIRONMENT = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
}


class LoadError(Exception):
    """Landing files do not fit the contract; the message names the table and the cause."""


Scope = tuple[object, ...]
"""The values of a table's scope columns: (region, day), or (region,)."""

Counts = dict[str, Counter[Scope]]
"""Rows that a table has after a load, by scope."""


def load(
    working_file: Path,
    files: Files,
    tables: Sequence[str],
    scopes: Mapping[str, Sequence[Scope]],
    *,
    dlt_dir: Path,
    new: NewFields | None = None,
    on_write: Callable[[], object] = lambda: None,
) -> Counts:
    """Replace the given scopes of `tables` by what is in `files`; returns the rows of each now.

    A resource without files has no rows, and a scope that nothing was said about is emptied. Of a
    table whose scopes are not given, those that are in `files` are replaced.
    `new` are fields that get a column of their own though the contract does not know them.
    `on_write` is called when everything has been read and before anything is written. Raises
    `LoadError`, and then nothing was written unless `on_write` had been called.
    """
    chosen = [RAW_TABLES[name] for name in tables]
    files = {**dict.fromkeys(RESOURCES, ()), **files}
    with (
        _landed(files, new or {}) as landed,
        _pipeline(working_file, scopes, dlt_dir) as pipeline,
    ):
        _run(pipeline, [_resource(table, landed, new or {}) for table in chosen], on_write)
    with connect(working_file) as connection:
        if "checklists" in tables:
            _forget_moved(connection, scopes.get("checklists", ()))
        return {table.name: _count(connection, table, scopes.get(table.name)) for table in chosen}


def missing_tables(working_file: Path) -> list[str]:
    """The raw tables that no completed load has made: all of them until the first is completed.

    That a table is there says nothing then: dlt makes them all before it fills one.
    """
    with connect(working_file) as connection:
        rows = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [RAW]
        ).fetchall()
        known = {name for (name,) in rows}
        loads = f"SELECT count(*) FROM {RAW}._dlt_loads WHERE status = 0"  # noqa: S608 (our name)
        if "_dlt_loads" not in known or connection.execute(loads).fetchall() == [(0,)]:
            return list(RAW_TABLES)
    return [name for name in RAW_TABLES if name not in known]


def _count(
    connection: duckdb.DuckDBPyConnection, table: RawTable, scopes: Sequence[Scope] | None
) -> Counter[Scope]:
    """The rows that the table now has, of the given scopes or of all."""
    columns = ", ".join(table.scope) or "'all'"
    query = f"SELECT {columns}, count(*) FROM {table.contract.full_name}"  # noqa: S608
    if scopes is not None:
        if not scopes:
            return Counter()
        one = f"({', '.join('?' for _ in table.scope)})"
        # a day must not cost more the more history there is
        query += f" WHERE ({columns}) IN (VALUES {', '.join(one for _ in scopes)})"
    values = [value for scope in scopes or () for value in scope]
    rows = connection.execute(f"{query} GROUP BY ALL", values).fetchall()
    return Counter({tuple(scope): number for *scope, number in rows})


def _forget_moved(connection: duckdb.DuckDBPyConnection, scopes: Sequence[Scope]) -> None:
    """A checklist whose date was edited is on two days until both are read: the newer read holds.

    Its key is then there twice, which a load that replaces whole days cannot see.
    """
    moved = connection.execute(
        """
        DELETE FROM ebird_raw.checklists WHERE rowid IN (
            SELECT rowid FROM ebird_raw.checklists
            WHERE (region_code, sub_id) IN (
                SELECT (region_code, sub_id) FROM ebird_raw.checklists
                WHERE list_contains(?, obs_date)
            )
            QUALIFY row_number() OVER (
                PARTITION BY region_code, sub_id ORDER BY read_at DESC, obs_date DESC
            ) > 1
        ) RETURNING region_code, sub_id, obs_date
        """,
        [sorted({scope[1] for scope in scopes}, key=str)],
    ).fetchall()
    if moved:
        connection.executemany(
            "DELETE FROM ebird_raw.observations "
            "WHERE region_code = ? AND sub_id = ? AND obs_date = ?",
            [list(row) for row in moved],
        )


def connect(file: Path) -> duckdb.DuckDBPyConnection:
    """A connection to the working file, to be closed before anything is published."""
    import duckdb

    return duckdb.connect(file)


@contextmanager
def _landed(files: Files, new: NewFields) -> Generator[duckdb.DuckDBPyConnection]:
    import duckdb

    with duckdb.connect() as connection:
        # landing files are named by the caller; nothing is to be installed or downloaded
        connection.execute("SET autoinstall_known_extensions = false")
        for statement in sources(files, new):
            try:
                connection.execute(statement)
            except duckdb.Error as error:
                msg = f"landing files cannot be read: {error}"
                raise LoadError(msg) from error
        yield connection


@contextmanager
def _pipeline(
    working_file: Path, scopes: Mapping[str, Sequence[Scope]], dlt_dir: Path
) -> Generator[Any]:
    """A pipeline in a folder of its own: two that shared one lost rows without a word."""
    os.environ.update(_DLT_ENVIRONMENT)
    import dlt

    from ingestion_location.ebird.destination import WholeScopes

    dlt_dir.mkdir(parents=True, exist_ok=True)
    left = sorted(dlt_dir.glob("run-*"), key=lambda folder: folder.stat().st_mtime)
    for folder in left[:-KEPT_FOLDERS]:
        shutil.rmtree(folder, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=dlt_dir))
    yield dlt.pipeline(
        pipeline_name="ebird",
        pipelines_dir=str(folder),
        destination=WholeScopes(working_file, scopes),
        dataset_name=RAW,
    )
    # after a failure the folder stays a while, for whoever looks into it
    shutil.rmtree(folder, ignore_errors=True)


def _run(pipeline: Any, resources: list[Any], on_write: Callable[[], object]) -> None:
    from dlt.pipeline.exceptions import PipelineStepFailed

    try:
        pipeline.extract(
            resources,
            loader_file_format="parquet",
            schema_contract={"columns": "evolve", "data_type": "freeze"},
        )
        pipeline.normalize()
        _expect_one_file_each(pipeline)
        on_write()
        pipeline.load()
    except PipelineStepFailed as failure:
        cause: BaseException | None = failure
        while cause is not None and not isinstance(cause, LoadError):
            cause = cause.__cause__
        # dlt wraps a sentence in three exceptions; the innermost is the one that says something
        raise cause or LoadError(f"{RAW}: {failure}") from failure


def _expect_one_file_each(pipeline: Any) -> None:
    for load_id in pipeline.list_normalized_load_packages():
        jobs = pipeline.get_load_package_info(load_id).jobs["new_jobs"]
        files = Counter(job.job_file_info.table_name for job in jobs)
        if split := sorted(name for name, number in files.items() if number > 1):
            msg = (
                f"dlt would write {', '.join(split)} from several files, of which the last would "
                f"replace the others; unset its settings DATA_WRITER__FILE_MAX_…"
            )
            raise LoadError(msg)


def _resource(table: RawTable, landed: duckdb.DuckDBPyConnection, new: NewFields) -> Any:
    import dlt

    disposition: Any = (
        # the query gives every key once, so dlt need not look again
        {"disposition": "merge", "strategy": "delete-insert", "deduplicated": True}
        if table.scope
        else "replace"
    )
    return dlt.resource(
        _read(table, landed, new),
        name=table.name,
        write_disposition=disposition,
        # a primary key beside it makes dlt delete with OR, which compares every row with every row
        merge_key=table.scope or (),
        # without this dlt gives times a zone, and a local time has none
        columns={
            column.name: {"data_type": "timestamp", "timezone": False}
            for column in table.contract.columns
            if column.type == "TIMESTAMP"
        },
    )


def _read(table: RawTable, landed: duckdb.DuckDBPyConnection, new: NewFields) -> Iterator[pa.Table]:
    import duckdb
    import pyarrow as pa

    schema = _arrow_schema(table, new)
    try:
        reader = landed.cursor().execute(select(table, new)).to_arrow_reader(ROWS_AT_ONCE)
        # a table without a row still has to exist
        yield schema.empty_table()
        for batch in reader:
            yield pa.Table.from_batches([batch]).cast(schema)
    except (duckdb.Error, pa.ArrowInvalid, ValueError) as error:
        msg = f"{table.contract.full_name}: the API's answers do not fit the contract: {error}"
        raise LoadError(msg) from error


def _arrow_schema(table: RawTable, new: NewFields) -> pa.Schema:
    """The contract's types, from which dlt makes the table's."""
    import pyarrow as pa

    types = {
        "VARCHAR": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
    }
    return pa.schema(
        [
            pa.field(column.name, types[column.type], nullable=not column.required)
            for column in table.contract.columns
        ]
        + [pa.field(name, pa.string()) for name in new_columns(table, new)]
    )
