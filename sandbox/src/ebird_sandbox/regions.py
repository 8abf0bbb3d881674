"""The regions of the world: codes, names, parents, neighbours and bounds.

Countries and first-level subdivisions come from pycountry, counties from ``data/counties.csv``.
This module knows geography only; it must never know which regions have birds beyond their bounds.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from unicodedata import combining, normalize

import pycountry

from ebird_sandbox.areas import AREAS

WORLD = "world"
TYPES = ("country", "subnational1", "subnational2")
# Where eBird says it otherwise than pycountry.
_RENAMED = {
    "BN": "Brunei",
    "BQ": "Caribbean Netherlands",
    "CD": "DR Congo",
    "CV": "Cape Verde",
    "CZ": "Czech Republic",
    "FM": "Micronesia",
    "GS": "South Georgia and South Sandwich Islands",
    "MK": "Macedonia",
    "MO": "Macau",
    "PN": "Pitcairn Islands",
    "PS": "Palestinian Territory",
    "RU": "Russia",
    "SH": "Saint Helena, Ascension, and Tristan da Cunha",
    "SJ": "Svalbard",
    "ST": "São Tomé and Príncipe",
    "SX": "Sint Maarten",
    "SZ": "Swaziland",
    "TF": "French Southern and Antarctic Lands",
    "TR": "Turkey",
    "US": "United States",
    "VA": "Vatican City (Holy See)",
    "VG": "Virgin Islands (British)",
    "VI": "Virgin Islands (U.S.)",
}
_NOT_A_COUNTRY = "AX"
_MORE_COUNTRIES = {
    "AC": "Ashmore and Cartier Islands",
    "CP": "Clipperton Island",
    "CS": "Coral Sea Islands",
    "XK": "Kosovo",
    "XX": "High Seas",
}
_PATTERNS = {
    "country": re.compile(r"[A-Z]{2}"),
    "subnational1": re.compile(r"[A-Z]{2}-[A-Z0-9]{0,3}"),
    "subnational2": re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}-[A-Z0-9]{1,3}"),
    "location": re.compile(r"L[0-9]{1,12}"),
}


@dataclass(frozen=True)
class Bounds:
    """A box of longitudes (x) and latitudes (y)."""

    min_x: float
    max_x: float
    min_y: float
    max_y: float

    @property
    def center(self) -> tuple[float, float]:
        """Longitude and latitude of the middle of the numbers, as eBird reckons it.

        For a country on both sides of the date line that is the wrong side of the globe.
        """
        return (self.min_x + self.max_x) / 2, (self.min_y + self.max_y) / 2


@dataclass(frozen=True)
class Region:
    """A country or a subdivision."""

    code: str
    name: str
    type: str
    parent: "Region | None"

    @property
    def qualified(self) -> str:
        """The name with what it is: Madison County."""
        county = self.type == "subnational2" and self.code.startswith("US-")
        return f"{self.name} County" if county and not self.code.startswith("US-DC") else self.name

    def described(self, form: str, delim: str) -> str:
        """The name in one of the forms of ``regionNameFormat``."""
        up: list[Region] = []
        region = self.parent
        while region:
            up.append(region)
            region = region.parent
        names = [region.name for region in up]
        ends_in_code = [*names[:-1], up[-1].code] if up else []
        parts = {
            "detailed": [self.qualified, *ends_in_code],
            "detailednoqual": [self.name, *names[:-1]],
            "full": [self.name, *names],
            "namequal": [self.qualified],
            "nameonly": [self.name],
            "revdetailed": [*reversed(ends_in_code), self.qualified],
        }
        return delim.join(parts[form])


def by_name(region: Region) -> str:
    """The key of eBird's order of names, in which accents and capitals count for nothing.

    Among countries, spaces do not count either: Northern Mariana Islands before North Korea.
    """
    name = "".join(c for c in normalize("NFKD", region.name) if not combining(c)).casefold()
    return name.replace(" ", "") if region.type == "country" else name


def type_of(code: str) -> str | None:
    """What kind of region a code looks like."""
    return next((kind for kind, form in _PATTERNS.items() if form.fullmatch(code)), None)


class Regions:
    """All regions, found by code."""

    @cached_property
    def countries(self) -> list[Region]:
        """The countries, by name."""
        named = dict(_MORE_COUNTRIES)
        for country in pycountry.countries:
            name = getattr(country, "common_name", country.name)
            if country.alpha_2 != _NOT_A_COUNTRY:
                named[country.alpha_2] = _RENAMED.get(country.alpha_2, name)
        regions = (Region(code, name, "country", None) for code, name in named.items())
        return sorted(regions, key=by_name)

    @cached_property
    def by_code(self) -> dict[str, Region]:
        """Countries, subdivisions and counties by their codes."""
        found = {country.code: country for country in self.countries}
        divided: set[str] = set()
        for division in pycountry.subdivisions:
            country = found.get(division.country_code)
            below = getattr(division, "parent_code", None) is not None
            # Puerto Rico and its like are countries of their own here.
            if country and not below and division.type != "Outlying area":
                divided.add(country.code)
                code = division.code
                found[code] = Region(code, division.name, "subnational1", country)
        for country in self.countries:
            if country.code not in divided:
                code = f"{country.code}-"
                found[code] = Region(code, country.name, "subnational1", country)
        for area in AREAS:
            for county in area.counties:
                if county.code:
                    parent = found[area.code]
                    found[county.code] = Region(county.code, county.name, "subnational2", parent)
        return found

    @cache  # noqa: B019 - there is one of these
    def within(self, region_type: str, parent: str) -> list[Region]:
        """The regions of a type in a parent region, by name."""
        if region_type == "country":
            return self.countries if parent == WORLD else []
        found = [
            region
            for region in self.by_code.values()
            if region.type == region_type and self._is_in(region, parent)
        ]
        return sorted(found, key=by_name)

    def find(self, code: str) -> Region | None:
        """A region by its code; also a county that only might exist, without a name."""
        known = self.by_code.get(code)
        if known or type_of(code) != "subnational2":
            return known
        parent = self.by_code.get(code.rpartition("-")[0])
        return Region(code, "", "subnational2", parent) if parent else None

    def bounds(self, code: str) -> Bounds | None:
        """The box around a region, where it is known."""
        return _bounds().get(code)

    def adjacent(self, code: str) -> list[Region]:
        """The regions of the same type that share a border with this one."""
        found = [
            self.by_code[other] for other in _adjacent().get(code, ()) if other in self.by_code
        ]
        return sorted(found, key=by_name)

    @staticmethod
    def _is_in(region: Region, parent: str) -> bool:
        above = region.parent
        while above:
            if above.code == parent:
                return True
            above = above.parent
        return False


@cache
def _bounds() -> dict[str, Bounds]:
    found: dict[str, Bounds] = {}
    for row in csv.DictReader(_read("bounds.csv")):
        box = (row["min_x"], row["max_x"], row["min_y"], row["max_y"])
        found[row["code"]] = Bounds(*map(float, box))
    for area in AREAS:
        boxes = [
            Bounds(c.lng - c.half_lng, c.lng + c.half_lng, c.lat - c.half_lat, c.lat + c.half_lat)
            for c in area.counties
        ]
        for county, box in zip(area.counties, boxes, strict=True):
            found[county.code or area.code] = box
        found[area.code] = Bounds(
            min(box.min_x for box in boxes),
            max(box.max_x for box in boxes),
            min(box.min_y for box in boxes),
            max(box.max_y for box in boxes),
        )
    return found


@cache
def _adjacent() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in _read("adjacent.txt"):
        if line and not line.startswith("#"):
            code, *others = line.split()
            for other in others:
                found.setdefault(code, set()).add(other)
                found.setdefault(other, set()).add(code)
    return found


def _read(name: str) -> list[str]:
    return files("ebird_sandbox").joinpath("data", name).read_text(encoding="utf-8").splitlines()
