"""When and where a species is met: the chance that an hour's walk reports it.

Made from a line per species in ``data/birds.txt``, shifted by latitude and varied a little by
area. This module decides chances only; it never decides what was seen.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files

from ebird_sandbox.areas import Area
from ebird_sandbox.dice import fraction
from ebird_sandbox.taxonomy import Taxon, Taxonomy

HABITATS = "wmfuo"
WEEKS = 48
_ABUNDANCE = (0.0, 0.004, 0.012, 0.03, 0.07, 0.14, 0.24, 0.38, 0.55, 0.75)
_OUT_OF_HABITAT = 0.12
_MIDSUMMER = 180
# Days of the year: first arrival, full numbers, last of full numbers, gone. Winter wraps around.
_SEASONS: dict[str, tuple[tuple[int, int, int, int], ...]] = {
    "R": ((-1, 0, 366, 367),),
    "S": ((105, 130, 230, 275),),
    "E": ((70, 95, 260, 310),),
    "W": ((-60, -30, 75, 110), (295, 335, 400, 430)),
    "M": ((108, 125, 138, 155), (225, 250, 275, 300)),
    "P": ((75, 95, 120, 140), (255, 280, 315, 340)),
    "B": ((100, 120, 140, 155), (185, 210, 270, 300)),
    "V": (),
}


@dataclass(frozen=True, slots=True)
class Habit:
    """What one species does in one area."""

    taxon: Taxon
    season: str
    abundance: float
    habitats: str
    flock: int


@dataclass(frozen=True, slots=True)
class Expected:
    """The species of one area, habitat and week, commonest first by all-year rank."""

    ranks: list[int]
    taxa: list[Taxon]
    chances: list[float]
    flocks: list[int]

    def within(self, richness: int) -> int:
        """How many of them a place meets that holds only the first ``richness`` species."""
        return bisect_right(self.ranks, richness - 1)


def _presence(season: str, day: float) -> float:
    best = 0.0
    for arrive, full, last, gone in _SEASONS[season]:
        if full <= day <= last:
            return 1.0
        if arrive < day < full:
            best = max(best, (day - arrive) / (full - arrive))
        elif last < day < gone:
            best = max(best, (gone - day) / (gone - last))
    return best


class Seasons:
    """The chances for one area."""

    def __init__(self, seed: int, area: Area, taxonomy: Taxonomy) -> None:
        self.area = area
        self._habits: list[Habit] = []
        for code, *usual in _lines():
            if area.species is not None and code not in area.species:
                continue
            season, abundance, habitats, flock = usual
            here = area.local.get(code)
            if here is not None:
                season, abundance, habitats = here[0], here[1], here[2:] or habitats
            local = 0.6 + 0.7 * fraction(seed, area.code, code, "abundance")
            chance = min(0.9, _ABUNDANCE[int(abundance)] * local)
            taxon = taxonomy.by_code[code]
            self._habits.append(Habit(taxon, season, chance, habitats, int(flock)))

    @cached_property
    def vagrants(self) -> list[Taxon]:
        """Species so rare that a report of one is reviewed."""
        return [habit.taxon for habit in self._habits if habit.season == "V"]

    @lru_cache(maxsize=len(HABITATS))  # noqa: B019 - a handful of areas, kept for the process
    def ranked(self, habitat: str) -> list[Habit]:
        """The regular species of a habitat, commonest first."""
        regular = [habit for habit in self._habits if habit.season != "V"]
        found = [habit for habit in regular if self._in_habitat(habit, habitat) > 0]
        return sorted(
            found, key=lambda habit: (-self._in_habitat(habit, habitat), habit.taxon.taxon_order)
        )

    @lru_cache(maxsize=len(HABITATS) * WEEKS)  # noqa: B019 - as above
    def expected(self, habitat: str, week: int) -> Expected:
        """The species to be met in one habitat in one of the 48 quarters of a month."""
        day = (week + 0.5) * 365 / WEEKS
        ranks: list[int] = []
        taxa: list[Taxon] = []
        chances: list[float] = []
        flocks: list[int] = []
        for rank, habit in enumerate(self.ranked(habitat)):
            delay = self.area.spring_delay_days if day < _MIDSUMMER else 0
            chance = self._in_habitat(habit, habitat) * _presence(habit.season, day - delay)
            if chance > 0.0005:  # noqa: PLR2004 - rarer than that is a vagrant's business
                ranks.append(rank)
                taxa.append(habit.taxon)
                chances.append(chance)
                flocks.append(habit.flock)
        return Expected(ranks, taxa, chances, flocks)

    @staticmethod
    def _in_habitat(habit: Habit, habitat: str) -> float:
        if habitat in habit.habitats:
            return habit.abundance
        return habit.abundance * _OUT_OF_HABITAT if habit.abundance > _ABUNDANCE[4] else 0.0


def week_of(month: int, day: int) -> int:
    """The quarter of a month that a date falls in: days 1-7, 8-14, 15-21, 22 to the end."""
    return (month - 1) * 4 + min(3, (day - 1) // 7)


def _lines() -> list[list[str]]:
    text = files("ebird_sandbox").joinpath("data/birds.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [entry.split() for line in lines for entry in line.split(";")]
