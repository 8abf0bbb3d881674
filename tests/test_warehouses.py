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

from databox_shared.contracts import MARTS, contract
from databox_shared.days import DAYS_TAG, READ_DATE_TAG
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


def released_in_lake(postgres: Postgres, database: str) -> Released:
    """As a person asks it, who knows nothing but the database and a password."""
    lake = load_settings().lake
    assert lake is not None
    with duckdb.connect() as connection:
        lake.introduce(connection)
        connection.execute(
            f"ATTACH 'ducklake:postgres:{postgres.url(database)}' AS birds (READ_ONLY)"
        )
        return {t: connection.execute(f"FROM birds.{t} ORDER BY ALL").fetchall() for t in TABLES}


def test_a_lake_releases_the_rows_that_a_file_does(postgres: Postgres, tmp_path: Path) -> None:
    file, machine, database = tmp_path / "file", tmp_path / "machine", postgres.new_database()
    with running_sandbox() as sandbox:
        own = {"EBIRD_API_URL": sandbox.url}
        with environment(**(warehouse(file) | own)):
            run_chain()
            expected = released_file()
            assert set(released_manifest().views) == {"ebird.checklist_species"}
        assert len(expected["ebird.region_daily_totals"]) == 2
        # what the API says is read once: an answer carries the time at which it was read
        landing = Path(".databox/ingestion/landing")
        shutil.copytree(file / landing, machine / landing)
        own["DATABASE_URL"] = postgres.url(database).replace("postgresql:", "ducklake:postgres:")
        own["DATABASE_DIR"] = str(machine)
        with environment(**(warehouse(machine) | own)):
            run_chain()
            assert released_in_lake(postgres, database) == expected
            assert released_file() == expected
            assert set(released_manifest().views) == {"ebird.checklist_species"}
            assert not list(machine.glob(".databox/*/snapshots")), "handed over in a file"
