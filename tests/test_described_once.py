"""A table is described once, in its contract: change only that, and every location follows it.

Each location runs in a process with a `databox_shared` whose contracts differ from today's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared_versions import contract_text, run_with, shared_version

from databox_shared.contracts import MARTS, RAW
from databox_shared.settings import project_root

pytestmark = pytest.mark.slow

COLUMN = {
    "name": "surprise",
    "physicalType": "BIGINT",
    "logicalType": "integer",
    "required": True,
    "logicalTypeOptions": {"minimum": 7},
    "description": "Nobody expects it.",
}
TABLE = {
    "name": "surprise",
    "description": "Nobody expects it.",
    "dataGranularityDescription": "one row per surprise",
    "properties": [COLUMN | {"primaryKey": True, "primaryKeyPosition": 1}],
}

# what dlt is given for a table, and what Dagster shows of it
INGESTION = """
import json
import dagster as dg
from ingestion_location.definitions import defs
from ingestion_location.ebird.load import _arrow_schema
from ingestion_location.ebird.tables import RAW_TABLES

field = _arrow_schema(RAW_TABLES["regions"], {}).field("surprise")
key = dg.AssetKey(["ebird_raw", "regions"])
schema = defs.resolve_asset_graph().get(key).metadata["dagster/column_schema"].columns
shown = next(column for column in schema if column.name == "surprise")
print(json.dumps([str(field.type), field.nullable, shown.type, shown.description]))
"""

# what SQLMesh takes the raw table for
TRANSFORM = """
import json
from transform_location.warehouse import load_project

context = load_project()
model = next(m for m in context.models.values() if m.kind.is_external and m.view_name == "regions")
kind = model.columns_to_types["surprise"].sql("duckdb")
print(json.dumps([kind, model.column_descriptions["surprise"]]))
"""

# what quality looks for, and what it finds wrong in a table as it was before
QUALITY = """
import json
import duckdb
from databox_shared.contracts import RAW, contract
from quality_location.assets import CHECKS
from quality_location.evaluate import broken_tables

table = contract(RAW).tables["regions"]
connection = duckdb.connect()
old = ", ".join(f"{c.name} {c.type}" for c in table.columns if c.name != "surprise")
connection.execute("ATTACH ':memory:' AS ingestion; CREATE SCHEMA ingestion.ebird_raw")
connection.execute(f"CREATE TABLE ingestion.{table.full_name} ({old})")
(values,) = (c for c in CHECKS if c.table == table and c.name == "values")
broken = broken_tables(connection, [table])
print(json.dumps([sorted(w for w in values.fails if "surprise" in w), broken]))
"""


def changed(name: str, table: str | None = None) -> str:
    """Today's contract with a surprising column in a table, or with a surprising table."""
    document = yaml.safe_load(contract_text(name))
    if table is None:
        document["schema"].append(TABLE)
    else:
        (found,) = (entry for entry in document["schema"] if entry["name"] == table)
        found["properties"].append(COLUMN)
    return yaml.safe_dump(document)


@pytest.fixture(scope="module")
def wider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A databox_shared whose raw contract has a column more."""
    return shared_version(tmp_path_factory.mktemp("wider"), {RAW: changed(RAW, "regions")})


def said(shared: Path, code: str) -> Any:
    done = run_with(shared, code, database_url=f"duckdb:///{shared}/databox.duckdb")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_dlts_types_and_the_assets_columns_follow_the_contract(wider: Path) -> None:
    assert said(wider, INGESTION) == ["int64", False, "BIGINT", COLUMN["description"]]


def test_sqlmeshs_external_models_follow_the_contract(wider: Path) -> None:
    assert said(wider, TRANSFORM) == ["BIGINT", COLUMN["description"]]


def test_the_checks_of_quality_follow_the_contract(wider: Path) -> None:
    values, broken = said(wider, QUALITY)
    assert values == ["7 ≤ surprise is broken", "surprise is null"]
    assert "surprise" in broken["ebird_raw.regions"]


@pytest.mark.parametrize(
    ("location", "name", "sentence"),
    [
        ("ingestion", RAW, "the raw tables of ingestion differ in: surprise"),
        ("transform", MARTS, "the contract promises ebird.surprise and no model makes it"),
        ("quality", "data_quality", "the tables that quality fills differ in: surprise"),
    ],
)
def test_a_contracted_table_that_nobody_makes_does_not_load(
    tmp_path: Path, location: str, name: str, sentence: str
) -> None:
    manifest = project_root() / "transform_location/src/transform_location/manifest.json"
    before = manifest.read_bytes()
    shared = shared_version(tmp_path, {name: changed(name)})
    code = f"import {location}_location.definitions"
    done = run_with(shared, code, database_url=f"duckdb:///{tmp_path}/databox.duckdb")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert manifest.read_bytes() == before


@pytest.mark.parametrize(
    ("location", "name", "table", "sentence"),
    [
        ("ingestion", RAW, "hotspots", "the raw tables of ingestion differ in: hotspots"),
        ("transform", MARTS, "targets", "the model ebird.targets has no table in a contract"),
        ("quality", "data_quality", "incidents", "quality fills differ in: incidents"),
    ],
)
def test_a_table_without_a_contract_does_not_load(
    tmp_path: Path, location: str, name: str, table: str, sentence: str
) -> None:
    document = yaml.safe_load(contract_text(name))
    document["schema"] = [entry for entry in document["schema"] if entry["name"] != table]
    shared = shared_version(tmp_path, {name: yaml.safe_dump(document)})
    code = f"import {location}_location.definitions"
    done = run_with(shared, code, database_url=f"duckdb:///{tmp_path}/databox.duckdb")
    assert done.returncode == 1
    assert sentence in done.stderr
