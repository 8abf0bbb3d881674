"""What the tables beside checklists and observations hold, against the world that was read."""

from collections.abc import Generator
from datetime import UTC, date, datetime, timedelta
from itertools import product

import dagster as dg
import pytest

from databox_shared.contracts import RAW
from ebird_sandbox.process import running_sandbox
from ingestion_location.definitions import defs
from ingestion_location.ebird.shapes import SHAPES
from ingestion_location.ebird.tables import RAW_TABLES, new_columns, new_in_words

from .engine import Engine, World

TODAY = date(2026, 11, 23)
DAY = date(2026, 11, 20)
COUNTY = "US-MA-017"


@pytest.mark.parametrize(
    ("resource", "field"),
    [
        *product((name.removesuffix("[]") for name in SHAPES), ("mood", "bounds.minZ", "readAt")),
        *product(["views"], ("obs[].mood", "obs[].a.b")),
    ],
)
def test_one_table_tells_of_a_field_that_is_new(resource: str, field: str) -> None:
    said = {
        name: text
        for name, table in RAW_TABLES.items()
        if (text := new_in_words(table, {resource: [field]}))
    }
    [(table, text)] = said.items()
    assert field.removeprefix("obs[].") in text
    kept = new_columns(RAW_TABLES[table], {resource: [field]})
    assert ("kept as text" in text) == bool(kept)
    assert ("in no column" in text) != bool(kept)


@pytest.fixture(scope="module")
def sandbox() -> Generator[World]:
    few = ["--checklists-per-day", "8", "--checklists-per-day", "US-DC=10"]
    with running_sandbox(seed=5, today=TODAY, admin=True, extra=few) as running:
        yield World(running.admin_url)


@pytest.fixture
def world(sandbox: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("EBIRD_API_URL", sandbox.url.replace("/admin", "/v2"))
    sandbox.ask("POST", "/reset")
    sandbox.ask("DELETE", "/requests")
    return sandbox


def test_a_day_has_one_sighting_of_each_taxon_and_how_it_stands_in_review(world: World) -> None:
    seen = {
        bird["obsId"]: (bird["speciesCode"], bird["count"], bird["valid"], bird["reviewed"])
        for one in world.truth("US-DC", DAY)
        for bird in one["observations"]
    }
    refused = next(iter(seen))
    world.ask("POST", "/reviews", obsId=refused, accepted=False)
    # what a reviewer has rejected eBird no longer shows
    species = {code for code, _, _, _ in seen.values()}
    engine = Engine()
    engine.run(TODAY, [DAY], now=False)
    shown = engine.rows(
        "SELECT obs_id, species_code, how_many, obs_valid, obs_reviewed "
        "FROM ebird_raw.historic_observations"
    )
    assert {(code, *rest) for code, *rest in shown} <= {
        (obs_id, *rest) for obs_id, rest in seen.items()
    }
    assert {code for _, code, *_ in shown} <= species
    assert len(shown) == len({code for _, code, *_ in shown}) >= len(species) - 1


def test_the_leaders_of_a_day_are_those_with_the_most_species_and_checklists(world: World) -> None:
    engine = Engine()
    engine.run(TODAY, [DAY], now=False)
    complete: dict[str, int] = {}
    for one in world.truth("US-DC", DAY):
        user = one["observer"]["userId"]
        complete[user] = complete.get(user, 0) + one["complete"]
    by_checklists = engine.rows(
        "SELECT user_id, num_complete_checklists FROM ebird_raw.top100 WHERE ranked_by = 'cl'"
    )
    assert dict(by_checklists) == {user: number for user, number in complete.items() if number}
    ranks = engine.rows(
        "SELECT row_num, num_species FROM ebird_raw.top100 WHERE ranked_by = 'spp' ORDER BY ALL"
    )
    assert [species for _, species in ranks] == sorted((s for _, s in ranks), reverse=True)
    assert ranks[0][0] == 1


def test_a_county_has_no_leaders_which_is_neither_a_failure_nor_an_empty_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_REGIONS", COUNTY)
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"databox/read_date": TODAY.isoformat(), "databox/days": DAY.isoformat()}
        job = defs.resolve_job_def("daily_ebird_pipeline")
        assert job.execute_in_process(instance=instance, tags=tags).success
        announced = {
            table: len(instance.fetch_materializations(dg.AssetKey([RAW, table]), 10).records)
            for table in ("checklists", "historic_observations", "top100")
        }
    assert announced == {"checklists": 1, "historic_observations": 1, "top100": 0}
    assert "top100" not in world.ask("GET", "/requests")["byEndpoint"]
    assert Engine().rows("SELECT count(*) FROM ebird_raw.top100") == [(0,)]


def test_beside_a_county_a_state_keeps_its_leaders(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_REGIONS", f"US-DC,{COUNTY}")
    engine = Engine()
    ingest = engine.run(TODAY, [DAY], now=False)
    (load,) = ingest.loaded_days
    assert load.rows["top100"] > 0
    assert engine.rows("SELECT DISTINCT region_code FROM ebird_raw.top100") == [("US-DC",)]
    assert world.ask("GET", "/requests")["byEndpoint"]["top100"] == 2


def test_a_day_on_which_nobody_was_out_costs_two_calls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_REGIONS", "CA-NS")
    engine = Engine()
    (load,) = engine.run(TODAY, [DAY], now=False).loaded_days
    assert world.ask("GET", "/requests")["byEndpoint"] == {"stats": 1, "lists": 1}
    assert (load.rows["top100"], load.rows["historic_observations"]) == (0, 0)
    engine.run(TODAY, [DAY], now=False)
    assert world.requests() == 2


def test_a_species_list_keeps_the_order_of_the_taxonomy(world: World) -> None:
    engine = Engine()
    engine.run(TODAY, [DAY])
    assert engine.rows(
        """
        SELECT count(*) > 100, min(list_order), max(list_order) - count(*),
            list(species_code ORDER BY list_order) = list(species_code ORDER BY taxon_order)
        FROM ebird_raw.species_lists JOIN ebird_raw.taxa USING (species_code)
        WHERE taxonomy_version = 2025
        """
    ) == [(True, 1, 0, True)]
    assert world.ask("GET", "/requests")["byEndpoint"]["spplist"] == 1


def test_the_present_taxonomy_and_the_one_before_are_there_and_asked_for_once(
    world: World,
) -> None:
    engine = Engine()
    versions = "SELECT taxonomy_version, count(*) > 1000 FROM ebird_raw.taxa GROUP BY 1 ORDER BY 1"
    engine.run(TODAY, [DAY])
    assert engine.rows(versions) == [(2024.0, True), (2025.0, True)]
    assert world.ask("GET", "/requests")["byEndpoint"]["taxonomy"] == 2
    engine.run(TODAY + timedelta(days=1), [DAY])
    assert world.ask("GET", "/requests")["byEndpoint"]["taxonomy"] == 2
    world.ask("POST", "/taxonomy/rollover")
    engine.run(TODAY + timedelta(days=2), [DAY])
    assert world.ask("GET", "/requests")["byEndpoint"]["taxonomy"] == 3
    assert [version for version, _ in engine.rows(versions)] == [2024.0, 2025.0, 2026.0]


def test_what_rolls_up_to_a_species_is_what_ebird_calls_its_forms(world: World) -> None:
    """`ref/taxon/forms` is a call for each of 11,000 species; the taxonomy says the same."""
    engine = Engine()
    landed = engine.fetch(TODAY, DAY)
    taxonomy = landed["ref/taxonomy/ebird?fmt=json&version=2025.0"]
    derived = [
        taxon["speciesCode"]
        for taxon in taxonomy
        if taxon.get("reportAs") == "cangoo" and taxon["category"] in ("issf", "form", "intergrade")
    ]
    with engine.fetching(TODAY) as fetcher:
        assert fetcher.api.get("ref/taxon/forms/cangoo").body == [*derived, "cangoo"]
    assert len(derived) > 1
    assert world.requests() > 0


def test_several_regions_are_read_at_once_each_with_those_it_lies_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_REGIONS", "US-MA,CA-NS,JP-13,US-PA-101")
    engine = Engine()
    (load,) = engine.run(TODAY, [DAY]).loaded_days
    assert len(load.reads) == 4
    for region in ("US-MA", "CA-NS", "JP-13", "US-PA-101"):
        found = engine.rows(
            f"SELECT sub_id FROM ebird_raw.checklists WHERE region_code = '{region}' ORDER BY ALL"
        )
        assert found == sorted((one["subId"],) for one in world.truth(region, DAY))
    assert engine.rows(
        "SELECT region_code, num_checklists FROM ebird_raw.region_stats WHERE num_checklists = 0"
    ) == [("CA-NS", 0)]
    parents = engine.rows(
        "SELECT region_code, region_type, parent_code, region_name <> region_code "
        "FROM ebird_raw.regions WHERE region_type <> 'subnational2' ORDER BY ALL"
    )
    assert parents == [
        ("CA", "country", None, True),
        ("CA-NS", "subnational1", "CA", True),
        ("JP", "country", None, True),
        ("JP-13", "subnational1", "JP", True),
        ("US", "country", None, True),
        ("US-MA", "subnational1", "US", True),
        ("US-PA", "subnational1", "US", True),
    ]
    known = engine.rows("SELECT region_code FROM ebird_raw.regions")
    assert (
        engine.rows(
            "SELECT DISTINCT parent_code FROM ebird_raw.regions WHERE parent_code IS NOT NULL "
            "EXCEPT SELECT region_code FROM ebird_raw.regions"
        )
        == []
    )
    assert ("US-PA-101",) in known


def test_a_region_that_is_no_longer_asked_for_keeps_its_days_and_has_no_present(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was called and where it has hotspots is needed for as long as its days are there."""
    tables = (
        "checklists", "hotspots", "species_lists", "regions", "notable_polls",
        "recent_observations", "notable_observations",
    )  # fmt: skip

    def regions(table: str) -> set[str]:
        found = Engine().rows(f"SELECT DISTINCT region_code FROM ebird_raw.{table}")
        return {code for (code,) in found}

    monkeypatch.setenv("EBIRD_REGIONS", "US-DC,US-MA")
    Engine().run(TODAY, [DAY])
    assert all(regions(table) >= {"US-DC", "US-MA"} for table in tables)
    monkeypatch.setenv("EBIRD_REGIONS", "US-DC")
    before = world.requests()
    Engine().run(TODAY + timedelta(days=1), [DAY])
    assert {table for table in tables if "US-MA" not in regions(table)} == {
        "recent_observations",
        "notable_observations",
    }
    assert all("US-DC" in regions(table) for table in tables)
    # what is now in the one region, and the list of taxonomies
    assert world.requests() - before == 6 + 1


@pytest.mark.usefixtures("world")
def test_a_poll_that_found_nothing_notable_is_told_with_how_far_back_it_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or nobody could tell a report that vanished from one that was not asked for again."""
    monkeypatch.setenv("EBIRD_REGIONS", "US-DC,CA-NS")
    at = datetime(2026, 11, 23, 6, tzinfo=UTC)
    engine = Engine(now=lambda: at)
    engine.run(TODAY, [DAY])
    found = "SELECT count(*) FROM ebird_raw.notable_observations WHERE region_code = 'CA-NS'"
    assert engine.rows(found) == [(0,)]
    assert engine.rows("FROM ebird_raw.notable_polls ORDER BY region_code") == [
        (region, 30, at.replace(tzinfo=None)) for region in ("CA-NS", "US-DC")
    ]
