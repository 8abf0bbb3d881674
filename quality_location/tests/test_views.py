"""A view over released tables is a view in the release, and works wherever the file is put."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from databox_shared.contracts import MARTS, contract

from .conftest import DAYS, VIEWS, failed_checks

if TYPE_CHECKING:
    from .conftest import World

VIEW = contract(MARTS).tables["checklist_species"]
STORED = f"stored.{VIEW.schema}__{VIEW.name}"
QUERY = VIEWS[VIEW.full_name]


def define(world: "World", query: str) -> None:
    world.run_sql("transform", f"CREATE OR REPLACE VIEW {STORED} AS {query}")
    world.publish()


def test_the_release_has_the_view_and_says_so(released_world: "World") -> None:
    world = released_world
    kinds = world.query(
        "SELECT table_type FROM information_schema.tables WHERE table_name = 'checklist_species'"
    )
    assert kinds == [("VIEW",)]
    assert world.query(f"SELECT count(*) FROM {VIEW.full_name}") == [(6,)]
    columns = world.query(f"DESCRIBE {VIEW.full_name}")
    assert [(row[0], row[1]) for row in columns] == [(c.name, c.type) for c in VIEW.columns]
    about = dict(world.query("FROM about"))
    assert about[f"view {VIEW.full_name}"].startswith("computed from the tables")
    said = json.loads((world.release.folder / "manifest.json").read_text())
    assert "transform" not in said["views"][VIEW.full_name]
    assert VIEW.full_name not in said["rows"]
    comments = world.query(
        "SELECT comment FROM duckdb_views() WHERE view_name = 'checklist_species' UNION ALL "
        "SELECT comment FROM duckdb_columns() WHERE table_name = 'checklist_species'"
    )
    assert [row[0] for row in comments[1:]] == [column.description for column in VIEW.columns]
    assert str(comments[0][0]).startswith(VIEW.description)


@pytest.mark.parametrize("catalog", ["", "birds"])
def test_the_view_works_in_a_file_of_any_name(
    released_world: "World", tmp_path: Path, catalog: str
) -> None:
    copy = tmp_path / "my birds (1).duckdb"
    shutil.copy(released_world.settings.release_path, copy)
    with duckdb.connect() if catalog else duckdb.connect(str(copy), read_only=True) as db:
        if catalog:
            db.execute(f"ATTACH '{copy}' AS {catalog} (READ_ONLY)")
        name = f"{catalog}.{VIEW.full_name}".removeprefix(".")
        assert db.execute(f"SELECT sum(how_many)::INT FROM {name}").fetchall() == [(36,)]


def test_a_view_over_what_is_not_released_is_released_as_its_rows(world: "World") -> None:
    define(world, f"{QUERY} AND 0 < (SELECT count(*) FROM transform.stored.ebird_staging__taxa)")
    assert failed_checks(world.check()) == {}
    manifest = world.release.manifest
    assert not manifest.views
    assert manifest.rows[VIEW.full_name] == 6
    parquet = world.release.folder / "parquet" / VIEW.schema / f"{VIEW.name}.parquet"
    assert world.query(f"SELECT count(*) FROM '{parquet}'") == [(6,)]


def test_another_query_makes_another_release(released_world: "World") -> None:
    before = released_world.release.folder
    define(released_world, QUERY.replace("true AS", "false AS"))
    released_world.check()
    assert released_world.release.folder != before
    assert released_world.query(f"SELECT DISTINCT is_present FROM {VIEW.full_name}") == [(False,)]


def test_a_query_that_multiplies_rows_is_found_on_the_newest_days(world: "World") -> None:
    define(world, f"({QUERY}) UNION ALL ({QUERY})")
    found = failed_checks(world.check())["ebird.checklist_species:key"]
    assert "12 of 12 rows of the newest 7 days fail" in str(found.description)
    with pytest.raises(AssertionError, match="nothing is released"):
        _ = world.release


def test_only_the_newest_days_of_a_view_are_looked_at(world: "World") -> None:
    for table in ("species_daily", "region_daily_totals"):
        name = f"stored.ebird__{table}"
        world.run_sql(
            "transform",
            f"INSERT INTO {name} SELECT * REPLACE (obs_date - 30 AS obs_date) FROM {name} "
            f"WHERE obs_date = '{DAYS[0]}'",
        )
    world.publish()
    result = world.check()
    [key] = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.asset_key == VIEW.asset_key and evaluation.check_name == "key"
    ]
    assert str(key.description) == "All 6 rows of the newest 7 days pass."
