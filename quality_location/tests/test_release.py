"""The release: complete or absent, the same for the same data, and in nobody's way."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from dagster_duckdb import DuckDBResource

from databox_shared.contracts import MARTS, RAW, STAGING, contract
from quality_location import page, release_file
from quality_location import release as release_module
from quality_location.assets import CHECKS
from quality_location.checks import date_column
from quality_location.release import Facts, current_release, make_release
from quality_location.warehouse import attached, held_snapshots

from .conftest import DAYS, OBSERVER, PRIVATE_NAME, VIEWS

if TYPE_CHECKING:
    from quality_location.release import Release

    from .conftest import World

NOW = datetime(2020, 11, 22, 6, tzinfo=UTC)


def test_the_file_explains_itself(released_world: "World") -> None:
    about = dict(released_world.query("SELECT * FROM about"))
    assert about["source"].startswith("generated birds")
    assert about["days"] == f"{DAYS[0]}/{DAYS[1]}"
    assert about["rows ebird.species_daily"] == "6"
    assert about["contract ebird"] == contract(MARTS).version
    for catalog in ("duckdb_tables()", "duckdb_columns()"):
        said = f"SELECT count(*), count(comment) FROM {catalog} WHERE NOT internal"
        [(things, comments)] = released_world.query(said)
        assert 0 < things == comments
    explained = released_world.query(about["columns explained"])
    assert ("species_daily", "obs_date") in [(table, column) for table, column, _ in explained]


def test_it_holds_what_the_contract_says_and_no_private_word(released_world: "World") -> None:
    for table in contract(MARTS).tables.values():
        columns = released_world.query(f"DESCRIBE {table.full_name}")
        assert [(row[0], row[1]) for row in columns] == [(c.name, c.type) for c in table.columns]
    written = b"".join(
        file.read_bytes() for file in released_world.release.folder.rglob("*") if file.is_file()
    )
    assert PRIVATE_NAME.encode() not in written
    assert OBSERVER.encode() not in written


@pytest.mark.parametrize("large", [1_000_000, 0])
def test_the_parquet_files_hold_the_same_rows(
    world: "World", monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(release_file, "LARGE_ROWS", large)
    release = _release(world, NOW)
    for table in contract(MARTS).tables.values():
        if table.full_name in VIEWS:
            continue
        files = "/*/*.parquet" if not large and date_column(table) else ".parquet"
        path = release.folder / "parquet" / table.schema / table.name
        columns = ", ".join(column.name for column in table.columns)
        there = world.query(f"SELECT {columns} FROM {table.full_name} ORDER BY ALL")
        assert world.query(f"SELECT {columns} FROM '{path}{files}' ORDER BY ALL") == there
    assert sorted(release.manifest.files) == sorted(
        file.relative_to(release.folder).as_posix()
        for file in release.folder.rglob("*")
        if file.is_file() and not file.is_symlink() and file.name != "manifest.json"
    )


def test_every_file_that_the_page_is_made_of_is_in_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "page"
    not_in_it = shutil.ignore_patterns("__pycache__", "README.md")
    shutil.copytree(Path(page.__file__).parent, here, ignore=not_in_it)
    monkeypatch.setattr(page, "_HERE", here)
    versions = {page.page_version()}
    files = [file for file in here.rglob("*") if file.is_file()]
    for file in files:
        file.write_bytes(file.read_bytes() + b" ")
        versions.add(page.page_version())
    assert len(versions) == 1 + len(files)


def test_the_manifest_says_what_is_there(released_world: "World") -> None:
    said = json.loads((released_world.release.folder / "manifest.json").read_text())
    for name, file in said["files"].items():
        content = (released_world.release.folder / name).read_bytes()
        assert file["bytes"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert said["contracts"] == {"ebird": contract(MARTS).version}
    assert said["checks"]["failed"] == 0
    assert said["built_from"] == {name: contract(name).version for name in (RAW, STAGING)}
    results = {result["check"]: result for result in said["results"]}
    assert len(results) == len(CHECKS) == sum(said["checks"].values())
    # the world is of 2020
    assert results["ebird.species_daily:fresh"] == {
        "check": "ebird.species_daily:fresh",
        "passed": False,
        "severity": "WARN",
    }
    assert results["ebird.species_daily:key"]["passed"]
    assert results["ebird.species_daily:key"]["severity"] == "ERROR"


def test_the_same_data_leaves_the_release_as_it_is(released_world: "World") -> None:
    before = _tree(released_world.release.folder)
    released_world.publish()
    result = released_world.check()
    assert _tree(released_world.release.folder) == before
    [materialization] = [
        event
        for event in result.asset_materializations_for_node("data_quality")
        if event.asset_key.path[0] == "release"
    ]
    assert json.loads(json.dumps(materialization.metadata["rows"].value)) == dict(
        released_world.release.manifest.rows
    )


def test_other_data_makes_a_new_release_and_keeps_the_old_one(released_world: "World") -> None:
    old = released_world.release
    before = _tree(old.folder)
    _count_birds(released_world, 9)
    released_world.check()
    assert released_world.release.folder != old.folder
    assert released_world.query("SELECT DISTINCT birds_counted FROM ebird.species_daily") == [(9,)]
    assert _tree(old.folder) == before


def test_a_damaged_release_is_made_again(released_world: "World") -> None:
    with duckdb.connect(str(released_world.settings.release_path)) as db:
        db.execute("DELETE FROM ebird.species_daily")
    released_world.check()
    assert released_world.query("SELECT count(*) FROM ebird.species_daily") == [(6,)]


@pytest.mark.parametrize("is_there", [True, False], ids=["damaged", "missing"])
@pytest.mark.parametrize("birds", [2, 9], ids=["the same data", "other data"])
def test_a_damaged_parquet_file_hinders_no_later_release(
    released_world: "World", birds: int, *, is_there: bool
) -> None:
    old = released_world.release.folder
    file = old / "parquet" / "ebird" / "species_daily.parquet"
    if is_there:
        file.write_bytes(file.read_bytes()[:100])
    else:
        file.unlink()
    _count_birds(released_world, birds)
    assert released_world.check().success
    assert released_world.release.folder != old
    again = released_world.release.folder / file.relative_to(old)
    assert released_world.query(f"SELECT DISTINCT birds_counted FROM '{again}'") == [(birds,)]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"id": "2026', "\0"])
def test_a_damaged_manifest_hinders_no_later_release(released_world: "World", text: str) -> None:
    old = released_world.release.folder
    (old / "manifest.json").write_text(text)
    assert current_release(released_world.settings) is None
    assert released_world.check().success
    assert released_world.release.folder != old


def test_a_release_goes_so_many_days_after_it_was_replaced(released_world: "World") -> None:
    releases = [released_world.release.folder]
    kept: list[list[bool]] = []
    keep = release_module.KEEP_DAYS
    for days in (0, keep + 1, keep + 2, 2 * keep + 2):
        _count_birds(released_world, 10 + days)
        releases.append(_release(released_world, NOW + timedelta(days=days)).folder)
        kept.append([folder.exists() for folder in releases])
    # the first was made by the real clock, long after the others
    assert kept == [
        [True, True],
        [True, True, True],
        [True, True, True, True],
        [True, False, True, True, True],
    ]


def test_a_reader_of_the_old_file_hinders_nobody(released_world: "World") -> None:
    path = released_world.settings.release_path
    shell = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                f"import duckdb; db = duckdb.connect({str(path)!r}); print('open', flush=True); "
                "input(); print(db.sql('SELECT sum(birds_counted)::INT FROM ebird.species_daily')"
                ".fetchall())"
            ),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdout is not None
    assert shell.stdout.readline() == "open\n"
    _count_birds(released_world, 9)
    released_world.check()
    assert released_world.query("SELECT DISTINCT birds_counted FROM ebird.species_daily") == [(9,)]
    answer, _ = shell.communicate("\n")
    assert answer == "[(36,)]\n"
    assert shell.returncode == 0


_STEPS = ["write_database", "write_page", "_force_to_disk", "_point", "_replace_link", "_prune"]


@pytest.mark.slow
@pytest.mark.parametrize("step", _STEPS)
def test_killed_at_any_step_the_release_is_the_old_or_the_new_one(
    released_world: "World", die_in: Callable[[str], int], step: str
) -> None:
    world = released_world
    old = world.release
    _count_birds(world, 9)
    assert die_in(step) == -signal.SIGKILL
    counted = world.query("SELECT DISTINCT birds_counted FROM ebird.species_daily")
    assert counted == ([(6,)] if world.release.folder == old.folder else [(9,)])

    _release(world, datetime.now(UTC))

    assert world.query("SELECT DISTINCT birds_counted FROM ebird.species_daily") == [(9,)]
    leftovers = [file.name for file in world.release.folder.parent.iterdir()]
    assert not [name for name in leftovers if name.startswith(".")]


@pytest.fixture(scope="module")
def die_in() -> Iterator[Callable[[str], int]]:
    """Runs the job in a process that is killed after a step of the release; tells its exit code."""
    with subprocess.Popen(
        [sys.executable, "-c", _DIE_IN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None

        def _die_in(step: str) -> int:
            print(step, os.environ["DATABASE_URL"], file=parent.stdin, flush=True)
            return int(parent.stdout.readline()) if parent.stdout else 0

        yield _die_in


# the parent imports once for all steps: that takes longer than a run
_DIE_IN = """
import os, signal, sys
import dagster as dg, duckdb, jinja2
from quality_location import release
from quality_location.definitions import definitions

job = definitions.resolve_job_def("data_quality_checks")
dg.DagsterInstance.ephemeral().dispose()

def run_and_die(name):
    step = getattr(release, name)

    def die(*args, **kwargs):
        step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(release, name, die)
    job.execute_in_process()

for line in sys.stdin:
    name, url = line.split()
    child = os.fork()
    if not child:
        os.environ["DATABASE_URL"] = url
        try:
            run_and_die(name)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _count_birds(world: "World", number: int) -> None:
    world.run_sql("transform", f"UPDATE stored.ebird__species_daily SET birds_counted = {number}")
    world.publish()


def _release(world: "World", now: datetime) -> "Release":
    resource = DuckDBResource(database=":memory:")
    settings = world.settings
    with held_snapshots(settings) as held, attached(resource, settings, held) as connection:
        facts = Facts(now, "r" * 36, "test", held.ids, {})
        return make_release(connection, world.settings, facts)[0]


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(file): file.read_bytes()
        for file in folder.rglob("*")
        # the page's link to the present lies outside of the release
        if file.is_file() and not file.is_symlink()
    }
