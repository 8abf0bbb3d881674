"""The world as it is known now: what has been submitted, edited, reviewed and deleted so far.

A world is a seed, a clock and the changes that somebody asked for. The seed gives all that will
ever happen by itself; the clock decides how much of it has happened. This module must never read
the machine's clock: time moves only when it is told to.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from threading import Lock

from ebird_sandbox import taxonomy as taxonomies
from ebird_sandbox.areas import AREAS, Area
from ebird_sandbox.changes import Changes
from ebird_sandbox.checklists import Checklist, Observation, decode
from ebird_sandbox.generator import Generator
from ebird_sandbox.places import Location, Places
from ebird_sandbox.seasons import Seasons
from ebird_sandbox.taxonomy import Taxon, Taxonomy

# About 150 bytes each: the cache of generated days stays below some 300 MB.
_OBSERVATIONS_IN_CACHE = 2_000_000


@dataclass
class AreaWorld:
    """One area: its places and the generator of its checklists."""

    seed: int
    area: Area
    taxonomy: Taxonomy

    @cached_property
    def seasons(self) -> Seasons:
        """When and where its species are met."""
        return Seasons(self.seed, self.area, self.taxonomy)

    @cached_property
    def places(self) -> Places:
        """Its locations and observers."""
        return Places(self.seed, self.area, self.seasons)

    @cached_property
    def generator(self) -> Generator:
        """What makes its checklists."""
        return Generator(self.seed, self.area, self.taxonomy, self.places, self.seasons)


@dataclass
class Day:
    """The checklists of one area and day that are known now."""

    version: int
    checklists: list[Checklist]

    @cached_property
    def by_number(self) -> dict[int, Checklist]:
        """The same by the number in their key."""
        return {checklist.number: checklist for checklist in self.checklists}


class World:
    """Everything that the endpoints can be asked about."""

    def __init__(self, seed: int, now: datetime, areas: Sequence[Area] = AREAS) -> None:
        self.seed = seed
        self.now = now
        self.taxonomy = taxonomies.load()
        self.areas = {area.code: AreaWorld(seed, area, self.taxonomy) for area in areas}
        self.changes = Changes()
        self.version = 0
        self._added_by_version: tuple[int, dict[int, set[Taxon]]] = (-1, {})
        self._by_area_number = {here.area.number: here for here in self.areas.values()}
        self._generated: OrderedDict[tuple[str, date], list[Checklist]] = OrderedDict()
        self._observations_cached = 0
        self._lock = Lock()
        self._days: dict[tuple[str, date], Day] = {}

    @property
    def today(self) -> date:
        """The day that it is."""
        return self.now.date()

    @property
    def cached_observations(self) -> int:
        """How much is kept of the generated days."""
        return self._observations_cached

    @property
    def yesterday(self) -> date:
        """The last whole day."""
        return self.today - timedelta(days=1)

    def changed(self) -> None:
        """Says that something is different now: what was derived must be derived again."""
        self.version += 1

    def day(self, area: str, day: date) -> Day:
        """The known checklists of an area and day."""
        key = (area, day)
        with self._lock:
            found = self._days.get(key)
            if found is None or found.version != self.version:
                found = Day(self.version, list(self._known(area, day)))
                self._days[key] = found
            return found

    def checklist(self, number: int) -> Checklist | None:
        """One known checklist by the number in its key."""
        where = decode(number)
        if where is None or where[0] not in self._by_area_number:
            return None
        here = self._by_area_number[where[0]]
        return self.day(here.area.code, where[1]).by_number.get(number)

    def flags(self, observation: Observation) -> tuple[bool, bool]:
        """Whether an observation is valid, and whether it was reviewed. Both false: provisional."""
        decided = self.changes.reviews.get(observation.number)
        if decided is not None:
            return decided, True
        review = observation.review
        if review is None:
            return True, False
        if review.at is None or review.at > self.now:
            return False, False
        return review.accepted, True

    def location(self, number: int) -> Location | None:
        """A location by the number in its key, if it is still one of its own."""
        here = self._by_area_number.get(number // 1_000_000 - 1)
        if here is None or number in self.changes.merged:
            return None
        location = here.places.by_number.get(number)
        return self.changes.place(location) if location else None

    def species_of(self, location: Location) -> list[Taxon]:
        """Every species ever seen at a place, in taxonomic order."""
        places = self.areas[location.area.code].places
        found = set(places.species_of(places.by_number[location.number]))
        found |= self._added_species.get(location.number, set())
        for number, target in self.changes.merged.items():
            if target == location.number:
                found |= set(places.species_of(places.by_number[number]))
        return sorted(map(self.relabelled, found), key=lambda taxon: taxon.taxon_order)

    @property
    def _added_species(self) -> dict[int, set[Taxon]]:
        """The species that somebody's changes brought to places, by the place's number."""
        if self._added_by_version[0] != self.version:
            found: dict[int, set[Taxon]] = {}
            for checklist in self.changes.made():
                here = found.setdefault(self.changes.place(checklist.location).number, set())
                codes = {o.taxon.species_code for o in checklist.observations}
                here |= {self.taxonomy.by_code[code] for code in codes if code}
            self._added_by_version = (self.version, found)
        return self._added_by_version[1]

    def relabelled(self, taxon: Taxon) -> Taxon:
        """What a taxon of the first taxonomy is called in the present one."""
        if self.taxonomy.version == taxonomies.VERSIONS[0]:
            return taxon
        code = taxonomies.RELABELLED.get(taxon.code, taxon.code)
        return self.taxonomy.by_code[code]

    def move_to(self, now: datetime) -> None:
        """Sets the clock."""
        self.now = now
        self.changed()

    def roll_over(self) -> None:
        """Brings in next year's taxonomy: old rows are relabelled in place."""
        if self.taxonomy.version == taxonomies.VERSIONS[0]:
            self.taxonomy = self.taxonomy.rolled_over()
            self.changed()

    def _known(self, area: str, day: date) -> Iterator[Checklist]:
        if day > self.today:
            return
        touched = self.changes.touched or self.taxonomy.version != taxonomies.VERSIONS[0]
        for made in [*self._generate(area, day), *self.changes.added.get((area, day), ())]:
            checklist = self.changes.replaced.get(made.number, made)
            if checklist is made:
                if made.created > self.now or (made.deleted and made.deleted <= self.now):
                    continue
                if made.revision and made.revision.edited <= self.now:
                    checklist = made.revision
            if made.number in self.changes.deleted:
                continue
            yield self._as_now(checklist) if touched else checklist

    def _as_now(self, checklist: Checklist) -> Checklist:
        return replace(
            checklist,
            location=self.changes.place(checklist.location),
            observations=[
                replace(o, taxon=self.relabelled(o.taxon)) for o in checklist.observations
            ],
        )

    def _generate(self, area: str, day: date) -> list[Checklist]:
        key = (area, day)
        found = self._generated.get(key)
        if found is not None:
            self._generated.move_to_end(key)
            return found
        found = self.areas[area].generator.day(day)
        self._generated[key] = found
        self._observations_cached += _weight(found)
        while self._observations_cached > _OBSERVATIONS_IN_CACHE and len(self._generated) > 1:
            old, checklists = self._generated.popitem(last=False)
            self._observations_cached -= _weight(checklists)
            self._days.pop(old, None)
        return found


def today_at_noon(today: date) -> datetime:
    """The moment at which a world stands still that was told only the day."""
    return datetime(today.year, today.month, today.day, 12)  # noqa: DTZ001 - local, as eBird's


def _weight(checklists: list[Checklist]) -> int:
    return sum(len(checklist.observations) + 4 for checklist in checklists)
