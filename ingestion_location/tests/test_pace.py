"""How eBird is asked: never more at once, in a day or after a refusal than is allowed."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from databox_shared.settings import load_settings
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.errors import BudgetError
from ingestion_location.ebird.fetch import Fetcher, FetchError
from ingestion_location.ebird.landing import Landing
from ingestion_location.ebird.pace import CONCURRENCY, CallBudget, Gate

from .canned import Canned, Reply, canned_api

DAYS = [date(2026, 11, 1) + timedelta(days=n) for n in range(3 * CONCURRENCY)]
QUIET = {"numChecklists": 0, "numContributors": 0, "numSpecies": 0}


def nobody_was_out(path: str) -> Reply:
    return Reply(QUIET if path.startswith("product/stats") else [])


@pytest.fixture
def came() -> list[date]:
    """The days that were read, in order, up to a failure."""
    return []


@pytest.fixture
def read(
    came: list[date], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Canned], None]:
    """Reads all the days from a canned API."""

    def read_days(canned: Canned) -> None:
        monkeypatch.setenv("EBIRD_API_URL", canned.url)
        with EbirdApi(load_settings(), sleep=lambda _: None) as api:
            fetcher = Fetcher(api, Landing(tmp_path), date(2026, 11, 30), lambda _: None, (1,))
            for day_read in fetcher.days(("US-DC", day) for day in DAYS):
                came.append(day_read.day)  # noqa: PERF401 (what came before a failure is kept)

    return read_days


def test_as_much_is_asked_at_once_as_is_allowed_and_no_more(
    read: Callable[[Canned], None], came: list[date]
) -> None:
    together = threading.Barrier(CONCURRENCY)
    there, most = [0], [0]
    lock = threading.Lock()

    def answer(path: str) -> Reply:
        with lock:
            there[0] += 1
            most[0] = max(most[0], there[0])
        # a day asks one thing after the other: without days ahead nobody else would ever come
        together.wait(60)
        with lock:
            there[0] -= 1
        return nobody_was_out(path)

    with canned_api(answer) as canned:
        read(canned)
    assert came == DAYS
    assert most == [CONCURRENCY]


def test_days_come_in_order_up_to_the_one_that_fails_and_then_nothing_is_asked(
    read: Callable[[Canned], None], came: list[date]
) -> None:
    def answer(path: str) -> Reply:
        return Reply(status=400) if path.endswith("/2026/11/4") else nobody_was_out(path)

    with canned_api(answer) as canned:
        with pytest.raises(FetchError, match=r"US-DC 2026-11-04: .* answered 400"):
            read(canned)
        assert came == DAYS[:3]
        # the days that were being read ahead, of which each may have asked for its lists
        assert len(canned.requests) <= 2 * (3 + CONCURRENCY)


def test_a_refused_key_is_not_tried_again_by_those_who_wait(
    read: Callable[[Canned], None], came: list[date]
) -> None:
    with canned_api(lambda _: Reply(status=403)) as canned:
        with pytest.raises(FetchError, match=r"US-DC 2026-11-01: eBird refused the key \(403\)"):
            read(canned)
        assert len(canned.requests) <= CONCURRENCY
    assert came == []


def test_the_gate_lets_through_in_the_order_of_coming() -> None:
    gate, order = Gate(1), list[int]()

    def go(number: int) -> None:
        with gate:
            order.append(number)

    threads = [threading.Thread(target=go, args=(number,)) for number in range(5)]
    with gate:
        for number, thread in enumerate(threads, start=1):
            thread.start()
            while len(gate._waiting) < number:  # pyright: ignore[reportPrivateUsage]
                pass
    for thread in threads:
        thread.join()
    assert order == list(range(5))


@pytest.mark.parametrize(("zone", "next_day"), [("UTC", 24), ("America/New_York", 29)])
def test_the_calls_of_a_day_are_counted_over_kills_and_anew_at_midnight_in_its_zone(
    zone: str, next_day: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EBIRD_DAILY_CALL_LIMIT", "3")
    monkeypatch.setenv("EBIRD_SCHEDULE_TIMEZONE", zone)
    midnight = datetime(2026, 11, 23, tzinfo=UTC)

    def budget(hours: int) -> CallBudget:
        return CallBudget(load_settings(), None, lambda: midnight + timedelta(hours=hours))

    # each is a process of its own
    for _ in range(3):
        budget(next_day - 1).spend()
    with pytest.raises(BudgetError, match=r"the 3 calls of 2026-11-23 are used up"):
        budget(next_day - 1).spend()
    budget(next_day).spend()


def test_without_a_limit_of_ones_own_the_usual_one_holds_away_from_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now: Any = datetime(2026, 11, 23, tzinfo=UTC)
    usual = CallBudget(load_settings(), 2, lambda: now)
    usual.spend()
    usual.spend()
    with pytest.raises(BudgetError):
        usual.spend()
    monkeypatch.setenv("EBIRD_DAILY_CALL_LIMIT", "3")
    CallBudget(load_settings(), 2, lambda: now).spend()
