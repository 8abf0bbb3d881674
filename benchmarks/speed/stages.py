"""Each stage's work on the same data against its limit: bare HTTP, and DuckDB alone.

Everything runs in this process and is imported before, so that only the work is counted: no start
of a process, no Dagster, no hand-off. What each limit is stands in its function.
"""

from __future__ import annotations

import gzip
import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import urllib3
from dagster_duckdb import DuckDBResource

from databox_shared import snapshots
from databox_shared.contracts import MARTS, RAW, STAGING
from databox_shared.settings import Settings, load_settings
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.fetch import DAY_RESOURCES, DayRead, Fetcher
from ingestion_location.ebird.landing import Landing
from ingestion_location.ebird.ledger import claim_source
from ingestion_location.ebird.load import load
from ingestion_location.ebird.pace import CONCURRENCY
from ingestion_location.ebird.sources import sources
from ingestion_location.ebird.tables import DAY_TABLES, RAW_TABLES, SNAPSHOT_TABLES
from quality_location.assets import CHECKS, TABLES, why_withheld
from quality_location.checks import relation
from quality_location.evaluate import Outcome, broken_tables, evaluate_table
from quality_location.private import private_values_sql
from quality_location.release import Facts, make_release
from quality_location.release_file import released_tables
from quality_location.views import released_views
from quality_location.warehouse import Held, attached, held_snapshots
from speed import plain
from speed.measure import BenchError, Cost, Line, fresh, line, paired
from speed.world import REGION, TODAY, last_days, warehouse

DAYS = last_days(30)
OK = 200


def measured(work: Callable[[], object]) -> Cost:
    """The cost of some work in this process, all its threads together."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - began, time.process_time() - cpu)


@dataclass
class Stages:
    """One warehouse that goes through the stages; what one of them makes is there for the next."""

    folder: Path
    settings: Settings
    reads: list[DayRead] = field(default_factory=list[DayRead])
    files: dict[str, list[Path]] = field(default_factory=dict[str, list[Path]])

    def fetch(self) -> Cost:
        """All days and what is true now, from the API into new landing files."""

        def work() -> None:
            with EbirdApi(self.settings) as api:
                landing = Landing(fresh(self.folder) / "landing")
                fetcher = Fetcher(api, landing, TODAY, lambda _: None, (1,))
                self.reads = list(fetcher.days((REGION, day) for day in DAYS))
                self.files = fetcher.snapshots([REGION]).files

        cost = measured(work)
        for resource in DAY_RESOURCES:
            self.files[resource] = [read.files[resource] for read in self.reads]
        return cost

    def bare_fetch(self) -> Cost:
        """The limit: the same paths, asked with urllib3 by as many threads, and thrown away."""
        paths = [
            json.loads(row)["path"]
            for files in self.files.values()
            for file in files
            for row in gzip.decompress(file.read_bytes()).splitlines()
        ]
        pool = urllib3.PoolManager(maxsize=CONCURRENCY, headers={"X-eBirdApiToken": "any"})

        def ask(path: str) -> None:
            answer = pool.request("GET", f"{self.settings.api_url}/{path}")
            if answer.status != OK:
                msg = f"{path} answered {answer.status}"
                raise BenchError(msg)

        def work() -> None:
            with ThreadPoolExecutor(CONCURRENCY) as threads:
                list(threads.map(ask, paths))

        return measured(work)

    def load(self) -> Cost:
        """The landing files into the raw tables, every row replaced, and a snapshot of it."""
        tables = [*DAY_TABLES, *SNAPSHOT_TABLES]
        scopes = {
            name: [(REGION, day) for day in DAYS] if name in DAY_TABLES else [(REGION,)]
            for name in tables
            if RAW_TABLES[name].scope[:1] == ("region_code",)
        }

        def work() -> None:
            with snapshots.writing(self.settings, "ingestion") as writer:
                claim_source(writer.path, "sandbox")
                load(writer.path, self.files, tables, scopes, dlt_dir=self.settings.dlt_dir)
                writer.publish(run_id="bench", contract_names=[RAW], source="sandbox")

        return measured(work)

    def bare_load(self) -> Cost:
        """The limit: DuckDB's `read_json` of the same files into a table each."""

        def work() -> None:
            with duckdb.connect(fresh(self.folder) / "limit.duckdb") as connection:
                for statement in sources(self.files, {}):
                    connection.execute(statement)

        return measured(work)

    def transform(self) -> Cost:
        """All models for all days, and a snapshot of them. They are deployed before it counts."""
        from transform_location.models import opened

        with snapshots.reading(self.settings, "ingestion") as raw:
            with (
                snapshots.writing(self.settings, "transform"),
                opened(self.settings, raw, log=lambda _: None) as models,
            ):
                if models.deployed() is None:
                    models.deploy()

            def work() -> None:
                with snapshots.writing(self.settings, "transform") as writer:
                    with opened(self.settings, raw, log=lambda _: None) as models:
                        everything = {str(name) for name in plain.models()} | OTHER_MODELS
                        evaluation = models.evaluate(everything, DAYS, models.raw_days())
                    if evaluation.failures:
                        raise BenchError("; ".join(evaluation.failures))
                    writer.publish(
                        run_id="bench",
                        contract_names=[STAGING, MARTS],
                        source="sandbox",
                        upstream={"ingestion": raw.id},
                    )

            return measured(work)

    def bare_transform(self) -> Cost:
        """The limit: the models' own queries, one statement each, in a copy of the raw tables."""
        copy = fresh(self.folder) / "limit.duckdb"
        with snapshots.reading(self.settings, "ingestion") as raw:
            copy.write_bytes(raw.path.read_bytes())

        def work() -> None:
            with duckdb.connect(copy) as connection:
                plain.transform(connection)

        return measured(work)

    @contextmanager
    def checking(self) -> Generator[tuple[duckdb.DuckDBPyConnection, Held]]:
        """A connection as quality has it, on the newest snapshots."""
        resource = DuckDBResource(database=":memory:")
        with (
            held_snapshots(self.settings) as held,
            attached(resource, self.settings, held) as connection,
        ):
            yield connection, held

    def check(self) -> Cost:
        """Every check of quality."""
        outcomes: list[Outcome] = []

        def work() -> None:
            with self.checking() as (connection, _):
                broken = broken_tables(connection, TABLES)
                views = released_views(connection, released_tables())
                connection.execute(";".join(private_values_sql()))
                for table in TABLES:
                    checks = [check for check in CHECKS if check.table == table]
                    outcomes.extend(
                        evaluate_table(
                            connection,
                            table,
                            checks,
                            broken=broken,
                            now=datetime.now(UTC),
                            newest_days_only=table.full_name in views,
                        )
                    )

        cost = measured(work)
        if why := why_withheld(outcomes, CHECKS):
            raise BenchError(why)
        return cost

    def bare_check(self) -> Cost:
        """The limit: every value of every checked table read once, but of views."""

        def work() -> None:
            with self.checking() as (connection, _):
                views = released_views(connection, released_tables())
                for table in TABLES:
                    if table.full_name not in views:
                        connection.execute(f"SELECT bit_xor(hash(t)) FROM {relation(table)} t")

        return measured(work)

    def release(self) -> Cost:
        """A new release: file, Parquet, page and manifest."""
        settings = load_settings().model_copy(
            update={"database_url": f"duckdb:///{fresh(self.folder)}/databox.duckdb"}
        )

        def work() -> None:
            with self.checking() as (connection, held):
                facts = Facts(datetime.now(UTC), "bench", "generated birds", held.ids, {})
                make_release(connection, settings, facts)

        return measured(work)

    def bare_release(self) -> Cost:
        """The limit: the same tables copied by DuckDB into a file, and as Parquet."""
        folder = fresh(self.folder)

        def work() -> None:
            with self.checking() as (connection, _):
                views = released_views(connection, released_tables())
                connection.execute(f"ATTACH '{folder}/limit.duckdb' AS limits")
                for table in released_tables():
                    if table.full_name not in views:
                        copied = f"limits.{table.name}"
                        connection.execute(f"CREATE TABLE {copied} AS FROM {relation(table)}")
                        connection.execute(f"COPY {copied} TO '{folder}/{table.name}.parquet'")
                connection.execute("DETACH limits")

        return measured(work)


OTHER_MODELS = {
    "ebird.review_history",
    "ebird_staging.life_list",
    "ebird_staging.location_history",
    "ebird_staging.observation_history",
}


def stage_lines(folder: Path, url: str, rounds: int) -> Iterator[Line]:
    """A line for each stage."""
    home = fresh(folder)
    os.environ |= warehouse(home, url)
    stages = Stages(home, load_settings())
    steps: Sequence[tuple[str, Callable[[], Cost], Callable[[], Cost]]] = (
        ("fetch / urllib3 alone", stages.fetch, stages.bare_fetch),
        ("load / read_json alone", stages.load, stages.bare_load),
        ("transform / DuckDB alone", stages.transform, stages.bare_transform),
        ("check / DuckDB reading everything once", stages.check, stages.bare_check),
        ("release / DuckDB copying the tables", stages.release, stages.bare_release),
    )
    for name, ours, limit in steps:
        # once before: imports, first tables
        ours()
        limit()
        yield line(name, paired(rounds, ours, limit))
