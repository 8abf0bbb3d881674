"""The location's job against a running sandbox, from the API to a published snapshot."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from databox_shared import snapshots
from databox_shared.contracts import RAW, contract
from databox_shared.settings import load_settings
from ingestion_location.definitions import defs

from .conftest import SANDBOX_TODAY

TAGS = {"databox/read_date": SANDBOX_TODAY.isoformat()}


def run_daily(instance: dg.DagsterInstance, **tags: str) -> dg.ExecuteInProcessResult:
    job = defs.resolve_job_def("daily_ebird_pipeline")
    return job.execute_in_process(instance=instance, tags={**TAGS, **tags}, raise_on_error=False)


def content(table: str) -> list[tuple[object, ...]]:
    with (
        snapshots.reading(load_settings(), "ingestion") as snapshot,
        duckdb.connect(snapshot.path, read_only=True) as connection,
    ):
        return connection.execute(f"SELECT * FROM {RAW}.{table} ORDER BY ALL").fetchall()


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture(autouse=True)
def api(sandbox_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBIRD_API_URL", sandbox_url)


def test_the_first_run_loads_fourteen_days_and_a_second_changes_nothing(
    instance: dg.DagsterInstance,
) -> None:
    assert run_daily(instance).success
    days = {row[0] for row in instance_days(instance)}
    expected = {SANDBOX_TODAY - timedelta(days=n) for n in range(1, 15)}
    assert days == {day.isoformat() for day in expected}
    first = {table: content(table) for table in contract(RAW).tables}
    unchanged = {table for table, rows in first.items() if not rows}
    assert unchanged == {"checklist_history", "observation_history"}

    assert run_daily(instance).success
    assert {table: content(table) for table in contract(RAW).tables} == first
    newest = instance.fetch_materializations(dg.AssetKey([RAW, "observations"]), limit=14).records
    for record in newest:
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        assert metadata["calls_made"].value == 0
        assert metadata["completeness"].value == 100.0
        assert metadata["databox/snapshot_id"].value == 2
        assert metadata["table"].value == "ebird_raw.observations"


def test_a_day_comes_with_a_picture_of_the_days_before_it_and_the_way_to_its_rows(
    instance: dg.DagsterInstance,
) -> None:
    assert run_daily(instance, **{"databox/days": "2026-11-18/2026-11-20"}).success
    key = dg.AssetKey([RAW, "checklists"])
    pictures: dict[str | None, str] = {}
    for record in instance.fetch_materializations(key, limit=10).records:
        assert record.asset_materialization is not None
        metadata = record.asset_materialization.metadata
        pictures[record.partition_key] = str(metadata["checklists_per_day"].value)
        # totals, list, sightings, two rankings of leaders, and every page
        rows = metadata["rows"].value
        assert isinstance(rows, int)
        assert metadata["calls_made"].value == rows + 5
        assert Path(str(metadata["landing"].value)).is_file()
        assert Path(str(metadata["working_file"].value)).is_file()
    found = {str(day): n for day, n in Counter(row[2] for row in content("checklists")).items()}
    said = [f"2026-11-{day}: {found[f'2026-11-{day}']}" for day in (18, 19, 20)]
    for number, day in enumerate((18, 19, 20), start=1):
        words = pictures[f"2026-11-{day}"].partition("](data:image/svg+xml")[0]
        assert words.endswith(f"eBird counts. {'; '.join(said[:number])}")


def test_a_tag_with_gaps_loads_and_announces_exactly_its_days(
    instance: dg.DagsterInstance,
) -> None:
    assert run_daily(instance, **{"databox/days": "2026-11-02,2026-11-20"}).success
    assert {row[0] for row in instance_days(instance)} == {"2026-11-02", "2026-11-20"}
    assert {row[1] for row in content("region_stats")} == {date(2026, 11, 2), date(2026, 11, 20)}


def test_no_dlt_folder_is_left_after_a_success(instance: dg.DagsterInstance, home: Path) -> None:
    assert run_daily(instance, **{"databox/days": "2026-11-20"}).success
    assert list((home / "dlt").iterdir()) == []


def test_what_a_failed_run_loaded_is_announced_by_the_next_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        msg = "the disk is full"
        raise OSError(msg)

    with monkeypatch.context() as broken:
        broken.setattr(snapshots.Writer, "publish", fail)
        assert not run_daily(instance, **{"databox/days": "2026-11-02"}).success
    assert instance_days(instance) == []
    assert run_daily(instance, **{"databox/days": "2026-11-20"}).success
    assert {row[0] for row in instance_days(instance)} == {"2026-11-02", "2026-11-20"}
    assert run_daily(instance, **{"databox/days": "2026-11-20"}).success
    assert len(instance_days(instance)) == 3


def instance_days(instance: dg.DagsterInstance) -> list[tuple[str | None]]:
    records = instance.fetch_materializations(dg.AssetKey([RAW, "checklists"]), limit=1000).records
    return [(record.partition_key,) for record in records]
