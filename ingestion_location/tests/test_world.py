"""A world that moves: after any edits, what was loaded is what is true, and nothing is lost."""

import random
from collections.abc import Generator
from datetime import date, timedelta
from typing import Any

import pytest

from ebird_sandbox.process import running_sandbox

from .engine import Engine, World

START = date(2026, 11, 10)
DAYS = 4


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Generator[World]:
    few = ["--checklists-per-day", "US-DC=6"]
    with running_sandbox(seed=5, today=START, admin=True, extra=few) as sandbox:
        monkeypatch.setenv("EBIRD_API_URL", sandbox.url)
        yield World(sandbox.admin_url)


def loaded(engine: Engine, day: date) -> tuple[set[Any], set[Any]]:
    checklists = engine.rows(
        "SELECT sub_id, strftime(obs_dt, '%Y-%m-%d'), loc_id, NOT is_hotspot, group_id, "
        f"all_obs_reported, num_species FROM ebird_raw.checklists WHERE obs_date = '{day}'"
    )
    observations = engine.rows(
        "SELECT sub_id, obs_id, species_code, how_many_str FROM ebird_raw.observations "
        f"WHERE obs_date = '{day}'"
    )
    return set(checklists), set(observations)


def true(world: World, day: date) -> tuple[set[Any], set[Any]]:
    truth = world.truth("US-DC", day)
    checklists = {
        (
            one["subId"],
            one["obsDt"][:10],
            one["location"]["locId"],
            one["location"]["private"],
            one["groupId"],
            one["complete"],
            one["numSpecies"],
        )
        for one in truth
    }
    observations = {
        (one["subId"], seen["obsId"], seen["speciesCode"], str(seen["count"] or "X"))
        for one in truth
        for seen in one["observations"]
    }
    return checklists, observations


def disturb(world: World, dice: random.Random, days: list[date]) -> None:
    """One edit somewhere: a late checklist, another count, a withdrawn bird or checklist."""
    day = dice.choice(days)
    there = world.truth("US-DC", day)
    kind = dice.choice(["late", "count", "withdraw", "delete"]) if there else "late"
    if kind == "late":
        world.ask("POST", "/checklists", region="US-DC", day=day.isoformat(), number=1)
        return
    chosen = dice.choice(there)
    species = [seen["speciesCode"] for seen in chosen["observations"]]
    if kind == "delete" or len(species) < 2:
        world.ask("DELETE", f"/checklists/{chosen['subId']}")
    elif kind == "count":
        counts = {dice.choice(species): dice.choice([None, 3, 250])}
        world.ask("PATCH", f"/checklists/{chosen['subId']}", counts=counts)
    else:
        world.ask("PATCH", f"/checklists/{chosen['subId']}", remove=[dice.choice(species)])


@pytest.mark.slow
def test_after_any_edits_the_days_that_are_read_again_equal_the_truth(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_REREAD", ",".join(str(age) for age in range(1, 15 + DAYS)))
    dice = random.Random(4)
    engine = Engine()
    for number in range(DAYS):
        today = START + timedelta(days=number)
        world.ask("POST", "/clock", today=today.isoformat())
        engine.run(today)
        days = [START + timedelta(days=n) for n in range(-14, number)]
        for day in days:
            assert loaded(engine, day) == true(world, day)
        for _ in range(6):
            disturb(world, dice, days)


def test_a_day_that_became_empty_is_emptied_and_still_a_loaded_day(world: World) -> None:
    engine, day = Engine(), START - timedelta(days=2)
    engine.run(START, [day])
    assert loaded(engine, day)[0]
    for one in world.truth("US-DC", day):
        world.ask("DELETE", f"/checklists/{one['subId']}")
    world.ask("POST", "/clock", days=1)
    again = engine.run(START + timedelta(days=1), [day])
    assert loaded(engine, day) == (set(), set())
    assert engine.rows("SELECT num_checklists, listed_checklists, is_capped "
                       "FROM ebird_raw.region_stats") == [(0, 0, False)]  # fmt: skip
    (load,) = again.loaded_days
    assert (load.rows["checklists"], load.completeness) == (0, 100.0)


@pytest.mark.usefixtures("world")
def test_a_checklist_whose_date_was_edited_is_on_one_day_only() -> None:
    engine = Engine()
    old, new = START - timedelta(days=40), START - timedelta(days=39)
    engine.run(START, [old, new])
    moved = engine.rows(f"SELECT min(sub_id) FROM ebird_raw.checklists WHERE obs_date = '{old}'")
    (moved_id,) = moved[0]
    # as a newer read of the other day would have left it
    for table in ("checklists", "observations"):
        engine.rows(
            f"INSERT INTO ebird_raw.{table} SELECT * REPLACE (DATE '{new}' AS obs_date, "
            f"read_at + INTERVAL 1 DAY AS read_at) FROM ebird_raw.{table} "
            f"WHERE sub_id = '{moved_id}'"
        )
    engine.run(START, [old], now=False)
    for table in ("checklists", "observations"):
        days = engine.rows(
            f"SELECT DISTINCT obs_date FROM ebird_raw.{table} WHERE sub_id = '{moved_id}'"
        )
        assert days == [(new,)]


def test_a_checklist_deleted_while_its_day_is_read_is_left_out(world: World) -> None:
    day = START - timedelta(days=1)
    first = world.truth("US-DC", day)
    victim = max(one["subId"] for one in first)
    # the list is there, the page is gone, and the list asked again says so too
    world.ask("POST", "/faults", endpoint="checklist", kind="410", path=victim)
    engine = Engine()
    with pytest.raises(Exception, match=f"US-DC {day}: .*{victim} answered 410"):
        engine.run(START, [day])
    world.ask("DELETE", f"/checklists/{victim}")
    engine.run(START, [day])
    assert {row[0] for row in loaded(engine, day)[0]} == {
        one["subId"] for one in first if one["subId"] != victim
    }


def test_a_reload_of_old_landing_files_asks_nothing_and_changes_nothing(world: World) -> None:
    engine, days = Engine(), [START - timedelta(days=n) for n in (40, 41)]
    engine.run(START, days)
    before = engine.content()
    asked = world.requests()
    world.ask("POST", "/clock", days=5)
    later = START + timedelta(days=5)
    engine.run(later, days, now=False)
    assert world.requests() == asked
    assert engine.content() == before
