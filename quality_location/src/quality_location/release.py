"""The release: what people open. Complete or absent, never mixed.

Everything of one release is written into a folder of its own, forced to disk, and then becomes
the release by one atomic rename of a link. The names that people know (`DATABASE_URL`'s file and
`report`) point through that link and never change. A reader who holds an old file open keeps it.

    data/databox.duckdb → release/databox.duckdb
    data/release        → releases/20261123T060512Z-1a2b3c4d
    data/releases/…     this one, and older ones for some days after they were replaced
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import MARTS, contract
from databox_shared.days import format_days
from databox_shared.settings import Settings
from quality_location.checks import relation
from quality_location.corrections import corrections
from quality_location.page import page_version, write_page
from quality_location.release_file import public_columns, released_tables, write_database
from quality_location.views import released_views

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = 1
"""Raise it when what the files hold changes though the data and the contract do not."""
KEEP_DAYS = 14
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
    results: Sequence[Mapping[str, Any]] = ()
    built_from: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def release_id(self) -> str:
        """Sorts by time, and says which run made it."""
        return f"{self.created_at:%Y%m%dT%H%M%SZ}-{self.run_id[:8]}"


@dataclass(frozen=True)
class Manifest:
    """`manifest.json`: what a release holds. `content` is equal if and only if the data is.

    `rows` maps table → number of rows, `views` view → its query over the tables (its rows are
    stored nowhere), `files` path within the release → bytes and sha256, and `days` names the days
    of observation in the way of `databox_shared.days.format_days`. `contracts` are those that it is
    released under, `built_from` those of the schemas behind it. `results` are the checks that
    `checks` counts: `check` (`schema.table:name`), `passed`, `severity`.
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
    views: Mapping[str, str] = field(default_factory=dict[str, str])
    built_from: Mapping[str, str] = field(default_factory=dict[str, str])
    results: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])


@dataclass(frozen=True)
class Release:
    """A release that is there. `folder` is where it lies, whatever the link says later."""

    folder: Path
    manifest: Manifest


def releases_folder(settings: Settings) -> Path:
    """Where all releases lie, and beside them what their pages read about the present."""
    return settings.release_path.with_name("releases")


def current_release(settings: Settings) -> Release | None:
    """The release that people see now, or None before the first and if its manifest is damaged."""
    link = _link(settings)
    # a newer quality, before it was rolled back, may have said more
    known = {item.name for item in fields(Manifest)}
    try:
        folder = link.resolve(strict=True)
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        said = {name: value for name, value in json.loads(text).items() if name in known}
        return Release(folder, Manifest(**said))
    except (FileNotFoundError, ValueError, TypeError, AttributeError):
        return None


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
    # what is damaged is not read: it would fail every release from now on
    is_whole = current is not None and _is_undamaged(current, "parquet/")
    building = folder / f"{_BUILDING}{facts.release_id}"
    building.mkdir()
    write_database(connection, building / settings.release_path.name, manifest)
    write_page(
        connection,
        building / "report",
        database=settings.release_path.name,
        about=asdict(replace(manifest, results=())),
        corrections=corrections(connection, current, manifest, is_whole=is_whole),
    )
    manifest = replace(manifest, files=dict(_files(building)))
    (building / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2), encoding="utf-8")
    _force_to_disk(building)
    finished = folder / facts.release_id
    building.rename(finished)
    _point(settings, finished)
    _prune(folder, keep=finished, now=facts.created_at)
    return Release(finished, manifest), True


def _manifest(connection: "DuckDBPyConnection", facts: Facts) -> Manifest:
    marts = contract(MARTS)
    digest = hashlib.sha256(
        f"{FORMAT} {page_version()} {marts.version} {released_tables()!r}".encode()
    )
    views = released_views(connection, released_tables())
    digest.update(json.dumps(views).encode())
    rows: dict[str, int] = {}
    days: set[Any] = set()
    for table in released_tables():
        if table.full_name in views:
            continue
        count, content = _one(
            connection,
            # order does not matter to xor, and equal rows cannot cancel out: the key is unique
            f"SELECT count(*), bit_xor(md5_number(to_json(t)::VARCHAR)) "
            f"FROM (SELECT {public_columns(table)} FROM {relation(table)}) t",
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
        views=views,
        built_from=dict(facts.built_from),
        results=list(facts.results),
    )


def _files(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for file in sorted(folder.rglob("*")):
        # the page's links, to the present and to the Parquet, are not part of the release
        if file.is_symlink() or not file.is_file():
            continue
        yield (
            file.relative_to(folder).as_posix(),
            {"bytes": file.stat().st_size, "sha256": _sha256(file)},
        )


def _is_undamaged(release: Release, under: str = "") -> bool:
    """Whether the files below a folder of the release are there as they were written."""
    files = {name: said for name, said in release.manifest.files.items() if name.startswith(under)}
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
    releases = sorted(release for release in folder.iterdir() if release.is_dir())
    # people had a release until the next one was made
    for release, successor in pairwise(releases):
        if release != keep and successor.name < oldest:
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


def _one(connection: "DuckDBPyConnection", query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101
    return row
