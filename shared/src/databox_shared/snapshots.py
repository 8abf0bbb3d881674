"""The hand-over of data: one writer per working file, immutable snapshots for everybody else.

A location writes its own working file under `writing`, and publishes a complete copy of it with
one atomic rename. Others read a snapshot under `reading` and never open a working file, so a
reader never waits for a writer and a writer never for a reader. The locks are `flock`s on files
that DuckDB never opens: they end with their process, and DuckDB's own lock is never touched. With
a lake in DATABASE_URL the same is said in `lake_handover`, where a snapshot is a version of a lake.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databox_shared.contracts import contract
from databox_shared.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEEP = 3
_NAME = re.compile(r"(\d{8})\.(duckdb|json)")


class SnapshotError(Exception):
    """A snapshot that is needed is not there, or a working file cannot be published."""


@dataclass(frozen=True)
class Snapshot:
    """One published, complete, immutable state of a location's working file.

    `id` grows by one with each publication of a location. `contracts` maps each contract to the
    version under which its schema was handed over, `upstream` each location that was read to the
    snapshot id that was read, and `source` is the host the observations came from.
    """

    location: str
    id: int
    run_id: str
    created_at: str
    source: str
    contracts: Mapping[str, str] = field(default_factory=dict[str, str])
    upstream: Mapping[str, int] = field(default_factory=dict[str, int])
    path: Path = field(default=Path(), compare=False)

    @property
    def attach_sql(self) -> str:
        """A statement that gives a DuckDB shell this data, under the location's name.

        Views in it are bound to the catalog name that the working file had when they were made.
        """
        path = str(self.path).replace("'", "''")
        return f"ATTACH '{path}' AS {self.location} (READ_ONLY);"

    def attach(self, connection: DuckDBPyConnection) -> None:
        """Attach it to a connection, under the location's name, to be read only."""
        connection.execute(self.attach_sql)

    def check_readable(self, contract_name: str) -> None:
        """Raise `ContractError` unless this location can read that schema of the snapshot."""
        version = self.contracts.get(contract_name)
        source = f"snapshot {self.id} of {self.location}"
        if version is None:
            held = ", ".join(f"{name} {held}" for name, held in self.contracts.items())
            source += f", which holds {held or 'no contract'},"
        contract(contract_name).check_readable(version, source=source)


_MANIFEST = {item.name for item in fields(Snapshot)} - {"path"}


def manifest_of(snapshot: Snapshot) -> dict[str, Any]:
    """What is written down about a snapshot, beside its data."""
    return {key: value for key, value in asdict(snapshot).items() if key in _MANIFEST}


def said_by(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a manifest that this version knows: a newer publisher may say more."""
    return {key: value for key, value in manifest.items() if key in _MANIFEST}


class Writer:
    """The one process that may write a location's working file; made by `writing`."""

    def __init__(self, location: str, folder: Path) -> None:
        self.location = location
        self.path = folder / f"{location}.duckdb"
        """The working file. Its stem is the catalog's name that views in it are bound to."""
        self._snapshots = folder / "snapshots"

    def publish(
        self,
        *,
        run_id: str,
        contract_names: list[str],
        source: str,
        upstream: Mapping[str, int] | None = None,
    ) -> Snapshot:
        """Make what the working file holds a new snapshot, then delete old ones that nobody reads.

        Close every connection of this process to the working file first: a copy made beside an
        open one would drop DuckDB's lock, and could be torn. Raises `SnapshotError` if a
        write-ahead log is left, because then the file is not complete.
        """
        wal = self.path.with_name(self.path.name + ".wal")
        if wal.exists():
            msg = f"{self.path} was not closed: {wal.name} is beside it; publish after closing it"
            raise SnapshotError(msg)
        with self._publishing():
            snapshot = self._hand_over(
                Snapshot(
                    location=self.location,
                    id=self._newest() + 1,
                    run_id=run_id,
                    created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                    source=source,
                    contracts={name: contract(name).version for name in contract_names},
                    upstream=dict(upstream or {}),
                )
            )
            self._prune(newest=snapshot.id)
        return snapshot

    def _publishing(self) -> AbstractContextManager[None]:
        """What is held while a snapshot is handed over and old ones go."""
        return nullcontext()

    def _newest(self) -> int:
        return max((number for number, _ in _entries(self._snapshots)), default=0)

    def _hand_over(self, snapshot: Snapshot) -> Snapshot:
        self._snapshots.mkdir(parents=True, exist_ok=True)
        snapshot = replace(snapshot, path=self._snapshots / f"{snapshot.id:08d}.duckdb")
        _replace(snapshot.path, lambda temporary: shutil.copyfile(self.path, temporary))
        # the manifest comes last: a snapshot without one does not exist for readers
        _replace(
            snapshot.path.with_suffix(".json"),
            lambda temporary: temporary.write_text(json.dumps(manifest_of(snapshot), indent=2)),
        )
        return snapshot

    def _prune(self, *, newest: int) -> None:
        for leftover in self._snapshots.glob("*.part"):
            leftover.unlink()
        needed = self._read_downstream()
        for number, file in _entries(self._snapshots):
            if number > newest - KEEP or number in needed:
                continue
            if file.suffix == ".json":
                with file.open() as lease:
                    if not _try_lock(lease.fileno(), fcntl.LOCK_EX):
                        continue
                    file.unlink()
                    file.with_suffix(".duckdb").unlink(missing_ok=True)
            elif not file.with_suffix(".json").exists():
                file.unlink(missing_ok=True)

    def _read_downstream(self) -> set[int]:
        """Ids that other locations' snapshots were built from: their readers will ask for them."""
        ids: set[int] = set()
        for manifest in self.path.parent.parent.glob("*/snapshots/*.json"):
            # its own location may delete it while we look
            with suppress(FileNotFoundError):
                upstream = json.loads(manifest.read_text()).get("upstream", {})
                ids.update(int(n) for name, n in upstream.items() if name == self.location)
        return ids


@contextmanager
def writing(
    settings: Settings, location: str, *, on_wait: Callable[[str], None] = lambda _: None
) -> Generator[Writer]:
    """Be the only writer of a location's working file, in this process and every other.

    Waits while another process writes and says so, once, through `on_wait`.
    """
    folder = settings.hidden_dir / location
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "writer.lock").open("a+") as lock:
        waiting = False
        while not _try_lock(lock.fileno(), fcntl.LOCK_EX):
            if not waiting:
                waiting = True
                lock.seek(0)
                on_wait(f"waiting for process {lock.read().strip()}, which writes {folder}")
            time.sleep(0.2)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if settings.lake is None:
            yield Writer(location, folder)
            return
        from databox_shared.lake_handover import lake_writing

        file = folder / f"{location}.duckdb"
        with lake_writing(settings.lake, location, file, on_wait=on_wait) as writer:
            yield writer


@contextmanager
def reading(
    settings: Settings, location: str, snapshot_id: int | None = None
) -> Generator[Snapshot]:
    """Hold one snapshot of a location, the newest unless an id is given, so that it stays.

    A run holds it from its start to its end. Raises `SnapshotError` if there is none.
    """
    if settings.lake is not None:
        from databox_shared.lake_handover import lake_reading

        with lake_reading(settings.lake, location, snapshot_id) as version:
            yield version
        return
    folder = settings.hidden_dir / location / "snapshots"
    while True:
        numbers = [number for number, file in _entries(folder) if file.suffix == ".json"]
        wanted = snapshot_id if snapshot_id is not None else max(numbers, default=None)
        if wanted is None or wanted not in numbers:
            what = "no snapshot" if snapshot_id is None else f"no snapshot {snapshot_id} any more"
            msg = f"{location} has published {what} in {folder}; materialize its assets first"
            raise SnapshotError(msg)
        path = folder / f"{wanted:08d}.duckdb"
        try:
            lease = path.with_suffix(".json").open()
        except FileNotFoundError:
            continue
        with lease:
            # the pruner holds the exclusive lock only while it deletes: look again
            if not _try_lock(lease.fileno(), fcntl.LOCK_SH):
                time.sleep(0.05)
                continue
            if not path.with_suffix(".json").exists():
                continue
            if not path.exists():
                msg = f"{path} is gone though its manifest is there; publish a new snapshot"
                raise SnapshotError(msg)
            yield Snapshot(**said_by(json.load(lease)), path=path)
            return


def _entries(folder: Path) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    found = ((_NAME.fullmatch(file.name), file) for file in folder.iterdir())
    return sorted((int(match[1]), file) for match, file in found if match)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(target: Path, write: Callable[[Path], object]) -> None:
    temporary = target.with_name(target.name + ".part")
    write(temporary)
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
