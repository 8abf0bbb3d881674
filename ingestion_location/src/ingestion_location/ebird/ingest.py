"""One run's work on its data, without Dagster: days and snapshots, fetched and loaded in batches.

It decides nothing about which days: it is told. It never publishes; what it returns is what may
be announced after the caller has published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

from databox_shared.settings import Settings
from ingestion_location.ebird.fetch import (
    DAY_RESOURCES,
    DayRead,
    Fetcher,
    FetchError,
    SnapshotRead,
)
from ingestion_location.ebird.history import READS
from ingestion_location.ebird.ledger import mark_unannounced, record_new_fields, record_reads
from ingestion_location.ebird.load import Counts, Scope, connect, load, missing_tables
from ingestion_location.ebird.tables import DAY_TABLES, RAW_TABLES, SNAPSHOT_TABLES

# a dlt run costs 0.3 s however small it is; its answers are in memory, some 40 bytes for each here
DAYS_PER_LOAD = 31
BYTES_PER_LOAD = 8 * 1024 * 1024


@dataclass
class DayLoad:
    """One day of all regions, loaded. `rows` by table, without those that no region has."""

    day: date
    reads: list[DayRead]
    rows: dict[str, int]
    num_checklists: int
    listed_checklists: int
    is_capped: bool

    @property
    def completeness(self) -> float:
        """Share of eBird's own number of checklists that was loaded, in percent."""
        if not self.num_checklists:
            return 100.0
        return round(100.0 * self.rows["checklists"] / self.num_checklists, 2)

    @property
    def calls_made(self) -> int:
        """Questions that were put to the API for this day."""
        return sum(read.calls_made for read in self.reads)

    @property
    def calls_saved(self) -> int:
        """Questions that a landing file answered."""
        return sum(read.calls_saved for read in self.reads)


@dataclass
class SnapshotLoad:
    """The unpartitioned tables, loaded. `rows` by table."""

    read: SnapshotRead
    rows: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class Ingest:
    """Fetches and loads into one working file; the caller holds the location's writer lock.

    What is in `loaded_days` and `loaded_snapshots` is in the working file, whatever failed later.
    """

    settings: Settings
    working_file: Path
    fetcher: Fetcher
    report: Callable[[str], object]
    loaded_days: list[DayLoad] = field(default_factory=list[DayLoad])
    loaded_snapshots: SnapshotLoad | None = None

    def run(self, days: Sequence[date], *, is_daily: bool, now: bool) -> None:
        """Fetch and load these days of every region, in order, and what is true now if asked.

        Raises `FetchError` on the first day that cannot be read; those before it are loaded.
        """
        snapshots = self.fetcher.snapshots(self.settings.ebird_regions) if now else None
        begin = len(self.loaded_days)
        for batch in _batches(self._fetched(days)):
            # a dlt run has its price, so the snapshots go along with the first days
            self._load(batch, snapshots)
            snapshots = None
            self._report_loaded(since=begin, of=len(days))
            record_reads(
                self.working_file,
                [(read.region, read.day) for read in batch],
                self.fetcher.read_date,
                is_daily=is_daily,
            )
        if snapshots is not None:
            self._load([], snapshots)

    def new_fields(self) -> dict[str, list[str]]:
        """Fields that the API has and no shape knows, by resource, now and in earlier runs."""
        return record_new_fields(self.working_file, self.fetcher.unknown(), self.fetcher.read_date)

    def _fetched(self, days: Sequence[date]) -> Iterator[list[DayRead]]:
        regions = self.settings.ebird_regions
        reads = self.fetcher.days((region, day) for day in days for region in regions)
        with closing(reads):
            for _ in days:
                yield list(islice(reads, len(regions)))

    def _load(self, batch: Sequence[DayRead], snapshots: SnapshotRead | None) -> None:
        files: dict[str, list[Path]] = {}
        tables: list[str] = []
        scopes: dict[str, Sequence[Scope]] = {}
        if batch:
            files |= {
                resource: [read.files[resource] for read in batch if resource in read.files]
                for resource in DAY_RESOURCES
            }
            files |= {
                name: sorted({path for read in batch for path in read.reads.get(name, ())})
                for name in READS
            }
            tables += DAY_TABLES
            days: list[Scope] = [(read.region, read.day) for read in batch]
            scopes |= dict.fromkeys(DAY_TABLES, days)
        if snapshots is not None:
            files |= snapshots.files
            tables += SNAPSHOT_TABLES
            regions: list[Scope] = [(region,) for region in self.settings.ebird_regions]
            scopes |= {
                name: regions
                for name in SNAPSHOT_TABLES
                if RAW_TABLES[name].scope == ("region_code",)
            }
        # what is handed over has every table; one by day may be empty
        unmade = set(DAY_TABLES).intersection(missing_tables(self.working_file)).difference(tables)
        tables += sorted(unmade)
        scopes |= dict.fromkeys(unmade, ())
        counts = load(
            self.working_file,
            files,
            tables,
            scopes,
            dlt_dir=self.settings.dlt_dir,
            new=self.new_fields(),
            on_write=lambda: mark_unannounced(self.working_file, {read.day for read in batch}),
        )
        if batch:
            self._count_days(batch, counts)
        if snapshots is not None:
            rows = {name: counts[name].total() for name in SNAPSHOT_TABLES}
            self.loaded_snapshots = SnapshotLoad(snapshots, rows)

    def _count_days(self, batch: Sequence[DayRead], counts: Counts) -> None:
        totals = self._control_totals(batch)
        loads: list[DayLoad] = []
        for day in sorted({read.day for read in batch}):
            reads = [read for read in batch if read.day == day]
            rows = {
                table: sum(counts[table][read.region, day] for read in reads)
                for table in DAY_TABLES
                if any(RAW_TABLES[table].item[0] in read.files for read in reads)
            }
            loads.append(DayLoad(day, reads, rows, *totals[day]))
        self.loaded_days += loads

    def _report_loaded(self, *, since: int, of: int) -> None:
        """Say how far a run is: what it has loaded since so many days were."""
        loads = self.loaded_days[since:]
        self.report(
            f"loaded {len(loads)} of {of} day(s): {sum(load.rows['checklists'] for load in loads)} "
            f"checklists, {sum(load.rows['observations'] for load in loads)} observations"
        )

    def _control_totals(self, batch: Sequence[DayRead]) -> dict[date, tuple[int, int, bool]]:
        with connect(self.working_file) as connection:
            rows = connection.execute(
                "SELECT obs_date, sum(num_checklists)::BIGINT, sum(listed_checklists)::BIGINT, "
                "bool_or(is_capped) FROM ebird_raw.region_stats "
                "WHERE list_contains(?, obs_date) AND list_contains(?, region_code) GROUP BY ALL",
                [
                    sorted({read.day for read in batch}),
                    sorted({read.region for read in batch}),
                ],
            ).fetchall()
        return {day: (expected, listed, capped) for day, expected, listed, capped in rows}


def _views(read: DayRead) -> list[Path]:
    """Nearly all of what a load of the day holds in memory."""
    return [read.files["views"], *read.reads.get("read_views", ())]


def _batches(days: Iterable[list[DayRead]]) -> Iterator[list[DayRead]]:
    """Group the days so that one load stays small enough for memory."""
    batch: list[DayRead] = []
    size = number = 0
    try:
        for reads in days:
            batch += reads
            number += 1
            size += sum(path.stat().st_size for read in reads for path in _views(read))
            if number >= DAYS_PER_LOAD or size >= BYTES_PER_LOAD:
                yield batch
                batch, size, number = [], 0, 0
    except FetchError:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
