"""The hand-off between locations: the one mechanism on an edge from upstream assets to a job.

The rule is in `handoff_rule`; this module reads what it asks for from Dagster's storage, anew at
each tick, and turns what it says into a sensor.

Order is told by storage ids, never by clocks: a run answers the materializations up to the id in
its tag `databox/answers_to`, which is written when it is asked for and raised by `begin` when it
starts, before it chooses a snapshot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES, NOT_FINISHED_STATUSES

from databox_shared.days import DAYS_TAG, format_days, parse_days
from databox_shared.handoff_rule import (
    Answer,
    Decision,
    Launch,
    Materialization,
    Outcome,
    decide,
)

EDGE_TAG = "databox/edge"
ANSWERS_TO_TAG = "databox/answers_to"
CHAIN_TAG = "databox/chain"

TICK_SECONDS = 3
# bounds one tick's reading; what lies beyond is read when the first have been answered
MAX_EVENTS_PER_KEY = 2000
_PAGE = 100
_PARTIAL_TAGS = {
    "dagster/step_selection",
    "dagster/is_resume_retry",
    "dagster/is_asset_resume_retry",
}


def handoff_sensor(
    name: str,
    *,
    watch: Iterable[dg.AssetKey],
    job: dg.JobDefinition | dg.UnresolvedAssetJobDefinition,
    description: str,
) -> dg.SensorDefinition:
    """The sensor that starts `job` for the days of whatever is materialized among `watch`.

    It is the only mechanism on its edge. The job's runs carry `databox/days`, `databox/edge`,
    `databox/answers_to` and `databox/chain`; their first step must call `begin`.
    """
    keys = list(watch)

    def _tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        decision = read_and_decide(
            context.instance,
            edge=name,
            keys=keys,
            cursor=int(context.cursor or 0),
            now=datetime.now(UTC).timestamp(),
        )
        if decision.launch is None:
            return dg.SensorResult(
                skip_reason=decision.reason or "nothing has been materialized yet",
                cursor=str(decision.cursor),
            )
        return dg.SensorResult(
            run_requests=[_run_request(context.instance, name, decision.launch)],
            cursor=str(decision.cursor),
        )

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=_tick,
        job=job,
        minimum_interval_seconds=TICK_SECONDS,
        description=description,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )


def begin(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    *,
    watch: Iterable[dg.AssetKey] = (),
) -> None:
    """Call at the start of a location's run, before it chooses the snapshots that it reads.

    Marks the run as part of its chain, and as an answer to everything that has been materialized
    by now: that data is in the snapshot it is about to read.
    """
    tags = {CHAIN_TAG: context.run.tags.get(CHAIN_TAG, context.run.run_id)}
    if EDGE_TAG in context.run.tags:
        asked = int(context.run.tags[ANSWERS_TO_TAG])
        tags[ANSWERS_TO_TAG] = str(max(asked, newest_materialization(context.instance, watch)))
    context.instance.add_run_tags(context.run.run_id, tags)


def newest_materialization(instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]) -> int:
    """The storage id of the newest materialization among `keys`, 0 if there is none."""
    newest = (instance.fetch_materializations(key, limit=1).records for key in keys)
    return max((records[0].storage_id for records in newest if records), default=0)


def read_and_decide(
    instance: dg.DagsterInstance,
    *,
    edge: str,
    keys: Sequence[dg.AssetKey],
    cursor: int,
    now: float,
) -> Decision:
    """Read one edge's state from Dagster's storage and decide; changes nothing."""
    events = _materializations(instance, keys, cursor)
    if not events:
        return Decision(cursor, None, 0, f"nothing was materialized since #{cursor}")
    return decide(
        cursor=cursor,
        events=events,
        answers=_answers(instance, edge, cursor),
        unfinished_runs=_unfinished(instance, {event.run_id for event in events}),
        now=now,
    )


def _run_request(instance: dg.DagsterInstance, edge: str, launch: Launch) -> dg.RunRequest:
    days = format_days(launch.days)
    upstream = instance.get_run_by_id(launch.upstream_run_id)
    chain = (upstream.tags.get(CHAIN_TAG) if upstream else None) or launch.upstream_run_id
    digest = hashlib.sha256(days.encode()).hexdigest()[:12]
    return dg.RunRequest(
        # stops a second run if the daemon dies between creating the run and saving the tick
        run_key=f"{edge}:{launch.answers_to}:{digest}:{launch.attempt}",
        tags={
            EDGE_TAG: edge,
            ANSWERS_TO_TAG: str(launch.answers_to),
            DAYS_TAG: days,
            CHAIN_TAG: chain,
        },
    )


def _materializations(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey], cursor: int
) -> list[Materialization]:
    found: list[Materialization] = []
    horizon: int | None = None
    for key in keys:
        result = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, after_storage_id=cursor),
            limit=MAX_EVENTS_PER_KEY,
            ascending=True,
        )
        found += [
            Materialization(
                record.storage_id,
                date.fromisoformat(record.partition_key) if record.partition_key else None,
                record.run_id,
            )
            for record in result.records
        ]
        if result.has_more:
            last = result.records[-1].storage_id
            horizon = last if horizon is None else min(horizon, last)
    # beyond the horizon some key's events are missing, so a later tick reads them
    return [event for event in found if horizon is None or event.storage_id <= horizon]


def _answers(instance: dg.DagsterInstance, edge: str, cursor: int) -> list[Answer]:
    tags = {EDGE_TAG: edge}
    running = dg.RunsFilter(tags=tags, statuses=list(NOT_FINISHED_STATUSES))
    answers = [_answer(record) for record in instance.get_run_records(running)]
    finished = dg.RunsFilter(tags=tags, statuses=list(FINISHED_STATUSES))
    before: str | None = None
    while True:
        records = instance.get_run_records(finished, limit=_PAGE, cursor=before)
        page = [_answer(record) for record in records]
        answers += [
            answer
            for answer, record in zip(page, records, strict=True)
            if _is_whole(record.dagster_run)
        ]
        if len(records) < _PAGE or all(answer.answers_to <= cursor for answer in page):
            return answers
        before = records[-1].dagster_run.run_id


def _is_whole(run: dg.DagsterRun) -> bool:
    # a re-execution of some steps does not answer for the rest
    return not _PARTIAL_TAGS & run.tags.keys()


def _answer(record: dg.RunRecord) -> Answer:
    run = record.dagster_run
    if run.status is dg.DagsterRunStatus.SUCCESS:
        outcome = Outcome.SUCCEEDED
    elif run.is_finished:
        outcome = Outcome.FAILED
    else:
        outcome = Outcome.IN_FLIGHT
    return Answer(
        run_id=run.run_id,
        outcome=outcome,
        days=frozenset(parse_days(run.tags.get(DAYS_TAG, ""))),
        answers_to=int(run.tags.get(ANSWERS_TO_TAG, "0")),
        ended_at=record.end_time,
    )


def _unfinished(instance: dg.DagsterInstance, run_ids: set[str]) -> frozenset[str]:
    runs = instance.get_runs(dg.RunsFilter(run_ids=sorted(run_ids)))
    return frozenset(run.run_id for run in runs if not run.is_finished)
