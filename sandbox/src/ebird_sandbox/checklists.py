"""Checklists and their observations: the facts from which every endpoint is derived.

Only what they are and how their keys are made; ``generator.py`` makes them. This module must never
look at a clock.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from ebird_sandbox.areas import Area
from ebird_sandbox.places import Location, Observer
from ebird_sandbox.taxonomy import Taxon

EPOCH = date(2014, 1, 1)
FIRST_DAY = date(2015, 1, 1)
LAST_DAY = date(2035, 12, 31)
_AREAS, _PER_DAY, _FIRST_SUB = 8, 32_768, 20_000_000
OBS_PER_CHECKLIST = 512
MOST_PER_DAY = _PER_DAY - 768


@dataclass(slots=True)
class Review:
    """What the reviewers make of an unusual report; before ``at`` it is unreviewed."""

    at: datetime | None
    accepted: bool


@dataclass(slots=True)
class Observation:
    """One taxon on one checklist. No count means X: present, not counted."""

    number: int
    taxon: Taxon
    count: int | None
    review: Review | None = None
    comments: str | None = None
    media: int = 0

    @property
    def obs_id(self) -> str:
        """The observation's key."""
        return f"OBS{self.number}"


@dataclass(slots=True)
class Checklist:
    """One submitted checklist, as it is from ``edited`` (or its creation) on."""

    number: int
    area: Area
    day: date
    location: Location
    observer: Observer
    protocol: str
    start: int | None
    minutes: int | None
    distance_km: float | None
    area_ha: float | None
    complete: bool
    party: int | None
    group: int | None
    created: datetime
    edited: datetime
    deleted: datetime | None
    observations: list[Observation]
    comments: str | None = None
    revision: "Checklist | None" = field(default=None, repr=False)

    @property
    def sub_id(self) -> str:
        """The checklist's key."""
        return f"S{self.number}"

    @property
    def obs_dt(self) -> str:
        """When the birds were seen, local time; a date alone when the observer gave no time."""
        return f"{self.day} {self.obs_time}" if self.start is not None else str(self.day)

    @property
    def obs_time(self) -> str | None:
        """The time of day, if the observer gave one."""
        return None if self.start is None else f"{self.start // 60:02}:{self.start % 60:02}"

    @property
    def num_species(self) -> int:
        """How many species it counts: forms roll up, slashes and hybrids do not count."""
        return len({o.taxon.species_code for o in self.observations} - {None})


def sub_number(area: Area, day: date, index: int) -> int:
    """The number of an area's ``index``-th checklist of a day."""
    return ((day - EPOCH).days * _AREAS + area.number) * _PER_DAY + index + _FIRST_SUB


def decode(number: int) -> tuple[int, date] | None:
    """The area's number and the day that a checklist's number belongs to."""
    rest = (number - _FIRST_SUB) // _PER_DAY
    days, area = divmod(rest, _AREAS)
    if rest < 0 or days > (LAST_DAY - EPOCH).days:
        return None
    return area, EPOCH + timedelta(days=days)
