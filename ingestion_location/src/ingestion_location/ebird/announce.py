"""Announce: what Dagster and its people are told about days and snapshots that are loaded.

Nothing may be announced before the snapshot that holds it is in place.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from databox_shared.contracts import RAW
from databox_shared.plots import Bar, columns
from databox_shared.together import log_together
from ingestion_location.ebird.ingest import DayLoad, SnapshotLoad
from ingestion_location.ebird.load import connect
from ingestion_location.ebird.tables import RAW_TABLES, SNAPSHOT_TABLES

PLOTTED_DAYS = 30


def announce_days(
    context: dg.AssetExecutionContext,
    loads: Sequence[DayLoad],
    working_file: Path,
    snapshot_id: int,
) -> None:
    """Log a materialization of every table of every day, and one line about all of them."""
    if not loads:
        return
    log_together(context, _materializations(loads, working_file, snapshot_id))
    report = context.log.info
    report(
        f"announced {len(loads)} day(s) in snapshot {snapshot_id}: "
        f"{sum(load.rows['observations'] for load in loads)} observations, "
        f"{sum(load.calls_made for load in loads)} calls made, "
        f"{sum(load.calls_saved for load in loads)} saved"
    )


def _materializations(
    loads: Sequence[DayLoad], working_file: Path, snapshot_id: int
) -> Iterator[dg.AssetMaterialization]:
    days = [load.day for load in loads]
    counts = _checklists(working_file, min(days), max(days))
    for load in loads:
        # a table that no region has for the day is neither loaded nor empty
        for table in load.rows:
            metadata: dict[str, Any] = {
                "dagster/partition_row_count": load.rows[table],
                "rows": load.rows[table],
                "completeness": load.completeness,
                "is_capped": load.is_capped,
                "calls_made": load.calls_made,
                "calls_saved": load.calls_saved,
                "landing": _landing(load, table),
                "table": f"{RAW}.{table}",
                "working_file": dg.MetadataValue.path(working_file),
                "databox/snapshot_id": snapshot_id,
            }
            if table == "checklists":
                metadata["checklists_per_day"] = _plot(counts, load.day)
            yield dg.AssetMaterialization(
                asset_key=dg.AssetKey([RAW, table]),
                partition=load.day.isoformat(),
                metadata=metadata,
            )


def announce_snapshots(
    context: dg.AssetExecutionContext, load: SnapshotLoad, working_file: Path, snapshot_id: int
) -> Iterator[dg.MaterializeResult[Any]]:
    """A result for every selected table without days."""
    for table in SNAPSHOT_TABLES:
        key = RAW_TABLES[table].contract.asset_key
        if key in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "dagster/row_count": load.rows[table],
                    "calls_made": load.read.calls_made,
                    "calls_saved": load.read.calls_saved,
                    "table": f"{RAW}.{table}",
                    "working_file": dg.MetadataValue.path(working_file),
                    "databox/snapshot_id": snapshot_id,
                },
            )


def _landing(load: DayLoad, table: str) -> dg.MetadataValue[Any]:
    resource, _ = RAW_TABLES[table].item
    paths = [str(read.files[resource]) for read in load.reads if resource in read.files]
    return dg.MetadataValue.path(paths[0]) if len(paths) == 1 else dg.MetadataValue.json(paths)


def _checklists(working_file: Path, first: date, last: date) -> list[tuple[date, int, int]]:
    """Loaded checklists and those that eBird counts, by day, from a plot before `first` on."""
    with connect(working_file) as connection:
        return connection.execute(
            f"""
            WITH loaded AS (SELECT obs_date, count(*) AS n FROM {RAW}.checklists GROUP BY ALL)
            SELECT obs_date, coalesce(any_value(n), 0), sum(num_checklists)::BIGINT
            FROM {RAW}.region_stats LEFT JOIN loaded USING (obs_date)
            WHERE obs_date BETWEEN ? AND ? GROUP BY obs_date ORDER BY obs_date
            """,  # noqa: S608 (a name of our own)
            [first - timedelta(days=PLOTTED_DAYS - 1), last],
        ).fetchall()


def _plot(counts: Sequence[tuple[date, int, int]], day: date) -> dg.MetadataValue[Any]:
    first = day - timedelta(days=PLOTTED_DAYS - 1)
    bars = [
        Bar(str(date_), loaded, of=counted, bad=loaded < counted)
        for date_, loaded, counted in counts
        if first <= date_ <= day
    ]
    return dg.MetadataValue.md(columns("Checklists per day, of those that eBird counts", bars))
