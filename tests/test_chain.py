"""The chain under the real daemon: real HTTP, real processes, real files."""

from __future__ import annotations

import os
import signal
from datetime import date, timedelta

import dagster as dg
import duckdb
import pytest
import requests
from faults import worker_pid
from plant import Plant

from databox_shared.contracts import MARTS, RAW, contract
from databox_shared.edges import EDGE_TAG, EDGES

pytestmark = pytest.mark.slow

DAY = date(2026, 5, 16)
CHECKLISTS = dg.AssetKey(["ebird_raw", "checklists"])


def days_from(first: date, count: int) -> str:
    return f"{first.isoformat()}/{(first + timedelta(days=count - 1)).isoformat()}"


def checklists_of(plant: Plant, day: date) -> int:
    answer = requests.get(
        f"{plant.sandbox.url}/product/stats/US-DC/{day:%Y/%m/%d}",
        headers={"X-eBirdApiToken": "any"},
        timeout=10,
    )
    return int(answer.json()["numChecklists"])


def test_a_day_of_birds_goes_from_the_api_to_the_release_while_a_reader_holds_the_old_one(
    plant: Plant,
) -> None:
    chain, _ = plant.launch(DAY.isoformat())
    plant.until("the first release", chain.poll)
    assert chain.release_report()["is_current"]
    daily = "SELECT obs_date, num_checklists FROM ebird.region_daily_totals ORDER BY ALL"
    first = plant.release(daily)
    assert first == [(DAY, checklists_of(plant, DAY))]

    with duckdb.connect(str(plant.settings.release_path), read_only=True) as reader:
        later = DAY + timedelta(days=1)
        chain, _ = plant.launch(later.isoformat())
        plant.until("the second release", chain.poll)
        assert reader.sql(daily).fetchall() == first
    assert plant.release(daily) == [*first, (later, checklists_of(plant, later))]


def test_three_days_in_a_burst_are_answered_completely_in_few_runs(plant: Plant) -> None:
    days = [DAY - timedelta(days=number) for number in (3, 5, 9)]
    chains = [plant.launch(day.isoformat())[0] for day in days]
    plant.until("three answers", lambda: all(chain.poll() for chain in chains))
    released = plant.release("SELECT DISTINCT obs_date FROM ebird.species_daily")
    assert {(day,) for day in days} <= set(released)
    for edge in EDGES:
        runs = plant.instance.get_runs(dg.RunsFilter(tags={EDGE_TAG: edge.name}))
        # two chains before this one, and at most one run for each materializing run
        assert len(runs) <= 2 + len(days)


def test_a_backfill_from_the_ui_is_one_run_that_tells_each_day_apart(plant: Plant) -> None:
    days = [(DAY - timedelta(days=number)).isoformat() for number in (12, 11, 10)]
    tables = [table for table in contract(RAW).tables.values() if table.day_column]
    keys = [dg.AssetKey([table.schema, table.name]) for table in tables]
    backfill = plant.backfill(keys, days)
    plant.until("the backfill", lambda: plant.backfill_status(backfill).value != "REQUESTED")
    found = plant.instance.get_backfill(backfill)
    assert plant.backfill_status(backfill).value == "COMPLETED_SUCCESS", found and found.error
    (run,) = plant.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
    for day in days:
        told = plant.instance.fetch_materializations(
            dg.AssetRecordsFilter(CHECKLISTS, asset_partitions=[day]), limit=1
        ).records[0]
        assert told.run_id == run.run_id
        metadata = told.asset_materialization and told.asset_materialization.metadata
        assert metadata
        assert metadata["rows"].value == checklists_of(plant, date.fromisoformat(day))
        assert metadata["completeness"].value == 100
        assert int(str(metadata["calls_made"].value)) > 0


def test_the_same_day_again_calls_nothing_and_changes_nothing(plant: Plant) -> None:
    chain, _ = plant.launch(DAY.isoformat())
    plant.until("the release", chain.poll)
    tables = [table.full_name for table in contract(MARTS).tables.values()]
    before = {table: plant.release(f"FROM {table} ORDER BY ALL") for table in tables}
    requests.delete(f"{plant.sandbox.admin_url}/requests", timeout=10).raise_for_status()
    chain, _ = plant.launch(DAY.isoformat())
    plant.until("the release again", chain.poll)
    assert {table: plant.release(f"FROM {table} ORDER BY ALL") for table in tables} == before
    asked = requests.get(f"{plant.sandbox.admin_url}/requests", timeout=10).json()
    assert asked["total"] == 0, "the API was asked again for what a landing file holds"


@pytest.mark.parametrize("location", ["ingestion", "transform", "quality"])
def test_a_run_that_is_killed_is_followed_by_a_clean_recovery(plant: Plant, location: str) -> None:
    day = {"ingestion": 20, "transform": 21, "quality": 22}[location]
    target = DAY - timedelta(days=day)
    chain, _ = plant.launch(target.isoformat())
    killed: list[str] = []

    def kill_once() -> bool:
        stage = chain.stages[location]
        chain.poll()
        if stage.run_id and (pid := worker_pid(plant.instance, stage.run_id)):
            os.kill(pid, signal.SIGKILL)
            killed.append(stage.run_id)
        return bool(killed)

    plant.until(f"a run of {location} to kill", kill_once)
    plant.until(
        "the death to be noticed",
        lambda: (run := plant.instance.get_run_by_id(killed[0])) and run.is_failure,
    )
    plant.until(
        "the release with the day",
        lambda: (target,) in plant.release("SELECT DISTINCT obs_date FROM ebird.species_daily"),
    )
    released = plant.release(
        f"SELECT num_checklists FROM ebird.region_daily_totals WHERE obs_date = '{target}'"
    )
    assert released == [(checklists_of(plant, target),)]
