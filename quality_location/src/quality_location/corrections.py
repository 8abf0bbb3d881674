"""What a release changes of the one before: people who took numbers from it should know."""

from typing import TYPE_CHECKING, Any

from databox_shared.contracts import MARTS, Table
from quality_location.checks import literal, relation
from quality_location.release_file import public_columns, released_tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from quality_location.release import Manifest, Release


def corrections(
    connection: "DuckDBPyConnection",
    before: "Release | None",
    manifest: "Manifest",
    *,
    is_whole: bool,
) -> dict[str, Any]:
    """What changes on days that the release before had, as the page tells it.

    `rows` are table, day, and rows added, changed, removed; `tables` were compared, those without
    days are not. `unknown` says why nothing was compared; empty if it was. `is_whole` tells whether
    the release before can be read: its Parquet files are as they were written.
    """
    unknown = _why_unknown(before, manifest, is_whole=is_whole)
    if before is None or unknown:
        return {"before": "", "unknown": unknown, "tables": [], "rows": []}
    views = {*before.manifest.views, *manifest.views}
    tables = [t for t in released_tables() if t.day_column and t.full_name not in views]
    return {
        "before": before.manifest.id,
        "unknown": "",
        "tables": [table.full_name for table in tables],
        "rows": [row for table in tables for row in _of_table(connection, before, table)],
    }


def _why_unknown(before: "Release | None", manifest: "Manifest", *, is_whole: bool) -> str:
    if before is None:
        return "there is no release before it that can be read."
    was, now = (release.contracts.get(MARTS) for release in (before.manifest, manifest))
    if was != now:
        return (
            f"release {before.manifest.id} was made under version {was} of the contract, this one "
            f"under {now}, so they were not compared."
        )
    if not is_whole:
        return f"files of release {before.manifest.id} are damaged, so it was not compared."
    return ""


def _of_table(
    connection: "DuckDBPyConnection", before: "Release", table: Table
) -> list[dict[str, Any]]:
    # its Parquet files: somebody may be writing into the DuckDB file
    path = before.folder / "parquet" / table.schema / table.name
    files = path / "*" / "*.parquet" if path.is_dir() else path.with_suffix(".parquet")
    columns = public_columns(table)
    sides = [
        f"SELECT {table.day_column} AS day, ({', '.join(table.key)}) AS key, "
        f"md5(to_json(t)::VARCHAR) AS content FROM (SELECT {columns} FROM {source}) t"
        for source in (f"read_parquet({literal(str(files))})", relation(table))
    ]
    rows = connection.execute(
        f"WITH old AS ({sides[0]}), new AS ({sides[1]}) SELECT day, "
        "count(*) FILTER (old.key IS NULL), "
        "count(*) FILTER (old.content <> new.content), "
        "count(*) FILTER (new.key IS NULL) "
        "FROM old FULL JOIN new USING (day, key) "
        "WHERE day IN (SELECT day FROM old) AND old.content IS DISTINCT FROM new.content "
        "GROUP BY day ORDER BY day DESC"
    ).fetchall()
    names = ("day", "added", "changed", "removed")
    return [{"table": table.full_name, **dict(zip(names, row, strict=True))} for row in rows]
