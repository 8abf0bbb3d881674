"""Fetch: how near days come to what the allowed concurrency permits, from an API 50 ms away.

`uv run python benchmarks/ingestion_fetch.py [DAYS]`, 7 days of US-MA unless said otherwise. The
sandbox answers every request 50 ms late. The reference is arithmetic: as many answers at once as
ingestion allows itself, each after 50 ms. Beside it, in turn, a plain script with requests and as
many threads, which is told the checklists and only writes down what it gets.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from threading import local

import requests

from databox_shared.settings import load_settings
from ebird_sandbox.process import running_sandbox
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.fetch import Fetcher
from ingestion_location.ebird.landing import Landing
from ingestion_location.ebird.pace import CONCURRENCY

REGION, CHECKLISTS, LATE = "US-MA", 330, 0.05
TODAY = date(2026, 11, 23)
ROUNDS, WANTED = 3, 0.9


def ours(folder: Path, days: Sequence[date]) -> tuple[float, list[str]]:
    """Share of the possible speed at which the days are fetched, and the checklists' pages."""
    with EbirdApi(load_settings()) as api:
        landing = Landing(folder)
        fetcher = Fetcher(api, landing, TODAY, lambda _: None, (1,))
        begin = time.perf_counter()
        reads = list(fetcher.days((REGION, day) for day in days))
        share = possible(api.calls) / (time.perf_counter() - begin)
    assert [read.day for read in reads] == list(days)
    return share, pages(folder)


def pages(folder: Path) -> list[str]:
    return [
        json.loads(line)["path"]
        for file in sorted(folder.rglob("views/**/*.gz"))
        for line in gzip.decompress(file.read_bytes()).splitlines()
    ]


def plain(url: str, folder: Path, paths: Sequence[str]) -> float:
    """The same for a script that fetches these paths and nothing else."""
    mine = local()

    def fetch(path: str) -> None:
        if not hasattr(mine, "session"):
            mine.session = requests.Session()
        answer = mine.session.get(f"{url}/{path}", headers={"X-eBirdApiToken": "any"})
        answer.raise_for_status()
        (folder / path.replace("/", "_")).write_text(answer.text)

    begin = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(fetch, paths))
    return possible(len(paths)) / (time.perf_counter() - begin)


def possible(calls: int) -> float:
    return calls * LATE / CONCURRENCY


def main(number: int) -> int:
    days = [TODAY - timedelta(days=n) for n in range(number, 0, -1)]
    extra = [f"--checklists-per-day={REGION}={CHECKLISTS}", f"--fault=*:late,seconds={LATE}"]
    results: list[tuple[float, float]] = []
    with running_sandbox(today=TODAY, extra=extra) as sandbox:
        os.environ["EBIRD_API_URL"] = sandbox.url
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as name:
                os.environ["DATABASE_URL"] = f"duckdb:///{name}/databox.duckdb"
                folder = Path(name)
                (folder / "plain").mkdir()
                share, paths = ours(folder / "landing", days)
                results.append((share, plain(sandbox.url, folder / "plain", paths)))
    for share, script in results:
        print(f"ingestion {share:6.1%}   plain script {script:6.1%}")
    share = median(share for share, _ in results)
    print(f"median    {share:6.1%} of {CONCURRENCY} answers in {LATE * 1000:.0f} ms; wanted: 90 %")
    return int(share < WANTED)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7))
