"""Numbers and lists made of many checklists: feeds, statistics, leaders, species, hotspots.

Everything is counted from the known checklists, except what reaches back over all years: that is
told by the round of visits (``places.py``), and tested to be the same. This module must never
count a checklist that the lists do not show.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter

from ebird_sandbox.checklists import FIRST_DAY, Checklist, sub_number
from ebird_sandbox.generator import LATEST_SUBMISSION
from ebird_sandbox.places import Location, Observer
from ebird_sandbox.scopes import Scope
from ebird_sandbox.world import World

MOST_CHECKLISTS = 200
_FEED_DAYS = 45


@dataclass(frozen=True)
class Leader:
    """One row of the Top 100."""

    observer: Observer
    num_species: int
    num_complete_checklists: int
    row_num: int


@dataclass(frozen=True)
class Stats:
    """The control totals of a day."""

    num_checklists: int
    num_contributors: int
    num_species: int


@dataclass(frozen=True)
class HotspotTotals:
    """What is known of a hotspot over all years."""

    location: Location
    latest_obs_dt: str | None
    num_species: int
    num_checklists: int


def lists_of_day(world: World, scope: Scope, day: date, *, by_creation: bool) -> list[Checklist]:
    """The checklists of a date, the latest first."""
    key = attrgetter("created", "number") if by_creation else attrgetter("obs_dt", "number")
    return sorted(scope.known(world, day), key=key, reverse=True)


def recent_lists(world: World, scope: Scope, wanted: int) -> list[Checklist]:
    """The most recently submitted checklists."""
    found: list[Checklist] = []
    for back in range(_FEED_DAYS):
        day = world.today - timedelta(days=back)
        found += scope.known(world, day)
        found.sort(key=attrgetter("created", "number"), reverse=True)
        del found[wanted:]
        # A checklist of an earlier day may still be newer, but only by what lateness allows.
        if len(found) == wanted and found[-1].created.date() > day + LATEST_SUBMISSION:
            break
    return found


def stats(world: World, scope: Scope, day: date) -> Stats:
    """How many checklists, people and species a day had."""
    checklists = list(scope.known(world, day))
    species = {o.taxon.species_code for c in checklists for o in c.observations} - {None}
    people = {checklist.observer.number for checklist in checklists}
    return Stats(len(checklists), len(people), len(species))


def top100(
    world: World, scope: Scope, day: date, *, by_checklists: bool, wanted: int
) -> list[Leader]:
    """The people with the most species or complete checklists; equals share a number."""
    people: dict[int, Observer] = {}
    species: defaultdict[int, set[str | None]] = defaultdict(set)
    complete: Counter[int] = Counter()
    for checklist in scope.known(world, day):
        number = checklist.observer.number
        people[number] = checklist.observer
        species[number] |= {o.taxon.species_code for o in checklist.observations} - {None}
        complete[number] += checklist.complete
    scores = {n: complete[n] if by_checklists else len(species[n]) for n in people}
    ranked = sorted((n for n in people if scores[n]), key=lambda n: (-scores[n], n))
    leaders: list[Leader] = []
    for place, number in enumerate(ranked[:wanted], start=1):
        score = scores[number]
        tied = bool(leaders) and scores[leaders[-1].observer.number] == score
        leaders.append(
            Leader(
                observer=people[number],
                num_species=0 if by_checklists else score,
                num_complete_checklists=score if by_checklists else 0,
                row_num=leaders[-1].row_num if tied else place,
            )
        )
    return leaders


def species_list(world: World, scope: Scope) -> list[str]:
    """The codes of all species ever seen, in taxonomic order."""
    found = {taxon for place in scope.places(world) for taxon in world.species_of(place)}
    ordered = sorted(found, key=lambda taxon: taxon.taxon_order)
    return [taxon.code for taxon in ordered if taxon.category == "species"]


def hotspots(world: World, scope: Scope, back: int | None) -> Iterator[HotspotTotals]:
    """The hotspots by name, with their totals; with ``back``, those visited in so many days."""
    since = str(world.today - timedelta(days=back)) if back is not None else ""
    totals = {area: AllTime(world, area) for area in scope.areas}
    public = (location for location in scope.places(world) if location.is_hotspot)
    for location in sorted(public, key=lambda place: (place.name.casefold(), place.number)):
        counted = totals[location.area.code]
        latest = counted.latest(location)
        if back is None or (latest is not None and latest >= since):
            species = [t for t in world.species_of(location) if t.category == "species"]
            yield HotspotTotals(location, latest, len(species), counted.checklists(location))


class AllTime:
    """How often each place of an area was visited since there are records, and when last.

    The past is settled once no checklist can be late any more: it is counted by the round of
    visits, less what was deleted. Only the days since then are looked at.
    """

    def __init__(self, world: World, area: str) -> None:
        self._world = world
        self._area = area
        self._places = world.areas[area].places
        self._generator = world.areas[area].generator
        self._settled = max(FIRST_DAY, world.today - LATEST_SUBMISSION - timedelta(days=1))
        self._counts: Counter[int] = Counter()
        self._latest: dict[int, str] = {}
        self._count_settled_past()
        self._count_days_since()

    def checklists(self, location: Location) -> int:
        """How many checklists were made at a place."""
        return self._counts[location.number]

    def latest(self, location: Location) -> str | None:
        """When the place was last visited."""
        return self._latest.get(location.number) or self._search(location)

    def _count_settled_past(self) -> None:
        where, _ = self._places.visits
        changes = self._world.changes
        through = self._generator.running_numbers(self._settled).start
        rounds, rest = divmod(through, len(where))
        counts = self._counts
        for slot, location in enumerate(where):
            counts[self._now(location)] += rounds + (slot < rest)
        for location in self._places.locations:
            counts[self._now(location)] += 1
        day = FIRST_DAY
        while day < self._settled:
            first = self._generator.running_numbers(day).start
            for index, at in self._generator.deletions(day).items():
                gone = sub_number(self._generator.area, day, index) in changes.deleted
                if at <= self._world.now and not gone:
                    counts[self._now(where[(first + index) % len(where)])] -= 1
            day += timedelta(days=1)
        for checklist in changes.deleted_before(self._area, self._settled):
            counts[self._now(checklist.location)] -= 1
        for checklist in changes.added_before(self._area, self._settled):
            counts[self._now(checklist.location)] += 1

    def _count_days_since(self) -> None:
        day = self._settled
        while day <= self._world.today:
            for checklist in self._world.day(self._area, day).checklists:
                number = checklist.location.number
                self._counts[number] += 1
                self._latest[number] = max(self._latest.get(number, ""), checklist.obs_dt)
            day += timedelta(days=1)

    def _search(self, location: Location) -> str | None:
        day = self._settled
        while day > FIRST_DAY:
            day -= timedelta(days=1)
            if self._may_hold(location, day):
                known = self._world.day(self._area, day).checklists
                found = [c.obs_dt for c in known if c.location.number == location.number]
                if found:
                    return max(found)
        return None

    def _may_hold(self, location: Location, day: date) -> bool:
        where, _ = self._places.visits
        numbers = self._generator.running_numbers(day)
        return any(self._now(where[n % len(where)]) == location.number for n in numbers)

    def _now(self, location: Location) -> int:
        return self._world.changes.merged.get(location.number, location.number)
