"""Landing files to tables: the load's CPU beside DuckDB's own `read_json` in the same run.

`uv run python benchmarks/ingestion_load.py [OBSERVATIONS]`, a million unless said otherwise. Both
read the same files. The reference reads the checklists' pages into one table and nothing else. A
plain script with json and pandas, which makes two tables of the pages, stands beside it.

A machine that does other things as well makes all of it slower, not always to the same degree. So
each load stands beside a reference in the same process, several times, and the median is told.
"""

from __future__ import annotations

import gzip
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import duckdb

from ingestion_location.ebird.load import load
from ingestion_location.ebird.sources import sources
from ingestion_location.ebird.tables import DAY_TABLES

if TYPE_CHECKING:
    import pandas as pd

DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(30)]
TAXA = 10
TARGET = 2.5
PAIRS = 5


def answer(path: str, day: date, body: object) -> str:
    head = {"region": "US-DC", "day": day.isoformat(), "path": path}
    return json.dumps({**head, "read_at": "2026-11-01 06:00:00", "body": body}) + "\n"


def checklist(sub_id: str, day: date) -> dict[str, object]:
    return {
        "projId": "EBIRD",
        "subId": sub_id,
        "protocolId": "P22",
        "locId": "L1",
        "durationHrs": 1.25,
        "allObsReported": True,
        "creationDt": f"{day} 12:00",
        "lastEditedDt": f"{day} 12:00",
        "obsDt": f"{day} 08:00",
        "obsTimeValid": True,
        "numObservers": 1,
        "effortDistanceKm": 2.5,
        "submissionMethodCode": "EBIRD_iOS",
        "userDisplayName": "A Birder",
        "numSpecies": TAXA,
        "obs": [
            {
                "speciesCode": f"taxon{number}",
                "howManyAtleast": number,
                "howManyAtmost": number,
                "howManyStr": str(number),
                "present": False,
                "obsId": f"OBS{sub_id}{number}",
            }
            for number in range(TAXA)
        ],
    }


def listed(sub_id: str, day: date) -> dict[str, object]:
    place = {"locId": "L1", "name": "A Park", "latitude": 38.9, "longitude": -77.0}
    codes = {"countryCode": "US", "subnational1Code": "US-DC", "isHotspot": True}
    return {"subId": sub_id, "isoObsDate": f"{day} 08:00", "loc": {**place, **codes}}


def landing_files(folder: Path, observations: int) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {"stats": [], "lists": [], "views": []}
    per_day = observations // TAXA // len(DAYS)
    for index, day in enumerate(DAYS):
        subs = [f"S{index}-{number}" for number in range(per_day)]
        totals = {"numChecklists": per_day, "numContributors": 9, "numSpecies": TAXA}
        answers = {
            "stats": [answer("stats", day, totals)],
            "lists": [answer("lists", day, [listed(sub_id, day) for sub_id in subs])],
            "views": [answer(sub_id, day, checklist(sub_id, day)) for sub_id in subs],
        }
        for resource_name, lines in answers.items():
            path = folder / f"{resource_name}-{day}.jsonl.gz"
            with gzip.open(path, "wt") as stream:
                stream.writelines(lines)
            files[resource_name].append(path)
    return files


def frames(paths: list[Path]) -> dict[str, pd.DataFrame]:
    """What a script that knows json and pandas would make of the pages."""
    import pandas as pd

    lines = (line for path in paths for line in gzip.decompress(path.read_bytes()).splitlines())
    bodies = [json.loads(line)["body"] for line in lines]
    return {
        "checklists": pd.DataFrame([{**body, "obs": None} for body in bodies]),
        "observations": pd.DataFrame(
            [{"subId": body["subId"], **seen} for body in bodies for seen in body["obs"]]
        ),
    }


def cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def reference(folder: Path, files: dict[str, list[Path]]) -> None:
    target = folder / "reference.duckdb"
    target.unlink(missing_ok=True)
    with duckdb.connect(target) as connection:
        (statement,) = sources({"views": files["views"]}, {})
        connection.execute(statement)


def plain(folder: Path, files: dict[str, list[Path]]) -> None:
    target = folder / "plain.duckdb"
    target.unlink(missing_ok=True)
    with duckdb.connect(target) as connection:
        for name, frame in frames(files["views"]).items():
            connection.register("frame", frame)
            connection.execute(f"CREATE TABLE {name} AS FROM frame")


def script(folder: Path, files: dict[str, list[Path]]) -> float:
    return cpu(lambda: plain(folder, files))


def pair(folder: Path, files: dict[str, list[Path]]) -> tuple[float, float, float, int]:
    """CPU seconds of the reference, a first load and one more, and the peak memory in MB.

    In a process that is new: the first load imports dlt and makes the tables, and the second one
    replaces every row.
    """
    target = folder / "ours.duckdb"
    target.unlink(missing_ok=True)
    scopes = {table: [("US-DC", day) for day in DAYS] for table in DAY_TABLES}

    def ours() -> None:
        load(target, files, DAY_TABLES, scopes, dlt_dir=folder / "dlt")

    before = cpu(lambda: reference(folder, files))
    first = cpu(ours)
    again = cpu(ours)
    limit = (before + cpu(lambda: reference(folder, files))) / 2
    return limit, first, again, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(observations: int) -> int:
    print(f"dlt {version('dlt')}, duckdb {duckdb.__version__}, {observations} observations")
    with (
        tempfile.TemporaryDirectory() as name,
        get_context("fork").Pool(1, maxtasksperchild=1) as processes,
    ):
        folder = Path(name)
        files = landing_files(folder, observations)
        pairs = [processes.apply(pair, (folder, files)) for _ in range(PAIRS)]
        by_hand = processes.apply(script, (folder, files))
    first, again = (median(run[n] / run[0] for run in pairs) for n in (1, 2))
    limit = median(run[0] for run in pairs)
    print(f"read_json into a table: {limit:.2f} s CPU; the others as a multiple of it")
    told = ", ".join(f"{run[1] / run[0]:.2f}" for run in pairs)
    print(f"first load, with dlt's imports  {first:.2f}   ({told})")
    told = ", ".join(f"{run[2] / run[0]:.2f}" for run in pairs)
    print(f"load again, every row replaced  {again:.2f}   ({told})")
    print(f"plain script, json and pandas   {by_hand / limit:.2f}")
    print(f"peak memory {max(run[3] for run in pairs)} MB; target: at most {TARGET} times")
    return int(max(first, again) > TARGET)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
