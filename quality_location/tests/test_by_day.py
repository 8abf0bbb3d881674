"""What a check found on each day: a partition of the check, in a run for any set of days."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from databox_shared.days import DAYS_TAG, FIRST_DAY
from quality_location.assets import CHECKS
from quality_location.by_day import MOST_DAYS, days_to_report
from quality_location.evaluate import Outcome

from .conftest import DAYS

if TYPE_CHECKING:
    from .conftest import World

SPECIES = dg.AssetKey(["ebird", "species_daily"])
VALUES = dg.AssetCheckKey(SPECIES, "values")
NEGATIVE = "UPDATE stored.ebird__species_daily SET birds_counted = {} WHERE obs_date = '{}'"


def statuses(world: "World") -> dict[str | None, str]:
    """The newest outcome of the check by partition; None is the one for all days."""
    [*infos] = world.instance.event_log_storage.get_asset_check_partition_info([VALUES])
    return {info.partition_key: info.latest_execution_status.value for info in infos}


def current_days(world: "World") -> set[str | None]:
    """The days whose newest outcome is of their newest materialization."""
    [*infos] = world.instance.event_log_storage.get_asset_check_partition_info([VALUES])
    return {info.partition_key for info in infos if info.partition_key and info.is_current}


def materialize(world: "World", snapshot_id: int, *days: date) -> None:
    for day in days:
        world.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                SPECIES, partition=str(day), metadata={"databox/snapshot_id": snapshot_id}
            )
        )


def test_a_run_for_days_with_a_gap_tells_each_of_them_and_the_days_that_fail(
    world: "World",
) -> None:
    first, second = DAYS
    world.run_sql("transform", NEGATIVE.format(-7, second))
    world.publish()
    gap = second + timedelta(days=2)
    world.check(tags={DAYS_TAG: f"{first},{gap}"})
    assert statuses(world) == {
        None: "FAILED",
        str(first): "SUCCEEDED",
        str(second): "FAILED",  # not of the run, and it fails
        str(gap): "SUCCEEDED",  # a day without birds is a day too
    }


def test_a_day_that_was_mended_elsewhere_is_told_once_more(world: "World") -> None:
    for birds in (-7, 7, 8):
        world.run_sql("transform", NEGATIVE.format(birds, DAYS[0]))
        world.publish()
        result = world.check()
        told = [
            (evaluation.partition, evaluation.passed)
            for evaluation in result.get_asset_check_evaluations()
            if evaluation.asset_check_key == VALUES and evaluation.partition
        ]
        assert told == {-7: [(str(DAYS[0]), False)], 7: [(str(DAYS[0]), True)], 8: []}[birds]


def test_a_day_that_was_materialized_since_waits_for_its_check(world: "World") -> None:
    snapshot = world.publish()
    materialize(world, snapshot.id, *DAYS)
    # one day is materialized again while the run holds the older snapshot
    materialize(world, snapshot.id + 1, DAYS[1])
    world.check(tags={DAYS_TAG: f"{DAYS[0]}/{DAYS[1]}"})
    assert current_days(world) == {str(DAYS[0])}


def test_a_day_that_is_no_partition_is_told_in_the_whole_only() -> None:
    [check] = [check for check in CHECKS if check.key == VALUES]
    today = date(2020, 11, 22)
    wrong = {FIRST_DAY - timedelta(days=1): 1, today: 1, today + timedelta(days=1): 1}
    outcome = Outcome(check, 3, "", rows=9, failing_by_day=wrong)
    assert days_to_report(outcome, [], [], today) == [today]
    only_wrong = Outcome(check, 1, "", rows=9, failing_by_day={FIRST_DAY - timedelta(days=1): 1})
    assert days_to_report(only_wrong, DAYS, [], today) == []
    assert days_to_report(Outcome(check, 1, "", rows=9), DAYS, [], today) == []


def test_a_run_for_more_than_a_month_tells_only_the_days_that_fail_or_failed() -> None:
    [check] = [check for check in CHECKS if check.key == VALUES]
    days = [date(2020, 1, 1) + timedelta(days=n) for n in range(MOST_DAYS + 1)]
    today = days[-1]
    passed = Outcome(check, 0, "", rows=9)
    assert days_to_report(passed, days[1:], [], today) == days[1:]
    assert days_to_report(passed, days, [days[3]], today) == [days[3]]
    failed = Outcome(check, 1, "", rows=9, failing_by_day={days[5]: 1})
    assert days_to_report(failed, days, [days[3]], today) == [days[3], days[5]]


def test_a_check_of_which_one_day_fails_is_shown_as_failed(world: "World") -> None:
    world.run_sql("transform", NEGATIVE.format(-7, DAYS[0]))
    world.publish()
    world.check(tags={DAYS_TAG: f"{DAYS[0]}/{DAYS[1]}"})
    newest = world.instance.event_log_storage.get_latest_asset_check_execution_by_key([VALUES])
    assert newest[VALUES].status.value == "FAILED"
    assert newest[VALUES].partition == str(DAYS[0])
    evaluation = newest[VALUES].evaluation
    assert evaluation
    assert "3 of 6 rows fail" in str(evaluation.description)
    assert {"sample", "query"} <= set(evaluation.metadata)


def test_a_check_that_could_not_be_asked_tells_no_day() -> None:
    [check] = [check for check in CHECKS if check.key == VALUES]
    outcome = Outcome(check, 1, "It could not be asked.")
    assert days_to_report(outcome, DAYS, DAYS, DAYS[1]) == []
    [schema] = [c for c in CHECKS if c.key == dg.AssetCheckKey(SPECIES, "schema")]
    assert days_to_report(Outcome(schema, 0, ""), DAYS, [], DAYS[1]) == []


def test_the_result_for_all_days_is_of_what_was_materialized_last(world: "World") -> None:
    snapshot = world.publish()
    materialize(world, snapshot.id, *DAYS)
    [newest] = world.instance.fetch_materializations(SPECIES, limit=1).records
    [whole] = [
        evaluation
        for evaluation in world.check().get_asset_check_evaluations()
        if evaluation.asset_check_key == VALUES and evaluation.partition is None
    ]
    assert whole.target_materialization_data
    assert whole.target_materialization_data.storage_id == newest.storage_id
