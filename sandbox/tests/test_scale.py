"""A world of 20,000 checklists a day keeps only so much of itself, and goes on answering."""

from datetime import date, timedelta
from http.client import HTTPConnection
from select import select
from urllib.parse import urlsplit

import pytest
import requests

from ebird_sandbox.areas import with_rates
from ebird_sandbox.process import running_sandbox
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


def test_others_are_answered_while_a_long_answer_is_made() -> None:
    with running_sandbox(today=TODAY, extra=["--checklists-per-day", "US-DC=1500"]) as sandbox:
        address = urlsplit(sandbox.url)
        long = HTTPConnection(address.netloc)
        long.request("GET", "/v2/data/obs/US-DC/recent?back=30&key=any")
        for _ in range(20):
            quick = requests.get(f"{sandbox.url}/ref/region/info/US?key=any", timeout=30)
            assert quick.status_code == 200
        ready, _, _ = select([long.sock], [], [], 0)
        assert not ready, "the long answer was made first"
        assert long.getresponse().status == 200


def test_it_stops_at_once_even_in_the_middle_of_a_long_answer() -> None:
    with running_sandbox(today=TODAY, extra=["--checklists-per-day", "US-DC=20000"]) as sandbox:
        long = HTTPConnection(urlsplit(sandbox.url).netloc)
        long.request("GET", "/v2/data/obs/US-DC/recent?back=30&key=any")
        assert requests.get(f"{sandbox.url}/ref/taxonomy/versions", timeout=30).ok
        sandbox.process.terminate()
        assert sandbox.process.wait(timeout=10) == 0
        long.close()
