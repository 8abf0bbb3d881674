"""After any edits and broken-off reads the tables are the truth, their history what was read."""

import json
from collections.abc import Generator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from ebird_sandbox.process import running_sandbox
from ingestion_location.ebird.fetch import FetchError

from .engine import Engine, World

START = date(2026, 11, 10)
DAYS = [START - timedelta(days=1), START - timedelta(days=3)]
CHECKLIST = "sub_id, loc_id, group_id, all_obs_reported, num_species"
OBSERVATION = "sub_id, obs_id, species_code, how_many_str"

Rows: TypeAlias = set[tuple[Any, ...]]
Edit: TypeAlias = tuple[str, int, int]


@pytest.fixture(scope="module")
def sandbox() -> Generator[Any]:
    few = ["--checklists-per-day", "US-DC=5"]
    with running_sandbox(seed=5, today=START, admin=True, extra=few) as running:
        yield running


@pytest.fixture
def world(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("EBIRD_API_URL", sandbox.url)
    monkeypatch.setenv("EBIRD_REREAD", ",".join(str(age) for age in range(1, 15)))
    world = World(sandbox.admin_url)
    world.ask("POST", "/reset")
    return world


def true(world: World, day: date) -> tuple[Rows, Rows]:
    truth = world.truth("US-DC", day)
    return (
        {
            (one["subId"], one["location"]["locId"], one["groupId"], one["complete"],
             one["numSpecies"])
            for one in truth
        },
        {
            (one["subId"], seen["obsId"], seen["speciesCode"], str(seen["count"] or "X"))
            for one in truth
            for seen in one["observations"]
        },
    )  # fmt: skip


def loaded(engine: Engine, day: date) -> tuple[Rows, Rows]:
    where = f"WHERE obs_date = DATE '{day}'"
    return (
        set(engine.rows(f"SELECT {CHECKLIST} FROM ebird_raw.checklists {where}")),
        set(engine.rows(f"SELECT {OBSERVATION} FROM ebird_raw.observations {where}")),
    )


def replayed(engine: Engine, day: date, at: date) -> tuple[Rows, Rows]:
    return (
        engine.stood("checklists", CHECKLIST, day, at),
        engine.stood("observations", OBSERVATION, day, at),
    )


def make(world: World, edit: Edit) -> None:
    """One edit somewhere: a late checklist, another count, a withdrawn bird or checklist."""
    kind, which, what = edit
    day = DAYS[which % len(DAYS)]
    there = world.truth("US-DC", day)
    if kind == "late":
        world.ask("POST", "/checklists", region="US-DC", day=day.isoformat(), number=1)
    if kind == "late" or not there:
        return
    chosen = there[which % len(there)]
    species = [seen["speciesCode"] for seen in chosen["observations"]]
    if kind == "delete" or len(species) < 2:
        world.ask("DELETE", f"/checklists/{chosen['subId']}")
    elif kind == "count":
        code = species[what % len(species)]
        world.ask(
            "PATCH", f"/checklists/{chosen['subId']}", counts={code: [None, 3, 250][what % 3]}
        )
    elif kind == "add":
        world.ask("PATCH", f"/checklists/{chosen['subId']}", counts={"snoowl1": 1})
    else:
        code = species[what % len(species)]
        world.ask("PATCH", f"/checklists/{chosen['subId']}", remove=[code])


edits = st.lists(
    st.tuples(
        st.sampled_from(["late", "count", "add", "withdraw", "delete"]),
        st.integers(0, 20),
        st.integers(0, 20),
    ),
    max_size=5,
)
dates = st.lists(st.tuples(edits, st.none() | st.integers(1, 6)), min_size=2, max_size=4)


@pytest.mark.slow
@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    # a story takes seconds, so it is shown as it was found
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(dates)
@example([([], 2), ([], None), ([("withdraw", 0, 0), ("count", 2, 1)], 3), ([], None)])
@example([([], None), ([("delete", 0, 0)] * 20, None), ([("late", 0, 0)], None)])
def test_after_any_edits_the_tables_are_the_truth_and_the_history_what_was_read(
    world: World,
    tmp_path_factory: pytest.TempPathFactory,
    story: list[tuple[list[Edit], int | None]],
) -> None:
    """Each date brings edits, and a read that may be broken off after some checklists."""
    world.ask("POST", "/reset")
    engine = fresh(tmp_path_factory.mktemp("story"))
    read: dict[tuple[date, date], tuple[Rows, Rows]] = {}
    partly: dict[tuple[date, date], Rows] = {}
    for number, (wanted, broken_after) in enumerate([*story, ([], None)]):
        today = START + timedelta(days=number)
        world.ask("POST", "/clock", today=today.isoformat())
        for edit in wanted:
            make(world, edit)
        if broken_after is not None:
            world.ask("POST", "/faults", endpoint="checklist", kind="400", after=broken_after)
            with pytest.raises(FetchError):
                engine.run(today, DAYS, now=False)
            world.ask("DELETE", "/faults")
            partly |= begun(engine, world, today)
            continue
        engine.run(today, DAYS, now=False)
        for day in DAYS:
            read[day, today] = true(world, day)
            assert loaded(engine, day) == read[day, today]
    for (day, at), then in read.items():
        assert replayed(engine, day, at) == then
    for (day, at), viewed in partly.items():
        assert viewed <= replayed(engine, day, at)[1]
        # what it did not get to is not gone
        gone = engine.rows(
            "SELECT obs_id FROM ebird_raw.observation_history WHERE change = 'withdrawn' "
            f"AND obs_date = DATE '{day}' AND valid_from = DATE '{at}'"
        )
        assert gone == []
    asked, before = world.requests(), engine.content()
    engine.working_file.unlink()
    engine.run(START + timedelta(days=len(story)), DAYS, now=False)
    assert (world.requests(), engine.content()) == (asked, before)


def fresh(folder: Path) -> Engine:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"duckdb:///{folder}/databox.duckdb")
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        return Engine()


def begun(engine: Engine, world: World, today: date) -> dict[tuple[date, date], Rows]:
    """The observations that a read which was broken off has seen."""
    found: dict[tuple[date, date], Rows] = {}
    for day in DAYS:
        views = engine.settings.hidden_dir / f"ingestion/landing/sandbox/views/US-DC/{day}"
        for part in views.glob(f"{today}.jsonl.*"):
            if part.suffix == ".part":
                lines = map(json.loads, part.read_text().splitlines())
                seen = {line["body"]["subId"] for line in lines}
                found[day, today] = {row for row in true(world, day)[1] if row[0] in seen}
    return found


def test_a_first_read_has_no_history_and_neither_has_one_that_found_nothing_new(
    world: World,
) -> None:
    engine = Engine()
    engine.run(START, DAYS)
    world.ask("POST", "/clock", hours=1)
    engine.run(START + timedelta(days=1), DAYS)
    for table in ("checklist_history", "observation_history"):
        assert engine.rows(f"SELECT count(*) FROM ebird_raw.{table}") == [(0,)]


def test_each_kind_of_change_is_told_by_its_name(world: World) -> None:
    engine, day = Engine(), DAYS[1]
    engine.run(START, [day])
    one, other, *_ = sorted(world.truth("US-DC", day), key=lambda one: -len(one["observations"]))
    counted, gone, *_ = (seen["obsId"] for seen in one["observations"])
    codes = {seen["obsId"]: seen["speciesCode"] for seen in one["observations"]}
    world.ask("PATCH", f"/checklists/{one['subId']}", counts={codes[counted]: 99, "snoowl1": 1},
              remove=[codes[gone]])  # fmt: skip
    world.ask("DELETE", f"/checklists/{other['subId']}")
    engine.run(START + timedelta(days=1), [day])
    shown = engine.rows("SELECT obs_id FROM ebird_raw.historic_observations ORDER BY obs_id")
    (judged,) = next(row for row in shown if row[0] not in codes)
    world.ask("POST", "/reviews", obsId=judged, accepted=True)
    engine.run(START + timedelta(days=2), [day])
    told = engine.rows(
        "SELECT obs_id, valid_from, valid_to, change, changed_fields, is_withdrawn "
        "FROM ebird_raw.observation_history ORDER BY valid_from"
    )
    first, second, third = (START + timedelta(days=n) for n in range(3))

    def of(obs_id: str) -> list[Any]:
        return [row[1:] for row in told if row[0] == obs_id]

    assert of(counted) == [
        (first, second, "first_read", None, False),
        (second, None, "edited", "how_many_str, how_many_atleast, how_many_atmost", False),
    ]
    assert of(gone) == [
        (first, second, "first_read", None, False),
        (second, None, "withdrawn", None, True),
    ]
    assert of(judged)[-1] == (third, None, "reviewed", "obs_reviewed", False)
    (owl,) = engine.rows("SELECT obs_id FROM ebird_raw.observations WHERE species_code = 'snoowl1'")
    assert of(owl[0]) == [(second, None, "added", None, False)]
    assert engine.rows(
        "SELECT sub_id, change, is_withdrawn FROM ebird_raw.checklist_history "
        "WHERE valid_to IS NULL ORDER BY change"
    ) == [(one["subId"], "edited", False), (other["subId"], "withdrawn", True)]
