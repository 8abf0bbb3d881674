"""Runs of the location's engine without Dagster, against a sandbox whose world a test changes."""

import gzip
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from urllib.request import Request, urlopen

from databox_shared.contracts import RAW
from databox_shared.settings import Settings, load_settings
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.fetch import Fetcher
from ingestion_location.ebird.ingest import Ingest
from ingestion_location.ebird.landing import Landing
from ingestion_location.ebird.ledger import claim_source, due_days, reads_before
from ingestion_location.ebird.load import connect


@dataclass
class Engine:
    """One warehouse. `sleep` stands for time.sleep, so that no test waits, `now` for the time."""

    settings: Settings = field(default_factory=load_settings)
    sleep: Callable[[float], object] = lambda _: None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lines: list[str] = field(default_factory=list[str])
    calls: int = 0

    @property
    def working_file(self) -> Any:
        return self.settings.hidden_dir / "ingestion" / "ingestion.duckdb"

    def run(
        self, read_date: date, days: Sequence[date] | None = None, *, now: bool = True
    ) -> Ingest:
        """A run for `read_date`: the days asked for, or the daily run's, and what is true now."""
        self.working_file.parent.mkdir(parents=True, exist_ok=True)
        with self.fetching(read_date) as fetcher:
            claim_source(self.working_file, fetcher.api.source)
            ingest = Ingest(self.settings, self.working_file, fetcher, self.lines.append)
            known = reads_before(self.working_file, read_date)
            due = due_days(self.settings.ebird_regions, known, read_date, fetcher.ages)
            ingest.run(sorted(days or due), is_daily=days is None, now=now)
            return ingest

    @contextmanager
    def fetching(self, read_date: date) -> Generator[Fetcher]:
        with EbirdApi(self.settings, now=self.now, sleep=self.sleep) as api:
            landing = Landing(self.settings.hidden_dir / "ingestion" / "landing" / api.source)
            try:
                yield Fetcher(
                    api, landing, read_date, self.lines.append, self.settings.ebird_reread
                )
            finally:
                self.calls = api.calls

    def fetch(self, read_date: date, day: date) -> dict[str, Any]:
        """Only the fetch of a day and of what is true now; returns all landed answers by path."""
        with self.fetching(read_date) as fetcher:
            fetcher.snapshots(self.settings.ebird_regions)
            for region in self.settings.ebird_regions:
                fetcher.day(region, day)
            return {
                entry["path"]: entry["body"]
                for file in fetcher.landing.folder.rglob("*.gz")
                for entry in map(json.loads, gzip.decompress(file.read_bytes()).splitlines())
            }

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.working_file) as connection:
            return connection.execute(query).fetchall()

    def stood(self, table: str, columns: str, day: date, at: date) -> set[tuple[Any, ...]]:
        """Rows of `checklists` or `observations` of a day as they stood on a read date.

        What has no history has always stood as it stands; of the rest, what its history says.
        """
        key = {"checklists": "sub_id", "observations": "obs_id"}[table]
        history = f"{RAW}.{table.removesuffix('s')}_history"
        return set(
            self.rows(
                f"SELECT {columns} FROM {RAW}.{table} WHERE obs_date = DATE '{day}' AND {key} "
                f"NOT IN (SELECT {key} FROM {history} WHERE obs_date = DATE '{day}') "
                f"UNION ALL SELECT {columns} FROM {history} "
                f"WHERE obs_date = DATE '{day}' AND NOT is_withdrawn "
                f"AND valid_from <= DATE '{at}' AND (valid_to IS NULL OR DATE '{at}' < valid_to)"
            )
        )

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every raw table without the time of reading."""
        with connect(self.working_file) as connection:
            tables = [
                row[0]
                for row in connection.execute(
                    "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? "
                    "AND table_name NOT LIKE '\\_dlt%' ESCAPE '\\' ORDER BY ALL",
                    [RAW],
                ).fetchall()
            ]
            return {
                table: connection.execute(
                    f"SELECT COLUMNS(c -> c NOT IN ('read_at', 'polled_at')) FROM {RAW}.{table} "
                    "ORDER BY ALL"
                ).fetchall()
                for table in tables
            }


@dataclass(frozen=True)
class World:
    """The admin side of a sandbox."""

    url: str

    def ask(self, method: str, path: str, /, **said: object) -> Any:
        body = json.dumps(said).encode() if said else None
        request = Request(f"{self.url}{path}", data=body, method=method)
        with urlopen(request) as answer:
            return json.load(answer)

    def truth(self, region: str, day: date) -> list[dict[str, Any]]:
        return self.ask("GET", f"/truth/{region}/{day}")["checklists"]

    def requests(self) -> int:
        return self.ask("GET", "/requests")["total"]
