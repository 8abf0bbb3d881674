"""Redeploys while the chain works: nothing is lost, doubled, failed or different.

`task bench:deploy` runs the long form: 30 redeploys, 60 days.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from plant import environment, warehouse
from redeploys import READ_DATE, Load, Report, Tables, released, run_load
from stage import running_stage
from straight import run_straight

from databox_shared.days import DAYS_TAG, READ_DATE_TAG
from databox_workspace.builds import Build
from ebird_sandbox.process import running_sandbox

pytestmark = pytest.mark.slow

LOAD, REDEPLOYS = {
    "short": (Load(backfill=4, per_run=2, daily=1), 4),
    "long": (Load(backfill=60, per_run=6, daily=10), 30),
}[os.environ.get("DEPLOY_LOAD", "short")]


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with running_sandbox() as sandbox:
        yield sandbox.url


def report(built: dict[str, Build], api: str) -> Report:
    with tempfile.TemporaryDirectory(prefix="databox-") as folder:
        variables = {"EBIRD_API_URL": api}
        with running_stage(Path(folder), built, variables=variables) as stage:
            return run_load(stage, LOAD, redeploys=REDEPLOYS, say=print)


def straight(api: str, folder: Path) -> Tables:
    """What the same load comes to without a deployment."""
    with environment(**(warehouse(folder) | {"EBIRD_API_URL": api})):
        for days in LOAD.runs():
            run_straight({DAYS_TAG: days, READ_DATE_TAG: READ_DATE.isoformat()})
        return released()


def test_redeploys_under_load_change_no_result_and_lose_and_double_nothing(
    built: dict[str, Build], api: str, tmp_path: Path
) -> None:
    disturbed = report(built, api)
    print(f"runs {disturbed.runs}, in flight at a redeploy {disturbed.in_flight}")  # noqa: T201
    assert disturbed.in_flight, "no redeploy met a run"
    assert not disturbed.not_successful
    assert not disturbed.answered_twice
    assert not disturbed.noticed
    assert disturbed.unanswered == 0
    undisturbed = straight(api, tmp_path)
    assert disturbed.tables == undisturbed
    assert any(undisturbed.values())
