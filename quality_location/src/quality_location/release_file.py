"""What a release holds for people: one DuckDB file that explains itself, and Parquet of its tables.

Only writes into the folder that it is given. That the folder becomes the release, or does not, is
decided in `release`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from databox_shared.contracts import MARTS, Table, contract
from quality_location.checks import date_column, literal, relation

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from quality_location.release import Manifest

# a table with more rows becomes a Parquet file per year, so that readers can take a part
LARGE_ROWS = 1_000_000
# PostgreSQL knows no DOUBLE
_DOUBLE = "DOUBLE PRECISION"


def released_tables() -> list[Table]:
    """The tables that people get: those of the marts."""
    return list(contract(MARTS).tables.values())


def public_columns(table: Table) -> str:
    """The columns of a table that anybody may see, as SQL lists them."""
    return ", ".join(column.name for column in table.columns if not column.private)


def table_sql(table: Table, name: str) -> str:
    """The statement that makes a released table, as DuckDB and PostgreSQL both read it."""
    columns = ", ".join(
        f"{column.name} {_DOUBLE if column.type == 'DOUBLE' else column.type}"
        f"{' NOT NULL' if column.required else ''}"
        for column in table.columns
        if not column.private
    )
    return f"CREATE TABLE {name} ({columns})"


def comments_sql(table: Table, name: str, kind: str) -> str:
    """The statements that explain a released table or view, as both read them."""
    comment = f"{table.description} Grain: {table.grain}."
    columns = [
        f"COMMENT ON COLUMN {name}.{column.name} IS {literal(column.description)}"
        for column in table.columns
        if not column.private
    ]
    return "; ".join([f"COMMENT ON {kind} {name} IS {literal(comment)}", *columns])


def write_database(connection: "DuckDBPyConnection", path: Path, manifest: "Manifest") -> None:
    """Write the DuckDB file at `path` and, beside it, `parquet/` with each of its tables."""
    connection.execute(f"ATTACH {literal(str(path))} AS release")
    try:
        marts = contract(MARTS)
        connection.execute(f"CREATE SCHEMA release.{marts.name}")
        stored = [table for table in released_tables() if table.full_name not in manifest.views]
        for table in stored:
            _write_table(connection, table)
            _write_parquet(connection, table, path.parent, manifest.rows[table.full_name])
        for table in released_tables():
            if table.full_name in manifest.views:
                _write_view(connection, table, manifest.views[table.full_name])
        _write_about(connection, manifest)
    finally:
        connection.execute("DETACH release")


def _write_table(connection: "DuckDBPyConnection", table: Table) -> None:
    name = f"release.{table.full_name}"
    connection.execute(table_sql(table, name))
    # in the order of the key, so that equal data gives equal files and lookups skip most of it
    connection.execute(
        f"INSERT INTO {name} SELECT {public_columns(table)} FROM {relation(table)} "
        f"ORDER BY {', '.join(table.key)}"
    )
    connection.execute(comments_sql(table, name, "TABLE"))


def _write_view(connection: "DuckDBPyConnection", table: Table, query: str) -> None:
    # names in the query are of the release, whatever it is called when it is opened
    connection.execute("USE release")
    try:
        connection.execute(
            f"CREATE VIEW {table.full_name} AS SELECT {public_columns(table)} FROM ({query})"
        )
    finally:
        connection.execute("USE memory")
    connection.execute(comments_sql(table, f"release.{table.full_name}", "VIEW"))


def _write_parquet(
    connection: "DuckDBPyConnection", table: Table, release: Path, rows: int
) -> None:
    target = release / "parquet" / table.schema / table.name
    source, options = f"FROM release.{table.full_name}", "FORMAT parquet, COMPRESSION zstd"
    day = date_column(table)
    if day and rows > LARGE_ROWS:
        if all(column.name != "year" for column in table.columns):
            source = f"SELECT *, year({day}) AS year {source}"
        options += ", PARTITION_BY (year)"
        target.mkdir(parents=True)
    else:
        target = target.with_suffix(".parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"COPY ({source}) TO {literal(str(target))} ({options})")


def _write_about(connection: "DuckDBPyConnection", manifest: "Manifest") -> None:
    facts = {
        "what": contract(MARTS).description,
        "source": manifest.source,
        "release": manifest.id,
        "created": manifest.created_at,
        "run": manifest.run_id,
        "days": manifest.days or "none",
        **{f"contract {name}": version for name, version in manifest.contracts.items()},
        **{f"built from contract {name}": said for name, said in manifest.built_from.items()},
        **{f"snapshot {name}": str(number) for name, number in manifest.snapshots.items()},
        **{f"checks {name}": str(number) for name, number in manifest.checks.items()},
        **{f"rows {name}": str(number) for name, number in manifest.rows.items()},
        **dict.fromkeys(
            [f"view {name}" for name in manifest.views],
            "computed from the tables when it is asked; has no Parquet",
        ),
        "same as Parquet": "parquet/ beside manifest.json, in the folder release",
        "columns explained": "SELECT table_name, column_name, comment FROM duckdb_columns() "
        "WHERE comment IS NOT NULL",
    }
    connection.execute("CREATE TABLE release.about (item VARCHAR NOT NULL, value VARCHAR NOT NULL)")
    rows = ", ".join(f"({literal(item)}, {literal(value)})" for item, value in facts.items())
    connection.execute(f"INSERT INTO release.about VALUES {rows}")
    connection.execute("COMMENT ON TABLE release.about IS 'What this file is: SELECT * FROM about'")
    connection.execute("COMMENT ON COLUMN release.about.item IS 'What is said'")
    connection.execute("COMMENT ON COLUMN release.about.value IS 'What it is'")
