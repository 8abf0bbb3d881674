"""The locations of an area, its observers, and whose turn it is to be visited.

A fixed round of visits (``Places.visits``) says where each checklist of an area is made, by its
running number. So it can be told how often a place was visited in ten years without generating
ten years of checklists. This module must never depend on a date.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from functools import cached_property

from ebird_sandbox.areas import Area, County
from ebird_sandbox.dice import dice
from ebird_sandbox.names import person, place_name, private_name
from ebird_sandbox.seasons import HABITATS, Seasons
from ebird_sandbox.taxonomy import Taxon

PRIVATE_SHARE = 0.35
_GROUP_SHARE = 0.05
_ANONYMOUS_SHARE = 0.01
_PROFILE_EVERY = 4
_AREA_STEP = 1_000_000


@dataclass(frozen=True, slots=True)
class Observer:
    """Somebody who submits checklists."""

    number: int
    first_name: str
    last_name: str
    anonymous: bool

    @property
    def display_name(self) -> str:
        """The name that eBird shows."""
        return "Anonymous eBirder" if self.anonymous else f"{self.first_name} {self.last_name}"

    @property
    def profile(self) -> str | None:
        """The handle of the person's page, for those who have one."""
        shows = not self.anonymous and self.number % _PROFILE_EVERY == 0
        return b64encode(str(self.number).encode()).decode().rstrip("=") if shows else None

    @property
    def user_id(self) -> str:
        """The key of the person, which only the Top 100 shows."""
        return f"USER{self.number}"


@dataclass(frozen=True, slots=True)
class Location:
    """A hotspot or somebody's private location."""

    number: int
    area: Area
    county: County
    name: str
    lat: float
    lng: float
    is_hotspot: bool
    habitat: str
    richness: int
    owner: Observer | None
    vagrants: tuple[Taxon, ...] = field(repr=False)

    @property
    def loc_id(self) -> str:
        """The location's key."""
        return f"L{self.number}"


class Places:
    """Everything that stays where it is in one area."""

    def __init__(self, seed: int, area: Area, seasons: Seasons) -> None:
        self.area = area
        self._seed = seed
        self._seasons = seasons

    @cached_property
    def observers(self) -> list[Observer]:
        """The people who submit checklists here, the keenest first."""
        rng = dice(self._seed, self.area.code, "observers")
        count = max(12, round(self.area.checklists_per_day * 7))
        first_number = (self.area.number + 1) * _AREA_STEP
        return [
            Observer(
                first_number + i, *person(rng, self.area.naming), rng.random() < _ANONYMOUS_SHARE
            )
            for i in range(count)
        ]

    @cached_property
    def hotspots(self) -> list[Location]:
        """The public places, the most visited first."""
        rng = dice(self._seed, self.area.code, "hotspots")
        taken: set[str] = set()
        counties = self.area.counties
        shares = [county.share for county in counties]
        found: list[Location] = []
        for i in range(self.area.hotspots):
            county = counties[i] if i < len(counties) else rng.choices(counties, shares)[0]
            habitat = rng.choice(HABITATS)
            name = place_name(rng, self.area.naming, habitat, taken)
            found.append(self._location(i, county, habitat, name, None))
        rng.shuffle(found)
        return found

    @cached_property
    def private_locations(self) -> list[Location]:
        """The places of one person each: homes and gardens, mostly."""
        rng = dice(self._seed, self.area.code, "private")
        counties = self.area.counties
        shares = [county.share for county in counties]
        found: list[Location] = []
        for i in range(max(4, round(self.area.checklists_per_day * 2))):
            county = rng.choices(counties, shares)[0]
            owner = rng.choice(self.observers)
            habitat = rng.choice("uuufo")
            where = f"{county.name or self.area.code} {self.area.code}"
            name = private_name(rng, self.area.naming, owner.first_name, where)
            found.append(self._location(self.area.hotspots + i, county, habitat, name, owner))
        return found

    @cached_property
    def locations(self) -> list[Location]:
        """All of them."""
        return self.hotspots + self.private_locations

    @cached_property
    def by_number(self) -> dict[int, Location]:
        """All of them by the number in their key."""
        return {location.number: location for location in self.locations}

    @cached_property
    def visits(self) -> tuple[list[Location], list[bool]]:
        """One round: where each checklist is made, and whether it copies the one before it."""
        rng = dice(self._seed, self.area.code, "visits")
        outings = [location for location in self.private_locations for _ in range(2)]
        public = len(outings) * (1 - PRIVATE_SHARE) / PRIVATE_SHARE
        weights = [1 / (rank + 3) ** 0.9 for rank in range(len(self.hotspots))]
        scale = public / sum(weights)
        for location, weight in zip(self.hotspots, weights, strict=True):
            outings += [location] * max(1, round(weight * scale))
        rng.shuffle(outings)
        where: list[Location] = []
        copies: list[bool] = []
        for location in outings:
            shared = location.is_hotspot and rng.random() < _GROUP_SHARE
            size = rng.choice((2, 2, 2, 3, 3, 4)) if shared else 1
            where += [location] * size
            copies += [False] + [True] * (size - 1)
        return where, copies

    def species_of(self, location: Location) -> list[Taxon]:
        """Every species that is ever seen at a place, in taxonomic order."""
        ranked = self._seasons.ranked(location.habitat)[: location.richness]
        found = {habit.taxon for habit in ranked} | set(location.vagrants)
        return sorted(found, key=lambda taxon: taxon.taxon_order)

    def _location(
        self, index: int, county: County, habitat: str, name: str, owner: Observer | None
    ) -> Location:
        number = (self.area.number + 1) * _AREA_STEP + index
        rng = dice(self._seed, "location", number)
        digits = 7 if owner is None else 6
        regular = len(self._seasons.ranked(habitat))
        low, high = (0.35, 1.0) if owner is None else (0.2, 0.6)
        vagrants = self._seasons.vagrants
        wanted = rng.randint(1, 8) if owner is None else rng.randint(0, 1)
        return Location(
            number=number,
            area=self.area,
            county=county,
            name=name,
            lat=round(county.lat + rng.uniform(-1, 1) * county.half_lat, digits),
            lng=round(county.lng + rng.uniform(-1, 1) * county.half_lng, digits),
            is_hotspot=owner is None,
            habitat=habitat,
            richness=max(3, round(regular * rng.uniform(low, high))),
            owner=owner,
            vagrants=tuple(rng.sample(vagrants, min(wanted, len(vagrants)))),
        )
