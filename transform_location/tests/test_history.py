"""What transform remembers and raw does not: every change once, however often it is run."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import dagster as dg

from databox_shared.settings import Settings

from .raw_world import RawWorld
from .runs import announced, failure, published, run

HISTORY = "ebird_staging.location_history"


def read_places(world: RawWorld, at: str, *hotspots: tuple[str, str], home: bool = True) -> None:
    """Read the list of hotspots, and one checklist at `Lhome`, which may be on the list as well."""
    read_at = datetime.fromisoformat(at)
    world.tables["hotspots"] = []
    for loc_id, name in hotspots:
        world.add("hotspots", region_code="US-DC", loc_id=loc_id, loc_name=name, read_at=read_at)
    world.drop("checklists", sub_id="S-home")
    if home:
        world.checklist(
            "S-home",
            "2026-11-20",
            loc_id="Lhome",
            loc_name="12 Elm Street",
            is_hotspot=False,
            read_at=read_at,
        )
    world.publish()


def versions(settings: Settings, loc_id: str) -> list[tuple[Any, ...]]:
    """From, to, whether it was a hotspot, and its name."""
    return [
        tuple(str(value) if isinstance(value, datetime) else value for value in row[1:5])
        for row in published(settings)[HISTORY]
        if row[0] == loc_id
    ]


def test_each_change_of_a_place_is_a_version_dated_by_the_read_that_showed_it(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    world = RawWorld(settings)
    read_places(world, "2026-11-20T06:00", ("L1", "Mall"), ("L2", "Zoo"), ("Lhome", "Elm Street"))
    assert run(instance).success
    assert versions(settings, "Lhome") == [("2026-11-20 06:00:00", None, True, "Elm Street")]

    read_places(world, "2026-11-21T06:00", ("L1", "National Mall"), ("L2", "Zoo"))
    for days in ("2026-11-20", ""):
        result = run(instance, days)
        assert result.success, failure(result)
    assert versions(settings, "L1") == [
        ("2026-11-20 06:00:00", "2026-11-21 06:00:00", True, "Mall"),
        ("2026-11-21 06:00:00", None, True, "National Mall"),
    ]
    assert versions(settings, "L2") == [("2026-11-20 06:00:00", None, True, "Zoo")]
    # no hotspot any more: it keeps nothing of what was public of it
    assert versions(settings, "Lhome") == [
        ("2026-11-20 06:00:00", "2026-11-21 06:00:00", True, None),
        ("2026-11-21 06:00:00", None, False, None),
    ]
    assert "Elm Street" not in str(published(settings))

    # merged into another place: nothing names it
    read_places(world, "2026-11-22T06:00", ("L1", "National Mall"), home=False)
    assert run(instance, "2026-11-20").success
    assert versions(settings, "Lhome")[1:] == [
        ("2026-11-21 06:00:00", "2026-11-22 06:00:00", False, None)
    ]

    read_places(world, "2026-11-23T06:00", ("L1", "National Mall"), ("Lhome", "Elm Street Park"))
    assert run(instance, "2026-11-20").success
    assert versions(settings, "Lhome")[2:] == [
        ("2026-11-23 06:00:00", None, True, "Elm Street Park")
    ]
    assert len(versions(settings, "L1")) == 2


def test_a_review_reaches_observations_of_days_that_are_not_read_again(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    def poll(at: str, *, valid: bool, reviewed: bool) -> None:
        world.tables["notable_observations"] = []
        world.add(
            "notable_observations",
            region_code="US-DC",
            obs_id="OBS-S1-2026-11-20-amecro",
            sub_id="S1-2026-11-20",
            loc_id="L1",
            species_code="amecro",
            obs_dt=datetime.fromisoformat("2026-11-20T08:00"),
            obs_valid=valid,
            obs_reviewed=reviewed,
            polled_at=datetime.fromisoformat(at),
        )
        world.publish()

    def states() -> dict[str, tuple[Any, ...]]:
        rows = published(settings)["ebird_staging.observations"]
        return {row[1]: row[-3:] for row in rows if "2026-11-20" in row[1]}

    poll("2026-11-22T06:00", valid=False, reviewed=False)
    assert run(instance).success
    assert states() == {
        "OBS-S1-2026-11-20-amecro": (False, False, True),
        "OBS-S1-2026-11-20-amerob": (None, None, None),
        "OBS-S2-2026-11-20-amerob": (None, None, None),
    }

    poll("2026-11-23T06:00", valid=True, reviewed=True)
    confirmed = run(instance, "2026-11-21")

    assert confirmed.success, failure(confirmed)
    assert states()["OBS-S1-2026-11-20-amecro"] == (True, True, False)
    days = announced(confirmed)
    assert days["ebird_staging.observations"] == {"2026-11-20", "2026-11-21"}
    # what counts by no review is not made again
    assert days["ebird.species_daily"] == {"2026-11-21"}
    assert announced(run(instance, "2026-11-21"))["ebird_staging.observations"] == {"2026-11-21"}
