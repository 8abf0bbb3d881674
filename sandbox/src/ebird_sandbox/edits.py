"""The changes that the admin side makes to a world: late, edited and deleted checklists, and more.

Each is one function that leaves the world consistent, so that every endpoint tells the new truth.
This module must never read a request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from ebird_sandbox.checklists import (
    FIRST_DAY,
    MOST_PER_DAY,
    OBS_PER_CHECKLIST,
    Checklist,
    Observation,
)
from ebird_sandbox.places import Location
from ebird_sandbox.taxonomy import VERSIONS, Taxon
from ebird_sandbox.world import World

Counts = Mapping[str, int | None]


class ImpossibleError(ValueError):
    """A change that cannot be; its words say why."""


def submit(
    world: World, area: str, day: date, number: int = 1, observations: Counts | None = None
) -> list[Checklist]:
    """Submits some more checklists for a day, now: late ones, if the day is long past."""
    if area not in world.areas or day > world.today:
        message = f"no checklists can be submitted for {area} on {day}"
        raise ImpossibleError(message)
    here = world.areas[area]
    added = world.changes.added.setdefault((area, day), [])
    first = len(here.generator.day(day)) + len(added)
    if first + number > MOST_PER_DAY:
        message = f"there cannot be more than {MOST_PER_DAY} checklists for a day"
        raise ImpossibleError(message)
    made: list[Checklist] = []
    for index in range(first, first + number):
        new = here.generator.another(day, index)
        new = replace(new, created=world.now, edited=world.now, deleted=None, revision=None)
        if observations is not None:
            new.observations = _observations(world, new, observations)
        made.append(new)
    added += made
    world.changed()
    return made


def edit(
    world: World, checklist: Checklist, counts: Counts, removed: Sequence[str] = ()
) -> Checklist:
    """Edits a checklist: counts corrected, species added and withdrawn, all at once."""
    _refuse_older_records(checklist)
    missing = set(removed) - {o.taxon.code for o in checklist.observations}
    if missing:
        message = f"not on {checklist.sub_id}: {', '.join(sorted(missing))}"
        raise ImpossibleError(message)
    kept = [
        replace(o, count=counts.get(o.taxon.code, o.count))
        for o in checklist.observations
        if o.taxon.code not in removed
    ]
    new = {code: n for code, n in counts.items() if code not in {o.taxon.code for o in kept}}
    used = max((o.number for o in checklist.observations), default=0)
    first = max(used + 1, checklist.number * OBS_PER_CHECKLIST)
    kept += _observations(world, checklist, new, first)
    kept.sort(key=lambda o: o.taxon.taxon_order)
    edited = replace(checklist, edited=world.now, observations=kept, revision=None)
    world.changes.replaced[checklist.number] = edited
    world.changed()
    return edited


def delete(world: World, checklist: Checklist) -> None:
    """Deletes a checklist."""
    _refuse_older_records(checklist)
    world.changes.deleted[checklist.number] = checklist
    world.changed()


def review(world: World, number: int, *, accepted: bool) -> None:
    """Decides an observation: confirmed, or rejected."""
    checklist = world.checklist(number // OBS_PER_CHECKLIST)
    if checklist is None or number not in {o.number for o in checklist.observations}:
        message = f"there is no observation OBS{number}"
        raise ImpossibleError(message)
    world.changes.reviews[number] = accepted
    world.changed()


def merge(world: World, source: Location, target: Location) -> None:
    """Makes a location part of a hotspot: its checklists move there, and it is no more."""
    if source.number == target.number or not target.is_hotspot or source.area != target.area:
        message = f"{source.loc_id} cannot be merged into {target.loc_id}"
        raise ImpossibleError(message)
    changes = world.changes
    for number, into in changes.merged.items():
        if into == source.number:
            changes.merged[number] = target.number
    changes.merged[source.number] = target.number
    changes.targets[target.number] = world.areas[target.area.code].places.by_number[target.number]
    world.changed()


def rename(world: World, location: Location, name: str) -> None:
    """Gives a location another name."""
    world.changes.renamed[location.number] = name
    world.changed()


def roll_over(world: World) -> None:
    """Brings in next year's taxonomy."""
    if world.taxonomy.version != VERSIONS[0]:
        message = f"the taxonomy is that of {world.taxonomy.version:g} already"
        raise ImpossibleError(message)
    world.roll_over()


def _refuse_older_records(checklist: Checklist) -> None:
    if checklist.day < FIRST_DAY:
        message = "the records from before 2015 are what the species lists rest on: they stay"
        raise ImpossibleError(message)


def _observations(
    world: World, checklist: Checklist, counts: Counts, first: int | None = None
) -> list[Observation]:
    first = checklist.number * OBS_PER_CHECKLIST if first is None else first
    taxa = sorted((_taxon(world, code) for code in counts), key=lambda taxon: taxon.taxon_order)
    return [Observation(first + i, taxon, counts[taxon.code]) for i, taxon in enumerate(taxa)]


def _taxon(world: World, code: str) -> Taxon:
    taxon = world.taxonomy.by_code.get(code)
    if taxon is None:
        message = f"there is no taxon {code}"
        raise ImpossibleError(message)
    return taxon
