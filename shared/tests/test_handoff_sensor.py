"""The sensor on a real Dagster storage, with stand-ins for the other location's assets."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest

from databox_shared.days import DAYS_TAG, daily_partitions, format_days, run_days
from databox_shared.handoff import (
    ANSWERS_TO_TAG,
    CHAIN_TAG,
    EDGE_TAG,
    begin,
    handoff_sensor,
    read_and_decide,
)

CHECKLISTS = dg.AssetKey(["ebird_raw", "checklists"])
TAXA = dg.AssetKey(["ebird_raw", "taxa"])
WATCHED = [CHECKLISTS, TAXA]


@dg.asset(key=["ebird_staging", "checklists"], partitions_def=daily_partitions)
def downstream(context: dg.AssetExecutionContext) -> None:
    begin(context, watch=WATCHED)
    if context.run.tags.get("fail"):
        msg = "a bad day"
        raise RuntimeError(msg)
    for day in run_days(context) or []:
        context.log_event(
            dg.AssetMaterialization(["ebird_staging", "checklists"], partition=day.isoformat())
        )


job = dg.define_asset_job("answer", [downstream])
sensor = handoff_sensor("edge", watch=WATCHED, job=job, description="For this test.")
definitions = dg.Definitions(assets=[downstream], jobs=[job], sensors=[sensor])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


def announce(instance: dg.DagsterInstance, key: dg.AssetKey, *days: str) -> None:
    for day in days or (None,):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=definitions, sensor_name="edge"
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def run(instance: dg.DagsterInstance, request: dg.RunRequest, **tags: str) -> dg.RunRecord:
    result = definitions.resolve_job_def("answer").execute_in_process(
        instance=instance, tags={**request.tags, **tags}, raise_on_error=False
    )
    record = instance.get_run_record_by_id(result.run_id)
    assert record is not None
    return record


def request_of(result: dg.SensorResult) -> dg.RunRequest:
    assert result.run_requests is not None
    (request,) = result.run_requests
    return request


def test_three_days_in_a_burst_are_answered_by_one_run_for_exactly_these_days(
    instance: dg.DagsterInstance,
) -> None:
    announce(instance, CHECKLISTS, "2026-11-18", "2026-11-20", "2026-11-21")
    request = request_of(tick(instance))
    assert request.tags[DAYS_TAG] == "2026-11-18,2026-11-20/2026-11-21"
    record = run(instance, request)
    assert record.dagster_run.is_success
    answered = tick(instance)
    assert not answered.run_requests
    assert "is answered" in str(answered.skip_reason)


def test_what_lands_while_a_run_is_queued_is_answered_by_that_run_and_what_lands_later_is_not(
    instance: dg.DagsterInstance,
) -> None:
    announce(instance, CHECKLISTS, "2026-11-20")
    request = request_of(tick(instance))
    announce(instance, CHECKLISTS, "2026-11-20")
    record = run(instance, request)
    assert int(record.dagster_run.tags[ANSWERS_TO_TAG]) > int(request.tags[ANSWERS_TO_TAG])
    assert not tick(instance).run_requests
    announce(instance, CHECKLISTS, "2026-11-20")
    assert request_of(tick(instance)).tags[DAYS_TAG] == "2026-11-20"


def test_a_failed_run_leaves_its_days_open_and_is_not_retried_at_once(
    instance: dg.DagsterInstance,
) -> None:
    announce(instance, CHECKLISTS, "2026-11-20")
    record = run(instance, request_of(tick(instance)), fail="yes")
    assert not record.dagster_run.is_success
    waiting = tick(instance)
    assert not waiting.run_requests
    assert "attempt 2 of 5" in str(waiting.skip_reason)
    later = (record.end_time or 0) + 31
    decision = read_and_decide(instance, edge="edge", keys=WATCHED, cursor=0, now=later)
    assert decision.launch is not None
    assert decision.launch.days == (date(2026, 11, 20),)


def test_an_unpartitioned_asset_is_answered_by_a_run_without_days(
    instance: dg.DagsterInstance,
) -> None:
    announce(instance, TAXA)
    request = request_of(tick(instance))
    assert request.tags[DAYS_TAG] == format_days([])
    assert run(instance, request).dagster_run.is_success
    assert not tick(instance).run_requests


def test_the_same_tick_twice_asks_with_the_same_run_key(instance: dg.DagsterInstance) -> None:
    announce(instance, CHECKLISTS, "2026-11-20")
    assert request_of(tick(instance)).run_key == request_of(tick(instance)).run_key


def test_a_lost_cursor_answers_nothing_twice(instance: dg.DagsterInstance) -> None:
    announce(instance, CHECKLISTS, "2026-11-20", "2026-11-21")
    run(instance, request_of(tick(instance)))
    announce(instance, CHECKLISTS, "2026-11-22")
    assert request_of(tick(instance, cursor=None)).tags[DAYS_TAG] == "2026-11-22"


def test_runs_of_one_chain_carry_the_tag_of_the_run_that_began_it(
    instance: dg.DagsterInstance,
) -> None:
    announce(instance, CHECKLISTS, "2026-11-20")
    first = run(instance, dg.RunRequest(tags={DAYS_TAG: "2026-11-20"}))
    assert first.dagster_run.tags[CHAIN_TAG] == first.dagster_run.run_id
    assert EDGE_TAG not in first.dagster_run.tags
    second_edge = handoff_sensor(
        "next", watch=[downstream.key], job=job, description="For this test."
    )
    context = dg.build_sensor_context(
        instance=instance, definitions=definitions, sensor_name="edge"
    )
    result = second_edge(context)
    assert isinstance(result, dg.SensorResult)
    assert request_of(result).tags[CHAIN_TAG] == first.dagster_run.run_id
