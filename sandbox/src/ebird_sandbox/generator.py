"""Makes the checklists of an area, day by day, from the seed alone.

``Generator.day`` makes all checklists that will ever be submitted for a day, late ones and later
edits included; what of them is known yet is the world's business (``world.py``). This module must
never look at a clock.
"""
# ruff: noqa: PLR2004 - chances are said where they are used
# ruff: noqa: DTZ001 - local times without a zone, as eBird gives them

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random

from ebird_sandbox import habits
from ebird_sandbox.areas import Area
from ebird_sandbox.checklists import (
    EPOCH,
    FIRST_DAY,
    LAST_DAY,
    MOST_PER_DAY,
    OBS_PER_CHECKLIST,
    Checklist,
    Observation,
    sub_number,
)
from ebird_sandbox.dice import dice, fraction, mix
from ebird_sandbox.places import Location, Places
from ebird_sandbox.rarities import Rarities
from ebird_sandbox.seasons import Seasons, week_of
from ebird_sandbox.taxonomy import Taxon, Taxonomy

# No checklist is submitted longer than this after its day.
LATEST_SUBMISSION = timedelta(days=11)
_EDITED_SHARE, _DELETED_SHARE, _DELETED_WITHIN_HOURS = 0.012, 0.003, 360


class Generator:
    """Makes the checklists of one area."""

    def __init__(
        self, seed: int, area: Area, taxonomy: Taxonomy, places: Places, seasons: Seasons
    ) -> None:
        self.area = area
        self.places = places
        self._seed = seed
        self._seasons = seasons
        self._forms = {
            code: [taxon for taxon in taxa if taxon.category != "domestic"] or taxa
            for code, taxa in taxonomy.forms.items()
        }
        here = {habit.taxon.family_sci_name for habit in seasons.ranked("w")} | {
            habit.taxon.family_sci_name for habit in seasons.ranked("f")
        }
        self._unsure = [
            taxon
            for taxon in taxonomy.taxa
            if taxon.category in ("spuh", "slash", "hybrid") and taxon.family_sci_name in here
        ]
        self._rarities = Rarities(seed, places, seasons)
        self._starts = self._running_numbers()
        self._founded: dict[int, list[Location]] | None = None

    def _running_numbers(self) -> list[int]:
        starts = [0]
        day = FIRST_DAY
        rate = self.area.checklists_per_day
        while day <= LAST_DAY:
            weekday = (0.85, 0.8, 0.82, 0.85, 0.9, 1.45, 1.33)[day.weekday()]
            spring = 1.2 if day.month in (4, 5) else 1.08 if day.month in (9, 10) else 0.93
            luck = fraction(self._seed, self.area.code, "busy", day.toordinal())
            count = int(rate * weekday * spring * (0.85 + 0.3 * luck) + luck * 0.99)
            starts.append(starts[-1] + min(count, MOST_PER_DAY))
            day += timedelta(days=1)
        return starts

    def running_numbers(self, day: date) -> range:
        """The running numbers, since 2015, of a day's checklists."""
        index = (day - FIRST_DAY).days
        if not 0 <= index < len(self._starts) - 1:
            return range(0)
        return range(self._starts[index], self._starts[index + 1])

    def day_of(self, running: int) -> date:
        """The day that a running number belongs to."""
        return FIRST_DAY + timedelta(days=bisect_right(self._starts, running) - 1)

    def day(self, day: date) -> list[Checklist]:
        """All checklists that will ever be submitted for a day."""
        if day < FIRST_DAY:
            return list(self._founding(day))
        numbers = self.running_numbers(day)
        rng = dice(self._seed, self.area.code, "day", day.toordinal())
        where, copies = self.places.visits
        stays = self._rarities.stays(day)
        found: list[Checklist] = []
        for index, running in enumerate(numbers):
            slot = running % len(where)
            if copies[slot] and index and slot:
                found.append(self._copy(rng, found[-1], index))
            else:
                found.append(self._outing(rng, day, index, where[slot], stays))
        for checklist in found:
            if rng.random() < _EDITED_SHARE:
                edited = checklist.created + timedelta(hours=rng.uniform(1, 300))
                checklist.revision = self._revised(rng, checklist, edited)
        for index, at in self.deletions(day).items():
            found[index].deleted = at
        return found

    def another(self, day: date, index: int) -> Checklist:
        """One more checklist for a day, which nobody would have submitted by themselves."""
        rng = dice(self._seed, self.area.code, "extra", day.toordinal(), index)
        location = rng.choice(self.places.visits[0])
        return self._outing(rng, day, index, location, self._rarities.stays(day))

    def deletions(self, day: date) -> dict[int, datetime]:
        """Which checklists of a day, by index, their observers will delete, and when.

        Told without making the checklists, so that all-time totals need not make ten years.
        """
        count = len(self.running_numbers(day))
        luck = fraction(self._seed, self.area.code, "deletions", day.toordinal())
        found: dict[int, datetime] = {}
        for i in range(int(count * _DELETED_SHARE + luck)):
            rest = mix(self._seed, self.area.code, "deleted", day.toordinal(), i)
            hours, index = divmod(rest, count)
            at = datetime(day.year, day.month, day.day) + timedelta(days=1)
            found[index] = at + timedelta(hours=hours % _DELETED_WITHIN_HOURS)
        return found

    # The past before 2015: one historical checklist for each place, with every species that is
    # ever seen there. So the species list of a place is known without generating all its years.
    def _founding(self, day: date) -> Iterator[Checklist]:
        if self._founded is None:
            self._founded = {}
            for location in self.places.locations:
                index = mix(self._seed, "founded", location.number) % 365
                self._founded.setdefault(index, []).append(location)
        observers = self.places.observers
        for index, location in enumerate(self._founded.get((day - EPOCH).days, [])):
            number = sub_number(self.area, day, index)
            created = datetime(2014, 12, 31, 12) + timedelta(minutes=location.number % 600)
            yield Checklist(
                number=number,
                area=self.area,
                day=day,
                location=location,
                observer=location.owner or observers[location.number % len(observers)],
                protocol="P62",
                start=None,
                minutes=None,
                distance_km=None,
                area_ha=None,
                complete=False,
                party=None,
                group=None,
                created=created,
                edited=created,
                deleted=None,
                observations=[
                    Observation(number * OBS_PER_CHECKLIST + i, taxon, None)
                    for i, taxon in enumerate(self.places.species_of(location))
                ],
                comments="Older records of this place.",
            )

    def _outing(
        self, rng: Random, day: date, index: int, location: Location, stays: dict[int, Taxon]
    ) -> Checklist:
        number = sub_number(self.area, day, index)
        observers = self.places.observers
        observer = location.owner or observers[int(rng.random() ** 2 * len(observers))]
        protocol = habits.protocol(rng, location)
        timed = protocol in ("P21", "P22")
        minutes = min(480, 5 + int(rng.expovariate(1 / 55))) if timed else None
        start = (
            habits.start(rng)
            if timed or rng.random() < (0.85 if protocol == "P20" else 0.3)
            else None
        )
        complete = protocol != "P20" and rng.random() < (0.94 if timed else 0.4)
        taxa = self._seen(rng, day, location, minutes, complete)
        distance = round(min(16.0, 0.2 + (minutes or 0) / 60 * rng.uniform(0.6, 2.4)), 3)
        observations = [
            Observation(number * OBS_PER_CHECKLIST + i, taxon, count)
            for i, (taxon, count) in enumerate(taxa.items())
        ]
        created = habits.created(rng, day, start)
        checklist = Checklist(
            number=number,
            area=self.area,
            day=day,
            location=location,
            observer=observer,
            protocol=protocol,
            start=start,
            minutes=minutes,
            distance_km=distance if protocol == "P22" else None,
            # Some counts of the past were of a measured piece of land.
            area_ha=(5 + number % 40) / 10 if protocol == "P62" and number % 3 == 0 else None,
            complete=complete,
            party=(1 if rng.random() < 0.72 else rng.randint(2, 6)) if timed else None,
            group=None,
            created=created,
            edited=created,
            deleted=None,
            observations=observations,
            comments="Windy, few birds calling." if rng.random() < 0.04 else None,
        )
        self._rarities.report(rng, checklist, stays.get(location.number))
        return checklist

    def _seen(
        self, rng: Random, day: date, location: Location, minutes: int | None, complete: bool
    ) -> dict[Taxon, int | None]:
        expected = self._seasons.expected(location.habitat, week_of(day.month, day.day))
        within = expected.within(location.richness)
        chance = rng.random
        if minutes is None and not complete:
            wanted = rng.choice((1, 1, 2, 4))
            picked = [int(chance() * min(within, 30)) for _ in range(wanted)] if within else []
        else:
            # The whole cost of a checklist is this line: one throw for each species of the place.
            effort = min(1.7, 0.35 + (minutes or 60) / 75)
            chances = expected.chances
            picked = [i for i in range(within) if chance() < chances[i] * effort]
        counting = chance() > 0.03
        seen: dict[Taxon, int | None] = {}
        for i in sorted(set(picked)):
            taxon, flock = expected.taxa[i], expected.flocks[i]
            roll = chance()
            if roll < 0.03 and taxon.code in self._forms:
                taxon = self._forms[taxon.code][int(chance() * len(self._forms[taxon.code]))]
            counted = counting and roll < 0.95
            seen[taxon] = 1 + int((flock - 0.6) * rng.expovariate(1)) if counted else None
        if not seen:
            seen[self.places.species_of(location)[0]] = 1
        if chance() < 0.05:
            seen[self._unsure[int(chance() * len(self._unsure))]] = 1 + int(chance() * 3)
        return dict(sorted(seen.items(), key=lambda item: item[0].taxon_order))

    def _copy(self, rng: Random, first: Checklist, index: int) -> Checklist:
        """Somebody else's copy of a shared checklist: the same birds, another observer."""
        number = sub_number(self.area, first.day, index)
        first.group = first.group or first.number
        first.party = max(first.party or 1, 2)
        observers = self.places.observers
        here = first.observer.number - observers[0].number
        other = observers[(here + 1 + int(rng.random() * (len(observers) - 1))) % len(observers)]
        created = first.created + timedelta(minutes=rng.randint(1, 300))
        return replace(
            first,
            number=number,
            observer=other,
            created=created,
            edited=created,
            observations=[
                replace(o, number=number * OBS_PER_CHECKLIST + i)
                for i, o in enumerate(first.observations)
            ],
        )

    def _revised(self, rng: Random, checklist: Checklist, edited: datetime) -> Checklist:
        """What an observer makes of it later: a species withdrawn or added, a count corrected."""
        observations = [replace(o) for o in checklist.observations]
        roll = rng.random()
        if roll < 0.4 and len(observations) > 2:
            del observations[rng.randrange(len(observations))]
        elif roll < 0.65:
            present = {o.taxon.species_code for o in observations}
            taxon = rng.choice(self._here(checklist.location, checklist.day))
            if taxon.code not in present:
                number = max(o.number for o in observations) + 1
                observations.append(Observation(number, taxon, rng.randint(1, 4)))
                observations.sort(key=lambda o: o.taxon.taxon_order)
        else:
            changed = rng.choice(observations)
            changed.count = (changed.count or 0) + rng.randint(1, 9)
        return replace(checklist, edited=edited, observations=observations)

    def _here(self, location: Location, day: date) -> list[Taxon]:
        """The species that are to be expected at a place in a week."""
        expected = self._seasons.expected(location.habitat, week_of(day.month, day.day))
        found = expected.taxa[: expected.within(location.richness)]
        return found or self.places.species_of(location)[:1]
