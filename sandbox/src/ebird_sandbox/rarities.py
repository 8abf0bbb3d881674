"""Birds that reviewers look at: rarities that stay for some days, and birds out of their season.

A rarity that stays is reported by many of those who come to its place. This module must never
report what is an everyday bird at that place and time.
"""
# ruff: noqa: PLR2004 - chances are said where they are used

from datetime import date, timedelta
from random import Random

from ebird_sandbox.checklists import OBS_PER_CHECKLIST, Checklist, Observation, Review
from ebird_sandbox.dice import dice
from ebird_sandbox.places import Places
from ebird_sandbox.seasons import Seasons, week_of
from ebird_sandbox.taxonomy import Taxon

_STAY_BLOCK = 8


class Rarities:
    """The rarities of one area."""

    def __init__(self, seed: int, places: Places, seasons: Seasons) -> None:
        self._seed = seed
        self._places = places
        self._seasons = seasons

    def stays(self, day: date) -> dict[int, Taxon]:
        """The rare birds that are in the area that day, by the number of their place."""
        ordinal = day.toordinal()
        hotspots = self._places.hotspots
        wanted = 6 + int(min(30, self._places.area.checklists_per_day // 30))
        stays: dict[int, Taxon] = {}
        for block in (ordinal // _STAY_BLOCK - 1, ordinal // _STAY_BLOCK):
            rng = dice(self._seed, self._places.area.code, "stay", block)
            for _ in range(wanted):
                # To the fourth: the places with many visitors find most rarities.
                location = hotspots[int(rng.random() ** 4 * len(hotspots))]
                begin = block * _STAY_BLOCK + rng.randrange(_STAY_BLOCK)
                length = rng.choice((1, 1, 2, 3, 5, 7))
                luck = rng.random()
                if location.vagrants and begin <= ordinal < begin + length:
                    bird = location.vagrants[int(luck * len(location.vagrants))]
                    stays.setdefault(location.number, bird)
        return stays

    def report(self, rng: Random, checklist: Checklist, stay: Taxon | None) -> None:
        """Adds what reviewers look at: a rare bird that stays, or one out of its season."""
        roll = rng.random()
        if stay is not None and roll < 0.6:
            self._add(rng, checklist, stay, rng.randint(1, 2))
        elif roll < 0.008 and checklist.location.vagrants:
            self._add(rng, checklist, rng.choice(checklist.location.vagrants), 1)
        elif roll < 0.014:
            species = self._places.species_of(checklist.location)
            present = {o.taxon.species_code for o in checklist.observations}
            day = checklist.day
            expected = self._seasons.expected(
                checklist.location.habitat, week_of(day.month, day.day)
            )
            odd = [t for t in species if t not in expected.taxa and t.code not in present]
            if odd:
                self._add(rng, checklist, rng.choice(odd), 1)

    def _add(self, rng: Random, checklist: Checklist, taxon: Taxon, count: int) -> None:
        if any(o.taxon is taxon for o in checklist.observations):
            return
        number = checklist.number * OBS_PER_CHECKLIST + len(checklist.observations)
        roll = rng.random()
        at = None if roll < 0.12 else checklist.created + timedelta(hours=rng.uniform(5, 480))
        observation = Observation(
            number=number,
            taxon=taxon,
            count=count,
            review=Review(at, accepted=roll < 0.86),
            comments="Seen well, photographed." if rng.random() < 0.7 else None,
            media=rng.choice((0, 1, 3)),
        )
        checklist.observations.append(observation)
        checklist.observations.sort(key=lambda o: o.taxon.taxon_order)
