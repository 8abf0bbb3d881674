"""A new day beside ten years of history and beside one: what the history costs.

`uv run python benchmarks/transform_history.py [YEARS] [CHECKLISTS]`, 10 years of 20 checklists a
day unless said otherwise. Both warehouses are loaded from the sandbox by real runs of ingestion
and transform; then the same new days are loaded into both, one by one, and each run of transform
for one of them is measured. The subject has the long history, the reference has one year.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from statistics import median

from ebird_sandbox.process import running_sandbox

TODAY = date(2026, 11, 20)
NEW_DAYS = [TODAY - timedelta(days=n) for n in range(5, 0, -1)]
TARGET = 1.3


def execute(home: Path, module: str, job: str, days: Sequence[date]) -> tuple[float, float]:
    """Run a job for these days in a process of its own; returns its seconds of CPU and wall."""
    code = (
        "import dagster as dg, importlib\n"
        f"job = importlib.import_module('{module}.definitions')\n"
        "defs = next(d for d in vars(job).values() if isinstance(d, dg.Definitions))\n"
        "with dg.DagsterInstance.ephemeral() as instance:\n"
        f"    run = defs.resolve_job_def('{job}').execute_in_process(\n"
        f"        instance=instance, tags={{'databox/days': '{days[0]}/{days[-1]}',\n"
        f"        'databox/read_date': '{TODAY}'}})\n"
    )
    environment = {
        **os.environ,
        "DATABASE_URL": f"duckdb:///{home}/databox.duckdb",
        "DLT_DATA_DIR": f"{home}/dlt",
        "EBIRD_REGIONS": "US-DC",
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{job} failed:\n{done.stderr[-3000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - began


def ingest(home: Path, days: Sequence[date]) -> None:
    execute(home, "ingestion_location", "daily_ebird_pipeline", days)


def transform(home: Path, days: Sequence[date]) -> tuple[float, float]:
    return execute(home, "transform_location", "transform_pipeline", days)


def main(years: int, checklists: int) -> int:
    first_new = NEW_DAYS[0]
    extra = [f"--checklists-per-day=US-DC={checklists}"]
    with (
        tempfile.TemporaryDirectory() as name,
        running_sandbox(today=TODAY, extra=extra) as sandbox,
    ):
        os.environ["EBIRD_API_URL"] = sandbox.url
        homes = {"subject": Path(name) / "subject", "reference": Path(name) / "reference"}
        for home, age in zip(homes.values(), (years, 1), strict=True):
            home.mkdir()
            history = [first_new - timedelta(days=n) for n in range(365 * age, 0, -1)]
            began = time.perf_counter()
            ingest(home, history)
            _, seconds = transform(home, history)
            size = (home / ".databox/transform/transform.duckdb").stat().st_size / 1e6
            print(
                f"{age:2d} years: loaded in {time.perf_counter() - began:.0f} s, "
                f"of which transform {seconds:.0f} s; {size:.0f} MB",
                flush=True,
            )
        pairs: list[tuple[float, float]] = []
        for day in NEW_DAYS:
            costs: dict[str, float] = {}
            for side, home in homes.items():
                ingest(home, [day])
                costs[side], _ = transform(home, [day])
            pairs.append((costs["subject"], costs["reference"]))
            print(f"{day}: {costs['subject']:.2f} s CPU / {costs['reference']:.2f} s", flush=True)
    ratio = median(long / short for long, short in pairs)
    print(f"a new day with {years} years of history: {ratio:.2f} times the CPU; wanted: {TARGET}")
    return int(ratio > TARGET)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*given, *(10, 20)[len(given) :]))
