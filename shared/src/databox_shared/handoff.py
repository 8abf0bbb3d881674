"""The hand-off between locations: the one mechanism on an edge from upstream assets to a job.

The rule is in `handoff_rule`; this module reads what it asks for from Dagster's storage, anew at
each tick, and turns what it says into a sensor.

Order is told by storage ids, never by clocks: a run answers the materializations up to the id in
its tag `databox/answers_to`, which is written when it is asked for and raised by `begin` when it
starts, before it chooses a snapshot.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import ClassVar

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES

from databox_shared.code_server import report_until_stored
from databox_shared.days import DAYS_TAG, format_days, parse_days
from databox_shared.edges import EDGE_TAG, Edge
from databox_shared.handoff_alert import tell
from databox_shared.handoff_cursor import ANSWERS_TO_TAG, NO_MARK, Cursor, Materialization, mark_id
from databox_shared.handoff_rule import Answer, Decision, Launch, Outcome, decide, is_trusted

CHAIN_TAG = "databox/chain"

# Dagster's loop over sensors takes five seconds at least: with less than that no round is missed
TICK_SECONDS = 3
# bounds one tick's reading; what lies beyond is read when the first have been answered
MAX_EVENTS_PER_KEY = 500
# a run is put into the queue at once; one that was not was forgotten by a daemon that died
LAUNCH_SECONDS = 120.0
_PAGE = 100
_PARTIAL_TAGS = {
    "dagster/step_selection",
    "dagster/is_resume_retry",
    "dagster/is_asset_resume_retry",
}

# a run whose worker has died must not hold its edge
report_until_stored()


def handoff_sensor(
    edge: Edge, *, job: dg.JobDefinition | dg.UnresolvedAssetJobDefinition
) -> dg.SensorDefinition:
    """The sensor that starts `job` for the days of whatever is materialized upstream of `edge`.

    It is the only mechanism on its edge. The job's runs carry `databox/days`, `databox/edge`,
    `databox/answers_to` and `databox/chain`; their first step must call `begin`.
    """

    def _tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        instance, now = _instance(context), clock()
        decision = read_and_decide(instance, edge, cursor=context.cursor, now=now)
        tell(instance, edge.name, decision.given_up, now=now, log=lambda: context.log)
        cursor = str(decision.cursor)
        if decision.launch is None:
            return dg.SensorResult(skip_reason=decision.reason, cursor=cursor)
        request = _run_request(instance, edge, decision.launch)
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return dg.SensorDefinition(
        name=edge.name,
        evaluation_fn=_tick,
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        description=(
            f"Answers every materialization of a table that {edge.upstream} hands over with a "
            f"successful run of {edge.downstream}, for exactly its days."
        ),
        default_status=dg.DefaultSensorStatus.RUNNING,
    )


def clock() -> float:
    """Seconds since the epoch."""
    return datetime.now(UTC).timestamp()


class _Held:
    """The instance of this process: a tick of its own costs 0.1 s of CPU to open Dagster's."""

    lock = threading.Lock()
    ref: ClassVar[InstanceRef | None] = None
    instance: ClassVar[dg.DagsterInstance | None] = None


def _instance(context: dg.SensorEvaluationContext) -> dg.DagsterInstance:
    if context.instance_ref is None:
        return context.instance
    with _Held.lock:
        if _Held.instance is None or _Held.ref != context.instance_ref:
            _Held.instance = dg.DagsterInstance.from_ref(context.instance_ref)
            _Held.ref = context.instance_ref
        return _Held.instance


def begin(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, edge: Edge | None = None
) -> None:
    """Call at the start of a location's run, before it chooses the snapshots that it reads.

    Marks the run as part of its chain, and, if it was started on `edge`, as an answer to
    everything that has been materialized by now: that data is in the snapshot it is about to read.
    """
    run = context.run
    tags = {CHAIN_TAG: run.tags.get(CHAIN_TAG, run.run_id)}
    if edge is not None and EDGE_TAG in run.tags:
        tags[ANSWERS_TO_TAG] = newest_mark(context.instance, edge)
    context.instance.add_run_tags(run.run_id, tags)


def newest_mark(instance: dg.DagsterInstance, edge: Edge) -> str:
    """The mark of the newest materialization upstream of an edge."""
    newest = (instance.fetch_materializations(key, limit=1).records for key in edge.keys)
    found = [_materialization(records[0]) for records in newest if records]
    return max(found, key=lambda event: event.storage_id).mark if found else NO_MARK


def read_and_decide(
    instance: dg.DagsterInstance, edge: Edge, *, cursor: str | None, now: float
) -> Decision:
    """Read one edge's state from Dagster's storage and decide; changes nothing.

    `cursor` is the sensor's, or any mark to start behind, or None for everything there is.
    """
    at = Cursor.parse(cursor)
    events, horizon = _materializations(instance, edge.keys, mark_id(at.passed) - 1)
    if not is_trusted(at, events):
        at = Cursor()
        events, horizon = _materializations(instance, edge.keys, 0)
    events = [event for event in events if event.mark != at.passed]
    if not events:
        return decide(cursor=at, events=[], answers=[], unfinished_runs=frozenset(), now=now)
    return decide(
        cursor=at,
        events=events,
        answers=_answers(instance, edge, mark_id(at.passed), now),
        unfinished_runs=_unfinished(instance, {event.run_id for event in events}),
        now=now,
        horizon=horizon,
    )


def _run_request(instance: dg.DagsterInstance, edge: Edge, launch: Launch) -> dg.RunRequest:
    days = format_days(launch.days)
    upstream = instance.get_run_by_id(launch.upstream_run_id) if launch.upstream_run_id else None
    # where several chains meet in one run it goes on as the newest of them
    chain = (upstream.tags.get(CHAIN_TAG) if upstream else None) or launch.upstream_run_id
    digest = hashlib.sha256(days.encode()).hexdigest()[:12]
    return dg.RunRequest(
        # stops a second run if the daemon dies between creating the run and saving the tick
        run_key=f"{edge.name}:{launch.answers_to}:{digest}:{launch.after or 'first'}",
        tags={
            EDGE_TAG: edge.name,
            ANSWERS_TO_TAG: launch.answers_to,
            DAYS_TAG: days,
            CHAIN_TAG: chain,
        },
    )


def _materializations(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey], after: int
) -> tuple[list[Materialization], int | None]:
    found: list[Materialization] = []
    horizon: int | None = None
    for key in keys:
        result = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, after_storage_id=max(after, 0)),
            limit=MAX_EVENTS_PER_KEY,
            ascending=True,
        )
        found += [_materialization(record) for record in result.records]
        if result.has_more:
            last = result.records[-1].storage_id
            horizon = last if horizon is None else min(horizon, last)
    # beyond the horizon some key's events are missing, so a later tick reads them
    kept = [event for event in found if horizon is None or event.storage_id <= horizon]
    return kept, horizon


def _materialization(record: dg.EventLogRecord) -> Materialization:
    day = date.fromisoformat(record.partition_key) if record.partition_key else None
    return Materialization(record.storage_id, day, record.run_id, record.timestamp)


def _answers(instance: dg.DagsterInstance, edge: Edge, after: int, now: float) -> list[Answer]:
    tags = {EDGE_TAG: edge.name}
    # in flight first: a run that ends meanwhile is read twice, and not missed
    running = dg.RunsFilter(tags=tags, statuses=list(NOT_FINISHED_STATUSES))
    records = instance.get_run_records(running)
    answers = [_answer(record) for record in records if not _is_forgotten(record, now)]
    finished = dg.RunsFilter(tags=tags, statuses=list(FINISHED_STATUSES))
    before: str | None = None
    while True:
        records = instance.get_run_records(finished, limit=_PAGE, cursor=before)
        page = [_answer(record) for record in records]
        answers += page
        if len(records) < _PAGE or all(mark_id(answer.answers_to) <= after for answer in page):
            return answers
        before = records[-1].dagster_run.run_id


def _is_forgotten(record: dg.RunRecord, now: float) -> bool:
    # nobody will launch it but the daemon that is asked for it again, by its run key
    age = abs(now - record.create_timestamp.timestamp())
    return record.dagster_run.status is dg.DagsterRunStatus.NOT_STARTED and age > LAUNCH_SECONDS


def _answer(record: dg.RunRecord) -> Answer:
    run = record.dagster_run
    if not run.is_finished:
        outcome = Outcome.IN_FLIGHT
    elif _PARTIAL_TAGS & run.tags.keys():
        outcome = Outcome.PARTIAL
    else:
        outcome = Outcome.SUCCEEDED if run.is_success else Outcome.FAILED
    return Answer(
        run_id=run.run_id,
        outcome=outcome,
        days=frozenset(parse_days(run.tags.get(DAYS_TAG, ""))),
        answers_to=run.tags.get(ANSWERS_TO_TAG, NO_MARK),
        ended_at=record.end_time,
    )


def _unfinished(instance: dg.DagsterInstance, run_ids: set[str]) -> frozenset[str]:
    runs = instance.get_runs(dg.RunsFilter(run_ids=sorted(run_ids)))
    return frozenset(run.run_id for run in runs if not run.is_finished)
