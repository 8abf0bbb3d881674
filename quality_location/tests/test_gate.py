"""The gate: what is good is released, what is bad withholds it, and the last release stays."""

import hashlib
from typing import TYPE_CHECKING

import dagster as dg
import duckdb
import pytest

from quality_location import assets
from quality_location.checks import RowCheck
from quality_location.evaluate import Outcome
from quality_location.release_file import released_tables

from .conftest import DAYS, OBSERVER, PRIVATE_NAME, PRIVATE_PLACE, VIEWS, failed_checks

if TYPE_CHECKING:
    from .conftest import World


def test_good_data_passes_every_check_and_is_released(world: "World") -> None:
    result = world.check()
    assert failed_checks(result) == {}
    rows = world.release.manifest.rows
    assert set(rows) | set(VIEWS) == {table.full_name for table in released_tables()}
    assert rows["ebird.species_daily"] == 6
    assert world.query("SELECT count(*) FROM ebird.species_daily") == [(6,)]


BAD_ROWS: dict[str, tuple[str, str, str]] = {
    # what went wrong: (location, statement, the check that must say so)
    "a checklist loaded twice": (
        "ingestion",
        "INSERT INTO stored.ebird_raw__checklists FROM stored.ebird_raw__checklists LIMIT 1",
        "ebird_raw.checklists:key",
    ),
    "an observation without its checklist": (
        "ingestion",
        "UPDATE stored.ebird_raw__observations SET sub_id = 'S404' WHERE obs_id = 'OBSS00norcar'",
        "ebird_raw.observations:sub_id_in_checklists",
    ),
    "a bird that the taxonomy does not know": (
        "ingestion",
        "UPDATE stored.ebird_raw__recent_observations SET species_code = 'dodo1'",
        "ebird_raw.recent_observations:species_code_in_taxa",
    ),
    "a bird off the globe": (
        "ingestion",
        "UPDATE stored.ebird_raw__notable_observations SET lat = 'NaN'",
        "ebird_raw.notable_observations:values",
    ),
    "a lost day": (
        "ingestion",
        "UPDATE stored.ebird_raw__region_stats SET listed_checklists = 60",
        "ebird_raw.region_stats:no_checklists_lost",
    ),
    "a hotspot without a name": (
        "ingestion",
        "UPDATE stored.ebird_raw__hotspots SET loc_name = NULL",
        "ebird_raw.hotspots:values",
    ),
    "a kind of taxon nobody knows": (
        "ingestion",
        "UPDATE stored.ebird_raw__taxa SET category = 'dragon'",
        "ebird_raw.taxa:values",
    ),
    "a region twice": (
        "ingestion",
        "INSERT INTO stored.ebird_raw__regions SELECT * FROM stored.ebird_raw__regions",
        "ebird_raw.regions:key",
    ),
    "a day that the totals forgot": (
        "transform",
        f"DELETE FROM stored.ebird__region_daily_totals WHERE obs_date = '{DAYS[0]}'",
        "ebird_staging.checklists:counted_in_daily_totals",
    ),
    "a count below zero": (
        "transform",
        "UPDATE stored.ebird_staging__observations SET how_many = -1",
        "ebird_staging.observations:values",
    ),
    "birds that the transform loses": (
        "transform",
        "DELETE FROM stored.ebird_staging__observations WHERE species_code = 'norcar'",
        "ebird_raw.observations:reached_staging",
    ),
    "a taxon without a name": (
        "transform",
        "UPDATE stored.ebird_staging__taxa SET com_name = NULL WHERE species_code = 'norcar'",
        "ebird_staging.taxa:values",
    ),
    "the name of a private garden": (
        "transform",
        (
            f"UPDATE stored.ebird_staging__locations SET loc_name = $${PRIVATE_NAME}$$ "
            "WHERE loc_id = 'L2'"
        ),
        "ebird_staging.locations:no_private_place_or_person",
    ),
    "a total below zero": (
        "transform",
        "UPDATE stored.ebird_staging__region_stats SET stats_species = -3",
        "ebird_staging.region_stats:values",
    ),
    "a person's name in a mart": (
        "transform",
        f"UPDATE stored.ebird__species_daily SET sci_name = '{OBSERVER}'",
        "ebird.species_daily:no_private_place_or_person",
    ),
    "a total that does not add up": (
        "transform",
        (
            f"UPDATE stored.ebird__region_daily_totals SET num_checklists = 7 "
            f"WHERE obs_date = '{DAYS[1]}'"
        ),
        "ebird.region_daily_totals:totals_add_up",
    ),
    "the coordinates of a private garden": (
        "transform",
        (
            "UPDATE stored.ebird__hotspot_ranking "
            f"SET latitude = {PRIVATE_PLACE[0]}, longitude = {PRIVATE_PLACE[1]}"
        ),
        "ebird.hotspot_ranking:no_private_place_or_person",
    ),
    "a column that is gone": (
        "transform",
        (
            "DROP VIEW ebird.species_daily; CREATE VIEW ebird.species_daily AS "
            "SELECT * EXCLUDE (birds_counted) FROM transform.stored.ebird__species_daily"
        ),
        "ebird.species_daily:schema",
    ),
    "a column of another type": (
        "transform",
        (
            "DROP VIEW ebird_staging.taxa; CREATE VIEW ebird_staging.taxa AS "
            "SELECT * REPLACE (taxon_order::INTEGER AS taxon_order) "
            "FROM transform.stored.ebird_staging__taxa"
        ),
        "ebird_staging.taxa:schema",
    ),
    "a table that is gone": (
        "ingestion",
        "DROP VIEW ebird_raw.hotspots",
        "ebird_raw.hotspots:schema",
    ),
}


@pytest.mark.parametrize("drill", BAD_ROWS)
def test_bad_data_withholds_the_release_and_the_right_check_says_so(
    released_world: "World", drill: str
) -> None:
    world = released_world
    before = (world.release.folder, _digest(world))
    location, statement, expected = BAD_ROWS[drill]
    world.run_sql(location, statement)
    world.publish()

    result = world.check()

    failed = failed_checks(result)
    assert expected in failed
    assert failed[expected].severity is dg.AssetCheckSeverity.ERROR
    table, _, check = expected.partition(":")
    withheld = failed["release.databox:release_is_current"]
    assert f"{table}: {check}: " in (withheld.description or "")
    assert (world.release.folder, _digest(world)) == before
    assert not released(result)


WARNINGS: dict[str, tuple[str, str, str]] = {
    "a day that eBird counts more checklists for": (
        "ingestion",
        "UPDATE stored.ebird_raw__region_stats SET num_checklists = 400, is_capped = true",
        "ebird_raw.region_stats:checklists_complete",
    ),
    "a field that the API has invented": (
        "ingestion",
        (
            "DROP VIEW ebird_raw.hotspots; CREATE VIEW ebird_raw.hotspots AS "
            "SELECT *, 1 AS mood FROM ingestion.stored.ebird_raw__hotspots"
        ),
        "ebird_raw.hotspots:no_unknown_columns",
    ),
    "a species that got lost": (
        "transform",
        "UPDATE stored.ebird_staging__checklists SET num_species = 4 WHERE sub_id = 'S00'",
        "ebird_staging.checklists:species_add_up",
    ),
    "a checklist that came after the transform": (
        "ingestion",
        (
            "INSERT INTO stored.ebird_raw__checklists "
            "SELECT * REPLACE ('S09' AS sub_id) FROM stored.ebird_raw__checklists LIMIT 1"
        ),
        "ebird_raw.checklists:reached_staging",
    ),
}


@pytest.mark.parametrize("drill", WARNINGS)
def test_a_warning_is_given_and_the_release_is_made(world: "World", drill: str) -> None:
    location, statement, expected = WARNINGS[drill]
    world.run_sql(location, statement)
    snapshot = world.publish()

    result = world.check()

    failed = failed_checks(result)
    assert list(failed) == [expected]
    assert failed[expected].severity is dg.AssetCheckSeverity.WARN
    assert world.release.manifest.snapshots["transform"] == snapshot.id
    assert released(result)


def test_a_failed_check_shows_rows_and_a_query_that_finds_them(released_world: "World") -> None:
    world = released_world
    world.run_sql("ingestion", "UPDATE stored.ebird_raw__checklists SET latitude = 91")
    world.publish()

    evaluation = failed_checks(world.check())["ebird_raw.checklists:values"]

    assert evaluation.metadata["failing_rows"].value == 6
    assert evaluation.metadata["failing_by_day"].value == {str(day): 3 for day in DAYS}
    sample = str(evaluation.metadata["sample"].value)
    assert "S00" in sample
    assert "latitude" not in sample, "it is private"
    query = str(evaluation.metadata["query"].value)
    statements = query.removeprefix("```sql\n").removesuffix("\n```")
    with duckdb.connect() as db:
        assert len(db.execute(statements).fetchall()) == 6


def test_a_check_that_crashes_fails_the_run_and_releases_nothing(
    released_world: "World", monkeypatch: pytest.MonkeyPatch
) -> None:
    world = released_world
    before = (world.release.folder, _digest(world))
    world.run_sql("transform", "UPDATE stored.ebird__species_daily SET birds_counted = 7")
    world.publish()
    last = assets.CHECKS[-1].table
    crash = RowCheck(last, "crash", "It crashes.", blocking=False, fails={"x": "error('boom')"})
    monkeypatch.setattr(assets, "CHECKS", [*assets.CHECKS, crash])

    result = world.check(raise_on_error=False)

    assert not result.success
    assert (world.release.folder, _digest(world)) == before


def test_nothing_is_released_when_an_expected_check_did_not_run() -> None:
    expected = assets.CHECKS
    outcomes = [Outcome(check, 0, "All rows pass.") for check in expected]
    assert assets.why_withheld(outcomes, expected) == ""
    for missing, check in enumerate(expected):
        others = [*outcomes[:missing], *outcomes[missing + 1 :]]
        assert f"{check.name}: not checked" in assets.why_withheld(others, expected)


def test_a_bad_first_day_releases_nothing_at_all(world: "World") -> None:
    world.run_sql("transform", "UPDATE stored.ebird__species_daily SET com_name = NULL")
    world.publish()
    result = world.check()
    assert "release.databox:release_is_current" in failed_checks(result)
    assert not world.settings.release_path.exists()


def test_once_mended_the_data_is_released(released_world: "World") -> None:
    world = released_world
    world.run_sql("transform", "UPDATE stored.ebird__species_daily SET birds_counted = -7")
    world.publish()
    assert failed_checks(world.check())
    world.run_sql("transform", "UPDATE stored.ebird__species_daily SET birds_counted = 7")
    world.publish()
    assert not failed_checks(world.check())
    assert world.query("SELECT DISTINCT birds_counted FROM ebird.species_daily") == [(7,)]


def _digest(world: "World") -> str:
    return hashlib.sha256(world.settings.release_path.read_bytes()).hexdigest()


def test_what_is_tolerated_warns_and_one_row_more_blocks() -> None:
    check = next(check for check in assets.CHECKS if getattr(check, "tolerates", 0))
    assert not Outcome(check, 0, "", rows=100).blocks
    assert not Outcome(check, 5, "", rows=100).blocks
    assert Outcome(check, 6, "", rows=100).blocks
    assert Outcome(check, 1, "", rows=0).blocks, "a check that could not be asked"


def released(result: dg.ExecuteInProcessResult) -> bool:
    return any(
        event.asset_key.path == ["release", "databox"]
        for event in result.asset_materializations_for_node("data_quality")
    )
