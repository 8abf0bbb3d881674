"""Rarities do what rarities do."""

from datetime import date, timedelta

from ebird_sandbox.world import World, today_at_noon

TODAY = date(2026, 5, 20)


def test_a_rarity_that_stays_is_reported_at_its_place_on_several_days() -> None:
    world = World(1, today_at_noon(TODAY))
    seen: dict[tuple[int, str], set[date]] = {}
    for back in range(30):
        for checklist in world.day("US-DC", TODAY - timedelta(days=back)).checklists:
            for o in checklist.observations:
                if o.review is not None:
                    key = (checklist.location.number, o.taxon.code)
                    seen.setdefault(key, set()).add(checklist.day)
    days_running = [
        max(sum(day + timedelta(days=n) in days for n in range(7)) for day in days)
        for days in seen.values()
    ]
    assert max(days_running) >= 3
