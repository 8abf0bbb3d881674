"""A world of 20,000 checklists a day keeps only so much of itself."""

from datetime import date, timedelta

import pytest

from ebird_sandbox.areas import with_rates
from ebird_sandbox.world import World, today_at_noon

TODAY = date(2026, 5, 20)


@pytest.mark.slow
def test_many_large_days_do_not_pile_up_in_memory() -> None:
    world = World(1, today_at_noon(TODAY), with_rates(None, {"US-DC": 20_000}))
    for back in range(1, 9):
        assert len(world.day("US-DC", TODAY - timedelta(days=back)).checklists) > 14_000
        assert world.cached_observations <= 2_000_000
    first = world.day("US-DC", TODAY - timedelta(days=1)).checklists
    assert world.checklist(first[7].number) is first[7]
