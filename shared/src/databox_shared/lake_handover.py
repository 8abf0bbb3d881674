"""The hand-over of data in a lake: a snapshot is a version of the location's lake.

The working file stays on its own machine. Publishing makes the lake equal to it in one
transaction and then notes the version in PostgreSQL, in `databox.handover`; until it is noted no
reader knows of it. A reader attaches the lake at the noted version, so it needs no file of another
machine but the lake's. Locks and leases are PostgreSQL's advisory locks: they end with the
connection that holds them.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from databox_shared.lake import RELEASE, Lake, schema_of
from databox_shared.lake_postgres import execute, lock, make_table, unlock
from databox_shared.snapshots import (
    KEEP,
    Snapshot,
    SnapshotError,
    Writer,
    manifest_of,
    said_by,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from psycopg2.extensions import connection as pg_connection

# the lake's name while it is written: its own is the working file's then
_ALIAS = "lake"


@dataclass(frozen=True, kw_only=True)
class LakeSnapshot(Snapshot):
    """One noted version of a location's lake."""

    lake: Lake = field(compare=False)
    version: int

    @property
    def attach_sql(self) -> str:
        """A statement for a DuckDB shell, without the password: that is asked of PGPASSWORD."""
        return self.lake.attach_sql(self.location, self.location, self.version)

    def attach(self, connection: DuckDBPyConnection) -> None:
        """Attach the lake at this version; whatever is published meanwhile is not seen."""
        self.lake.attach(connection, self.location, self.location, version=self.version)


class LakeWriter(Writer):
    """The one process that may write a location's working file and its lake."""

    def __init__(self, location: str, file: Path, lake: Lake, session: pg_connection) -> None:
        super().__init__(location, file.parent)
        self.path = file
        self._lake = lake
        self._session = session
        self._connection: DuckDBPyConnection
        self._origin = None if location == RELEASE else _origin(file.parent)

    def noted(self) -> Mapping[str, Any] | None:
        """What was said of the newest snapshot, None before the first."""
        newest = self._said("manifest")
        return newest[0] if newest else None

    def check_origin(self) -> None:
        """Raise `SnapshotError` if what is in the lake came from another working file.

        A machine whose folder is new would make the lake as empty as its working file.
        """
        newest = self._said("id", "origin")
        if newest and newest[1] not in {None, self._origin}:
            msg = (
                f"the lake has snapshot {newest[0]} of {self.location}, which was not published "
                f"from {self.path.parent}; bring the folder here that it came from, or let this "
                "one replace it: UPDATE databox.handover SET origin = NULL "
                f"WHERE location = '{self.location}'"
            )
            raise SnapshotError(msg)

    def _newest(self) -> int:
        newest = self._said("id")
        return newest[0] if newest else 0

    @contextmanager
    def _publishing(self) -> Generator[None]:
        import duckdb

        # one connection for all of it: to load the extensions takes half a second
        with duckdb.connect() as self._connection:
            self._lake.attach(self._connection, self.location, _ALIAS, new_in=self._folder_if_new())
            yield

    def _folder_if_new(self) -> str | None:
        """A folder for the data of a lake that is not there yet.

        No other lake has it, whatever else is in the folder: what belongs to no version of this
        one is deleted.
        """
        catalog = f"{schema_of(self.location)}.ducklake_metadata"
        if execute(self._session, "SELECT 1 WHERE to_regclass(%s) IS NOT NULL", catalog):
            return None
        return f"{self._lake.data}/{self.location}-{secrets.token_hex(4)}"

    def _hand_over(self, snapshot: Snapshot) -> Snapshot:
        from databox_shared.lake_mirror import mirror

        noted = self._said("version", "digests")
        connection = self._connection
        replace(snapshot, path=self.path).attach(connection)
        # an unnoted version is of a publication that died: then nothing is known of it
        is_known = noted is not None and noted[0] == _version(connection)
        held: Mapping[str, str] = noted[1] if noted and is_known else {}
        connection.execute("BEGIN")
        mirrored = mirror(connection, self.location, _ALIAS, held)
        connection.execute("COMMIT")
        version = _version(connection)
        connection.execute(f"DETACH {self.location}")
        execute(
            self._session,
            "INSERT INTO databox.handover VALUES (%s, %s, %s, %s, %s, %s)",
            self.location,
            snapshot.id,
            version,
            json.dumps(manifest_of(snapshot)),
            self._origin,
            json.dumps(mirrored.digests),
        )
        return _lake_snapshot(self._lake, manifest_of(snapshot), version)

    def _prune(self, *, newest: int) -> None:
        """Forget old snapshots that nobody needs, then the lake's versions that no snapshot is."""
        needed = {
            int(number)
            for (number,) in execute(
                self._session,
                "SELECT manifest -> 'upstream' ->> %s FROM databox.handover "
                "WHERE manifest -> 'upstream' ? %s AND location <> %s",
                self.location,
                self.location,
                # nobody asks a release for what it was made from
                RELEASE,
            )
        }
        old = "SELECT id FROM databox.handover WHERE location = %s AND id <= %s"
        for (number,) in execute(self._session, old, self.location, newest - KEEP):
            lease = _key(self.location, number)
            if number in needed or not lock(self._session, lease):
                continue
            gone = "DELETE FROM databox.handover WHERE location = %s AND id = %s"
            execute(self._session, gone, self.location, number)
            unlock(self._session, lease)
        self._expire()

    def _expire(self) -> None:
        noted = "SELECT version FROM databox.handover WHERE location = %s"
        kept = {version for (version,) in execute(self._session, noted, self.location)}
        run = self._connection.execute
        found = run(f"SELECT snapshot_id FROM {_ALIAS}.snapshots()").fetchall()
        if gone := [str(version) for (version,) in found if version not in kept]:
            run(f"CALL ducklake_expire_snapshots('{_ALIAS}', versions => [{', '.join(gone)}])")
            for clean in ("cleanup_old_files", "delete_orphaned_files"):
                run(f"CALL ducklake_{clean}('{_ALIAS}', cleanup_all => true)")

    def _said(self, *columns: str) -> tuple[Any, ...] | None:
        """What is noted about the newest snapshot, None before the first."""
        rows = execute(
            self._session,
            f"SELECT {', '.join(columns)} FROM databox.handover "
            "WHERE location = %s ORDER BY id DESC LIMIT 1",
            self.location,
        )
        return rows[0] if rows else None


@contextmanager
def lake_writing(
    lake: Lake, location: str, file: Path, *, on_wait: Callable[[str], None] = lambda _: None
) -> Generator[LakeWriter]:
    """Be the only writer of a location's lake, on this machine and every other.

    `file` is what will be published. Raises `SnapshotError` if it must not be.
    """
    with closing(lake.session()) as session:
        waiting = False
        while not lock(session, _key(location, "writer")):
            if not waiting:
                waiting = True
                on_wait(f"waiting for another machine, which writes the lake of {location}")
            time.sleep(0.2)
        make_table(session)
        writer = LakeWriter(location, file, lake, session)
        writer.check_origin()
        yield writer


@contextmanager
def lake_reading(lake: Lake, location: str, snapshot_id: int | None) -> Generator[LakeSnapshot]:
    """Hold one snapshot of a location, the newest unless an id is given, so that it stays."""
    with closing(lake.session()) as session:
        make_table(session)
        while True:
            rows = _noted(session, location, snapshot_id)
            if not rows:
                what = (
                    "no snapshot" if snapshot_id is None else f"no snapshot {snapshot_id} any more"
                )
                msg = f"{location} has published {what} in the lake; materialize its assets first"
                raise SnapshotError(msg)
            number, version, manifest = rows[0]
            if not lock(session, _key(location, number), shared=True):
                time.sleep(0.05)
                continue
            # the pruner holds the exclusive lock only while it deletes: look again
            if _noted(session, location, number):
                yield _lake_snapshot(lake, manifest, version)
                return
            unlock(session, _key(location, number), shared=True)


def _noted(session: pg_connection, location: str, number: int | None) -> list[tuple[Any, ...]]:
    return execute(
        session,
        "SELECT id, version, manifest FROM databox.handover "
        "WHERE location = %s AND id = coalesce(%s, id) ORDER BY id DESC LIMIT 1",
        location,
        number,
    )


def _lake_snapshot(lake: Lake, manifest: Mapping[str, Any], version: int) -> LakeSnapshot:
    return LakeSnapshot(**said_by(manifest), lake=lake, version=version)


def _version(connection: DuckDBPyConnection) -> int:
    [(version,)] = connection.execute(f"FROM {_ALIAS}.current_snapshot()").fetchall()
    return int(version)


def _origin(folder: Path) -> str:
    """A name of this folder that no other has: kept in it, and gone with it."""
    file = folder / "origin"
    if not file.exists():
        file.write_text(secrets.token_hex(8))
    return file.read_text()


def _key(location: str, what: int | str) -> str:
    return f"databox {location} {what}"
