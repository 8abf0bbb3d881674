"""Dagster's storage that stays open: others see what it stores, and it holds few files."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import compress
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from unittest import mock

import dagster as dg
import pytest
from dagster._check import CheckError
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.events import (
    AssetMaterializationPlannedData,
    AssetObservationData,
    DagsterEvent,
    DagsterEventType,
    StepMaterializationData,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._core.utils import make_new_run_id
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, text

from databox_shared import open_storage, together
from databox_shared.open_storage import OpenEventLog, OpenRuns, OpenSqliteStorage
from databox_shared.together import log_together


@pytest.fixture
def log(tmp_path: Path) -> Iterator[OpenEventLog]:
    opened = OpenEventLog(str(tmp_path))
    yield opened
    opened.dispose()


def said(run_id: str, message: str) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None,
        level=20,
        user_message=message,
        run_id=run_id,
        timestamp=time.time(),
    )


def messages(log: SqliteEventLogStorage, run_id: str) -> list[str]:
    return [
        record.event_log_entry.user_message for record in log.get_records_for_run(run_id).records
    ]


def test_dagsters_own_event_log_reads_at_once_what_is_stored_by_the_one_that_stays_open(
    log: OpenEventLog, tmp_path: Path
) -> None:
    other = SqliteEventLogStorage(str(tmp_path))
    log.store_event(said("run", "one"))
    other.store_event(said("run", "two"))
    log.store_event(said("run", "three"))
    assert messages(other, "run") == messages(log, "run") == ["one", "two", "three"]


def test_who_watches_a_run_is_called_while_the_run_holds_its_file_open(
    log: OpenEventLog, tmp_path: Path
) -> None:
    log.store_event(said("run", "before"))
    webserver, seen = OpenEventLog(str(tmp_path)), Event()
    webserver.watch(
        "run", None, lambda entry, _: seen.set() if entry.user_message == "now" else None
    )
    log.store_event(said("run", "now"))
    assert seen.wait(10)
    webserver.dispose()


def test_a_server_that_reads_many_runs_holds_few_files_open(
    log: OpenEventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_storage, "MAX_OPEN", 2)
    for number in range(4):
        log.store_event(said(f"run{number}", "hello"))
    held: set[str] = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            held.add(str(descriptor.readlink()))
    databases = [name for name in held if name.startswith(str(tmp_path)) and name.endswith(".db")]
    assert len(databases) == 2
    assert messages(log, "run0") == ["hello"]


def told(
    kind: DagsterEventType, about: Any, *, run_id: str = "run", at: float | None = None
) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=run_id,
        timestamp=time.time() if at is None else float(at),
        dagster_event=DagsterEvent(
            event_type_value=kind.value,
            job_name="job",
            step_key="step",
            event_specific_data=about,
        ),
    )


def planned(check: str) -> dg.EventLogEntry:
    intended = AssetCheckEvaluationPlanned(asset_key=dg.AssetKey("birds"), check_name=check)
    return told(DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, intended)


# what an event of each kind says of an asset, a day and a number
ABOUT: dict[DagsterEventType, Callable[[dg.AssetKey, str | None, int], Any]] = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED: lambda key, day, _: (
        AssetMaterializationPlannedData(key, partition=day)
    ),
    DagsterEventType.ASSET_MATERIALIZATION: lambda key, day, number: StepMaterializationData(
        dg.AssetMaterialization(key, partition=day, tags={DATA_VERSION_TAG: str(number)})
    ),
    DagsterEventType.ASSET_OBSERVATION: lambda key, day, number: AssetObservationData(
        dg.AssetObservation(key, partition=day, tags={DATA_VERSION_TAG: str(number)})
    ),
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED: lambda key, *_: AssetCheckEvaluationPlanned(
        asset_key=key, check_name="check"
    ),
    DagsterEventType.ASSET_CHECK_EVALUATION: lambda key, day, number: dg.AssetCheckEvaluation(
        asset_key=key, check_name="check", passed=number % 2 == 0, metadata={}, partition=day
    ),
    DagsterEventType.RUN_START: lambda *_: None,
    DagsterEventType.STEP_START: lambda *_: None,
}


def any_event(
    kind: DagsterEventType, asset: str, day: str | None, run_id: str, at: int
) -> dg.EventLogEntry:
    return told(kind, ABOUT[kind](dg.AssetKey(asset), day, at), run_id=run_id, at=at)


def once(entry: dg.EventLogEntry) -> object:
    """A run plans a check once; of all else there may be any number."""
    if entry.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
        return entry.run_id, str(entry.get_dagster_event().event_specific_data)
    return object()


EVENTS = st.lists(
    st.builds(
        any_event,
        st.sampled_from(list(ABOUT)),
        st.sampled_from(["birds", "checklists"]),
        st.sampled_from([None, "2026-01-01", "2026-01-02"]),
        st.sampled_from(["run", "other run", ""]),
        st.integers(1_767_225_600, 1_767_225_700),
    ),
    min_size=1,
    max_size=12,
    unique_by=once,
)
# which of two assets has the lower number means nothing
NOT_COMPARED = {"create_timestamp", "migration_completed", "asset_keys.id"}


def contents(folder: Path) -> dict[str, list[Any]]:
    """Every row of every table of every file."""
    found: dict[str, list[Any]] = {}
    for file in sorted(folder.glob("*.db")):
        with closing(sqlite3.connect(file)) as connection:
            named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (table,) in named.fetchall():
                cursor = connection.execute(f"SELECT * FROM {table}")
                compared = [
                    {column, f"{table}.{column}"}.isdisjoint(NOT_COMPARED)
                    for column, *_ in cursor.description
                ]
                rows = [tuple(compress(row, compared)) for row in cursor.fetchall()]
                found[f"{file.name} {table}"] = sorted(rows, key=str)
    return found


@given(EVENTS)
# a later event of a type that was there before has the last word
@example(
    [
        any_event(kind, "birds", None, run_id, at)
        for at, (kind, run_id) in enumerate(
            [
                (DagsterEventType.ASSET_MATERIALIZATION_PLANNED, "run"),
                (DagsterEventType.ASSET_MATERIALIZATION, "other run"),
                (DagsterEventType.ASSET_MATERIALIZATION_PLANNED, "run"),
            ]
        )
    ]
)
@settings(max_examples=10)
def test_a_batch_is_what_its_events_would_have_been_one_by_one(
    events: list[dg.EventLogEntry],
) -> None:
    with tempfile.TemporaryDirectory() as together_, tempfile.TemporaryDirectory() as singly:
        ours, dagsters = OpenEventLog(together_), SqliteEventLogStorage(singly)
        ours.store_event_batch(events)
        for one in events:
            dagsters.store_event(one)
        after = said("run", "after")
        ours.store_event(after)
        dagsters.store_event(after)
        ours.dispose()
        assert contents(Path(together_)) == contents(Path(singly))


def test_a_batch_that_fails_in_the_middle_leaves_nothing_and_the_log_goes_on(
    log: OpenEventLog,
) -> None:
    log.store_event(said("run", "before"))
    with pytest.raises(CheckError):
        log.store_event_batch([planned("one"), None])  # pyright: ignore[reportArgumentType]
    key = dg.AssetCheckKey(dg.AssetKey("birds"), "one")
    assert log.get_asset_check_execution_history(key, limit=9) == []
    log.store_event_batch([planned("one")])
    assert len(log.get_records_for_run("run").records) == 2
    assert len(log.get_asset_check_execution_history(key, limit=9)) == 1


def test_what_is_stored_after_somebody_deleted_the_files_is_in_new_ones(
    log: OpenEventLog, tmp_path: Path
) -> None:
    log.store_event_batch([planned("one")])
    for file in tmp_path.glob("*.db*"):
        file.unlink()
    log.store_event_batch([planned("two")])
    other = SqliteEventLogStorage(str(tmp_path))
    key = dg.AssetCheckKey(dg.AssetKey("birds"), "two")
    assert len(other.get_asset_check_execution_history(key, limit=9)) == 1
    assert len(other.get_records_for_run("run").records) == 1


def test_runs_and_ticks_are_dagsters_own_files_and_read_at_once_by_others(tmp_path: Path) -> None:
    ours, dagsters = OpenSqliteStorage(str(tmp_path)), DagsterSqliteStorage(str(tmp_path))
    run = dg.DagsterRun(job_name="job", run_id=make_new_run_id())
    ours.run_storage.add_run(run)
    ours.run_storage.add_run_tags(run.run_id, {"by": "us"})
    dagsters.run_storage.add_run_tags(run.run_id, {"and": "dagster"})
    (found,) = ours.run_storage.get_runs()
    assert found.tags == {"by": "us", "and": "dagster"}
    ours.schedule_storage.optimize()
    assert dagsters.schedule_storage.all_instigator_state() == []
    ours.dispose()


def test_a_run_stores_much_that_it_logs_in_few_batches_and_all_of_it_is_there(
    tmp_path: Path,
) -> None:
    days = [f"2026-01-{day:02}" for day in range(1, 32)]

    @dg.asset(partitions_def=dg.DailyPartitionsDefinition("2026-01-01"))
    def birds(context: dg.AssetExecutionContext) -> None:
        made = (dg.AssetMaterialization("birds", partition=day) for day in days)
        log_together(context, made)

    storage = {
        "module": OpenSqliteStorage.__module__,
        "class": OpenSqliteStorage.__name__,
        "config": {"base_dir": str(tmp_path)},
    }
    overrides = {"storage": {"custom": storage}}
    begin = OpenEventLog.together
    with (
        dg.DagsterInstance.local_temp(str(tmp_path), overrides) as instance,
        mock.patch.object(together, "AT_ONCE", 10),
        mock.patch.object(OpenEventLog, "together", autospec=True, side_effect=begin) as batches,
    ):
        result = dg.materialize([birds], instance=instance, partition_key=days[0])
        assert result.success
        told = instance.get_materialized_partitions(dg.AssetKey("birds"))
        assert told == set(days)
        logged = instance.all_logs(result.run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION)
        assert len(logged) == len(days) + 1
        assert batches.call_count == 4


def test_nobody_sees_a_batch_before_its_end_and_everybody_after(
    log: OpenEventLog, tmp_path: Path
) -> None:
    other = SqliteEventLogStorage(str(tmp_path))
    log.store_event(said("run", "before"))
    with log.together():
        log.store_event(said("run", "one"))
        log.store_event(said("run", "two"))
        assert messages(other, "run") == ["before"]
    assert messages(other, "run") == ["before", "one", "two"]


def test_a_batch_in_a_batch_is_refused_so_that_nothing_is_there_twice(log: OpenEventLog) -> None:
    with log.together():
        log.store_event(planned("one"))
        with pytest.raises(RuntimeError, match="together already"):
            log.store_event_batch([planned("two")])
        log.store_event(planned("two"))
    assert len(log.get_records_for_run("run").records) == 2


@contextmanager
def full_disk_at_commit_of(file: str) -> Generator[None]:
    def commit(connection: Connection) -> None:
        if Path(connection.engine.url.database or "").name == file:
            msg = "database or disk is full"
            raise sqlite3.OperationalError(msg)

    event.listen(Engine, "commit", commit)
    try:
        yield
    finally:
        event.remove(Engine, "commit", commit)


@pytest.mark.parametrize(("file", "left_of_it"), [("run.db", 0), ("index.db", 1)])
def test_a_batch_of_which_a_file_cannot_be_committed_is_not_in_the_index_and_the_log_goes_on(
    log: OpenEventLog, file: str, left_of_it: int
) -> None:
    log.store_event(said("run", "before"))
    with (
        full_disk_at_commit_of(file),
        pytest.raises(sqlite3.OperationalError, match="full"),
    ):
        log.store_event_batch([planned("one")])
    key = dg.AssetCheckKey(dg.AssetKey("birds"), "one")
    assert log.get_asset_check_execution_history(key, limit=9) == []
    assert len(log.get_records_for_run("run").records) == 1 + left_of_it
    log.store_event_batch([planned("one")])
    assert len(log.get_asset_check_execution_history(key, limit=9)) == 1
    assert len(log.get_records_for_run("run").records) == 2 + left_of_it


def test_many_threads_may_use_the_runs_at_once(tmp_path: Path) -> None:
    storage = OpenSqliteStorage(str(tmp_path))
    runs, gate = storage.run_storage, Barrier(20)
    assert isinstance(runs, OpenRuns)

    def one(number: int) -> None:
        with runs.connect() as connection:
            gate.wait(20)
            connection.execute(text("SELECT 1"))
        runs.add_run(dg.DagsterRun(job_name=f"job{number}"))

    with ThreadPoolExecutor(20) as threads:
        list(threads.map(one, range(20)))
    assert len(runs.get_runs()) == 20
    storage.dispose()
