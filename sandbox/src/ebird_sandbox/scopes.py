"""Which checklists a request is about: a region, a location, or a circle around a point.

This module turns codes into scopes and refuses what is no region; it must never look at a
checklist's birds.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from ebird_sandbox.checklists import Checklist
from ebird_sandbox.places import Location
from ebird_sandbox.regions import Regions, type_of
from ebird_sandbox.replies import ApiError
from ebird_sandbox.world import World

_EARTH_RADIUS_KM = 6371.0088
_KM_PER_DEGREE = 111.2


@dataclass(frozen=True)
class Circle:
    """A point and a radius in kilometres."""

    lat: float
    lng: float
    radius: float

    def distance(self, lat: float, lng: float) -> float:
        """Kilometres from the point, over the globe."""
        here, there = math.radians(self.lat), math.radians(lat)
        half_lat = (there - here) / 2
        half_lng = math.radians(lng - self.lng) / 2
        chord = math.sin(half_lat) ** 2
        chord += math.cos(here) * math.cos(there) * math.sin(half_lng) ** 2
        return 2 * _EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))


@dataclass(frozen=True)
class Scope:
    """The areas to look into, and what narrows them."""

    areas: tuple[str, ...]
    county: str | None = None
    locations: frozenset[int] | None = None
    circle: Circle | None = None
    any_of: "tuple[Scope, ...]" = ()
    kind: str = "country"

    def holds(self, location: Location) -> bool:
        """Whether a location is in here."""
        if self.any_of:
            return any(
                location.area.code in scope.areas and scope.holds(location) for scope in self.any_of
            )
        if self.county is not None and location.county.code != self.county:
            return False
        if self.locations is not None and location.number not in self.locations:
            return False
        circle = self.circle
        return circle is None or circle.distance(location.lat, location.lng) <= circle.radius

    def known(self, world: World, day: date, *, hotspot: bool = False) -> Iterator[Checklist]:
        """The known checklists of a day that were made in here."""
        narrowed = (self.county, self.locations, self.circle, self.any_of or None)
        everything = all(part is None for part in narrowed)
        for area in self.areas:
            for checklist in world.day(area, day).checklists:
                location = checklist.location
                if (everything or self.holds(location)) and (location.is_hotspot or not hotspot):
                    yield checklist

    def places(self, world: World) -> Iterator[Location]:
        """The locations in here, as they are now."""
        changes = world.changes
        for area in self.areas:
            for location in world.areas[area].places.locations:
                if location.number not in changes.merged:
                    now = changes.place(location)
                    if self.holds(now):
                        yield now


def around(world: World, circle: Circle) -> Scope:
    """The scope of a circle: of the areas, only those it can reach."""

    def reachable(code: str) -> bool:
        return any(
            circle.distance(county.lat, county.lng)
            <= circle.radius + _KM_PER_DEGREE * math.hypot(county.half_lat, county.half_lng)
            for county in world.areas[code].area.counties
        )

    return Scope(tuple(code for code in world.areas if reachable(code)), circle=circle)


def region_scope(world: World, regions: Regions, code: str) -> Scope:
    """The scope of a region or location code."""
    kind = type_of(code)
    if kind == "location":
        return location_scope(world, [code])
    region = regions.by_code.get(code) or (regions.find(code) if kind == "subnational2" else None)
    if region is None:
        raise unknown_region(code)
    if kind == "country":
        inside = tuple(area for area, here in world.areas.items() if here.area.country == code)
        return Scope(inside, kind="country")
    if kind == "subnational1":
        return Scope((code,) if code in world.areas else (), kind="subnational1")
    area = code.rpartition("-")[0]
    return Scope((area,) if area in world.areas else (), county=code, kind="subnational2")


def union_scope(world: World, regions: Regions, codes: Sequence[str]) -> Scope:
    """The scope of several regions or locations together."""
    scopes = tuple(region_scope(world, regions, code) for code in codes)
    areas = dict.fromkeys(area for scope in scopes for area in scope.areas)
    return Scope(tuple(areas), any_of=scopes, kind="union")


def location_scope(world: World, codes: Sequence[str]) -> Scope:
    """The scope of some locations. One that was merged away is where it was merged into."""
    numbers: set[int] = set()
    areas: list[str] = []
    for code in codes:
        if type_of(code) != "location":
            raise unknown_region(code)
        number = int(code[1:])
        number = world.changes.merged.get(number, number)
        location = world.location(number)
        if location is not None:
            numbers.add(number)
            areas.append(location.area.code)
    return Scope(tuple(dict.fromkeys(areas)), locations=frozenset(numbers), kind="location")


def unknown_region(code: str) -> ApiError:
    """The error of a code that is no region."""
    title = (
        "Property regionCode threw exception; nested exception is java.lang."
        f"IllegalArgumentException: Unable to find matching region type for {code}"
    )
    return ApiError(400, "methodInvocation", title, "regionCode")
