"""The sensor on a real Dagster storage, with stand-ins for the other location's assets."""

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest

from databox_shared.contracts import RAW, STAGING
from databox_shared.days import DAYS_TAG, daily_partitions, format_days, parse_days, run_days
from databox_shared.edges import EDGE_TAG, Edge
from databox_shared.handoff import CHAIN_TAG, begin, handoff_sensor, read_and_decide
from databox_shared.handoff_cursor import ANSWERS_TO_TAG, NO_MARK, mark_id

CHECKLISTS = dg.AssetKey(["ebird_raw", "checklists"])
TAXA = dg.AssetKey(["ebird_raw", "taxa"])
EDGE = Edge("edge", "upstream", "downstream", (RAW,))


@dg.asset(key=["ebird_staging", "checklists"], partitions_def=daily_partitions)
def downstream(context: dg.AssetExecutionContext) -> None:
    begin(context, EDGE)
    if context.run.tags.get("fail"):
        msg = "a bad day"
        raise RuntimeError(msg)
    for day in run_days(context) or []:
        context.log_event(
            dg.AssetMaterialization(["ebird_staging", "checklists"], partition=day.isoformat())
        )


job = dg.define_asset_job("answer", [downstream])
sensor = handoff_sensor(EDGE, job=job)
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
    asked, answered = request.tags[ANSWERS_TO_TAG], record.dagster_run.tags[ANSWERS_TO_TAG]
    assert mark_id(answered) > mark_id(asked)
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
    decision = read_and_decide(instance, EDGE, cursor=NO_MARK, now=later)
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
    second_edge = handoff_sensor(Edge("next", "downstream", "last", (STAGING,)), job=job)
    context = dg.build_sensor_context(
        instance=instance, definitions=definitions, sensor_name="edge"
    )
    result = second_edge(context)
    assert isinstance(result, dg.SensorResult)
    assert request_of(result).tags[CHAIN_TAG] == first.dagster_run.run_id


def test_ids_that_are_given_again_after_a_wipe_are_not_taken_for_the_old_ones(
    instance: dg.DagsterInstance,
) -> None:
    announce(instance, CHECKLISTS, "2026-11-18", "2026-11-19", "2026-11-20")
    run(instance, request_of(tick(instance)))
    cursor = tick(instance).cursor
    instance.wipe_assets([CHECKLISTS])
    instance.wipe()
    announce(instance, CHECKLISTS, "2026-11-21")
    assert request_of(tick(instance, cursor)).tags[DAYS_TAG] == "2026-11-21"


def test_a_run_answers_no_materialization_that_got_the_id_of_a_deleted_one(
    instance: dg.DagsterInstance,
) -> None:
    announce(instance, CHECKLISTS, "2026-11-20")
    cursor = tick(instance).cursor
    run(instance, request_of(tick(instance)))
    instance.wipe_assets([CHECKLISTS])
    announce(instance, CHECKLISTS, "2026-11-20")
    assert request_of(tick(instance, cursor)).tags[DAYS_TAG] == "2026-11-20"


@pytest.mark.parametrize("tag", ["dagster/step_selection", "dagster/is_resume_retry"])
def test_a_re_execution_of_some_steps_does_not_answer(
    instance: dg.DagsterInstance, tag: str
) -> None:
    announce(instance, CHECKLISTS, "2026-11-20")
    request = request_of(tick(instance))
    assert run(instance, request, **{tag: "true"}).dagster_run.is_success
    assert request_of(tick(instance)).tags[DAYS_TAG] == "2026-11-20"


def test_what_is_beyond_one_ticks_reading_is_answered_by_a_later_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databox_shared.handoff.MAX_EVENTS_PER_KEY", 2)
    monkeypatch.setattr("databox_shared.handoff_cursor.SETTLE_SECONDS", 0.0)
    days = [f"2026-11-{number}" for number in range(10, 15)]
    announce(instance, CHECKLISTS, *days)
    cursor: str | None = None
    answered: list[str] = []
    for _ in range(12):
        result = tick(instance, cursor)
        cursor = result.cursor
        for request in result.run_requests or []:
            answered += [day.isoformat() for day in parse_days(request.tags[DAYS_TAG])]
            run(instance, request)
    assert answered == days
