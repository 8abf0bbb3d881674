"""Whatever the seed, the day and the region, the endpoints' rules hold between each other."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ebird_sandbox import edits, sightings, totals
from ebird_sandbox.areas import with_rates
from ebird_sandbox.checklists import Checklist
from ebird_sandbox.regions import Regions
from ebird_sandbox.rows import hotspot_row
from ebird_sandbox.scopes import Circle, Scope, around, location_scope, region_scope
from ebird_sandbox.sightings import Filters
from ebird_sandbox.truth import truth_of_checklist
from ebird_sandbox.world import World, today_at_noon

REGIONS = Regions()
# Small enough to be looked at whole; everything else is as in a real one.
AREAS = with_rates(None, {"US-DC": 12, "US-MA": 40, "US-PA": 25, "JP-13": 8, "VA-": 2})
CODES = ["US", "US-DC", "US-DC-001", "US-MA", "US-MA-017", "US-PA-003", "JP", "JP-13", "VA", "VA-"]

days = st.dates(date(2015, 1, 3), date(2026, 11, 23))
seeds = st.integers(0, 40)
codes = st.sampled_from(CODES)
some = settings(
    max_examples=18,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


class Case(NamedTuple):
    world: World
    scope: Scope
    today: date


@lru_cache(maxsize=8)
def a_world(seed: int, today: date) -> World:
    return World(seed, today_at_noon(today), AREAS)


cases = st.builds(
    lambda seed, today, code: Case(
        a_world(seed, today), region_scope(a_world(seed, today), REGIONS, code), today
    ),
    seeds,
    days,
    codes,
)
filters = st.builds(
    Filters,
    back=st.integers(1, 10),
    categories=st.sampled_from([None, frozenset({"species"}), frozenset({"issf", "spuh"})]),
    hotspot=st.booleans(),
    provisional=st.booleans(),
)


def known(case: Case, back: int, *, hotspot: bool = False) -> list[Checklist]:
    window = [case.today - timedelta(days=n) for n in range(back + 1)]
    return [c for day in window for c in case.scope.known(case.world, day, hotspot=hotspot)]


def shown(case: Case, wanted: Filters) -> Iterable[tuple[Checklist, str, str | None]]:
    for checklist in known(case, wanted.back, hotspot=wanted.hotspot):
        for o in checklist.observations:
            valid, reviewed = case.world.flags(o)
            if not (valid or (wanted.provisional and not reviewed)):
                continue
            if wanted.categories is None or o.taxon.category in wanted.categories:
                yield checklist, o.taxon.code, o.taxon.report_as


@some
@given(cases, filters)
def test_recent_is_the_latest_of_each_taxon(case: Case, wanted: Filters) -> None:
    latest: dict[str, str] = {}
    for checklist, code, _ in shown(case, wanted):
        latest[code] = max(latest.get(code, ""), checklist.obs_dt)
    found = sightings.recent(case.world, case.scope, wanted)
    assert {s.observation.taxon.code: s.checklist.obs_dt for s in found} == latest
    times = [s.checklist.obs_dt for s in found]
    assert times == sorted(times, reverse=True)


@some
@given(cases, filters)
def test_recent_of_a_species_is_the_latest_at_each_location(case: Case, wanted: Filters) -> None:
    species = case.world.taxonomy.by_code["mallar3"]
    latest: dict[int, str] = {}
    for checklist, code, report_as in shown(case, wanted):
        if species.code in (code, report_as):
            number = checklist.location.number
            latest[number] = max(latest.get(number, ""), checklist.obs_dt)
    found = sightings.recent_of_species(case.world, case.scope, wanted, species)
    assert {s.checklist.location.number: s.checklist.obs_dt for s in found} == latest


@some
@given(cases, filters, st.booleans())
def test_historic_is_the_latest_or_first_submitted_of_each_taxon(
    case: Case, wanted: Filters, first_created: bool
) -> None:
    day = case.today - timedelta(days=1)
    rows = [
        (checklist.created if first_created else checklist.obs_dt, code)
        for checklist, code, _ in shown(case, wanted)
        if checklist.day == day
    ]
    best = min if first_created else max
    expected = {code: best(when for when, other in rows if other == code) for _, code in rows}
    found = sightings.historic(case.world, case.scope, day, wanted, first_created=first_created)
    assert expected == {
        s.observation.taxon.code: s.checklist.created if first_created else s.checklist.obs_dt
        for s in found
    }


@some
@given(cases)
def test_stats_are_the_counts_and_counties_add_up(case: Case) -> None:
    day = case.today - timedelta(days=1)
    checklists = list(case.scope.known(case.world, day))
    stats = totals.stats(case.world, case.scope, day)
    assert stats.num_checklists == len({c.number for c in checklists}) == len(checklists)
    assert stats.num_contributors == len({c.observer.number for c in checklists})
    assert stats.num_species >= max((c.num_species for c in checklists), default=0)
    counties = REGIONS.within("subnational2", "US-MA")
    parts = [region_scope(case.world, REGIONS, county.code) for county in counties]
    whole = totals.stats(case.world, region_scope(case.world, REGIONS, "US-MA"), day)
    numbers = [totals.stats(case.world, part, day).num_checklists for part in parts]
    assert whole.num_checklists == sum(numbers)


@some
@given(cases, st.booleans(), st.integers(1, 100))
def test_top100_are_sums_in_order_and_equals_share_a_number(
    case: Case, by_checklists: bool, wanted: int
) -> None:
    day = case.today - timedelta(days=1)
    species: dict[int, set[str | None]] = {}
    complete: Counter[int] = Counter()
    for checklist in case.scope.known(case.world, day):
        taxa = {o.taxon.species_code for o in checklist.observations} - {None}
        species.setdefault(checklist.observer.number, set()).update(taxa)
        complete[checklist.observer.number] += checklist.complete
    scores = dict(complete) if by_checklists else {n: len(s) for n, s in species.items()}
    leaders = totals.top100(case.world, case.scope, day, by_checklists=by_checklists, wanted=wanted)
    got = [(row.num_complete_checklists if by_checklists else row.num_species) for row in leaders]
    assert got == sorted((n for n in scores.values() if n), reverse=True)[:wanted]
    assert all(scores[row.observer.number] == n for row, n in zip(leaders, got, strict=True))
    assert [row.row_num for row in leaders] == [got.index(n) + 1 for n in got]


@some
@given(cases, st.integers(1, 200))
def test_the_feed_is_the_most_recently_submitted(case: Case, wanted: int) -> None:
    expected = sorted(known(case, 44), key=lambda c: (c.created, c.number), reverse=True)[:wanted]
    found = totals.recent_lists(case.world, case.scope, wanted)
    assert [c.number for c in found] == [c.number for c in expected]


@some
@given(seeds, days, filters, st.floats(0, 50))
def test_nearest_is_sorted_by_distance_and_within_it(
    seed: int, today: date, wanted: Filters, radius: float
) -> None:
    world = a_world(seed, today)
    circle = Circle(40.1, -75.3, radius)
    species = world.taxonomy.by_code["norcar"]
    scope = around(world, circle)
    found = sightings.nearest(world, scope, wanted, species, circle)
    places = [s.checklist.location for s in found]
    away = [circle.distance(place.lat, place.lng) for place in places]
    assert away == sorted(away)
    assert all(distance <= radius for distance in away)
    assert len({place.number for place in places}) == len(places)
    everywhere = Scope(tuple(world.areas), circle=circle)
    assert len(sightings.nearest(world, everywhere, wanted, species, circle)) == len(found)


@some
@given(cases, st.integers(1, 30))
def test_notable_is_every_report_under_review_that_was_not_rejected(case: Case, back: int) -> None:
    found = sightings.notable(case.world, case.scope, Filters(back=back))
    expected = {
        o.number: case.world.flags(o)
        for checklist in known(case, back)
        for o in checklist.observations
        if o.review is not None and case.world.flags(o) != (False, True)
    }
    assert {s.observation.number for s in found} == set(expected)
    assert set(expected.values()) <= {(False, False), (True, True)}


@settings(some, max_examples=6)
@given(seeds, st.dates(date(2015, 1, 20), date(2015, 6, 30)), st.sampled_from(["US-DC", "VA-"]))
def test_all_time_totals_are_those_of_all_days(seed: int, today: date, area: str) -> None:
    world = a_world(seed, today)
    scope = region_scope(world, REGIONS, area)
    counts: Counter[int] = Counter()
    species: dict[int, set[str]] = {}
    latest: dict[int, str] = {}
    for ordinal in range(date(2014, 1, 1).toordinal(), today.toordinal() + 1):
        for checklist in scope.known(world, date.fromordinal(ordinal)):
            number = checklist.location.number
            counts[number] += 1
            latest[number] = max(latest.get(number, ""), checklist.obs_dt)
            codes = {o.taxon.species_code for o in checklist.observations} - {None}
            species.setdefault(number, set()).update(code for code in codes if code)
    rows = list(totals.hotspots(world, scope, None))
    assert rows
    for row in rows:
        number = row.location.number
        assert row.num_checklists == counts[number]
        assert row.num_species == len(species[number])
        if row.latest_obs_dt and row.latest_obs_dt >= "2015":
            assert row.latest_obs_dt == latest[number]
    assert set(totals.species_list(world, scope)) == set().union(*species.values())


@settings(some, max_examples=6)
@given(seeds, st.integers(0, 5), st.integers(0, 30))
def test_totals_stay_right_when_the_world_is_changed(seed: int, moved: int, back: int) -> None:
    today = date(2015, 3, 1)
    world = World(seed, today_at_noon(today), AREAS)
    scope = region_scope(world, REGIONS, "US-DC")
    day = today - timedelta(days=back)
    made = edits.submit(world, "US-DC", day, 4)
    edits.delete(world, made[0])
    edits.edit(world, made[1], {"snoowl1": 1})
    there = list(scope.known(world, day))
    edits.delete(world, there[0])
    private = next(iter(world.areas["US-DC"].places.private_locations))
    target = world.areas["US-DC"].places.hotspots[0]
    edits.merge(world, private, target)
    world.move_to(world.now + timedelta(days=moved))
    counts: Counter[int] = Counter()
    species: set[str | None] = set()
    for ordinal in range(date(2014, 1, 1).toordinal(), world.today.toordinal() + 1):
        for checklist in scope.known(world, date.fromordinal(ordinal)):
            counts[checklist.location.number] += 1
            species |= {o.taxon.species_code for o in checklist.observations}
    for row in totals.hotspots(world, scope, None):
        assert row.num_checklists == counts[row.location.number]
    assert set(totals.species_list(world, scope)) == species - {None}
    assert private.number not in counts
    assert location_scope(world, [private.loc_id]).locations == frozenset({target.number})


@some
@given(seeds, days)
def test_days_are_the_same_whatever_was_asked_before(seed: int, day: date) -> None:
    fresh, used = World(seed, today_at_noon(day), AREAS), a_world(seed, day)
    for code in ("US-DC", "VA-"):
        assert told(fresh, fresh.day(code, day).checklists) == told(
            used, used.day(code, day).checklists
        )
    for checklist in used.day("US-DC", day - timedelta(days=3)).checklists:
        alone = fresh.checklist(checklist.number)
        assert alone is not None
        assert told(fresh, [alone]) == told(used, [checklist])


def told(world: World, checklists: list[Checklist]) -> list[dict[str, object]]:
    return [truth_of_checklist(world, checklist) for checklist in checklists]


def test_a_hotspot_that_nobody_visits_is_listed_without_a_latest_date() -> None:
    quiet = World(7, today_at_noon(date(2026, 5, 20)), with_rates(None, {"VA-": 0}))
    scope = region_scope(quiet, REGIONS, "VA-")
    rows = [hotspot_row(hotspot) for hotspot in totals.hotspots(quiet, scope, None)]
    assert rows
    assert not any("latestObsDt" in row for row in rows)
    assert not list(totals.hotspots(quiet, scope, 30))
