from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databox_shared.days import DaysError, day_ranges, format_days, parse_days

days = st.dates(min_value=date(2015, 1, 1), max_value=date(2030, 12, 31))


@given(st.sets(days))
def test_days_survive_being_written_and_read(some: set[date]) -> None:
    assert parse_days(format_days(some)) == sorted(some)


@given(st.sets(days, min_size=1))
def test_ranges_cover_exactly_the_days_and_never_touch(some: set[date]) -> None:
    ranges = day_ranges(some)
    covered = {
        first + timedelta(days=n) for first, last in ranges for n in range((last - first).days + 1)
    }
    assert covered == some
    assert all(later[0] - earlier[1] > timedelta(days=1) for earlier, later in pairwise(ranges))


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-22/2026-11-20"])
def test_a_text_that_names_no_days_is_refused_with_the_part_that_is_wrong(text: str) -> None:
    with pytest.raises(DaysError, match=text.replace("/", ".")):
        parse_days(text)
