"""What the commands refuse before they start anything."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from databox_workspace.__main__ import main


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ("2999-01-01", "2999-01-01 cannot be read: days are from 2015-01-01 to today"),
        ("2014-12-31/2015-01-02", "2014-12-31 cannot be read"),
        ("2026-13-40", "is neither a day"),
        (",", "it names no day"),
    ],
)
def test_days_that_nobody_can_have_seen_are_refused(days: str, sentence: str) -> None:
    done = CliRunner().invoke(main, ["pipeline", "--days", days])
    assert done.exit_code == 2
    assert sentence in " ".join(done.output.split()).replace(" │ ", " ")
