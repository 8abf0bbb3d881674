"""Shared checklists, forms and absence are what the R package auk is documented to make of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import dagster as dg
import pytest

from databox_shared.settings import load_settings

from . import ebd_sample as ebd
from .conftest import copy_of
from .raw_world import RawWorld
from .runs import failure, published, run

# a day with what auk does otherwise on purpose or by accident, apart from the sample
ODD_DAY = "2026-05-09"


@pytest.fixture(scope="module")
def rows(
    tmp_path_factory: pytest.TempPathFactory, deployed: Path
) -> Iterable[dict[str, list[tuple[object, ...]]]]:
    """What the models publish of the sample and of the odd day."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        home = tmp_path_factory.mktemp("auk")
        patch.setenv("DATABASE_URL", f"duckdb:///{home}/databox.duckdb")
        settings = load_settings()
        copy_of(deployed, settings)
        world = RawWorld(settings)
        taxonomy(world)
        for event in ebd.sampling_events():
            sub_id = event["sampling_event_identifier"]
            world.checklist(
                sub_id,
                event["observation_date"],
                {
                    row["species_code"]: row["observation_count"]
                    for row in ebd.birds()
                    if row["sampling_event_identifier"] == sub_id
                },
                group_id=event["group_identifier"] or None,
                all_obs_reported=event["all_species_reported"] == "1",
            )
        for sub_id, group, counts in (
            ("S9", "G1", {"norcar": "1"}),
            ("S10", "G1", {"norcar": "2"}),
            ("S20", "G2", {"myrwar": "3", "audwar": "2"}),
            ("S21", "G2", {"yerwar": "9"}),
            ("S30", None, {"mallar2": "2", "mallar9": "7"}),
        ):
            world.checklist(sub_id, ODD_DAY, counts, group_id=group)
        world.publish()
        result = run(instance)
        assert result.success, failure(result)
        yield published(settings)


def taxonomy(world: RawWorld) -> None:
    species = {name: code for code, (kind, name) in ebd.TAXA.items() if kind == "species"}
    for order, (code, (category, name)) in enumerate(ebd.TAXA.items()):
        parent = None if category == "species" else species.get(name)
        world.add(
            "taxa",
            taxonomy_version=2025.0,
            species_code=code,
            com_name=f"Name of {code}",
            sci_name=name,
            category=category,
            taxon_order=float(order),
            report_as=parent,
        )


def events_of_auk(*, complete: bool) -> list[ebd.Row]:
    events = ebd.sampling_events()
    return ebd.auk_unique(ebd.auk_complete(events) if complete else events, checklists_only=True)


def birds_of_auk(*, complete: bool) -> list[ebd.Row]:
    birds = ebd.birds()
    return ebd.auk_rollup(ebd.auk_unique(ebd.auk_complete(birds) if complete else birds))


def sampled(
    rows: dict[str, list[tuple[object, ...]]], table: str, day: int
) -> list[tuple[str, ...]]:
    """The rows of the sample's days, with counts as the EBD writes them."""
    return [
        tuple("X" if cell is None else str(cell) for cell in row)
        for row in rows[table]
        if str(row[day]) != ODD_DAY
    ]


def test_complete_checklists_are_those_that_auk_keeps(
    rows: dict[str, list[tuple[object, ...]]],
) -> None:
    kept = {
        sub_id
        for _, sub_id, day, *_, is_complete in rows["ebird.checklists"]
        if is_complete and str(day) != ODD_DAY
    }
    assert kept == {event["sampling_event_identifier"] for event in events_of_auk(complete=True)}
    assert kept == {"S100", "S101", "S110", "S121", "S140"}


def test_every_list_is_counted_as_often_as_auk_counts_it(
    rows: dict[str, list[tuple[object, ...]]],
) -> None:
    kept = sampled(rows, "ebird.checklists", 2)
    assert len(kept) == len(events_of_auk(complete=False)) == 7


def checklist_ids() -> dict[str, str]:
    """auk's id of a checklist by the id of the copy that is counted here."""
    return {
        event["sampling_event_identifier"]: event["checklist_id"]
        for event in (*events_of_auk(complete=False), *events_of_auk(complete=True))
    }


def test_zero_filled_checklists_are_those_of_auk(
    rows: dict[str, list[tuple[object, ...]]],
) -> None:
    names = {code: name for code, (_, name) in ebd.TAXA.items()}
    got = {
        (checklist_ids()[sub_id], names[code]): count
        for _, sub_id, code, _, _, count in sampled(rows, "ebird.checklist_species", 3)
    }
    assert got == ebd.auk_zerofill(birds_of_auk(complete=True), events_of_auk(complete=True))
    # by hand: the lowest with the species, a sum of forms, an X in it, and an incomplete copy's owl
    assert got["G110", "Cardinalis cardinalis"] == "3"
    assert got["G110", "Setophaga coronata"] == "X"
    assert got["G120", "Cardinalis cardinalis"] == "7"
    assert got["G120", "Buteo jamaicensis"] == "2"
    assert got["S101", "Buteo jamaicensis"] == "X"
    assert got["S101", "Setophaga coronata"] == "5"
    assert got["S101", "Anas platyrhynchos"] == "6"
    assert got["S140", "Anas platyrhynchos"] == "0"
    assert not [key for key in got if key[1] == "Bubo scandiacus"]


def test_what_is_reported_at_all_is_what_auk_keeps_without_its_filter(
    rows: dict[str, list[tuple[object, ...]]],
) -> None:
    names = {code: name for code, (_, name) in ebd.TAXA.items()}
    got = {
        (checklist_ids()[sub_id], names[code])
        for _, sub_id, code, *_ in sampled(rows, "ebird.checklist_reports", 3)
    }
    assert got == {
        (row["checklist_id"], row["scientific_name"]) for row in birds_of_auk(complete=False)
    }


def test_where_auk_does_otherwise_it_is_done_as_the_readme_says(
    rows: dict[str, list[tuple[object, ...]]],
) -> None:
    """As the README says: S9 is lower than S10, and forms on a shared list are added up.

    A domestic type alone is its species, and a form that is of no species is left out.
    """
    got = {
        (sub_id, code): count
        for _, sub_id, code, day, _, count in rows["ebird.checklist_reports"]
        if str(day) == ODD_DAY
    }
    assert got == {("S9", "norcar"): 1, ("S20", "yerwar"): 5, ("S30", "mallar3"): 2}
