"""What the pipeline command says at its end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from databox_shared.settings import Settings
from databox_workspace.summary import print_summary

POSTGRES = "postgresql://birder:hunter2@db.example:5433/birds"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (POSTGRES, "PostgreSQL db.example:5433/birds, schema ebird"),
        (POSTGRES.replace("postgresql", "ducklake:postgres"), "db.example:5433/birds, a DuckLake"),
    ],
)
def test_the_summary_says_in_which_database_people_find_the_release_and_no_password(
    url: str, expected: str, tmp_path: Path
) -> None:
    settings = Settings(database_url=url, database_dir=tmp_path)
    said = io.StringIO()
    print_summary(Console(file=said, width=400), settings, {"rows": {"ebird.targets": 1}}, 1.0)
    assert f"And in         PostgreSQL {expected.removeprefix('PostgreSQL ')}" in said.getvalue()
    assert "hunter2" not in said.getvalue()
