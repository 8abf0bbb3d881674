"""The rule by which `task bench --check` fails; what it measures is tried by running it."""

from __future__ import annotations

from speed.compare import regressions, unmatched


def test_a_ratio_that_grew_by_more_than_a_fifth_is_a_regression_and_is_named() -> None:
    kept = {"slower": 2.0, "as before": 2.0, "quicker": 2.0}
    [sentence] = regressions(kept, {"slower": 2.42, "as before": 2.39, "quicker": 0.5})
    assert sentence == "slower: 2.42 times its reference, 21% more than the 2.00 that is kept"


def test_a_line_that_one_side_lacks_is_no_regression_but_is_said() -> None:
    kept, found = {"old": 1.0, "both": 1.0}, {"both": 1.0, "new": 9.0}
    assert not regressions(kept, found)
    assert unmatched(kept, found) == [
        "old: kept, but not measured in this run",
        "new: measured, but not kept yet",
    ]
