"""What the code server loads: fast, without SQLMesh, and in step with the contracts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from databox_shared.contracts import MARTS, RAW, STAGING, contract
from databox_shared.days import daily_partitions
from transform_location.definitions import defs

REPOSITORY = defs.get_repository_def()
GRAPH = REPOSITORY.asset_graph


def test_the_location_has_one_asset_for_each_table_of_its_contracts() -> None:
    promised = {
        table.asset_key: group
        for schema, group in ((STAGING, "sqlmesh_staging"), (MARTS, "sqlmesh_marts"))
        for table in contract(schema).tables.values()
    }
    assert {key: GRAPH.get(key).group_name for key in GRAPH.materializable_asset_keys} == promised


@pytest.mark.parametrize("schema", [STAGING, MARTS])
def test_every_asset_says_what_it_is(schema: str) -> None:
    for table in contract(schema).tables.values():
        node = GRAPH.get(table.asset_key)
        assert table.description in (node.description or "")
        assert node.owners == [table.owner]
        assert node.kinds == {"sqlmesh", "duckdb"}
        assert node.code_version
        assert node.partitions_def == (daily_partitions if table.day_column else None)
        assert node.metadata["dagster/table_name"] == table.full_name
        assert node.metadata["dagster/column_schema"] == table.column_schema
        assert f"name {table.full_name}" in node.metadata["sql"].value
        assert "dagster/code_references" in node.metadata


def test_lineage_leads_from_every_column_of_a_mart_to_columns_of_ingestions_tables() -> None:
    def sources(table: str, column: str) -> set[str]:
        """The raw columns that a column is computed from, over all models between."""
        if table.startswith(f"{RAW}."):
            return {f"{table}.{column}"}
        lineage = GRAPH.get(dg.AssetKey(table.split("."))).metadata["dagster/column_lineage"]
        return set[str]().union(
            *(
                sources(".".join(dep.asset_key.path), dep.column_name)
                for dep in lineage.deps_by_column[column]
            )
        )

    counts = sources("ebird.species_daily", "birds_counted")
    assert "ebird_raw.observations.how_many_str" in counts
    assert "ebird_raw.checklists.loc_name" not in counts
    assert sources("ebird.checklists", "loc_name") >= {"ebird_raw.hotspots.loc_name"}
    # the only mart columns that no table of ingestion has a part in
    elsewhere = {("targets", "person"), ("hotspot_ranking", "period")}
    for table in contract(MARTS).tables.values():
        for column in table.columns:
            found = sources(table.full_name, column.name)
            assert bool(found) != ((table.name, column.name) in elsewhere), (table, column)


def test_raw_tables_are_read_and_not_made_here() -> None:
    raw = {table.asset_key for table in contract(RAW).tables.values()}
    assert not raw & GRAPH.materializable_asset_keys
    parents = {
        parent for key in GRAPH.materializable_asset_keys for parent in GRAPH.get(key).parent_keys
    }
    assert parents - GRAPH.materializable_asset_keys <= raw


def test_every_model_has_its_contracts_checks() -> None:
    checks = {(key.asset_key, key.name) for key in GRAPH.asset_check_keys}
    tables = [*contract(STAGING).tables.values(), *contract(MARTS).tables.values()]
    for key in (table.asset_key for table in tables if not table.is_view):
        assert {(key, "unique_grain"), (key, "required_columns")} <= checks


def test_one_op_does_all_of_it_alone() -> None:
    [assets] = [item for item in defs.assets or [] if isinstance(item, dg.AssetsDefinition)]
    assert assets.op.pool == "transform_duckdb"
    assert assets.backfill_policy == dg.BackfillPolicy.single_run()
    for name in ("transform_pipeline", "deploy_models"):
        assert REPOSITORY.get_job(name).executor_def is dg.in_process_executor


def said_by_new_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_definitions_load_without_sqlmesh_duckdb_and_pandas() -> None:
    code = (
        "import sys, transform_location.definitions\n"
        "print([name for name in ('sqlmesh', 'sqlglot', 'duckdb', 'pandas', 'dlt', 'tzfpy') "
        "if name in sys.modules])"
    )
    assert said_by_new_process(code) == "[]"


def test_sqlmesh_forks_no_process_that_could_outlive_a_run_and_hold_its_locks(
    tmp_path: Path,
) -> None:
    code = (
        # the order in which a run's worker imports them
        "import os, transform_location.definitions, transform_location.models\n"
        "from databox_shared.settings import Settings\n"
        "from sqlmesh.core.context import Context\n"
        "from transform_location.manifest import PROJECT\n"
        "from transform_location.warehouse import sqlmesh_config, state_folder\n"
        "os.fork = lambda: os._exit(1)\n"
        f"settings = Settings(database_url='duckdb:///{tmp_path}/databox.duckdb')\n"
        "state_folder(settings).mkdir(parents=True)\n"
        "context = Context(paths=[str(PROJECT)], config=sqlmesh_config(settings))\n"
        "print(len(context.models) > 0)"
    )
    assert said_by_new_process(code) == "True"
