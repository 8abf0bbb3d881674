"""The same birds give the same release, whatever DATABASE_URL names."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from plant import READ_DATE, environment, warehouse
from postgres import Postgres
from test_lake import S3_KEYS

from databox_shared.contracts import MARTS, contract
from databox_shared.days import DAYS_TAG, READ_DATE_TAG
from databox_shared.lake import parse_lake
from databox_shared.settings import load_settings
from ebird_sandbox.process import running_sandbox
from ingestion_location.definitions import defs as ingestion
from quality_location.definitions import definitions as quality
from quality_location.release import Manifest, current_release
from transform_location.definitions import defs as transform

pytestmark = pytest.mark.slow

DAYS = "2026-05-15/2026-05-16"
CHAIN = (
    (ingestion, "daily_ebird_pipeline"),
    (transform, "transform_pipeline"),
    (quality, "data_quality_checks"),
)
TABLES = [table.full_name for table in contract(MARTS).tables.values()]

Released = Mapping[str, list[tuple[Any, ...]]]


def run_chain() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for definitions, job in CHAIN:
            definitions.resolve_job_def(job).execute_in_process(
                instance=instance, tags={DAYS_TAG: DAYS, READ_DATE_TAG: READ_DATE}
            )


def released_file() -> Released:
    with duckdb.connect(str(load_settings().release_path), read_only=True) as connection:
        return {t: connection.execute(f"FROM {t} ORDER BY ALL").fetchall() for t in TABLES}


def released_manifest() -> Manifest:
    release = current_release(load_settings())
    assert release, "nothing is released"
    return release.manifest


def released_in_lake(url: str, s3: str) -> Released:
    """As a person asks it, who knows nothing but the database, a password and keys of S3."""
    with duckdb.connect() as connection:
        parse_lake(url, Path(), s3).introduce(connection)
        connection.execute(
            f"ATTACH 'ducklake:postgres:{url.partition('?')[0]}' AS birds (READ_ONLY)"
        )
        return {t: connection.execute(f"FROM birds.{t} ORDER BY ALL").fetchall() for t in TABLES}


def released_in_postgres(postgres: Postgres, database: str) -> Released:
    """The same from any client of PostgreSQL."""
    found = {table: postgres.execute(f"SELECT * FROM {table}", database) for table in TABLES}
    return {table: _sorted(rows) for table, rows in found.items()}


def _sorted(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    # PostgreSQL sorts texts by the language of the server
    return sorted(rows, key=lambda row: [(value is None, value) for value in row])


def test_a_lake_and_postgresql_release_the_rows_that_a_file_does(
    postgres: Postgres, s3: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    with running_sandbox() as sandbox:
        own = {"EBIRD_API_URL": sandbox.url, "AWS_ENDPOINT_URL": s3, **S3_KEYS}
        with environment(**(warehouse(file) | own)):
            run_chain()
            expected = released_file()
            assert set(released_manifest().views) == {"ebird.checklist_species"}
        assert len(expected["ebird.region_daily_totals"]) == 2
        for scheme, data in (
            ("ducklake:postgres", "?data_path=s3://birds/lake"),
            ("postgresql", ""),
        ):
            machine, database = tmp_path / scheme.replace(":", "-"), postgres.new_database()
            # what the API says is read once: an answer carries the time at which it was read
            landing = Path(".databox/ingestion/landing")
            shutil.copytree(file / landing, machine / landing)
            own["DATABASE_URL"] = postgres.url(database).replace("postgresql", scheme) + data
            own["DATABASE_DIR"] = str(machine)
            with environment(**(warehouse(machine) | own)):
                run_chain()
                assert released_file() == expected
                assert set(released_manifest().views) == {"ebird.checklist_species"}
                if scheme == "postgresql":
                    assert released_in_postgres(postgres, database) == {
                        table: _sorted(rows) for table, rows in expected.items()
                    }
                else:
                    assert released_in_lake(f"{postgres.url(database)}{data}", s3) == expected
            assert not list(machine.glob(".databox/*/snapshots")), "handed over in a file"
