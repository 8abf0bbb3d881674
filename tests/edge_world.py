"""One edge under Dagster's real sensor daemon, in this process, with a clock that is ours.

The storage, the daemon's iteration and the sensor are the real ones; upstream and downstream runs
are records whose events we report. What is true is kept beside it, told by a counter that grows
with everything that happens.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import dagster as dg
from dagster._core.event_api import EventRecordsResult
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.test_utils import (
    create_run_for_test,
    create_test_daemon_workspace_context,
    freeze_time,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration

from databox_shared.alerts import AlertError
from databox_shared.contracts import RAW
from databox_shared.days import DAYS_TAG, daily_partitions, parse_days
from databox_shared.edges import EDGE_TAG, Edge
from databox_shared.handoff import TICK_SECONDS, begin, handoff_sensor
from databox_shared.handoff_cursor import Cursor, mark_id
from databox_shared.run_queue import RunQueue

CHECKLISTS = dg.AssetKey(["ebird_raw", "checklists"])
TAXA = dg.AssetKey(["ebird_raw", "taxa"])


@dataclass(frozen=True)
class SmallEdge(Edge):
    """An edge with two tables: one with days and one without."""

    @property
    def keys(self) -> list[dg.AssetKey]:
        """Few, because each is a query of every tick."""
        return [CHECKLISTS, TAXA]


EDGE = SmallEdge("edge", "upstream", "downstream", (RAW,))
QUEUE = {"module": RunQueue.__module__, "class": RunQueue.__name__}

# every effect of a tick, in order: a daemon can die after any of them
EFFECTS = (
    "TICK_CREATED",
    "TICK_HELD",
    "RUN_IDS_RESERVED",
    "RUN_CREATED",
    "RUN_LAUNCHED",
    "TICK_SAVED",
)


@dg.asset(key=["ebird_staging", "checklists"], partitions_def=daily_partitions)
def downstream() -> None:
    """What answers; its runs are records here, and never executed."""


answer = dg.define_asset_job("answer", [downstream])
definitions = dg.Definitions(
    assets=[downstream], jobs=[answer], sensors=[handoff_sensor(EDGE, job=answer)]
)


@dataclass(frozen=True)
class Event:
    """A materialization, and the moment at which its data was in place."""

    storage_id: int
    day: date | None
    moment: int
    run_id: str


@dataclass
class EdgeWorld:
    """The edge and its truth. `hidden` are ids that no reader sees: not committed yet."""

    instance: dg.DagsterInstance
    now: float
    moment: int = 0
    truth: dict[tuple[int, float], Event] = field(default_factory=dict[tuple[int, float], Event])
    hidden: set[int] = field(default_factory=set[int])
    began: dict[str, int] = field(default_factory=dict[str, int])
    told: list[str] = field(default_factory=list[str])
    is_webhook_down: bool = False
    errors: list[str] = field(default_factory=list[str])

    def next(self) -> int:
        """The next moment; the clock moves a little too."""
        self.moment += 1
        self.now += 0.001
        return self.moment

    # upstream

    def upstream_run(self) -> str:
        """A run of the upstream location that may announce more."""
        status = dg.DagsterRunStatus.STARTED
        return create_run_for_test(self.instance, job_name="up", status=status).run_id

    def announce(
        self, days: Iterable[date | None], run_id: str = "", *, is_late: bool = False
    ) -> None:
        """Materialize a table for each of the days, and one without days for None."""
        keys: dict[dg.AssetKey, list[date | None]] = {}
        for day in days:
            keys.setdefault(TAXA if day is None else CHECKLISTS, []).append(day)
        for key, announced in keys.items():
            moment = self.next()
            with self.clock():
                for day in announced:
                    self.instance.report_dagster_event(_materialized(key, day), run_id)
                with everything_is_seen():
                    found = self.instance.fetch_materializations(key, limit=len(announced)).records
            for record, day in zip(reversed(found), announced, strict=True):
                event = Event(record.storage_id, day, moment, run_id)
                self.truth[record.storage_id, record.timestamp] = event
                if is_late:
                    self.hidden.add(record.storage_id)

    def commit(self) -> None:
        """What was stored late is seen from now on."""
        self.hidden.clear()

    def end_upstream_run(self, run_id: str) -> None:
        """Nothing more will come from it."""
        self._report(run_id, dg.DagsterEventType.RUN_SUCCESS)

    # the daemon

    def tick(self, *, dies_after: str | None = None, by_error: bool = False) -> None:
        """One iteration of a daemon that was just started; it may die after an effect."""
        self.now += TICK_SECONDS + 0.1
        cause: Any = RuntimeError("storage is away") if by_error else signal.SIGINT
        flags = {EDGE.name: {dies_after: cause}} if dies_after else None
        origin = InProcessCodeLocationOrigin(
            LoadableTargetOrigin(executable_path=sys.executable, python_file=__file__),
            location_name=EDGE.downstream,
        )
        with ExitStack() as stack:
            stack.enter_context(self.clock())
            stack.enter_context(suppress(KeyboardInterrupt))
            if dies_after == "TICK_SAVED":
                stack.enter_context(self._dies_before_the_cursor_is_saved())
            workspace = stack.enter_context(
                create_test_daemon_workspace_context(
                    InProcessWorkspaceLoadTarget([origin]), self.instance
                )
            )
            log = logging.getLogger("daemon")
            log.disabled = True
            iteration = execute_sensor_iteration(workspace, log, None, None, None, flags)
            found = [str(error) for error in iteration if error]
            if not by_error:
                self.errors += found

    @contextmanager
    def _dies_before_the_cursor_is_saved(self) -> Generator[None]:
        save, calls = self.instance.update_instigator_state, 0

        def save_once(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise KeyboardInterrupt
            return save(*arguments)

        with mock.patch.object(self.instance, "update_instigator_state", save_once):
            yield

    def save_cursor(self, change: Any) -> None:
        """Let somebody, or another version, put another cursor in its place."""
        for state in self.instance.all_instigator_state():
            data = cast("Any", state.instigator_data)
            changed = data._replace(cursor=change(data.cursor))
            self.instance.update_instigator_state(state.with_data(changed))

    @property
    def passed(self) -> int:
        """The storage id that the saved cursor has passed."""
        states = self.instance.all_instigator_state()
        texts = [cast("Any", state.instigator_data).cursor for state in states]
        return max((mark_id(Cursor.parse(text).passed) for text in texts), default=0)

    @property
    def reason(self) -> str:
        """Why the newest tick launched nothing."""
        (state,) = self.instance.all_instigator_state()
        ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
        return ticks[0].skip_reason or ""

    # downstream

    def runs(self, *statuses: dg.DagsterRunStatus) -> list[dg.RunRecord]:
        """The edge's runs, newest first."""
        chosen = dg.RunsFilter(tags={EDGE_TAG: EDGE.name}, statuses=list(statuses) or None)
        return list(self.instance.get_run_records(chosen))

    def in_flight(self) -> list[dg.DagsterRun]:
        """The edge's runs that a worker has or will get."""
        statuses = set(NOT_FINISHED_STATUSES) - {dg.DagsterRunStatus.NOT_STARTED}
        return [record.dagster_run for record in self.runs(*statuses)]

    def start(self, run: dg.DagsterRun) -> None:
        """The run's worker begins its step, reads what is there, and will end some time."""
        self._report(run.run_id, dg.DagsterEventType.RUN_START)
        run = cast("dg.DagsterRun", self.instance.get_run_by_id(run.run_id))
        context = SimpleNamespace(run=run, instance=self.instance)
        begin(cast("dg.AssetExecutionContext", context), EDGE)
        self.began[run.run_id] = self.next()

    def end(self, run: dg.DagsterRun, how: str) -> None:
        """The run ends; one that never began can only fail."""
        if how == "succeeds" and run.run_id in self.began:
            self._report(run.run_id, dg.DagsterEventType.RUN_SUCCESS)
        elif how == "is cancelled":
            with self.clock():
                self.instance.report_run_canceled(run)
        else:
            with self.clock():
                self.instance.report_run_failed(run, "its worker was lost")

    def _report(self, run_id: str, kind: dg.DagsterEventType) -> None:
        self.next()
        with self.clock():
            self.instance.report_dagster_event(DagsterEvent(kind.value, job_name="any"), run_id)

    # truth

    def events(self) -> list[Event]:
        """What is stored and was not deleted, seen or not."""
        with everything_is_seen():
            records = [
                record
                for key in (CHECKLISTS, TAXA)
                for record in self.instance.fetch_materializations(key, limit=10_000).records
            ]
        return [self.truth[record.storage_id, record.timestamp] for record in records]

    def owed(self) -> list[Event]:
        """The events without a successful run for their day that began after them."""
        done = [
            (self.began[run.run_id], set(parse_days(run.tags[DAYS_TAG])))
            for run in (r.dagster_run for r in self.runs(dg.DagsterRunStatus.SUCCESS))
        ]
        return [
            event
            for event in self.events()
            if not any(
                began > event.moment and (event.day is None or event.day in days)
                for began, days in done
            )
        ]

    @contextmanager
    def clock(self) -> Generator[None]:
        """Let Dagster and the sensor see our clock."""
        with freeze_time(self.now), mock.patch("databox_shared.handoff.clock", self._clock):
            yield

    def _clock(self) -> float:
        return self.now

    def send(self, _settings: object, text: str) -> None:
        """In the place of `send_alert`."""
        if self.is_webhook_down:
            msg = "the alert was not delivered"
            raise AlertError(msg)
        self.told.append(text)


def _materialized(key: dg.AssetKey, day: date | None) -> DagsterEvent:
    partition = day.isoformat() if day else None
    data = StepMaterializationData(dg.AssetMaterialization(key, partition=partition))
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    return DagsterEvent(kind.value, job_name="up", event_specific_data=data)


_fetch = dg.DagsterInstance.fetch_materializations
_world: list[EdgeWorld] = []
_sees_all: list[bool] = []


def _fetch_what_is_committed(
    instance: dg.DagsterInstance, records_filter: Any, limit: int, *rest: Any, **named: Any
) -> EventRecordsResult:
    hidden = _world[-1].hidden if _world and not _sees_all else set[int]()
    found = _fetch(instance, records_filter, limit + len(hidden), *rest, **named)
    records = [record for record in found.records if record.storage_id not in hidden]
    return EventRecordsResult(records[:limit], found.cursor, found.has_more or len(records) > limit)


@contextmanager
def everything_is_seen() -> Generator[None]:
    """Read what is not committed, too: for the truth alone."""
    _sees_all.append(True)
    try:
        yield
    finally:
        _sees_all.pop()


@contextmanager
def edge_world(**storage: Any) -> Generator[EdgeWorld]:
    """An edge on a storage of its own: SQLite, or what Dagster's `storage` setting says."""
    memory = Path("/dev/shm")
    overrides = {"run_coordinator": QUEUE, **storage}
    with ExitStack() as stack:
        if memory.is_dir():
            # nothing here is about disks, and memory does not wait for them
            stack.enter_context(mock.patch("tempfile.tempdir", str(memory)))
        instance = stack.enter_context(dg.instance_for_test(overrides=overrides))
        world = EdgeWorld(instance, now=time.time())
        _world.append(world)
        stack.callback(_world.pop)
        stack.enter_context(
            mock.patch.object(
                dg.DagsterInstance, "fetch_materializations", _fetch_what_is_committed
            )
        )
        stack.enter_context(mock.patch("databox_shared.handoff_alert.send_alert", world.send))
        yield world
