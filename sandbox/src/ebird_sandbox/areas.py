"""The areas that have birds: how many checklists, hotspots and counties, and which species.

An area is a first-level subdivision. Everything else in the sandbox's world is geography without
birds. Numbers are of the size that the real places have; nothing in here is eBird data.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class County:
    """A second-level subdivision (or the whole area, where eBird has none)."""

    code: str
    name: str
    lat: float
    lng: float
    half_lat: float
    half_lng: float
    share: float


@dataclass(frozen=True)
class Area:
    """A first-level subdivision with birds in it."""

    number: int
    code: str
    checklists_per_day: float
    hotspots: int
    naming: str
    spring_delay_days: int
    species: frozenset[str] | None
    exotics: Mapping[str, str]
    whole: County | None = None
    local: Mapping[str, str] = field(default_factory=dict[str, str])
    """Species met otherwise there than around Washington: season, abundance, [habitats]."""

    @property
    def country(self) -> str:
        """The country's code."""
        return self.code.partition("-")[0]

    @property
    def counties(self) -> tuple[County, ...]:
        """Its counties; the area itself, without a code, where eBird has none."""
        return (self.whole,) if self.whole else _counties().get(self.code, ())


def species_of(code: str) -> frozenset[str]:
    """The codes of the species that an area outside North America has."""
    lines = [line.split() for line in _read("elsewhere.txt")]
    return frozenset(word for first, *words in lines if first == code for word in words)


def _read(name: str) -> list[str]:
    return files("ebird_sandbox").joinpath("data", name).read_text(encoding="utf-8").splitlines()


_AMERICA = {
    "rocpig": "N", "eursta": "N", "houspa": "N", "mutswa": "N", "egygoy": "N", "monpar": "P",
    "musduc": "X", "gragoo": "X", "blkswa": "X", "bargoo": "P", "cockat": "X", "budger": "X",
}  # fmt: skip

AREAS = (
    Area(0, "US-DC", 60, 148, "english", 0, None, _AMERICA),
    Area(
        1, "US-MA", 165, 760, "english", 9, None, _AMERICA,
        local={
            "bkcchi": "R8", "carchi": "V0", "acafly": "V0", "fiscro": "E3", "blkvul": "R1",
            "brant": "W4", "amhgul1": "R7", "gbbgul": "R6", "comter": "S5",
            "sander": "B5", "purfin": "R4", "rebnut": "R5", "herthr": "P4", "snoowl1": "W1",
        },
    ),
    Area(
        2, "US-PA", 570, 1650, "english", 4, None, _AMERICA,
        local={"bkcchi": "R6", "carchi": "R3", "fiscro": "R3", "laugul": "V0", "comrav": "R5"},
    ),
    Area(
        3, "JP-13", 26, 95, "japanese", 3, species_of("JP-13"),
        {"rocpig": "N", "blkswa": "X", "mutswa": "N"},
        County("", "", 35.69, 139.5, 0.12, 0.35, 1),
        {
            "rocpig": "R9uofw", "barswa": "S8uowm", "mallar3": "W8wmuf", "gnwtea": "W7wmu",
            "norpin": "W6wm", "norsho": "W6wmu", "gadwal": "W6wmu", "tufduc": "W7wu",
            "gresca": "W5w", "commer": "W3w", "rebmer": "W3w", "comgol": "W2w", "grecor": "R8wmuo",
            "bcnher": "R5wmu", "greegr": "R8wmou", "osprey": "R4w", "perfal": "R3uo",
            "merlin": "W2o", "norgos": "R3f", "bkhgul": "W8wmu", "amhgul1": "W5w", "eargre": "W5w",
            "horgre": "W2w", "rengre": "W1w", "dunlin": "P5m", "sander": "B4m", "rudtur": "B3m",
            "whimbr3": "B3m", "bkbplo": "P4m", "semplo": "B2m", "leater1": "S4wm",
            "comter": "B4w", "redcro": "W2f", "horlar": "W3o", "mutswa": "R3w", "redpol1": "V0f",
        },
    ),
    Area(
        4, "VA-", 0.6, 2, "italian", -10, species_of("VA-"), {"monpar": "N", "mutswa": "N"},
        County("", "", 41.9035, 12.4525, 0.0012, 0.003, 1),
        {
            "rocpig": "R9uofwm", "yelgul1": "R9uofwm", "monpar": "R8uof", "houspa": "R7uofwm",
            "eursta": "W8uofwm", "barswa": "S6uofwm", "mallar3": "R4uwm", "perfal": "R4uofwm",
            "bkhgul": "W5uwm", "grecor": "W3uwm", "merlin": "V0u",
        },
    ),
)  # fmt: skip


def with_rates(rate: float | None, by_area: Mapping[str, float]) -> tuple[Area, ...]:
    """The areas with other numbers of checklists a day: for all of them, for some by code."""
    usual = {area.code: area.checklists_per_day if rate is None else rate for area in AREAS}
    rates = {**usual, **by_area}
    return tuple(replace(area, checklists_per_day=rates[area.code]) for area in AREAS)


@cache
def _counties() -> dict[str, tuple[County, ...]]:
    found: dict[str, list[County]] = {}
    for row in csv.DictReader(_read("counties.csv")):
        county = County(
            code=row["code"],
            name=row["name"],
            lat=float(row["lat"]),
            lng=float(row["lng"]),
            half_lat=float(row["half_lat"]),
            half_lng=float(row["half_lng"]),
            share=float(row["share"]),
        )
        found.setdefault(county.code.rpartition("-")[0], []).append(county)
    return {code: tuple(counties) for code, counties in found.items()}
