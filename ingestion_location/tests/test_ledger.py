"""Which days a daily run is for, and that real and generated birds never meet."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion_location.ebird.ledger import (
    Reads,
    SourceMixedError,
    claim_source,
    due_days,
    reads_before,
    record_reads,
)

REREAD_AGES = (1, 2, 3, 7, 14, 30)
TODAY = date(2026, 11, 23)


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def live(file: Path, today: date) -> list[date]:
    """One daily run of one region, as far as the ledger is concerned."""
    due = list(due_days(["US-DC"], reads_before(file, today), today, REREAD_AGES))
    record_reads(file, [("US-DC", day) for day in due], today, is_daily=True)
    return due


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "working.duckdb"
    claim_source(file, "sandbox")
    return file


def test_the_first_run_is_for_fourteen_days_and_says_why() -> None:
    due = due_days(["US-DC"], {}, TODAY, REREAD_AGES)
    assert list(due) == [ago(n) for n in range(14, 0, -1)]
    assert due[ago(14)] == "first load of US-DC"
    assert due[ago(1)] == "yesterday"


def test_after_a_month_of_daily_runs_a_run_is_for_the_six_ages_and_no_more(ledger: Path) -> None:
    for back in range(40, 0, -1):
        live(ledger, ago(back))
    assert live(ledger, TODAY) == [ago(age) for age in sorted(REREAD_AGES, reverse=True)]


def test_a_run_never_goes_before_the_first_loaded_day(ledger: Path) -> None:
    live(ledger, ago(3))
    first_loaded = ago(3) - timedelta(days=14)
    assert min(live(ledger, TODAY)) >= first_loaded


def test_the_same_date_again_is_for_the_same_days(ledger: Path) -> None:
    for back in (9, 4):
        live(ledger, ago(back))
    assert live(ledger, TODAY) == live(ledger, TODAY)


def test_after_a_pause_every_missed_day_is_read_however_long_it_was(ledger: Path) -> None:
    live(ledger, ago(60))
    assert set(live(ledger, TODAY)) >= {ago(n) for n in range(1, 61)}


def test_a_loaded_year_long_ago_makes_the_first_daily_run_no_longer(ledger: Path) -> None:
    record_reads(ledger, [("US-DC", date(2020, 5, 1))], ago(5), is_daily=False)
    assert list(due_days(["US-DC"], reads_before(ledger, TODAY), TODAY, REREAD_AGES)) == [
        ago(n) for n in range(14, 0, -1)
    ]


def test_a_new_region_begins_with_its_fourteen_days(ledger: Path) -> None:
    live(ledger, ago(1))
    due = due_days(["US-DC", "JP-13"], reads_before(ledger, TODAY), TODAY, REREAD_AGES)
    assert due[ago(9)] == "first load of JP-13"


def test_all_regions_that_are_loaded_for_the_first_time_are_named(ledger: Path) -> None:
    live(ledger, ago(1))
    regions = ["US-MA", "US-DC", "CA-NS", "JP-13"]
    due = due_days(regions, reads_before(ledger, TODAY), TODAY, REREAD_AGES)
    # also on a day that is read again for another region
    for age in (9, 7, 3):
        assert due[ago(age)] == "first load of US-MA, CA-NS, JP-13"


@given(
    st.dictionaries(st.integers(1, 60), st.integers(0, 59), max_size=40),
    st.integers(1, 60),
)
def test_every_day_that_reached_an_age_since_it_was_read_is_due(
    read: dict[int, int], until: int
) -> None:
    last = {ago(age): ago(min(age, back + 1)) for age, back in read.items()}
    due = due_days(["US-DC"], {"US-DC": Reads(last, ago(until))}, TODAY, REREAD_AGES)
    for day, read_on in last.items():
        reached = [age for age in REREAD_AGES if (read_on - day).days < age <= (TODAY - day).days]
        if reached:
            assert day in due
        elif day != ago(1):
            assert day not in due
    assert list(due) == sorted(due)


def test_a_warehouse_of_generated_birds_refuses_real_ones_with_a_sentence(ledger: Path) -> None:
    claim_source(ledger, "sandbox")
    with pytest.raises(SourceMixedError, match=r"set DATABASE_URL to another file"):
        claim_source(ledger, "api.ebird.org")
