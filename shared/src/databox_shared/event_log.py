"""Dagster's SQLite storage of events, with connections that stay open.

Dagster opens its files anew for every event, and SQLite, whose last connection it was, then writes
its log back and deletes it. That was more than half the CPU of quality's run, which stores some 750
events. Here a process keeps what it has opened. What is stored, when it is on disk and who waits
for whom stays Dagster's: the same files, tables and transactions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from threading import RLock
from typing import Any

import dagster as dg
from dagster._core.event_api import EventHandlerFn
from dagster._core.storage.event_log.sqlite.sqlite_event_log import (
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
)
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import QueuePool
from watchdog.events import FileSystemEvent
from watchdog.observers import Observer

# the index and some runs; a server reads many runs in its life
MAX_OPEN = 8


class OpenEventLog(SqliteEventLogStorage):
    """Dagster's event log in a file for each run and an index, of which the newest stay open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._batch: ExitStack | None = None
        self._in_batch: dict[str, Connection] = {}
        super().__init__(base_dir, inst_data)
        # the events of a batch are stored by what stores one
        self._db_lock = RLock()

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events that belong together in one transaction for each file, or none of them."""
        with self._db_lock, ExitStack() as transactions:
            self._batch = transactions
            try:
                for event in events:
                    self.store_event(event)
            finally:
                self._batch = None
                self._in_batch.clear()

    @contextmanager
    def _connect(self, shard: str) -> Generator[Connection]:
        with self._db_lock:
            if self._batch is None:
                with self._transaction(shard) as connection:
                    yield connection
                return
            if shard not in self._in_batch:
                self._in_batch[shard] = self._batch.enter_context(self._transaction(shard))
            yield self._in_batch[shard]

    @contextmanager
    def _transaction(self, shard: str) -> Generator[Connection]:
        engine = self._engine(shard)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        with engine.begin() as connection:
            yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._engines.pop(shard, None) or create_engine(
            self.conn_string_for_shard(shard),
            poolclass=QueuePool,
            # threads take turns (`_db_lock`), so one may go on with another's connection
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
        )
        self._engines[shard] = engine
        while len(self._engines) > MAX_OPEN:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def _close(self) -> None:
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()

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
    """Dagster's default storage, with this event log: `storage: custom:` in `dagster.yaml`."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        self._event_log_storage = OpenEventLog(f"{base_dir}/history/runs/")

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Any
    ) -> OpenSqliteStorage:
        """Make it from what `dagster.yaml` says."""
        return cls.from_local(inst_data=inst_data, **config_value)
