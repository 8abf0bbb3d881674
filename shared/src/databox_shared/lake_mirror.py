"""Make a lake hold what an attached DuckDB file holds, by writing only what differs.

A table's rows are compared day by day, by a digest of each day, so that a publication costs a read
of the file and a write of its changed days, and heals whatever an earlier one left undone. It is
one transaction, begun and ended by the caller. Keys are not carried over: a lake has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# every publication adds a file to a changed table; from so many on they are written as one again
FILES = 32

_Name = tuple[str, str]
_Day = date | None


@dataclass(frozen=True)
class _Column:
    name: str
    type: str
    required: bool


@dataclass(frozen=True)
class _Table:
    columns: tuple[_Column, ...]
    comments: Mapping[str, str] = field(compare=False)
    """Column → comment; the table's own under the empty name."""

    @property
    def day(self) -> str | None:
        """The column whose values are the parts that are compared, None for the whole table."""
        return next((column.name for column in self.columns if column.type == "DATE"), None)


@dataclass(frozen=True)
class _View:
    query: str
    """All that follows the view's name."""
    comment: str | None = field(compare=False)


@dataclass(frozen=True)
class _Database:
    tables: Mapping[_Name, _Table]
    views: Mapping[_Name, _View]


@dataclass
class Mirrored:
    """What was written. `digests` tells for the next time what every table holds now."""

    digests: dict[str, str] = field(default_factory=dict[str, str])
    days: dict[str, list[_Day]] = field(default_factory=dict[str, list[_Day]])
    """The parts of each table that were written anew."""


def mirror(
    connection: DuckDBPyConnection, source: str, lake: str, held: Mapping[str, str]
) -> Mirrored:
    """Write into the catalog `lake` what differs from the catalog `source`.

    `held` are the digests that the lake's newest version is known to have: what equals them is not
    looked at. Views of `source` name their tables by its own name, as those in the lake will, which
    is therefore attached under the same name by who reads it.
    """
    wanted, found = _read(connection, source), _read(connection, lake)
    mirrored = Mirrored()
    _drop(connection, lake, wanted, found)
    for schema in {name[0] for name in (*wanted.tables, *wanted.views)}:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_id(lake)}.{_id(schema)}")
    for name, table in wanted.tables.items():
        parts = _parts(connection, source, name, table)
        digest = f"{sum(n for n, _ in parts.values())} {sum(n for _, n in parts.values())}"
        mirrored.digests[".".join(name)] = digest
        is_there = found.tables.get(name) == table
        if not is_there:
            _create(connection, lake, name, table)
            changed = set(parts)
        elif held.get(".".join(name)) == digest:
            changed = set[_Day]()
        else:
            before = _parts(connection, lake, name, table)
            changed = {day for day in {*parts, *before} if parts.get(day) != before.get(day)}
            if changed and _files(connection, lake, name) >= FILES:
                changed = {*parts, *before}
        if changed:
            mirrored.days[".".join(name)] = sorted(changed, key=str)
            _rewrite(
                connection,
                (_qualified(source, name), _qualified(lake, name)),
                table,
                None if changed >= set(parts) else changed,
                replaces=is_there,
            )
        _comment(connection, lake, name, table, found.tables[name] if is_there else None)
    _create_views(connection, source, lake, wanted, found)
    return mirrored


def _read(connection: DuckDBPyConnection, database: str) -> _Database:
    of_it = f"WHERE database_name = '{database}' AND NOT internal"
    columns: dict[_Name, list[_Column]] = {}
    comments: dict[_Name, dict[str, str]] = {}
    for schema, table, column, kind, nullable, comment in _rows(
        connection,
        "SELECT schema_name, table_name, column_name, data_type, is_nullable, comment "
        f"FROM duckdb_columns() {of_it} ORDER BY column_index",
    ):
        columns.setdefault((schema, table), []).append(_Column(column, kind, not nullable))
        if comment:
            comments.setdefault((schema, table), {})[column] = comment
    tables: dict[_Name, _Table] = {}
    for schema, name, comment in _rows(
        connection, f"SELECT schema_name, table_name, comment FROM duckdb_tables() {of_it}"
    ):
        said = comments.get((schema, name), {}) | ({"": comment} if comment else {})
        tables[schema, name] = _Table(tuple(columns[schema, name]), said)
    views: dict[_Name, _View] = {}
    for schema, name, sql, comment in _rows(
        connection, f"SELECT schema_name, view_name, sql, comment FROM duckdb_views() {of_it}"
    ):
        head, _, query = str(sql).rstrip(";").partition(" AS ")
        listed = head[head.index("(") :] if "(" in head else ""
        views[schema, name] = _View(f"{listed} AS {query}", comment)
    return _Database(tables, views)


def _drop(connection: DuckDBPyConnection, lake: str, wanted: _Database, found: _Database) -> None:
    for name, view in found.views.items():
        if wanted.views.get(name) != view:
            connection.execute(f"DROP VIEW {_qualified(lake, name)}")
    for name, table in found.tables.items():
        if wanted.tables.get(name) != table:
            connection.execute(f"DROP TABLE {_qualified(lake, name)}")


def _create(connection: DuckDBPyConnection, lake: str, name: _Name, table: _Table) -> None:
    columns = ", ".join(
        f"{_id(column.name)} {column.type}{' NOT NULL' if column.required else ''}"
        for column in table.columns
    )
    connection.execute(f"CREATE TABLE {_qualified(lake, name)} ({columns})")


def _parts(
    connection: DuckDBPyConnection, database: str, name: _Name, table: _Table
) -> dict[_Day, tuple[int, int]]:
    """Day → number of rows and a digest of them, in which their order does not count."""
    columns = ", ".join(_id(column.name) for column in table.columns)
    day = _id(table.day) if table.day else "NULL::DATE"
    rows = _rows(
        connection,
        f"SELECT {day}, count(*), sum(hash({columns})) FROM {_qualified(database, name)} "
        "GROUP BY ALL HAVING count(*) > 0",
    )
    return {day: (count, int(digest)) for day, count, digest in rows}


def _rewrite(
    connection: DuckDBPyConnection,
    names: tuple[str, str],
    table: _Table,
    days: Iterable[_Day] | None,
    *,
    replaces: bool,
) -> None:
    """Replace the rows of these days, all if none are named, by those of the source."""
    source, target = names
    where = ""
    if days is not None:
        listed = [f"{_id(table.day or '')} IS NOT DISTINCT FROM {_literal(day)}" for day in days]
        where = f" WHERE {' OR '.join(listed)}"
    if replaces:
        connection.execute(f"DELETE FROM {target}{where}")
    connection.execute(f"INSERT INTO {target} FROM {source}{where}")


def _comment(
    connection: DuckDBPyConnection, lake: str, name: _Name, table: _Table, found: _Table | None
) -> None:
    before = found.comments if found else {}
    for column in {*table.comments, *before}:
        comment = table.comments.get(column)
        if comment != before.get(column):
            what = f"COLUMN {_qualified(lake, name)}.{_id(column)}" if column else ""
            what = what or f"TABLE {_qualified(lake, name)}"
            connection.execute(f"COMMENT ON {what} IS {_literal(comment)}")


def _create_views(
    connection: DuckDBPyConnection, source: str, lake: str, wanted: _Database, found: _Database
) -> None:
    # names without a catalog are looked up in the source, where they are all there already
    connection.execute(f"USE {_id(source)}")
    for name, view in wanted.views.items():
        if found.views.get(name) != view:
            connection.execute(f"CREATE VIEW {_qualified(lake, name)} {view.query}")
            if view.comment:
                # DuckLake has no comments on the columns of a view
                comment = _literal(view.comment)
                connection.execute(f"COMMENT ON VIEW {_qualified(lake, name)} IS {comment}")
    connection.execute("USE memory")


def _files(connection: DuckDBPyConnection, lake: str, name: _Name) -> int:
    schema, table = map(_literal, name)
    [(files,)] = _rows(
        connection,
        "SELECT count(*) + count(delete_file) "
        f"FROM ducklake_list_files('{lake}', {table}, schema => {schema})",
    )
    return int(files)


def _rows(connection: DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def _qualified(database: str, name: _Name) -> str:
    return f"{_id(database)}.{_id(name[0])}.{_id(name[1])}"


def _id(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: date | str | None) -> str:
    if value is None:
        return "NULL"
    text = str(value).replace("'", "''")
    return f"DATE '{text}'" if isinstance(value, date) else f"'{text}'"
