"""Following one chain of runs through the locations, by reading Dagster's storage.

It only watches. Whether an edge still owes an answer is told by the very rule by which the
locations' own sensors start their runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg

from databox_shared.days import DAYS_TAG, parse_days
from databox_shared.edges import EDGE_TAG, EDGES, Edge
from databox_shared.handoff import newest_mark, read_and_decide
from databox_shared.handoff_cursor import ANSWERS_TO_TAG, NO_MARK, mark_id

_LOG_PAGE = 1000
_RUN_PAGE = 50
_WORKING = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


class ChainFailedError(Exception):
    """A run of the chain failed. The message is the error's own sentence and where to look."""


@dataclass(frozen=True)
class RunTimes:
    """When a run was created, started and ended (seconds since the epoch)."""

    created: float
    started: float | None
    ended: float | None


@dataclass
class Stage:
    """One location's part of the chain, as far as it has come. `lines` is its newest run's log."""

    location: str
    run_id: str | None = None
    status: dg.DagsterRunStatus | None = None
    days: set[str] = field(default_factory=set[str])
    rows: int = 0
    lines: list[str] = field(default_factory=list[str])
    times: RunTimes | None = None
    runs: int = 0

    @property
    def message(self) -> str:
        """What it says it is doing."""
        return self.lines[-1] if self.lines else ""

    @property
    def seconds(self) -> float | None:
        """How long the newest run has been going, or took, from creation on."""
        if self.times is None:
            return None
        return (self.times.ended or datetime.now(UTC).timestamp()) - self.times.created


@dataclass
class Chain:
    """The runs that follow from one run of ingestion. Make it before that run is launched."""

    instance: dg.DagsterInstance
    edges: Sequence[Edge] = EDGES
    stages: dict[str, Stage] = field(default_factory=dict[str, Stage])
    _root: str = ""
    _before: dict[str, str] = field(default_factory=dict[str, str])
    _read_to: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self._before = {edge.name: newest_mark(self.instance, edge) for edge in self.edges}
        names = [self.edges[0].upstream, *(edge.downstream for edge in self.edges)]
        self.stages = {name: Stage(name) for name in names}

    def begin(self, run_id: str) -> None:
        """Say which run the chain begins with."""
        self._root = run_id

    def poll(self) -> bool:
        """Read what has happened since, and return whether the chain has reached its end.

        Raises `ChainFailedError` as soon as one of its runs has failed.
        """
        root = self.instance.get_run_record_by_id(self._root)
        if root is not None:
            self._read(self.stages[self.edges[0].upstream], root, runs=1)
        for edge in self.edges:
            # told by what they answer, not by when they were created: a run that was queued before
            # the chain began may be the one that answers it
            before = mark_id(self._before[edge.name])
            records = [
                record
                for record in self.instance.get_run_records(
                    dg.RunsFilter(tags={EDGE_TAG: edge.name}), limit=_RUN_PAGE
                )
                if mark_id(record.dagster_run.tags.get(ANSWERS_TO_TAG, NO_MARK)) > before
            ]
            if records:
                self._read(self.stages[edge.downstream], records[0], runs=len(records))
        return all(
            stage.status is dg.DagsterRunStatus.SUCCESS for stage in self.stages.values()
        ) and not any(self.pending(edge)[0] for edge in self.edges)

    @property
    def is_working(self) -> bool:
        """Whether any run of the chain has a worker; one that only waits may wait for nobody."""
        return any(stage.status in _WORKING for stage in self.stages.values())

    def pending(self, edge: Edge) -> tuple[int, str]:
        """How many materializations an edge still has to answer, and why it has not."""
        decision = read_and_decide(
            self.instance,
            edge,
            cursor=self._before[edge.name],
            now=datetime.now(UTC).timestamp(),
        )
        return decision.pending, decision.reason

    def release_report(self) -> Mapping[str, Any]:
        """What the last run of the chain says of the release, by metadata key.

        It is on the materialization of the release, or on its failed check if it was withheld.
        """
        last = self.stages[self.edges[-1].downstream].run_id
        found: dict[str, Any] = {}
        for entry in self.instance.all_logs(last or ""):
            event = entry.dagster_event
            if event is None:
                continue
            if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
                check = event.asset_check_evaluation_data
                if check.check_name == "release_is_current":
                    found |= _plain(check.metadata) | {"is_current": check.passed}
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                found |= _plain(event.materialization.metadata)
        return found

    def _read(self, stage: Stage, record: dg.RunRecord, *, runs: int) -> None:
        run = record.dagster_run
        if stage.run_id != run.run_id:
            stage.rows, stage.days, stage.lines = 0, set(), []
        stage.run_id, stage.status, stage.runs = run.run_id, run.status, runs
        stage.days |= {day.isoformat() for day in parse_days(run.tags.get(DAYS_TAG, ""))}
        created = record.create_timestamp.timestamp()
        stage.times = RunTimes(created, record.start_time, record.end_time)
        self._read_log(stage, run.run_id)
        if run.is_failure_or_canceled:
            msg = f"{stage.location}: {self._cause(run)}"
            raise ChainFailedError(msg)

    def _read_log(self, stage: Stage, run_id: str) -> None:
        has_more = True
        while has_more:
            connection = self.instance.get_records_for_run(
                run_id, cursor=self._read_to.get(run_id), limit=_LOG_PAGE
            )
            self._read_to[run_id] = connection.cursor
            has_more = connection.has_more
            for record in connection.records:
                self._read_entry(stage, record.event_log_entry)

    def _read_entry(self, stage: Stage, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            stage.lines += entry.user_message.splitlines()[:1]
        elif event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
            if event.partition:
                stage.days.add(event.partition)
            metadata = _plain(event.materialization.metadata)
            for name in ("dagster/partition_row_count", "dagster/row_count"):
                if name in metadata:
                    stage.rows += int(metadata[name])
                    break

    def _cause(self, run: dg.DagsterRun) -> str:
        if run.status is dg.DagsterRunStatus.CANCELED:
            return f"run {run.run_id} was cancelled"
        kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
        sentence = "its worker was lost"
        for entry in self.instance.all_logs(run.run_id, of_type=kinds):
            event = entry.dagster_event
            if event is None:
                continue
            if event.event_type is dg.DagsterEventType.STEP_FAILURE:
                error = event.step_failure_data.error
                while error is not None and error.cause is not None:
                    error = error.cause
                if error is not None:
                    # the sentence is for people; the class is in the log
                    words = error.message.strip()
                    sentence = re.sub(rf"^[\w.]*\b{re.escape(error.cls_name or '')}: ", "", words)
                    return f"{sentence} (run {run.run_id})"
            sentence = event.message or sentence
        return f"{sentence} (run {run.run_id})"


def _plain(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, Any]:
    return {key: cast("Any", value).value for key, value in metadata.items()}
