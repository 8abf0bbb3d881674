"""Landing files to tables: the load's CPU beside DuckDB's own `read_json` in the same run.

`uv run python benchmarks/ingestion_load.py [OBSERVATIONS]`, a million unless said otherwise. Both
read the same files. The reference reads the checklists' pages into one table and nothing else. A
plain script with json and pandas, which makes two tables of the pages, stands beside it.
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
from pathlib import Path

import dlt
import duckdb
import pandas as pd

from ingestion_location.ebird.load import load
from ingestion_location.ebird.tables import DAY_TABLES, sources

DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(30)]
TAXA = 10
TARGET = 2.5


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


def main(observations: int) -> int:
    print(f"dlt {dlt.__version__}, duckdb {duckdb.__version__}, {observations} observations")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = landing_files(folder, observations)
        scopes = {table: [("US-DC", day) for day in DAYS] for table in DAY_TABLES}

        def reference() -> None:
            target = folder / "reference.duckdb"
            target.unlink(missing_ok=True)
            with duckdb.connect(target) as connection:
                (statement,) = sources({"views": files["views"]}, {})
                connection.execute(statement)

        def ours() -> None:
            load(folder / "ours.duckdb", files, DAY_TABLES, scopes, dlt_dir=folder / "dlt")

        def plain() -> None:
            target = folder / "plain.duckdb"
            target.unlink(missing_ok=True)
            with duckdb.connect(target) as connection:
                for name, frame in frames(files["views"]).items():
                    connection.register("frame", frame)
                    connection.execute(f"CREATE TABLE {name} AS FROM frame")

        # the first load imports dlt and makes the tables; the second replaces every row
        first = cpu(ours)
        limit = min(cpu(reference), cpu(reference))
        again = min(cpu(ours), cpu(ours))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        script = cpu(plain)
        print(f"read_json into a table  {limit:6.2f} s CPU   1.0")
        print(f"first load, with dlt's imports  {first:6.2f} s CPU   {first / limit:.1f}")
        print(f"load again, every row replaced  {again:6.2f} s CPU   {again / limit:.1f}")
        print(f"plain script, json and pandas   {script:6.2f} s CPU   {script / limit:.1f}")
        print(f"peak memory {peak} MB; target: at most {TARGET} times")
        return int(again / limit > TARGET)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
