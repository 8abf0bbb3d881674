"""The release: what people open. Complete or absent, never mixed.

Everything of one release is written into a folder of its own, forced to disk, and then becomes
the release by one atomic rename of a link. The names that people know (`DATABASE_URL`'s file and
`report`) point through that link and never change. A reader who holds an old file open keeps it.

    data/databox.duckdb → release/databox.duckdb
    data/release        → releases/20261123T060512Z-1a2b3c4d
    data/releases/…     this one, and older ones for some days
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import MARTS, Table, contract
from databox_shared.days import format_days
from databox_shared.settings import Settings
from quality_location.checks import literal, relation
from quality_location.page import page_version, write_page

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = 1
"""Raise it when what the files hold changes though the data and the contract do not."""
KEEP_DAYS = 14
# a table with more rows becomes a Parquet file per year, so that readers can take a part
LARGE_ROWS = 1_000_000
MANIFEST = "manifest.json"
_BUILDING = ".building-"


@dataclass(frozen=True)
class Facts:
    """What a release is told about the run that makes it."""

    created_at: datetime
    run_id: str
    source: str
    snapshots: Mapping[str, int]
    checks: Mapping[str, int]

    @property
    def release_id(self) -> str:
        """Sorts by time, and says which run made it."""
        return f"{self.created_at:%Y%m%dT%H%M%SZ}-{self.run_id[:8]}"


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: what a release holds. `content` is equal if and only if the data is.

    `rows` maps table → number of rows, `files` path within the release → bytes and sha256, and
    `days` names the days of observation in the way of `databox_shared.days.format_days`.
    """

    id: str
    created_at: str
    run_id: str
    source: str
    days: str
    contracts: Mapping[str, str]
    snapshots: Mapping[str, int]
    checks: Mapping[str, int]
    rows: Mapping[str, int]
    content: str
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True)
class Release:
    """A release that is there. `folder` is where it lies, whatever the link says later."""

    folder: Path
    manifest: Manifest


def released_tables() -> list[Table]:
    """The tables that people get: those of the marts."""
    return list(contract(MARTS).tables.values())


def releases_folder(settings: Settings) -> Path:
    """Where all releases lie, and beside them what their pages read about the present."""
    return settings.release_path.with_name("releases")


def current_release(settings: Settings) -> Release | None:
    """The release that people see now, or None before the first."""
    link = _link(settings)
    try:
        folder = link.resolve(strict=True)
        text = (folder / MANIFEST).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Release(folder, Manifest(**json.loads(text)))


def make_release(
    connection: "DuckDBPyConnection", settings: Settings, facts: Facts
) -> tuple[Release, bool]:
    """Release the attached marts; tells the release, and whether it is a new one.

    The same data gives the same release: if the current one holds it, undamaged, it stays. The
    caller is the only one who releases (`snapshots.writing`).
    """
    folder = releases_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{_BUILDING}*"):
        shutil.rmtree(leftover)
    manifest = _manifest(connection, facts)
    current = current_release(settings)
    if current and current.manifest.content == manifest.content and _is_undamaged(current):
        _point(settings, current.folder)
        return current, False
    building = folder / f"{_BUILDING}{facts.release_id}"
    building.mkdir()
    _write_database(connection, building / settings.release_path.name, manifest)
    write_page(
        connection,
        building / "report",
        about=asdict(manifest),
        corrections=corrections(connection, current, manifest),
    )
    manifest = replace(manifest, files=dict(_files(building)))
    (building / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2), encoding="utf-8")
    _force_to_disk(building)
    finished = folder / facts.release_id
    building.rename(finished)
    _point(settings, finished)
    _prune(folder, keep=finished, now=facts.created_at)
    return Release(finished, manifest), True


def corrections(
    connection: "DuckDBPyConnection", before: Release | None, manifest: Manifest
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
        sides = [
            f"SELECT {table.day_column} AS day, ({', '.join(table.key)}) AS key, "
            f"md5(to_json(t)::VARCHAR) AS content FROM (SELECT {_columns(table)} FROM {source}) t"
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


def most_reported_species(connection: "DuckDBPyConnection") -> str:
    """The species on most checklists of the newest day, in a few words; empty without any."""
    table = relation(contract(MARTS).tables["species_daily"])
    row = connection.execute(
        f"SELECT com_name, sum(checklists_reporting)::BIGINT AS checklists, obs_date FROM {table} "
        f"WHERE obs_date = (SELECT max(obs_date) FROM {table}) "
        "GROUP BY com_name, obs_date ORDER BY checklists DESC, com_name LIMIT 1"
    ).fetchone()
    return f"{row[0]}, on {row[1]:,} checklists of {row[2]}" if row else ""


def _manifest(connection: "DuckDBPyConnection", facts: Facts) -> Manifest:
    marts = contract(MARTS)
    digest = hashlib.sha256(
        f"{FORMAT} {page_version()} {marts.version} {released_tables()!r}".encode()
    )
    rows: dict[str, int] = {}
    days: set[Any] = set()
    for table in released_tables():
        count, content = _one(
            connection,
            # order does not matter to xor, and equal rows cannot cancel out: the key is unique
            f"SELECT count(*), bit_xor(md5_number(to_json(t)::VARCHAR)) "
            f"FROM (SELECT {_columns(table)} FROM {relation(table)}) t",
        )
        rows[table.full_name] = count
        digest.update(f"{table.full_name} {count} {content}\n".encode())
        if table.day_column:
            found = connection.execute(f"SELECT DISTINCT {table.day_column} FROM {relation(table)}")
            days |= {row[0] for row in found.fetchall()}
    return Manifest(
        id=facts.release_id,
        created_at=facts.created_at.isoformat(timespec="seconds"),
        run_id=facts.run_id,
        source=facts.source,
        days=format_days(days),
        contracts={marts.name: marts.version},
        snapshots=dict(facts.snapshots),
        checks=dict(facts.checks),
        rows=rows,
        content=digest.hexdigest(),
    )


def _write_database(connection: "DuckDBPyConnection", path: Path, manifest: Manifest) -> None:
    connection.execute(f"ATTACH {literal(str(path))} AS release")
    try:
        marts = contract(MARTS)
        connection.execute(f"CREATE SCHEMA release.{marts.name}")
        for table in released_tables():
            _write_table(connection, table)
            _write_parquet(connection, table, path.parent, manifest.rows[table.full_name])
        _write_about(connection, manifest)
    finally:
        connection.execute("DETACH release")


def _write_table(connection: "DuckDBPyConnection", table: Table) -> None:
    name = f"release.{table.full_name}"
    columns = ", ".join(
        f"{c.name} {c.type}{' NOT NULL' if c.required else ''}"
        for c in table.columns
        if not c.private
    )
    connection.execute(f"CREATE TABLE {name} ({columns})")
    # in the order of the key, so that equal data gives equal files and lookups skip most of it
    connection.execute(
        f"INSERT INTO {name} SELECT {_columns(table)} FROM {relation(table)} "
        f"ORDER BY {', '.join(table.key)}"
    )
    comment = f"{table.description} Grain: {table.grain}."
    connection.execute(f"COMMENT ON TABLE {name} IS {literal(comment)}")
    for column in table.columns:
        if not column.private:
            description = literal(column.description)
            connection.execute(f"COMMENT ON COLUMN {name}.{column.name} IS {description}")


def _write_parquet(
    connection: "DuckDBPyConnection", table: Table, release: Path, rows: int
) -> None:
    target = release / "parquet" / table.schema / table.name
    source, options = f"FROM release.{table.full_name}", "FORMAT parquet, COMPRESSION zstd"
    if table.day_column and rows > LARGE_ROWS:
        source = f"SELECT *, year({table.day_column}) AS year {source}"
        options += ", PARTITION_BY (year)"
        target.mkdir(parents=True)
    else:
        target = target.with_suffix(".parquet")
        target.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"COPY ({source}) TO {literal(str(target))} ({options})")


def _write_about(connection: "DuckDBPyConnection", manifest: Manifest) -> None:
    facts = {
        "what": contract(MARTS).description,
        "source": manifest.source,
        "release": manifest.id,
        "created": manifest.created_at,
        "run": manifest.run_id,
        "days": manifest.days or "none",
        **{f"contract {name}": version for name, version in manifest.contracts.items()},
        **{f"snapshot {name}": str(number) for name, number in manifest.snapshots.items()},
        **{f"checks {name}": str(number) for name, number in manifest.checks.items()},
        **{f"rows {name}": str(number) for name, number in manifest.rows.items()},
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


def _files(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for file in sorted(folder.rglob("*")):
        # the page's link to the present is not part of the release
        if file.is_symlink() or not file.is_file():
            continue
        yield (
            file.relative_to(folder).as_posix(),
            {"bytes": file.stat().st_size, "sha256": _sha256(file)},
        )


def _is_undamaged(release: Release) -> bool:
    files = release.manifest.files
    return all((release.folder / name).is_file() for name in files) and all(
        _sha256(release.folder / name) == said["sha256"] for name, said in files.items()
    )


def _point(settings: Settings, release: Path) -> None:
    link = _link(settings)
    _replace_link(link, Path("releases", release.name))
    for name in (settings.release_path.name, "report"):
        _replace_link(link.with_name(name), Path(link.name, name))
    _sync(link.parent)


def _replace_link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    temporary = link.with_name(f".{link.name}.new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(link)


def _prune(folder: Path, *, keep: Path, now: datetime) -> None:
    oldest = f"{now - timedelta(days=KEEP_DAYS):%Y%m%dT%H%M%SZ}"
    for release in folder.iterdir():
        if release.is_dir() and release != keep and release.name < oldest:
            with suppress(FileNotFoundError):
                shutil.rmtree(release)


def _force_to_disk(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        if not path.is_symlink():
            _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _link(settings: Settings) -> Path:
    return settings.release_path.with_name("release")


def _columns(table: Table) -> str:
    return ", ".join(column.name for column in table.columns if not column.private)


def _one(connection: "DuckDBPyConnection", query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101
    return row
