"""A year in one run: its memory, its progress, and how it goes on after a kill.

`uv run python benchmarks/ingestion_year.py [DAYS] [CHECKLISTS]`, 365 days of US-MA with 330
checklists each unless said otherwise. It is the real run: `dagster asset materialize
--partition-range` against a sandbox over HTTP, from the first call to the published snapshot. Half
way it is killed with SIGKILL and run again. Its memory is the largest resident set that the system
saw of it; the sandbox is a process of its own and not counted.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from urllib.request import urlopen

from ebird_sandbox.process import running_sandbox
from ingestion_location.ebird.pace import CONCURRENCY

REGION = "US-MA"
WANTED_MB = 1_000


def run(days: list[date], log: Path, killed_after: int | None = None) -> int:
    """Run these days, and kill the run after so many of them; returns its peak memory in MB."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "asset", "materialize"]
    command += ["-m", "ingestion_location.definitions", "--select", "group:ebird"]
    command += ["--partition-range", f"{days[0]}...{days[-1]}"]
    begin, read = time.monotonic(), 0
    with (
        log.open("a") as kept,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as it,
    ):
        assert it.stdout is not None
        for line in it.stdout:
            kept.write(line)
            said = line.rstrip().rpartition(" - ")[2]
            read += said.startswith(f"{REGION} 2") and said.endswith(" calls")
            if "loaded" in said or "announced" in said:
                print(f"{time.monotonic() - begin:6.0f} s  {read:3d} days read  {said}", flush=True)
            if killed_after is not None and read >= killed_after:
                it.send_signal(signal.SIGKILL)
                break
        _, status, usage = os.wait4(it.pid, 0)
        it.returncode = os.waitstatus_to_exitcode(status)
    expected = 0 if killed_after is None else -signal.SIGKILL
    if it.returncode != expected:
        sys.exit(f"the run ended with {it.returncode}:\n" + log.read_text()[-3000:])
    return usage.ru_maxrss // 1024


def landed(folder: Path) -> tuple[int, int, int]:
    """Answers in landing files, their compressed bytes, and how many are checklists' pages."""
    answers = views = size = 0
    for file in folder.rglob("*.jsonl.gz"):
        size += file.stat().st_size
        with gzip.open(file) as lines:
            number = sum(1 for _ in lines)
        answers += number
        views += number if "views" in file.parts else 0
    return answers, size, views


def main(number: int, checklists: int) -> int:
    last = date.today() - timedelta(days=1)  # noqa: DTZ011 (the run looks at the same clock)
    days = [last - timedelta(days=n) for n in reversed(range(number))]
    extra = [f"--checklists-per-day={REGION}={checklists}"]
    with tempfile.TemporaryDirectory() as name, running_sandbox(admin=True, extra=extra) as sandbox:
        folder = Path(name)
        os.environ |= {
            "DATABASE_URL": f"duckdb:///{name}/databox.duckdb",
            "DLT_DATA_DIR": f"{name}/dlt",
            "EBIRD_API_URL": sandbox.url,
            "EBIRD_REGIONS": REGION,
        }
        print(f"{number} days of {REGION}, {checklists} checklists each; killed half way:")
        peaks = [run(days, folder / "log", killed_after=number // 2)]
        print("and run again:")
        peaks.append(run(days, folder / "log"))
        with urlopen(f"{sandbox.admin_url}/requests") as answer:
            asked = json.load(answer)["total"]
        answers, size, views = landed(folder / ".databox" / "ingestion" / "landing")
    print(f"peak memory {max(peaks)} MB; wanted: under {WANTED_MB}")
    print(f"{asked} calls for {answers} answers: {asked - answers} repeated after the kill")
    print(f"landing files: {size / 1e6:.1f} MB, {size / views:.0f} bytes per checklist ({views})")
    return int(max(peaks) >= WANTED_MB or asked - answers > 2 * CONCURRENCY)


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    sys.exit(main(*given, *(365, 330)[len(given) :]))
