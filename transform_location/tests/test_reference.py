"""Every mart equals its plain Python reference, on generated checklists, to the last digit."""

from __future__ import annotations

import csv
import random
from datetime import date, datetime, timedelta
from itertools import zip_longest
from typing import Any

import dagster as dg
import pytest

from databox_shared.contracts import MARTS, STAGING, contract
from databox_shared.settings import Settings
from transform_location.manifest import PROJECT

from .raw_world import NOON, RawWorld
from .reference import Poll, Reference
from .runs import failure, published, run

# around the turn of a year and of months, weeks and quarters, some of them in two years
FIRST = date(2024, 12, 20)
DAYS = (0, 1, 2, 7, 10, 11, 12, 13, 43, 44, 370, 371)
BIRDS = (
    *("amerob", "amerob1", "amerob2", "amerob3", "amecro", "amecro1", "cangoo", "cangoo1"),
    *("x00776", "amfcro", "crow1"),
)
MARTS_WITH_REFERENCE = (
    "checklists",
    "checklist_reports",
    "checklist_species",
    "species_daily",
    "species_frequency",
    "phenology",
    "encounter_rate",
    "best_places",
    "species_last_seen",
    "hotspot_ranking",
    "targets",
    "region_daily_totals",
    "rarity_alerts",
    "taxonomy_crosswalk",
    "review_history",
)
REGIONS = ("US-DC", "US-MD")


def generate(world: RawWorld, seed: int) -> RawWorld:
    """Checklists with every trap: groups whose copies differ, X, forms, odd places and effort.

    With all that stands beside them but notable reports, which are a matter of polls.
    """
    dice = random.Random(seed)
    world.taxonomy()
    older_taxonomies(world, dice)
    states(world, dice)
    control_totals(world, dice)
    for number in range(3):
        for region in REGIONS:
            world.add(
                "hotspots",
                region_code=region,
                loc_id=f"L{number}",
                loc_name=f"Hotspot {number}",
                lat=38.0 + number,
                lng=-77.0 - number,
            )
    codes = birds(world)
    for number in range(160):
        day = FIRST + timedelta(days=dice.choice(DAYS))
        place = dice.randrange(5)
        minutes = dice.choice((0, 1, 6, 59, 60, 61, 359, 360, 361, None))
        world.checklist(
            f"S{dice.randrange(90, 110) * 1000 + number}",
            day.isoformat(),
            {
                bird: dice.choice(("0", "1", "2", "17", "X"))
                for bird in dice.sample(codes, dice.randrange(6))
            },
            region_code=dice.choice(("US-DC", "US-DC", "US-MD")),
            loc_id=f"L{place}",
            **status(place, dice),
            group_id=dice.choice((None, f"G{dice.randrange(6)}")),
            all_obs_reported=dice.random() < 0.7,
            user_display_name=f"Observer {dice.randrange(5)}",
            protocol_id=dice.choice(("P20", "P21", "P22", "P22")),
            duration_hrs=None if minutes is None else minutes / 60,
            effort_distance_km=dice.choice((None, 0.0, 0.5, 9.9, 10.0, 10.1)),
            num_observers=dice.choice((None, 1, 2, 10, 11)),
        )
    return world


def birds(world: RawWorld) -> list[str]:
    """Codes as they are met: mostly present ones, some that an older taxonomy had."""
    superseded = {row["species_code"] for row in world.tables["taxa"]} - {*BIRDS}
    return [*BIRDS, *sorted(superseded)]


def status(place: int, dice: random.Random) -> dict[str, Any]:
    """What a checklist says of its place: what it is today only if it was read after the list.

    One of the list became somebody's home since, and one that is not on it a hotspot.
    """
    named = {"loc_name": f"Place {place}", "latitude": 38.0 + place, "longitude": -77.0 - place}
    if place in (2, 3) and dice.random() < 0.5:
        return named | {"is_hotspot": place == 3, "read_at": NOON + timedelta(hours=1)}
    return named | {"is_hotspot": dice.random() < 0.5}


def older_taxonomies(world: RawWorld, dice: random.Random) -> None:
    """Two versions before the present one, each taxon of which may since have become anything."""
    taxa = world.tables["taxa"]
    for version in (2023.0, 2024.0):
        for row in [row for row in taxa if row["taxonomy_version"] == 2025.0]:
            change = dice.choice(("none", "code", "name", "names", "rank", "parent", "gone", "new"))
            code, is_species = row["species_code"], row["category"] == "species"
            taxa.append(
                row
                | {"taxonomy_version": version}
                | {
                    "none": {},
                    "code": {"species_code": f"old{code}"},
                    "name": {"com_name": f"Old name of {code}"},
                    "names": {"com_name": f"Old name of {code}", "sci_name": f"Vetus {code}"},
                    "rank": {"category": "issf" if is_species else "species"},
                    "parent": {"report_as": "cangoo"},
                    "gone": {"species_code": f"was{code}", "sci_name": f"Vetus {code}"},
                    # a namesake beside it, so that a name alone finds two
                    "new": {"species_code": f"two{code}", "sci_name": "Nomen amecro"},
                }[change]
            )


def states(world: RawWorld, dice: random.Random) -> None:
    """Observations that were edited, reviewed or withdrawn as their day was read again."""
    codes = sorted({row["species_code"] for row in world.tables["taxa"]})
    for number in range(30):
        day = FIRST + timedelta(days=dice.choice(DAYS))
        reads = sorted(dice.sample(range(1, 9), dice.randrange(1, 4)))
        for read, after in zip_longest(reads, reads[1:]):
            is_told = dice.random() < 0.7
            world.add(
                "observation_history",
                region_code=REGIONS[number % 2],
                obs_date=day,
                obs_id=f"OBS{number}",
                valid_from=day + timedelta(days=read),
                valid_to=None if after is None else day + timedelta(days=after),
                change=dice.choice(("added", "edited", "reviewed", "withdrawn")),
                is_withdrawn=dice.random() < 0.3,
                species_code=dice.choice(codes),
                how_many_str=dice.choice(("0", "3", "X")),
                obs_valid=dice.random() < 0.5 if is_told else None,
                obs_reviewed=dice.random() < 0.5 if is_told else None,
            )


def control_totals(world: RawWorld, dice: random.Random) -> None:
    """What eBird says of some days, also of one without a checklist and of one with none."""
    for region in REGIONS:
        for days in (*(day for day in DAYS if dice.random() < 0.7), 20, 372):
            world.stats(
                (FIRST + timedelta(days=days)).isoformat(),
                dice.choice((0, 1, 7, 20)),
                region_code=region,
                is_capped=dice.random() < 0.2,
            )


# as of the second, the first of the days of the reports are out of reach; as of the last, all are
POLLED_AT = ("2025-01-10T06:00", "2025-01-20T06:00", "2025-01-29T11:00")


def poll(world: RawWorld, dice: random.Random, number: int) -> list[Poll]:
    """Notable reports as one poll finds them: some are new, reviewed or gone since the last.

    The second poll of one region finds nothing.
    """
    at = datetime.fromisoformat(POLLED_AT[number])
    world.tables["notable_observations"] = []
    world.tables["notable_polls"] = []
    for region in REGIONS:
        world.add("notable_polls", region_code=region, days_back=30, polled_at=at)
    facts, codes = random.Random(0), birds(world)
    for report in range(60):
        day = FIRST + timedelta(days=facts.choice(DAYS[:6]))
        same = {
            "region_code": facts.choice(REGIONS),
            "obs_id": f"OBS{report}",
            "sub_id": f"S{facts.randrange(20)}",
            "species_code": facts.choice(codes),
            "loc_id": f"L{facts.randrange(5)}",
            "location_private": facts.random() < 0.2,
            "user_display_name": f"Observer {facts.randrange(4)}",
            "obs_dt": datetime.combine(day, datetime.min.time()),
        }
        is_reached = day >= at.date() - timedelta(days=30)
        is_empty = (number, same["region_code"]) == (1, REGIONS[1])
        if is_reached and not is_empty and dice.random() < 0.6:
            world.add(
                "notable_observations",
                **same,
                obs_valid=dice.random() < 0.6,
                obs_reviewed=dice.random() < 0.5,
                polled_at=at,
            )
    found = world.tables["notable_observations"]
    return [
        Poll(region, at, {row["obs_id"]: row for row in found if row["region_code"] == region})
        for region in REGIONS
    ]


def life_list() -> list[dict[str, str]]:
    with (PROJECT / "seeds" / "life_list.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_mart_equals_its_reference(
    settings: Settings, instance: dg.DagsterInstance, seed: int
) -> None:
    world = generate(RawWorld(settings), seed)
    polls = poll(world, random.Random(seed), 0)
    world.publish()
    result = run(instance)
    assert result.success, failure(result)
    assert_equal(published(settings), world, polls)


def test_days_loaded_one_by_one_in_any_order_give_the_same(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    whole = generate(RawWorld(settings), 3)
    dice = random.Random(3)
    by_day = ("checklists", "observations", "region_stats", "observation_history")
    days = sorted({row["obs_date"] for name in by_day for row in whole.tables[name]})
    dice.shuffle(days)
    loaded: list[date] = []
    polls: list[Poll] = []
    for number, part in enumerate((days[:4], days[4:8], days[8:])):
        loaded += part
        some = RawWorld(settings, {name: list(rows) for name, rows in whole.tables.items()})
        polls += poll(some, dice, number)
        for name in by_day:
            some.tables[name] = [r for r in some.tables[name] if r["obs_date"] in loaded]
        some.publish()
        result = run(instance, ",".join(day.isoformat() for day in part))
        assert result.success, failure(result)

    assert_equal(published(settings), whole, polls)


def assert_equal(
    rows: dict[str, list[tuple[Any, ...]]], world: RawWorld, polls: list[Poll]
) -> None:
    """Every mart is its reference, floating point numbers to the last digit."""
    reference = Reference(world.tables, life_list(), polls)
    for mart in MARTS_WITH_REFERENCE:
        got, want = rows[f"{MARTS}.{mart}"], getattr(reference, mart)()
        assert want, mart
        for one, other in zip_longest(got, want):
            assert one == other, mart

    got = {row[1]: row[5] for row in rows[f"{STAGING}.observations"]}
    observations = world.tables["observations"]
    assert got == {row["obs_id"]: reference.category(row["species_code"]) for row in observations}


def test_every_mart_has_a_reference() -> None:
    assert set(MARTS_WITH_REFERENCE) == set(contract(MARTS).tables)
