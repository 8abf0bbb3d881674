"""Runs of the location in this process, and what is left of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb

from databox_shared import snapshots
from databox_shared.contracts import MARTS, STAGING, contract
from databox_shared.days import DAYS_TAG
from databox_shared.settings import Settings
from transform_location.definitions import defs

TABLES = [table for schema in (STAGING, MARTS) for table in contract(schema).tables.values()]


def run(
    instance: dg.DagsterInstance,
    days: str | None = None,
    *,
    job: str = "transform_pipeline",
    select: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    partition_key: str | None = None,
) -> dg.ExecuteInProcessResult:
    """One run for `days` as in the tag `databox/days`, of all models or the selected ones."""
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags={**(tags or {}), **({} if days is None else {DAYS_TAG: days})},
        asset_selection=(
            [dg.AssetKey(name.split(".")) for name in select] if select is not None else None
        ),
        partition_key=partition_key,
        raise_on_error=False,
    )


def announced(result: dg.ExecuteInProcessResult) -> dict[str, set[str | None]]:
    """The days announced for each table, None for a whole table."""
    found: dict[str, set[str | None]] = {}
    for event in result.get_asset_materialization_events():
        name = ".".join(event.materialization.asset_key.path)
        found.setdefault(name, set()).add(event.materialization.partition)
    return found


def published(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the newest snapshot, sorted, by `schema.table`."""
    with (
        snapshots.reading(settings, "transform") as snapshot,
        duckdb.connect() as connection,
    ):
        connection.execute(f"ATTACH '{snapshot.path}' AS transform (READ_ONLY)")
        return {
            table.full_name: connection.execute(
                f"SELECT * FROM transform.{table.full_name} ORDER BY ALL"
            ).fetchall()
            for table in TABLES
        }


def newest(settings: Settings) -> int:
    """The id of the newest snapshot, 0 if there is none."""
    try:
        with snapshots.reading(settings, "transform") as snapshot:
            return snapshot.id
    except snapshots.SnapshotError:
        return 0


def failure(result: dg.ExecuteInProcessResult) -> str:
    """The sentence that a failed run ends with, empty if it did not fail."""
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return data.user_failure_data.description
            error = data.error
            while error and error.cause:
                error = error.cause
            return error.message if error else ""
    return ""
