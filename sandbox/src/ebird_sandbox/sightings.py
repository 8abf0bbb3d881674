"""Observations picked from the known checklists: recent, notable, historic and nearest.

Each of these shows a part of what was seen and hides the rest, by eBird's rules; the rules are
all here. This module must never make an observation of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter

from ebird_sandbox.checklists import Checklist, Observation
from ebird_sandbox.scopes import Circle, Scope
from ebird_sandbox.taxonomy import Taxon
from ebird_sandbox.world import World

MOST_OBSERVATIONS = 10_000
_NEWEST_FIRST = attrgetter("obs_dt", "number")


@dataclass(frozen=True, slots=True)
class Sighting:
    """One observation and the checklist it is on."""

    checklist: Checklist
    observation: Observation


@dataclass(frozen=True)
class Filters:
    """What narrows the observations of a request."""

    back: int = 14
    categories: frozenset[str] | None = None
    hotspot: bool = False
    provisional: bool = False


def recent(world: World, scope: Scope, filters: Filters) -> list[Sighting]:
    """The latest sighting of each taxon, newest first."""
    seen: set[Taxon] = set()
    found: list[Sighting] = []
    for checklist in _days_back(world, scope, filters):
        for observation in checklist.observations:
            if observation.taxon not in seen and _is_shown(world, observation, filters):
                seen.add(observation.taxon)
                found.append(Sighting(checklist, observation))
    return found


def recent_of_species(
    world: World, scope: Scope, filters: Filters, species: Taxon
) -> list[Sighting]:
    """The latest sighting of one species at each location, newest first."""
    seen: set[int] = set()
    found: list[Sighting] = []
    forms = {species, *world.taxonomy.forms.get(species.code, ())}
    for checklist in _days_back(world, scope, filters):
        number = checklist.location.number
        if number in seen:
            continue
        for observation in checklist.observations:
            if observation.taxon in forms and _is_shown(world, observation, filters):
                seen.add(number)
                found.append(Sighting(checklist, observation))
                break
    return found


def nearest(
    world: World, scope: Scope, filters: Filters, species: Taxon, circle: Circle
) -> list[Sighting]:
    """The latest sighting of one species at each location, nearest first."""

    def away(sighting: Sighting) -> float:
        location = sighting.checklist.location
        return circle.distance(location.lat, location.lng)

    return sorted(recent_of_species(world, scope, filters, species), key=away)


def notable(world: World, scope: Scope, filters: Filters) -> list[Sighting]:
    """Every report of a rarity that was not rejected, reviewed or not, newest first."""
    return [
        Sighting(checklist, observation)
        for checklist in _days_back(world, scope, filters)
        for observation in checklist.observations
        if observation.review is not None and world.flags(observation) != (False, True)
    ]


def historic(
    world: World, scope: Scope, day: date, filters: Filters, *, first_created: bool
) -> list[Sighting]:
    """One sighting for each taxon of a day: the latest, or the one that was submitted first."""
    checklists = list(scope.known(world, day, hotspot=filters.hotspot))
    if first_created:
        checklists.sort(key=attrgetter("created", "number"))
    else:
        checklists.sort(key=_NEWEST_FIRST, reverse=True)
    picked: dict[str, Sighting] = {}
    for checklist in checklists:
        for observation in checklist.observations:
            code = observation.taxon.code
            if code not in picked and _is_shown(world, observation, filters):
                picked[code] = Sighting(checklist, observation)
    return sorted(picked.values(), key=lambda one: _NEWEST_FIRST(one.checklist), reverse=True)


def _days_back(world: World, scope: Scope, filters: Filters) -> Iterator[Checklist]:
    for back in range(filters.back + 1):
        day = world.today - timedelta(days=back)
        known = scope.known(world, day, hotspot=filters.hotspot)
        yield from sorted(known, key=_NEWEST_FIRST, reverse=True)


def _is_shown(world: World, observation: Observation, filters: Filters) -> bool:
    if filters.categories is not None and observation.taxon.category not in filters.categories:
        return False
    valid, reviewed = world.flags(observation)
    return valid or (filters.provisional and not reviewed)
