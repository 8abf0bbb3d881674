"""The rule by which `task bench --check` fails, and that its plain script knows all models.

What it measures is tried by running it.
"""

from __future__ import annotations

import duckdb
from speed import plain
from speed.compare import regressions, unmatched

from databox_shared.contracts import MARTS, contract


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


def test_the_plain_script_has_every_table_and_column_that_the_models_read() -> None:
    with duckdb.connect() as connection:
        plain.store(connection, {table: [] for table in plain.COLUMNS})
        plain.transform(connection)
        made = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'ebird'"
        ).fetchall()
    promised = {
        (table.name, column.name)
        for table in contract(MARTS).tables.values()
        for column in table.columns
        if table.name not in plain.LEFT_OUT
    }
    assert set(made) == promised
