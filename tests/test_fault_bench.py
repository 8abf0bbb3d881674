"""While everything that can go wrong does, people read what they would have read without it.

`task bench:faults` runs the long form: 200 faults in 30 days.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from fault_bench import FIRST, Bench, Report, undisturbed
from faults import Machine, set_clock
from plant import environment, warehouse
from stage import deployed_stage

from databox_workspace.builds import Build
from ebird_sandbox.process import Sandbox, running_sandbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]

DAYS, FAULTS = {"short": (1, 11), "long": (30, 200)}[os.environ.get("FAULTS", "short")]
# Dagster's storage grows by some 13 MB on a day with faults
DISK = f"size={400 + 30 * DAYS}m"
# of Debian's package libfaketime
FAKETIME = "usr/lib/*/faketime/libfaketimeMT.so.1"
# with it, Python's own sleep is refused: it asks for a time of a clock that is not faked
SLEEP = (
    "import threading, time; "
    # by a default, for what a .pth file imports is not there later
    "time.sleep = lambda seconds, event=threading.Event: event().wait(seconds)\n"
)
SEES_IT = "import sys, time; time.sleep(0.1); assert time.time() - float(sys.argv[1]) > 1800"


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


@contextmanager
def clock_that_jumps(folder: Path) -> Generator[tuple[Path, dict[str, str]]]:
    """A file with the error of the clock, and the environment of processes that go by it."""
    found = next(Path("/").glob(FAKETIME), None)
    if found is None:
        pytest.fail("no clock can jump here: install Debian's package libfaketime")
    clock = folder / "clock"
    (folder / "sleep").mkdir()
    (folder / "sleep" / "sitecustomize.py").write_text(SLEEP)
    variables = {
        "PYTHONPATH": str(folder / "sleep"),
        "LD_PRELOAD": str(found),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        # a correction moves the time of day and not the time since the start of the machine
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    set_clock(clock, 3600)
    command = [sys.executable, "-c", SEES_IT, str(time.time())]
    subprocess.run(command, env=os.environ | variables, check=True)
    set_clock(clock, 0)
    try:
        yield clock, variables
    finally:
        for left in Path("/dev/shm").glob("*faketime_*"):
            if not Path("/proc", left.name.rpartition("_")[2]).exists():
                left.unlink(missing_ok=True)


def moving_world() -> AbstractContextManager[Sandbox]:
    """A sandbox with few birds, which can be told what day it is."""
    few = ["--checklists-per-day", "US-DC=12"]
    return running_sandbox(today=FIRST, admin=True, extra=few)


def disturbed(built: dict[str, Build]) -> Report:
    with (
        tempfile.TemporaryDirectory(prefix="databox-") as name,
        moving_world() as sandbox,
        small_disk(Path(name) / "data") as data,
        small_disk(Path(name) / "home") as home,
        clock_that_jumps(Path(name)) as (clock, wrong_time),
    ):
        folder = Path(name)
        disks = {"the warehouse": data, "Dagster's storage": home}
        machine = Machine({name: disk for name, disk in disks.items() if disk}, clock)
        variables = {
            "EBIRD_API_URL": sandbox.url,
            "DATABASE_URL": f"duckdb:///{folder}/data/databox.duckdb",
            "DLT_DATA_DIR": str(folder / "data" / "dlt"),
            **wrong_time,
        }
        # code servers get no PYTHONPATH, and a sitecustomize of theirs may come after the system's
        files = {"sleep.pth": SLEEP}
        with deployed_stage(folder, built, variables=variables, files=files) as stage:
            return Bench(stage, sandbox, machine, seed=1, say=print).run(days=DAYS, faults=FAULTS)


def test_whatever_goes_wrong_each_day_ends_with_what_it_would_have_ended_with(
    built: dict[str, Build], tmp_path: Path
) -> None:
    report = disturbed(built)
    print(report.table())  # noqa: T201
    assert len(report.faults) >= FAULTS
    assert {fault.kind for fault in report.faults} == report.kinds
    with (
        moving_world() as sandbox,
        environment(**(warehouse(tmp_path) | {"EBIRD_API_URL": sandbox.url})),
    ):
        expected = undisturbed(sandbox, days=DAYS)
    assert report.days == expected
    assert len(set(expected.values())) == DAYS + 1, "the world did not move"
