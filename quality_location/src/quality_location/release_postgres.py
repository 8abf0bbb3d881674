"""The release in PostgreSQL: plain tables that any client reads, and the next ones at once.

They are made from the released file, after that has become the release, so they never hold what
the file does not. All of it is one transaction: until it ends people read the former release, and
if it dies nothing has happened.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from databox_shared.contracts import MARTS
from databox_shared.lake import Lake, LakeError, first_line
from quality_location.checks import literal
from quality_location.release import Release
from quality_location.release_file import (
    comments_sql,
    public_columns,
    released_tables,
    table_sql,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg2.extensions import cursor as pg_cursor

READER = "databox_reader"
# in a text it is quoted, so no text is taken for a null
_NULL = r"\N"
_ABOUT = "about"


def release_into_postgres(lake: Lake, release: Release, file: Path, *, spill: Path) -> list[str]:
    """Let the schema `ebird` of PostgreSQL be this release, unless it is already.

    Tells the schemas of former releases that could not be dropped: somebody reads them, or has made
    something in them or upon them, or owns them. Rows pass through the folder `spill`, a table at a
    time. Raises `LakeError` with a sentence; then the former release stays, and the next run, which
    finds the file as it is, tries again.
    """
    import duckdb
    import psycopg2

    with closing(lake.session()) as session, duckdb.connect(str(file), read_only=True) as source:
        session.set_client_encoding("UTF8")
        try:
            with session.cursor() as cursor:
                cursor.execute("BEGIN")
                held = _held(cursor)
                if held != release.manifest.id:
                    if held is not None:
                        cursor.execute(f"ALTER SCHEMA {MARTS} RENAME TO {_former(cursor, held)}")
                    _fill(cursor, source, release, spill)
                cursor.execute("COMMIT")
                return list(_not_dropped(cursor))
        except psycopg2.Error as error:
            msg = f"PostgreSQL did not take release {release.manifest.id}: {first_line(error)}"
            raise LakeError(msg) from error


def _held(cursor: "pg_cursor") -> str | None:
    """The release that is there, None if the schema is not."""
    cursor.execute("SELECT to_regclass(%s)", [f"{MARTS}.{_ABOUT}"])
    if cursor.fetchall() == [(None,)]:
        return None
    cursor.execute(f"SELECT value FROM {MARTS}.{_ABOUT} WHERE item = 'release'")
    rows = cursor.fetchall()
    return str(rows[0][0]) if rows else None


def _former(cursor: "pg_cursor", release_id: str) -> str:
    from psycopg2.extensions import quote_ident

    return quote_ident(f"{MARTS}_{release_id.replace('-', '_').lower()}", cursor)


def _fill(cursor: "pg_cursor", source: "DuckDBPyConnection", release: Release, spill: Path) -> None:
    cursor.execute(f"CREATE SCHEMA {MARTS}")
    views = release.manifest.views
    for table in released_tables():
        name = table.full_name
        if name not in views:
            cursor.execute(table_sql(table, name))
            _copy(cursor, source, name, f"SELECT {public_columns(table)} FROM {name}", spill)
            # an index is quicker made of all rows at once
            cursor.execute(f"ALTER TABLE {name} ADD PRIMARY KEY ({', '.join(table.key)})")
            cursor.execute(comments_sql(table, name, "TABLE"))
    for table in released_tables():
        name = table.full_name
        if name in views:
            query = f"SELECT {public_columns(table)} FROM ({views[name]}) AS rows"
            cursor.execute(f"CREATE VIEW {name} AS {query}")
            cursor.execute(comments_sql(table, name, "VIEW"))
    cursor.execute(f"CREATE TABLE {MARTS}.{_ABOUT} (item text PRIMARY KEY, value text NOT NULL)")
    _copy(cursor, source, f"{MARTS}.{_ABOUT}", f"SELECT item, value FROM {_ABOUT}", spill)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [READER])
    if cursor.fetchall():
        cursor.execute(f"GRANT USAGE ON SCHEMA {MARTS} TO {READER}")
        cursor.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {MARTS} TO {READER}")


def _copy(
    cursor: "pg_cursor", source: "DuckDBPyConnection", name: str, query: str, spill: Path
) -> None:
    spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spill) as folder:
        rows = Path(folder) / "rows.csv"
        options = f"FORMAT csv, HEADER false, NULLSTR '{_NULL}'"
        source.execute(f"COPY ({query}) TO {literal(str(rows))} ({options})")
        # frozen rows are seen by transactions that began before: a table that is suddenly theirs
        # by name would else be empty for them
        with rows.open("rb") as file:
            cursor.copy_expert(f"COPY {name} FROM STDIN (FORMAT csv, NULL '{_NULL}', FREEZE)", file)


def _not_dropped(cursor: "pg_cursor") -> Iterator[str]:
    """Drop former releases, and tell those that cannot be."""
    import psycopg2.errors as refusals

    cursor.execute("SET lock_timeout = '1s'")
    cursor.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ %s", [f"^{MARTS}_2[0-9]{{7}}t"]
    )
    for (schema,) in cursor.fetchall():
        try:
            cursor.execute("BEGIN")
            drops = [f'DROP {kind} "{schema}".{name}' for kind, name in _made(cursor, schema)]
            # not CASCADE, and only what a release made: people may have added to it
            cursor.execute("; ".join([*drops, f'DROP SCHEMA "{schema}"', "COMMIT"]))
        except (
            refusals.LockNotAvailable,
            refusals.DependentObjectsStillExist,
            # it was made by another role, or is no release at all
            refusals.InsufficientPrivilege,
            refusals.UndefinedTable,
        ):
            cursor.execute("ROLLBACK")
            yield str(schema)


def _made(cursor: "pg_cursor", schema: str) -> list[tuple[str, str]]:
    """What a former release says that it has: (kind, name), views before what they read."""
    cursor.execute(
        f"SELECT split_part(item, ' ', 1), split_part(item, '.', 2) FROM \"{schema}\".{_ABOUT} "
        f"WHERE item LIKE 'rows {MARTS}.%' OR item LIKE 'view {MARTS}.%' ORDER BY item DESC"
    )
    kinds = {"rows": "TABLE", "view": "VIEW"}
    return [*((kinds[word], name) for word, name in cursor.fetchall()), ("TABLE", _ABOUT)]
