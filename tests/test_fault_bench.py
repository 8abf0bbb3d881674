"""While everything that can go wrong does, people read what they would have read without it.

`task bench:faults` runs the long form: 200 faults in 30 days.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from fault_bench import FIRST, Bench, Report, undisturbed
from plant import environment, warehouse
from stage import deployed_stage

from databox_workspace.builds import Build
from ebird_sandbox.process import Sandbox, running_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]

DAYS, FAULTS = {"short": (1, 9), "long": (30, 200)}[os.environ.get("FAULTS", "short")]
DISK = "size=400m"


@contextmanager
def small_disk(folder: Path) -> Generator[Path | None]:
    """A file system that can be filled; None where we may not mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", DISK, "databox", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        print("no disk can be mounted here, so none fills up")  # noqa: T201
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def moving_world() -> AbstractContextManager[Sandbox]:
    """A sandbox with few birds, which can be told what day it is."""
    few = ["--checklists-per-day", "US-DC=12"]
    return running_sandbox(today=FIRST, admin=True, extra=few)


def disturbed(built: dict[str, Build]) -> Report:
    with (
        tempfile.TemporaryDirectory(prefix="databox-") as name,
        moving_world() as sandbox,
        small_disk(Path(name) / "data") as disk,
    ):
        folder = Path(name)
        variables = {
            "EBIRD_API_URL": sandbox.url,
            "DATABASE_URL": f"duckdb:///{folder}/data/databox.duckdb",
            "DLT_DATA_DIR": str(folder / "data" / "dlt"),
        }
        with deployed_stage(folder, built, variables=variables) as stage:
            return Bench(stage, sandbox, disk, seed=1, say=print).run(days=DAYS, faults=FAULTS)


def test_whatever_goes_wrong_each_day_ends_with_what_it_would_have_ended_with(
    built: dict[str, Build], tmp_path: Path
) -> None:
    report = disturbed(built)
    print(report.table())  # noqa: T201
    assert len(report.faults) >= FAULTS
    with (
        moving_world() as sandbox,
        environment(**(warehouse(tmp_path) | {"EBIRD_API_URL": sandbox.url})),
    ):
        expected = undisturbed(sandbox, days=DAYS)
    assert report.days == expected
    assert len(set(expected.values())) == DAYS + 1, "the world did not move"
