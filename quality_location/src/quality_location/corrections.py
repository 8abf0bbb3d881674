"""What a release changes of the one before: people who took numbers from it should know."""

from typing import TYPE_CHECKING, Any

from quality_location.checks import literal, relation
from quality_location.release_file import public_columns, released_tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from quality_location.release import Manifest, Release


def corrections(
    connection: "DuckDBPyConnection", before: "Release | None", manifest: "Manifest"
) -> list[dict[str, Any]]:
    """What changes on days that the release before had: table, day, rows added, changed, removed.

    Empty without a release before, or when it was made under another version of the contract.
    """
    if before is None or before.manifest.contracts != manifest.contracts:
        return []
    found: list[dict[str, Any]] = []
    for table in (table for table in released_tables() if table.day_column):
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
        found += [{"table": table.full_name, **dict(zip(names, row, strict=True))} for row in rows]
    return found
