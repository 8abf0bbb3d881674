"""Every mart equals its plain Python reference, on generated checklists, to the last digit."""

from __future__ import annotations

import csv
import random
from datetime import date, timedelta
from itertools import zip_longest

import dagster as dg
import pytest

from databox_shared.contracts import MARTS
from databox_shared.settings import Settings
from transform_location.manifest import PROJECT

from .raw_world import RawWorld
from .reference import Reference
from .runs import failure, published, run

FIRST = date(2024, 12, 20)
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
)


def generate(world: RawWorld, seed: int) -> RawWorld:
    """Checklists with every trap: groups whose copies differ, X, forms, odd places and effort."""
    dice = random.Random(seed)
    world.taxonomy()
    for number in range(3):
        for region in ("US-DC", "US-MD"):
            world.add(
                "hotspots",
                region_code=region,
                loc_id=f"L{number}",
                loc_name=f"Hotspot {number}",
                lat=38.0 + number,
                lng=-77.0 - number,
            )
    for number in range(160):
        # days around the turn of a year and of months, weeks and quarters, some of them twice
        day = FIRST + timedelta(days=dice.choice((0, 1, 2, 7, 10, 11, 12, 13, 43, 44, 370, 371)))
        place = dice.randrange(5)
        minutes = dice.choice((0, 1, 6, 59, 60, 61, 359, 360, 361, None))
        world.checklist(
            f"S{dice.randrange(90, 110) * 1000 + number}",
            day.isoformat(),
            {
                bird: dice.choice(("0", "1", "2", "17", "X"))
                for bird in dice.sample(BIRDS, dice.randrange(6))
            },
            region_code=dice.choice(("US-DC", "US-DC", "US-MD")),
            loc_id=f"L{place}",
            is_hotspot=place < 3,
            group_id=dice.choice((None, f"G{dice.randrange(6)}")),
            all_obs_reported=dice.random() < 0.7,
            protocol_id=dice.choice(("P20", "P21", "P22", "P22")),
            duration_hrs=None if minutes is None else minutes / 60,
            effort_distance_km=dice.choice((None, 0.0, 0.5, 9.9, 10.0, 10.1)),
            num_observers=dice.choice((None, 1, 2, 10, 11)),
        )
    return world


def life_list() -> list[dict[str, str]]:
    with (PROJECT / "seeds" / "life_list.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("seed", [1, 2])
def test_every_mart_equals_its_reference(
    settings: Settings, instance: dg.DagsterInstance, seed: int
) -> None:
    world = generate(RawWorld(settings), seed)
    world.publish()
    result = run(instance)
    assert result.success, failure(result)
    rows, reference = published(settings), Reference(world.tables, life_list())

    for mart in MARTS_WITH_REFERENCE:
        got, want = rows[f"{MARTS}.{mart}"], getattr(reference, mart)()
        assert want, mart
        for one, other in zip_longest(got, want):
            assert one == other, mart


def test_days_loaded_one_by_one_and_in_any_order_give_what_one_run_gives(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    whole = generate(RawWorld(settings), 3)
    days = sorted({row["obs_date"] for row in whole.tables["checklists"]})
    dice = random.Random(3)
    dice.shuffle(days)
    loaded: list[date] = []
    for part in (days[:4], days[4:8], days[8:]):
        loaded += part
        some = RawWorld(settings, {name: list(rows) for name, rows in whole.tables.items()})
        for name in ("checklists", "observations"):
            some.tables[name] = [r for r in some.tables[name] if r["obs_date"] in loaded]
        some.publish()
        result = run(instance, ",".join(day.isoformat() for day in part))
        assert result.success, failure(result)
    step_by_step = published(settings)

    again = run(instance)

    assert again.success, failure(again)
    assert published(settings) == step_by_step
