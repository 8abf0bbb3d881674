"""Dagster's SQLite storage, with connections that stay open.

Dagster opens its files anew for every statement, SQLAlchemy compiles each statement anew for every
engine, and SQLite, whose last connection it was, then writes its log back and deletes it. That was
more than half the CPU of quality's run, which stores some 750 events, and of an idle daemon. Here
a process keeps what it has opened, and what is to be stored together is one transaction: others
see it at its end, and wait so long with theirs. The files and what is in them stay Dagster's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import dagster as dg
import dagster._check as check
from dagster._core.event_api import EventHandlerFn
from dagster._core.events import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
)
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    INDEX_SHARD_NAME,
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
)
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.schedules import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.pool import NullPool, QueuePool
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

# the index and some runs; a server reads many runs in its life
MAX_OPEN = 8
INDEXED = {*ASSET_EVENTS, *ASSET_CHECK_EVENTS, *EVENT_TYPE_TO_PIPELINE_RUN_STATUS}
_PATIENT = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}


class OpenFile:
    """The connections to one SQLite file, for as long as it is the same file."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._path = Path(make_url(url).database or "")
        self._lock = RLock()
        self._engine: Engine | None = None
        self._inode: int | None = None

    @contextmanager
    def transaction(self) -> Generator[Connection]:
        """A connection in a transaction."""
        with self._lock:
            if self._engine is None or self._inode != self._inode_now():
                self.close()
                self._engine = create_engine(
                    self._url,
                    poolclass=QueuePool,
                    # as many as there are threads; one may go on with another's
                    max_overflow=-1,
                    connect_args={**_PATIENT, "check_same_thread": False},
                )
                self._engine.connect().close()
                self._inode = self._inode_now()
            engine = self._engine
        with engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection that nobody uses now."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    def _inode_now(self) -> int | None:
        return self._path.stat().st_ino if self._path.exists() else None


class _InOpenFile:
    """A storage of Dagster's in one file."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._file = OpenFile(conn_string)
        super().__init__(conn_string, inst_data)  # pyright: ignore[reportCallIssue]

    @contextmanager
    def connect(self) -> Generator[Connection]:
        """A connection in a transaction."""
        with self._file.transaction() as connection:
            yield connection

    def dispose(self) -> None:
        """Close everything."""
        self._file.close()


class OpenRuns(_InOpenFile, SqliteRunStorage):
    """Dagster's storage of runs."""


class OpenSchedules(_InOpenFile, SqliteScheduleStorage):
    """Dagster's storage of schedules, sensors and their ticks."""


class OpenEventLog(SqliteEventLogStorage):
    """Dagster's event log in a file for each run and an index, of which the newest stay open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._gathered: list[dg.EventLogEntry] | None = None
        self._in_batch: dict[str, Connection] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)
        # threads take turns, and the events of a batch are stored by what stores one
        self._db_lock = RLock()

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events that belong together; see `together`."""
        with self.together():
            for event in events:
                self.store_event(event)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store an event, or keep it for the end of the batch that is open."""
        check.inst_param(event, "event", dg.EventLogEntry)
        with self._db_lock:
            if self._gathered is None:
                super().store_event(event)
            else:
                self._gathered.append(event)

    @contextmanager
    def together(self) -> Generator[None]:
        """What is stored meanwhile is stored at the end, in one transaction for each file.

        Until then nobody sees it, the block neither. If the block fails or an event cannot be
        stored, nothing was; the files are committed one by one, the index last, and if one cannot
        be, those before it are. Raises `RuntimeError` inside another such block.
        """
        with self._db_lock:
            if self._gathered is not None:
                msg = "events are being stored together already"
                raise RuntimeError(msg)
            self._gathered = gathered = list[dg.EventLogEntry]()
            try:
                yield
            finally:
                self._gathered = None
            self._store(gathered)

    def _store(self, events: Sequence[dg.EventLogEntry]) -> None:
        """What `store_event` does of each, a run's file before the index, as Dagster does."""
        of_run: dict[str, list[dict[str, Any]]] = {}
        of_index: list[tuple[dg.EventLogEntry, dict[str, Any]]] = []
        for event in events:
            row = self._event_to_row(event)
            of_run.setdefault(event.run_id, []).append(row)
            if event.dagster_event and event.dagster_event_type in INDEXED:
                of_index.append((event, row))
        with ExitStack() as transactions:
            self._in_batch = {
                shard: transactions.enter_context(self._transaction(shard))
                for shard in (INDEX_SHARD_NAME, *of_run)
            }
            try:
                for run_id, rows in of_run.items():
                    self._in_batch[run_id].execute(SqlEventLogStorageTable.insert(), rows)
                self._store_in_index(self._in_batch[INDEX_SHARD_NAME], of_index)
            finally:
                self._in_batch = {}

    def _store_in_index(
        self, index: Connection, stored: Sequence[tuple[dg.EventLogEntry, dict[str, Any]]]
    ) -> None:
        if not stored:
            return
        inserted = index.execute(
            SqlEventLogStorageTable.insert().returning(
                SqlEventLogStorageTable.c.id, sort_by_parameter_order=True
            ),
            [row for _, row in stored],
        )
        # of what an asset's row says, the last event of a type has the last word
        newest: dict[tuple[str | None, str], tuple[dg.EventLogEntry, int]] = {}
        of_assets: list[tuple[dg.EventLogEntry, int]] = []
        for (event, row), event_id in zip(stored, inserted.scalars(), strict=True):
            if event.dagster_event_type in ASSET_EVENTS:
                of_assets.append((event, event_id))
                key = (row["asset_key"], row["dagster_event_type"])
                newest.pop(key, None)
                newest[key] = (event, event_id)
            elif event.dagster_event_type in ASSET_CHECK_EVENTS:
                self.store_asset_check_event(event, event_id)
        self._store_asset_event_tags(
            index, [event for event, _ in of_assets], [event_id for _, event_id in of_assets]
        )
        for event, event_id in newest.values():
            self._store_asset_event(index, event, event_id)

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table. Dagster asks it for every check that it stores."""
        if table_name not in self._tables:
            if not super().has_table(table_name):
                return False
            self._tables.add(table_name)
        return True

    @contextmanager
    def _connect(self, shard: str) -> Generator[Connection]:
        with self._db_lock:
            if shard in self._in_batch:
                yield self._in_batch[shard]
                return
            with self._transaction(shard) as connection:
                yield connection

    def _transaction(self, shard: str) -> AbstractContextManager[Connection]:
        url = self.conn_string_for_shard(shard)
        if shard not in self._initialized_dbs or not Path(self.path_for_shard(shard)).exists():
            engine = create_engine(url, poolclass=NullPool, connect_args=_PATIENT)
            self._initdb(engine, for_index_shard=shard == INDEX_SHARD_NAME)
            self._initialized_dbs.add(shard)
        file = self._files.pop(shard, None) or OpenFile(url)
        self._files[shard] = file
        while len(self._files) > MAX_OPEN:
            self._files.popitem(last=False)[1].close()
        return file.transaction()

    def _close(self) -> None:
        with self._db_lock:
            while self._files:
                self._files.popitem()[1].close()

    def wipe(self) -> None:
        """Delete every event; nothing may be open then."""
        self._close()
        super().wipe()

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back for every new event of a run, which is in SQLite's log before its file."""
        if not self._obs:
            self._obs = Observer()
            self._obs.start()
        watchdog = _Watchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = (
            watchdog,
            self._obs.schedule(watchdog, self._base_dir, recursive=True),
        )

    def dispose(self) -> None:
        """Close everything."""
        super().dispose()
        self._close()


class _Watchdog(SqliteEventLogStorageWatchdog):
    """Dagster's own looks at the file alone, which changes seldom while it is open."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._patterns = [self._log_path, f"{self._log_path}-wal"]

    def on_modified(self, event: FileSystemEvent) -> None:  # noqa: ARG002 (watchdog's)
        self._process_log()


class OpenSqliteStorage(DagsterSqliteStorage):
    """Dagster's default storage, open: `storage: custom:` in `dagster.yaml`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self.base_dir = base_dir
        self._inst_data = inst_data
        self._run_storage = OpenRuns.from_local(f"{base_dir}/history/")
        self._event_log_storage = OpenEventLog(f"{base_dir}/history/runs/")
        self._schedule_storage = OpenSchedules.from_local(f"{base_dir}/schedules/")
        # not Dagster's own, which would open three files that nobody uses
        DagsterStorage.__init__(self)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Any
    ) -> OpenSqliteStorage:
        """Make it from what `dagster.yaml` says."""
        return cls.from_local(inst_data=inst_data, **config_value)
