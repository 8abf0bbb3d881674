"""The edge from ingestion: announced days start a run for exactly those days."""

from __future__ import annotations

import dagster as dg

from databox_shared.contracts import RAW, contract
from databox_shared.days import DAYS_TAG
from transform_location.automation import ingestion_to_transform
from transform_location.definitions import defs


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=defs.get_repository_def()
    ) as context:
        result = ingestion_to_transform(context)
    assert isinstance(result, dg.SensorResult)
    return result


def announce(instance: dg.DagsterInstance, table: str, day: str | None) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(dg.AssetKey([RAW, table]), partition=day)
    )


def test_days_announced_in_a_burst_are_one_run_for_all_of_them(
    instance: dg.DagsterInstance,
) -> None:
    for day in ("2026-11-18", "2026-11-20", "2026-11-21"):
        announce(instance, "checklists", day)
        announce(instance, "observations", day)

    [request] = tick(instance).run_requests or []

    assert request.tags[DAYS_TAG] == "2026-11-18,2026-11-20/2026-11-21"


def test_every_raw_table_is_watched() -> None:
    for table in contract(RAW).tables.values():
        with dg.DagsterInstance.ephemeral() as one:
            announce(one, table.name, "2026-11-20" if table.day_column else None)
            assert len(tick(one).run_requests or []) == 1, table.full_name


def test_nothing_announced_starts_nothing(instance: dg.DagsterInstance) -> None:
    assert not tick(instance).run_requests
