"""A renewed taxonomy: what was read under an old code counts as what the bird is called now."""

from __future__ import annotations

import dagster as dg
import pytest

from databox_shared.settings import Settings

from .raw_world import RawWorld
from .runs import announced, failure, published, run


def version(world: RawWorld, number: float, *taxa: tuple[str, str, str, str | None]) -> None:
    """Add a version of the taxonomy: codes with scientific name, category and roll-up."""
    for order, (code, sci_name, category, report_as) in enumerate(taxa):
        world.add(
            "taxa",
            taxonomy_version=number,
            species_code=code,
            com_name=f"{sci_name} in English",
            sci_name=sci_name,
            category=category,
            taxon_order=float(order),
            report_as=report_as,
        )


@pytest.mark.parametrize("select", [None, ["ebird_staging.taxa_versions"]], ids=["all", "one"])
def test_after_a_renewal_all_days_are_of_the_newest_taxonomy_though_they_were_not_read_again(
    settings: Settings, instance: dg.DagsterInstance, select: list[str] | None
) -> None:
    world = RawWorld(settings)
    version(
        world,
        2024.0,
        ("snoowl", "Bubo scandiacus", "species", None),
        ("hoared", "Acanthis hornemanni", "species", None),
        ("comred", "Acanthis flammea", "species", None),
        ("gone", "Avis abita", "species", None),
    )
    for day in ("2026-11-20", "2026-11-21"):
        world.checklist(f"S-{day}", day, dict.fromkeys(("snoowl", "hoared", "comred", "gone"), "2"))
    world.publish()
    first = run(instance)
    assert first.success, failure(first)
    assert published(settings)["ebird.taxonomy_crosswalk"] == []

    version(
        world,
        2025.0,
        ("snoowl1", "Bubo scandiacus", "species", None),
        ("redpol1", "Acanthis flammea", "species", None),
        ("hoared", "Acanthis flammea hornemanni", "issf", "redpol1"),
        ("comred", "Acanthis flammea flammea", "issf", "redpol1"),
    )
    # a day that is read again has the new codes
    for row in world.tables["observations"]:
        if str(row["obs_date"]) == "2026-11-21" and row["species_code"] == "snoowl":
            row["species_code"] = "snoowl1"
    world.publish()
    renewed = run(instance, "2026-11-21", select=select)

    assert renewed.success, failure(renewed)
    assert announced(renewed)["ebird.species_daily"] == {"2026-11-20", "2026-11-21"}
    rows = published(settings)
    assert {(row[1], str(row[2]), row[8]) for row in rows["ebird.species_daily"]} == {
        (code, day, birds)
        for day in ("2026-11-20", "2026-11-21")
        for code, birds in (("snoowl1", 2), ("redpol1", 4))
    }
    assert {row[1] for row in rows["ebird.phenology"]} == {"snoowl1", "redpol1"}
    assert [(row[1], row[5], row[8]) for row in rows["ebird.taxonomy_crosswalk"]] == [
        ("comred", "redpol1", "lumped"),
        ("gone", None, "retired"),
        ("hoared", "redpol1", "lumped"),
        ("snoowl", "snoowl1", "recoded"),
    ]

    # the same taxonomy again is no renewal
    again = run(instance, "2026-11-21")
    assert announced(again)["ebird.species_daily"] == {"2026-11-21"}
