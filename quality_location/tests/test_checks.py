"""Single checks, asked directly: what they let through and what they do not."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dagster_duckdb import DuckDBResource

from quality_location.assets import CHECKS
from quality_location.checks import FreshnessCheck
from quality_location.evaluate import Outcome, broken_tables, evaluate_table
from quality_location.private import private_values_sql
from quality_location.warehouse import attached, held_snapshots

from .conftest import DAYS

if TYPE_CHECKING:
    from .conftest import World

END_OF_DAYS = datetime(DAYS[1].year, DAYS[1].month, DAYS[1].day, tzinfo=UTC) + timedelta(days=1)


def ask(world: "World", name: str, now: datetime = END_OF_DAYS) -> Outcome:
    """The outcome of one check, `schema.table:check`."""
    table, _, wanted = name.partition(":")
    [check] = [c for c in CHECKS if (c.table.full_name, c.name) == (table, wanted)]
    resource = DuckDBResource(database=":memory:")
    settings = world.settings
    with held_snapshots(settings) as held, attached(resource, settings, held) as connection:
        for statement in private_values_sql():
            connection.execute(statement)
        broken = broken_tables(connection, [check.table])
        [outcome] = evaluate_table(connection, check.table, [check], broken=broken, now=now)
    return outcome


@pytest.mark.parametrize(("late", "is_fresh"), [(0, True), (36, True), (37, False), (-1, True)])
def test_a_day_is_fresh_for_its_hours_after_it_has_ended(
    world: "World", late: int, is_fresh: bool
) -> None:
    now = END_OF_DAYS + timedelta(hours=late)
    assert ask(world, "ebird.species_daily:fresh", now).passed is is_fresh


def test_what_is_refreshed_daily_is_watched_by_the_column_that_tells_it() -> None:
    watched = {
        check.table.full_name: check.moment.removeprefix("t.")
        for check in CHECKS
        if isinstance(check, FreshnessCheck) and check.name == "fresh"
    }
    by_day = dict.fromkeys(
        [
            *("ebird_raw.checklists", "ebird_raw.observations", "ebird_raw.region_stats"),
            *("ebird_raw.historic_observations", "ebird_raw.top100"),
            *("ebird_staging.checklists", "ebird_staging.observations"),
            *("ebird_staging.region_stats", "ebird_staging.species_reports"),
            *("ebird.species_daily", "ebird.region_daily_totals"),
            *("ebird.checklists", "ebird.checklist_reports"),
        ],
        "obs_date",
    )
    read = dict.fromkeys(
        [
            *("ebird_raw.hotspots", "ebird_raw.species_lists"),
            *("ebird_raw.taxa", "ebird_raw.regions", "ebird_staging.locations"),
        ],
        "read_at",
    )
    assert watched == {
        **by_day,
        **read,
        "ebird_raw.recent_observations": "polled_at",
        "ebird_raw.notable_observations": "polled_at",
        "ebird_raw.notable_polls": "polled_at",
        "ebird_staging.place_months": "last_visit",
        "ebird.hotspot_ranking": "last_visit",
        "ebird.species_last_seen": "last_seen",
        "ebird.phenology": "last_date",
    }


def test_a_version_of_the_taxonomy_that_was_missed_is_told(world: "World") -> None:
    # the newest one is read once, and the next comes in a year
    assert ask(world, "ebird_raw.taxa:fresh", END_OF_DAYS + timedelta(days=399)).passed
    assert not ask(world, "ebird_raw.taxa:fresh", END_OF_DAYS + timedelta(days=401)).passed


def test_an_empty_table_is_not_fresh(world: "World") -> None:
    world.run_sql("ingestion", "DELETE FROM stored.ebird_raw__notable_polls")
    world.publish()
    assert not ask(world, "ebird_raw.notable_polls:fresh").passed


def test_the_last_good_day_is_not_the_last_day(world: "World") -> None:
    name = "ebird.region_daily_totals:last_good_day"
    world.run_sql(
        "transform",
        "UPDATE stored.ebird__region_daily_totals SET completeness = 0.5 "
        f"WHERE obs_date = '{DAYS[1]}'",
    )
    world.publish()
    assert ask(world, name, END_OF_DAYS + timedelta(hours=48)).passed
    assert not ask(world, name, END_OF_DAYS + timedelta(hours=49)).passed


def test_a_region_that_stopped_is_not_hidden_by_one_that_goes_on(world: "World") -> None:
    _add_region(world, "US-MA", last_day=DAYS[0])
    now = END_OF_DAYS + timedelta(hours=13)
    for name in ("ebird_raw.region_stats:fresh", "ebird.region_daily_totals:fresh"):
        outcome = ask(world, name, now)
        assert not outcome.passed
        assert outcome.reason == (
            "The newest of US-MA is 2020-11-20, 37 hours ago; 36 hours are allowed."
        )
    late = END_OF_DAYS + timedelta(hours=49)
    outcome = ask(world, "ebird.region_daily_totals:last_good_day", late)
    assert "The newest of US-MA is 2020-11-20, 73 hours ago" in outcome.reason


def test_a_region_that_is_not_asked_for_any_more_is_not_judged(world: "World") -> None:
    _add_region(world, "US-MA", last_day=DAYS[0])
    # its name stays, as it was read last
    world.run_sql(
        "ingestion",
        "UPDATE stored.ebird_raw__regions SET read_at = read_at - INTERVAL 1 DAY "
        "WHERE region_code = 'US-MA'",
    )
    world.publish()
    outcome = ask(world, "ebird.region_daily_totals:fresh", END_OF_DAYS + timedelta(hours=13))
    assert outcome.passed
    assert "The newest of US-DC is 2020-11-21" in outcome.reason
    assert "Not asked for any more: US-MA." in outcome.reason


@pytest.mark.parametrize("table", ["top100", "notable_observations"])
def test_a_region_that_never_has_such_rows_has_none_that_are_old(
    world: "World", table: str
) -> None:
    """A county has no leaders, there may be no rare bird, and an empty day adds none."""
    world.run_sql(
        "ingestion",
        f"DELETE FROM stored.ebird_raw__{table}; UPDATE stored.ebird_raw__region_stats "
        f"SET num_checklists = 0 WHERE obs_date = '{DAYS[0]}'",
    )
    world.publish()
    outcome = ask(world, f"ebird_raw.{table}:fresh", END_OF_DAYS + timedelta(days=90))
    assert outcome.passed
    assert outcome.reason == "No region that is asked for has such a row."


def test_an_asked_region_that_never_came_is_told(world: "World") -> None:
    _add_region(world, "US-MA", last_day=None)
    outcome = ask(world, "ebird.region_daily_totals:fresh")
    assert outcome.reason == "There is no such row at all for US-MA."


def test_a_day_for_which_ebird_has_no_checklist_is_not_missing(world: "World") -> None:
    _add_region(world, "US-MA", last_day=DAYS[0])
    now = END_OF_DAYS + timedelta(hours=13)
    assert not ask(world, "ebird.species_daily:fresh", now).passed
    world.run_sql(
        "ingestion",
        "INSERT INTO stored.ebird_raw__region_stats SELECT * REPLACE ('US-MA' AS region_code, "
        f"0 AS num_checklists) FROM stored.ebird_raw__region_stats WHERE obs_date = '{DAYS[1]}'",
    )
    world.publish()
    assert ask(world, "ebird.species_daily:fresh", now).passed


def _add_region(world: "World", code: str, *, last_day: date | None) -> None:
    """Another asked region, loaded like the world's own until a day, or never; published."""
    tables = ("ebird_raw.region_stats", "ebird.region_daily_totals", "ebird.species_daily")
    until = f"obs_date <= '{last_day}'" if last_day else "false"
    for name, rows in [("ebird_raw.regions", "true"), *((name, until) for name in tables)]:
        stored = f"stored.{name.replace('.', '__')}"
        world.run_sql(
            "ingestion" if name.startswith("ebird_raw") else "transform",
            f"INSERT INTO {stored} SELECT * REPLACE ('{code}' AS region_code) FROM {stored} "
            f"WHERE {rows}",
        )
    world.publish()


def test_the_last_days_of_a_region_are_its_own(world: "World") -> None:
    totals = "stored.ebird__region_daily_totals"
    _add_region(world, "US-MA", last_day=DAYS[1])
    world.run_sql(
        "transform",
        # eight usual weeks, then a day that is not; the other region goes on for a month
        f"INSERT INTO {totals} SELECT t.* REPLACE (obs_date - 7 * week::INT AS obs_date, "
        f"60 AS num_checklists) FROM {totals} t, range(1, 9) w(week) "
        f"WHERE region_code = 'US-MA' AND obs_date = '{DAYS[1]}'; "
        f"UPDATE {totals} SET obs_date = obs_date + 30 WHERE region_code = 'US-DC'",
    )
    world.publish()
    assert ask(world, "ebird.region_daily_totals:usual_volume").failing_rows == 1


@pytest.mark.parametrize(
    ("checklists", "is_usual"), [(60, True), (75, True), (45, True), (76, False), (3, False)]
)
def test_volume_is_held_against_the_same_weekday_of_past_weeks(
    world: "World", checklists: int, is_usual: bool
) -> None:
    totals = "stored.ebird__region_daily_totals"
    world.run_sql(
        "transform",
        f"INSERT INTO {totals} SELECT t.* REPLACE (obs_date - 7 * week::INT AS obs_date, "
        # one wild week must not widen what is usual
        f"if(week = 3, 900, 60) AS num_checklists) FROM {totals} t, range(1, 9) w(week) "
        f"WHERE obs_date = '{DAYS[1]}'; "
        f"UPDATE {totals} SET num_checklists = {checklists} WHERE obs_date = '{DAYS[1]}'",
    )
    world.publish()
    outcome = ask(world, "ebird.region_daily_totals:usual_volume")
    assert outcome.passed is is_usual
    if not is_usual:
        assert "| usual_from | usual_to |" in outcome.sample
        assert "| 45.0 | 75.0 |" in outcome.sample


def test_too_few_past_weeks_judge_nothing(world: "World") -> None:
    assert ask(world, "ebird.region_daily_totals:usual_volume").passed


def test_a_day_of_x_counts_is_told(world: "World") -> None:
    world.run_sql(
        "transform",
        "INSERT INTO stored.ebird_staging__observations "
        "SELECT t.* REPLACE (obs_id || n AS obs_id, true AS is_x_count) "
        "FROM stored.ebird_staging__observations t, range(10) r(n)",
    )
    world.publish()
    outcome = ask(world, "ebird.region_daily_totals:few_x_counts")
    assert outcome.failing_rows == 2
    assert "0.909" in outcome.sample


def test_an_old_taxonomy_in_staging_is_told(world: "World") -> None:
    world.run_sql("ingestion", "UPDATE stored.ebird_raw__taxa SET taxonomy_version = 2026")
    world.publish()
    assert ask(world, "ebird_staging.taxa:taxonomy_is_newest").failing_rows == 3


@pytest.mark.parametrize(("primaries", "failing"), [(0, 3), (1, 0), (2, 3)])
def test_a_shared_checklist_is_counted_once(world: "World", primaries: int, failing: int) -> None:
    world.run_sql(
        "transform",
        "UPDATE stored.ebird_staging__checklists SET group_id = 'G1', "
        f"is_group_primary = right(sub_id, 1)::INT < {primaries} WHERE obs_date = '{DAYS[0]}'",
    )
    world.publish()
    assert ask(world, "ebird_staging.checklists:group_counted_once").failing_rows == failing


VERSIONS = {
    # versions of a place as (from, to) in days, and how many fail
    "one after the other": (((0, 3), (3, None)), 0),
    "a gap, while nothing was read": (((0, 2), (3, None)), 0),
    "two at a time": (((0, 4), (3, None)), 1),
    "told and corrected by one read": (((0, 0), (3, None)), 0),
    "an end before the beginning": (((0, -1), (3, None)), 1),
    "no present one": (((0, 3), (3, 5)), 2),
    "two present ones": (((0, None), (3, None)), 2),
}


@pytest.mark.parametrize("case", VERSIONS)
def test_a_place_is_one_thing_at_a_time(world: "World", case: str) -> None:
    versions, failing = VERSIONS[case]
    history = "stored.ebird_staging__location_history"
    begin = f"TIMESTAMP '{DAYS[0]}'"
    rows = [
        f"SELECT * REPLACE ({begin} + INTERVAL ({first}) DAY AS valid_from, "
        f"{'NULL' if last is None else f'{begin} + INTERVAL ({last}) DAY'} AS valid_to) FROM old"
        for first, last in versions
    ]
    world.run_sql(
        "transform",
        f"CREATE TEMP TABLE old AS FROM {history} WHERE loc_id = 'L1'; DELETE FROM {history}; "
        f"INSERT INTO {history} {' UNION ALL '.join(rows)}",
    )
    world.publish()
    outcome = ask(world, "ebird_staging.location_history:one_version_at_a_time")
    assert outcome.failing_rows == failing


def test_a_place_that_was_deleted_has_no_present(world: "World") -> None:
    world.run_sql(
        "transform",
        "DELETE FROM stored.ebird_staging__locations WHERE loc_id = 'L2'; "
        "UPDATE stored.ebird_staging__location_history SET valid_to = valid_from "
        "WHERE loc_id = 'L2'",
    )
    world.publish()
    assert ask(world, "ebird_staging.location_history:one_version_at_a_time").passed


def test_a_present_place_is_the_one_of_the_locations(world: "World") -> None:
    world.run_sql("transform", "UPDATE stored.ebird_staging__locations SET is_hotspot = true")
    world.publish()
    outcome = ask(world, "ebird_staging.location_history:one_version_at_a_time")
    assert outcome.failing_rows == 1
    assert "not in ebird_staging.locations" in outcome.reason


def test_a_time_zone_that_nobody_knows_is_told(world: "World") -> None:
    world.run_sql(
        "transform",
        "UPDATE stored.ebird_staging__checklists SET time_zone = 'America/Gotham' "
        "WHERE sub_id = 'S00'",
    )
    world.publish()
    outcome = ask(world, "ebird_staging.checklists:time_zone_is_known")
    assert outcome.blocks
    assert outcome.failing_rows == 1


@pytest.mark.parametrize(("capped", "failing"), [(False, 1), (True, 0)])
def test_a_taxon_of_a_day_is_on_its_checklists(world: "World", capped: bool, failing: int) -> None:
    world.run_sql(
        "ingestion",
        "UPDATE stored.ebird_raw__historic_observations SET species_code = 'snoowl1'; "
        f"UPDATE stored.ebird_raw__region_stats SET is_capped = {capped}",
    )
    world.publish()
    assert ask(world, "ebird_raw.historic_observations:on_a_checklist").failing_rows == failing


def test_what_is_public_elsewhere_is_not_private(world: "World") -> None:
    world.run_sql(
        "ingestion",
        "UPDATE stored.ebird_raw__checklists SET loc_name = 'Mallard', latitude = 38.95, "
        "longitude = -77.05 WHERE NOT is_hotspot",
    )
    world.publish()
    assert ask(world, "ebird.species_daily:no_private_place_or_person").passed
    assert ask(world, "ebird.hotspot_ranking:no_private_place_or_person").passed


def test_a_hotspot_that_became_personal_is_private_on_all_of_its_days(world: "World") -> None:
    # its checklists were read while it was one; the list that was read after them lacks it
    world.run_sql(
        "ingestion",
        "UPDATE stored.ebird_raw__hotspots SET loc_id = 'L3', loc_name = 'Kenilworth', lat = 38.9, "
        "read_at = read_at + INTERVAL 1 DAY",
    )
    world.publish()
    outcome = ask(world, "ebird.hotspot_ranking:no_private_place_or_person")
    assert "loc_name holds a private name" in outcome.reason
    assert "(latitude, longitude) is a private place" in outcome.reason


def test_a_scan_that_does_not_fit_into_memory_goes_on_beside_the_data(
    world: "World", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spill = world.settings.hidden_dir / "quality" / "spill"
    spill.parent.mkdir()
    resource = DuckDBResource(database=":memory:")
    settings = world.settings
    with held_snapshots(settings) as held, attached(resource, settings, held) as connection:
        connection.execute("SET threads = 1; SET memory_limit = '40MB'")
        assert not spill.exists()
        connection.execute(
            "SELECT count(*) OVER (PARTITION BY key) > 1 AS twice "
            "FROM (SELECT (range * 7919 % 1000003)::VARCHAR AS key FROM range(1000000))"
        )
        assert spill.exists()
    assert not (tmp_path / ".tmp").exists()
