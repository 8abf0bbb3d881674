"""The load of landing files: whole or not at all, whenever it dies, and the same every time."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from datetime import date
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from dlt.common.destination.exceptions import DestinationTerminalException

from ingestion_location.ebird.destination import ReplaceScopesJob
from ingestion_location.ebird.load import KEPT_FOLDERS, LoadError, connect, load
from ingestion_location.ebird.tables import DAY_TABLES

DAYS = [date(2026, 11, 20), date(2026, 11, 21)]
SCOPES = {table: [("US-DC", day) for day in DAYS] for table in DAY_TABLES}


def landed(folder: Path, day: date, checklists: Mapping[str, int]) -> dict[str, list[Path]]:
    """Landing files of a day whose checklists have these numbers of robins."""
    place = {
        "locId": "L1", "name": "A Park", "latitude": 38.9, "longitude": -77.0,
        "countryCode": "US", "subnational1Code": "US-DC", "isHotspot": True,
    }  # fmt: skip
    totals = {"numChecklists": len(checklists), "numContributors": 1, "numSpecies": 1}
    lists = [{"subId": sub_id, "isoObsDate": f"{day} 08:00", "loc": place} for sub_id in checklists]
    views = [
        {
            "subId": sub_id, "protocolId": "P22", "allObsReported": True, "obsTimeValid": True,
            "obsDt": f"{day} 08:00", "userDisplayName": "A Birder", "numSpecies": 1,
            "obs": [{"speciesCode": "amerob", "howManyStr": str(robins), "present": False,
                     "obsId": f"OBS-{sub_id}"}],
        }
        for sub_id, robins in checklists.items()
    ]  # fmt: skip
    answers = {"stats": [totals], "lists": [lists], "views": views}
    return {
        resource: [_written(folder / f"{resource}-{day}.jsonl.gz", day, bodies)]
        for resource, bodies in answers.items()
    }


def _written(path: Path, day: date, bodies: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"region": "US-DC", "day": day.isoformat(), "read_at": "2026-11-22 06:00:00"}
    with gzip.open(path, "wt") as stream:
        stream.writelines(
            json.dumps({**head, "path": f"{path.name}/{number}", "body": body}) + "\n"
            for number, body in enumerate(bodies)
        )
    return path


def both(folder: Path, *days: Mapping[str, int]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {}
    for day, checklists in zip(DAYS, days, strict=True):
        for resource, paths in landed(folder, day, checklists).items():
            files.setdefault(resource, []).extend(paths)
    return files


def content(working_file: Path) -> dict[str, list[Any]]:
    with connect(working_file) as connection:
        return {
            table: connection.execute(f"FROM ebird_raw.{table} ORDER BY ALL").fetchall()
            for table in DAY_TABLES
        }


def robins(working_file: Path) -> dict[str, str]:
    return {row[2]: row[5] for row in content(working_file)["observations"]}


OLD = ({"S1": 1, "S2": 2, "S5": 5}, {"S3": 3})
NEW = ({"S1": 10, "S4": 40}, {})
CHANGED = ("checklists", "observations", "region_stats")


def load_both(folder: Path, files: dict[str, list[Path]]) -> Path:
    working_file = folder / "working.duckdb"
    load(working_file, files, DAY_TABLES, SCOPES, dlt_dir=folder / "dlt")
    return working_file


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working file that holds `OLD`, to be copied."""
    folder = tmp_path_factory.mktemp("loaded")
    return load_both(folder, both(folder, *OLD))


@pytest.fixture
def working_file(loaded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(loaded, tmp_path / loaded.name))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What a load of `NEW` leaves that nobody disturbed."""
    folder = tmp_path_factory.mktemp("clean")
    return content(load_both(folder, both(folder, *NEW)))


def test_a_load_replaces_its_days_and_no_others_and_leaves_no_second_copy(
    tmp_path: Path, working_file: Path
) -> None:
    assert robins(working_file) == {"S1": "1", "S2": "2", "S3": "3", "S5": "5"}
    day = landed(tmp_path / "again", DAYS[1], {"S3": 33})
    scopes = {table: [("US-DC", DAYS[1])] for table in DAY_TABLES}
    for _ in range(2):
        load(working_file, day, DAY_TABLES, scopes, dlt_dir=tmp_path / "dlt")
        assert robins(working_file) == {"S1": "1", "S2": "2", "S3": "33", "S5": "5"}
    with connect(working_file) as connection:
        schemas = connection.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()
    assert schemas == [("ebird_raw",)]


def test_the_rows_that_are_counted_for_a_day_are_those_that_the_table_has(tmp_path: Path) -> None:
    # the date of S1 was edited between the reads of the two days
    files = both(tmp_path, {"S1": 1, "S2": 2}, {"S1": 1})
    working_file = tmp_path / "working.duckdb"
    counts = load(working_file, files, DAY_TABLES, SCOPES, dlt_dir=tmp_path / "dlt")
    held = content(working_file)
    for table in ("checklists", "observations"):
        rows = {("US-DC", day): sum(day in row for row in held[table]) for day in DAYS}
        assert dict(counts[table]) == rows == {("US-DC", day): 1 for day in DAYS}


def test_a_place_is_named_as_the_newest_of_a_days_lists_has_it(tmp_path: Path) -> None:
    """The lists of a region's parts follow one that was cut; a place may be renamed meanwhile."""
    files = landed(tmp_path, DAYS[0], {"S1": 1})
    (path,) = files["lists"]
    cut = gzip.decompress(path.read_bytes()).decode()
    part = cut.replace("06:00:00", "06:00:01").replace("A Park", "B Park").replace("/0", "/1")
    path.write_bytes(gzip.compress((cut + part).encode()))
    working_file = tmp_path / "working.duckdb"
    load(working_file, files, ["checklists"], {}, dlt_dir=tmp_path / "dlt")
    with connect(working_file) as connection:
        names = connection.execute("SELECT loc_name FROM ebird_raw.checklists").fetchall()
    assert names == [("B Park",)]


def test_of_loads_that_failed_the_folders_of_the_last_few_stay(tmp_path: Path) -> None:
    dlt_dir = tmp_path / "dlt"
    (dlt_dir / "other").mkdir(parents=True)
    for number in range(KEPT_FOLDERS + 3):
        folder = dlt_dir / f"run-{number}"
        (folder / "ebird").mkdir(parents=True)
        os.utime(folder, (number, number))
    load(tmp_path / "working.duckdb", {}, ["regions"], {}, dlt_dir=dlt_dir)
    kept = {f"run-{number}" for number in range(3, KEPT_FOLDERS + 3)}
    assert {path.name for path in dlt_dir.iterdir()} == {"other", *kept}


# what the process has just done when it dies: a method of dlt's, its statement, how many before it
STEPS = {
    "prepared": ("Pipeline", "normalize", "", 0),
    "deleted a day's observations": ("Client", "execute_sql", 'DELETE FROM "ebird_raw"."obs', 0),
    "written a day's observations": ("Client", "execute_sql", 'INSERT INTO "ebird_raw"."obs', 0),
    "written a day's checklists": ("Client", "execute_sql", 'INSERT INTO "ebird_raw"."check', 0),
    "committed one table": ("Client", "commit_transaction", "", 1),
    "committed the last table": ("Client", "commit_transaction", "", len(DAY_TABLES)),
    "completed the package": ("Client", "execute_sql", 'INSERT INTO "ebird_raw"."_dlt_loads', 0),
    "let dlt do its work": ("Pipeline", "load", "", 0),
}
# loads once, which imports everything; then it forks a process for every line that it reads, and
# says how that one ended
DYING_LOADS = """
import json, os, signal, sys
from datetime import date
from pathlib import Path
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from dlt.pipeline.pipeline import Pipeline
from ingestion_location.ebird.load import load
from ingestion_location.ebird.tables import DAY_TABLES

def load_all(folder, files, days):
    paths = {name: [Path(path) for path in found] for name, found in files.items()}
    scopes = {table: [("US-DC", date.fromisoformat(day)) for day in days] for table in DAY_TABLES}
    folder = Path(folder)
    load(folder / "working.duckdb", paths, DAY_TABLES, scopes, dlt_dir=folder / "dlt")

def load_and_die(owner, name, said, before, *what):
    owner = {"Client": DuckDbSqlClient, "Pipeline": Pipeline}[owner]
    step, left = getattr(owner, name), [before]

    def die(self, *args, **kwargs):
        result = step(self, *args, **kwargs)
        if said in str(args[:1]):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, die)
    load_all(*what)

load_all(*json.loads(input()))
for line in sys.stdin:
    child = os.fork()
    if not child:
        try:
            load_and_die(*json.loads(line))
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def order(folder: Path, files: dict[str, list[Path]], *step: str | int) -> str:
    named = {resource: [str(path) for path in paths] for resource, paths in files.items()}
    return json.dumps([*step, str(folder), named, [day.isoformat() for day in DAYS]])


@pytest.fixture(scope="module")
def dying_loads(tmp_path_factory: pytest.TempPathFactory) -> Generator[Callable[[str], int]]:
    """Makes a load in a process of its own that dies, and returns how it ended."""
    command = [sys.executable, "-W", "ignore", "-c", DYING_LOADS]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        orders, ends = process.stdin, process.stdout
        assert orders is not None
        assert ends is not None

        def ended(order: str) -> int:
            print(order, file=orders, flush=True)
            return int(ends.readline())

        folder = tmp_path_factory.mktemp("first")
        print(order(folder, both(folder, *OLD)), file=orders, flush=True)
        yield ended
        orders.close()


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_a_load_that_is_killed_leaves_every_table_whole_and_the_next_one_completes_it(
    step: tuple[str, str, str, int],
    dying_loads: Callable[[str], int],
    tmp_path: Path,
    working_file: Path,
    clean: dict[str, list[Any]],
) -> None:
    before = content(working_file)
    files = both(tmp_path, *NEW)
    assert dying_loads(order(tmp_path, files, *step)) == -SIGKILL
    left = content(working_file)
    for table in DAY_TABLES:
        was, here, will = (rows[table] for rows in (before, left, clean))
        assert here in (was, will)
        assert was != will or table not in CHANGED
    load_both(tmp_path, files)
    assert content(working_file) == clean


def test_a_table_without_scopes_is_replaced_or_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def regions(name: str) -> dict[str, list[Path]]:
        path = tmp_path / f"{name}.jsonl.gz"
        return {"region_list": [_written(path, DAYS[0], [[{"code": "US-DC-001", "name": name}]])]}

    def held() -> list[Any]:
        with connect(working_file) as connection:
            return connection.execute("SELECT region_name FROM ebird_raw.regions").fetchall()

    def die(_: ReplaceScopesJob) -> None:
        raise DestinationTerminalException

    working_file = tmp_path / "working.duckdb"
    load(working_file, regions("old"), ["regions"], {}, dlt_dir=tmp_path / "dlt")
    with monkeypatch.context() as patch:
        patch.setattr(ReplaceScopesJob, "run", die)
        with pytest.raises(LoadError):
            load(working_file, regions("new"), ["regions"], {}, dlt_dir=tmp_path / "dlt")
    assert held() == [("old",)]
    load(working_file, regions("new"), ["regions"], {}, dlt_dir=tmp_path / "dlt")
    assert held() == [("new",)]
    load(working_file, {}, ["regions"], {}, dlt_dir=tmp_path / "dlt")
    assert held() == []


def test_a_table_in_several_files_is_refused_before_anything_is_written(
    tmp_path: Path, working_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(working_file)
    monkeypatch.setenv("DATA_WRITER__FILE_MAX_ITEMS", "1")
    monkeypatch.setattr("ingestion_location.ebird.load.ROWS_AT_ONCE", 1)
    with pytest.raises(LoadError, match=r"would write .*observations.* from several files"):
        load_both(tmp_path, both(tmp_path, *NEW))
    assert content(working_file) == before
