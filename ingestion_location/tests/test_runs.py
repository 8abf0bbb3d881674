"""Runs that go wrong: refused keys, mixed sources, kill -9 at the worst moments, used-up calls."""

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Generator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from databox_shared import snapshots
from databox_shared.contracts import RAW
from databox_shared.settings import load_settings
from ebird_sandbox.process import running_sandbox
from ingestion_location.definitions import defs
from ingestion_location.ebird.fetch import FetchError
from ingestion_location.ebird.ledger import mark_unannounced, unannounced_days
from ingestion_location.ebird.load import connect
from ingestion_location.ebird.pace import CONCURRENCY
from ingestion_location.ebird.tables import DAY_TABLES, RAW_TABLES, SNAPSHOT_TABLES

from .canned import Reply, canned_api
from .engine import Engine, World

TODAY = date(2026, 11, 23)
TOKEN = "token-that-nobody-may-see"
OBSERVATIONS = dg.AssetKey([RAW, "observations"])


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Generator[World]:
    few = ["--checklists-per-day", "US-DC=8"]
    with running_sandbox(seed=3, today=TODAY, admin=True, extra=few) as sandbox:
        monkeypatch.setenv("EBIRD_API_URL", sandbox.url)
        yield World(sandbox.admin_url)


def run(instance: dg.DagsterInstance, days: str) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("daily_ebird_pipeline").execute_in_process(
        instance=instance,
        tags={"databox/read_date": TODAY.isoformat(), "databox/days": days},
        raise_on_error=False,
    )


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    error = event.step_failure_data.error
    assert error is not None
    return error.to_string()


def announced(instance: dg.DagsterInstance) -> list[str | None]:
    records = instance.fetch_materializations(OBSERVATIONS, limit=100, ascending=True).records
    return [record.partition_key for record in records]


def texts_below(folder: Path) -> Generator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


@pytest.mark.slow
def test_a_refused_key_fails_the_run_and_no_run_writes_the_key_anywhere(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = load_settings().api_url
    monkeypatch.setenv("EBIRD_API_TOKEN", TOKEN)
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        with canned_api(lambda _: Reply(status=403)) as api:
            monkeypatch.setenv("EBIRD_API_URL", api.url)
            refused = failure(run(instance, "2026-11-20"))
        assert "eBird refused the key (403)" in refused
        assert "check EBIRD_API_TOKEN" in refused
        assert announced(instance) == []
        assert [len(api.requests), api.headers[0]["X-eBirdApiToken"]] == [1, TOKEN]
        monkeypatch.setenv("EBIRD_API_URL", sandbox)
        world.ask("POST", "/faults", endpoint="checklist", kind="wrong-type", field="subId")
        assert not run(instance, "2026-11-20").success
        world.ask("DELETE", "/faults")
        assert run(instance, "2026-11-20").success
    assert [path for path, text in texts_below(tmp_path) if TOKEN.encode() in text] == []


@pytest.mark.usefixtures("world")
def test_generated_birds_are_not_mixed_with_those_of_another_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(instance, "2026-11-20").success
        monkeypatch.setenv("EBIRD_API_URL", "http://ebird.invalid/v2")
        sentence = failure(run(instance, "2026-11-21"))
        assert "this warehouse holds birds from sandbox" in sentence
        with snapshots.reading(load_settings(), "ingestion") as snapshot:
            assert (snapshot.id, snapshot.source) == (1, "sandbox")


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("tables", "day", "filled"),
    [(DAY_TABLES, "2026-11-20", RAW_TABLES.keys()), (SNAPSHOT_TABLES, None, {*SNAPSHOT_TABLES})],
)
def test_a_first_run_for_some_tables_hands_over_them_all(
    tables: Sequence[str], day: str | None, filled: Collection[str]
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey([RAW, table]) for table in tables],
            tags={"databox/read_date": TODAY.isoformat()},
            partition_key=day,
        )
    assert result.success
    with (
        snapshots.reading(load_settings(), "ingestion") as snapshot,
        duckdb.connect(snapshot.path, read_only=True) as connection,
    ):
        rows = {
            table: connection.execute(f"SELECT count(*) FROM {RAW}.{table}").fetchone()
            for table in RAW_TABLES
        }
    always_empty = {"observation_history", "checklist_history"}
    assert {name for name, count in rows.items() if count != (0,)} == {*filled} - always_empty


DYING = """
import os, signal, dagster as dg
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient
from ingestion_location.definitions import defs

execute = DuckDbSqlClient.execute_sql

def execute_or_die(self, statement, *arguments, **named):
    if 'INSERT INTO "ebird_raw"."taxa"' in str(statement):
        os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, statement, *arguments, **named)

DuckDbSqlClient.execute_sql = execute_or_die
tags = {"databox/read_date": "2026-11-23", "databox/days": "2026-11-20"}
defs.resolve_job_def("daily_ebird_pipeline").execute_in_process(tags=tags)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("world")
def test_a_first_run_that_died_before_the_taxonomy_was_in_is_made_good_by_one_for_days_only() -> (
    None
):
    died = subprocess.run([sys.executable, "-W", "ignore", "-c", DYING], check=False)
    assert died.returncode == -signal.SIGKILL
    assert unannounced_days(Engine().working_file) == [date(2026, 11, 20)]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*defs.resolve_asset_graph().assets_defs],
            selection=[dg.AssetKey([RAW, table]) for table in DAY_TABLES],
            partition_key="2026-11-21",
            tags={"databox/read_date": TODAY.isoformat()},
            instance=instance,
        )
        assert result.success
        assert announced(instance) == ["2026-11-20", "2026-11-21"]
    with (
        snapshots.reading(load_settings(), "ingestion") as snapshot,
        duckdb.connect(snapshot.path, read_only=True) as connection,
    ):
        assert connection.execute(f"SELECT count(*) > 0 FROM {RAW}.taxa").fetchone() == (True,)


def test_the_days_before_the_one_that_fails_are_handed_over(world: World) -> None:
    world.ask("POST", "/faults", endpoint="stats", kind="400", path="2026/11/21")
    with dg.DagsterInstance.ephemeral() as instance:
        sentence = failure(run(instance, "2026-11-19/2026-11-22"))
        assert "US-DC 2026-11-21: " in sentence
        assert "answered 400" in sentence
        assert announced(instance) == ["2026-11-19", "2026-11-20"]
        world.ask("DELETE", "/faults")
        assert run(instance, "2026-11-19/2026-11-22").success
        assert announced(instance)[2:] == [f"2026-11-{day}" for day in (19, 20, 21, 22)]


def test_a_day_that_nobody_can_have_seen_is_refused_before_anything_is_asked(world: World) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(instance, "2014-12-31,2026-11-20,2026-11-25/2026-11-26")
        assert not result.success
        (event,) = [event for event in result.all_events if event.is_step_failure]
        said = event.step_failure_data.user_failure_data
        assert said is not None
        assert "2014-12-31,2026-11-25/2026-11-26 cannot be read" in str(said.description)
        assert announced(instance) == []
    assert world.requests() == 0


def test_only_what_was_selected_is_fetched(world: World) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*defs.resolve_asset_graph().assets_defs],
            selection=[dg.AssetKey([RAW, "taxa"])],
            instance=instance,
        )
        assert result.success
        assert set(world.ask("GET", "/requests")["byEndpoint"]).isdisjoint({"lists", "checklist"})
        before = world.requests()
        result = dg.materialize(
            [*defs.resolve_asset_graph().assets_defs],
            selection=[dg.AssetKey([RAW, "region_stats"])],
            partition_key="2026-11-20",
            instance=instance,
        )
        assert result.success
        # the three tables of a day are one answer, so they change and are announced together
        assert announced(instance) == ["2026-11-20"]
        assert world.requests() > before
        assert world.ask("GET", "/requests")["byEndpoint"]["recent"] == 1


@pytest.mark.usefixtures("world")
def test_a_day_that_was_left_half_done_is_done_again_by_a_run_for_other_tables() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(instance, "2026-11-20").success
        working_file = Engine().working_file
        mark_unannounced(working_file, [date(2026, 11, 20)])
        with connect(working_file) as connection:
            connection.execute(f"DELETE FROM {RAW}.observations")
        result = dg.materialize(
            [*defs.resolve_asset_graph().assets_defs],
            selection=[dg.AssetKey([RAW, "taxa"])],
            instance=instance,
        )
        assert result.success
        assert announced(instance) == ["2026-11-20"] * 2
    assert Engine().content()["observations"]
    assert unannounced_days(working_file) == []


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["11-21: ", "loaded 3 of 3 day"])
def test_a_killed_run_leaves_nothing_broken_and_asks_nothing_again(
    moment: str, world: World
) -> None:
    command = [sys.executable, "-m", "dagster", "job", "execute", "-j", "daily_ebird_pipeline"]
    command += ["-m", "ingestion_location.definitions", "--tags"]
    command += ['{"databox/read_date": "2026-11-23", "databox/days": "2026-11-20/2026-11-22"}']
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if moment in line and "days of the run" not in line:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
    assert process.returncode == -signal.SIGKILL
    asked = world.requests()
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(instance, "2026-11-20/2026-11-22").success
        assert announced(instance) == ["2026-11-20", "2026-11-21", "2026-11-22"]
    killed = Engine().content()
    total = world.requests()
    world.ask("DELETE", "/requests")
    assert asked <= total
    fresh = fresh_content(load_settings().hidden_dir.parent / "fresh")
    assert killed == fresh
    # answers that were on their way or not yet written down
    assert total <= world.requests() + 2 * CONCURRENCY


def fresh_content(folder: Path) -> dict[str, Any]:
    """What an undisturbed run loads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"duckdb:///{folder}/databox.duckdb")
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        engine = Engine()
        engine.run(TODAY, [date(2026, 11, day) for day in (20, 21, 22)])
        return engine.content()


def test_used_up_calls_stop_the_run_and_the_next_days_goes_on_from_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [TODAY - timedelta(days=n) for n in (42, 41, 40)]
    six = datetime(TODAY.year, TODAY.month, TODAY.day, 6, tzinfo=UTC)
    monkeypatch.setenv("EBIRD_DAILY_CALL_LIMIT", "20")
    engine = Engine(now=lambda: six)
    for _ in range(2):
        with pytest.raises(FetchError, match=rf"the 20 calls of {TODAY} .*EBIRD_DAILY_CALL_LIMIT"):
            engine.run(TODAY, days)
        # a second run on that day asks nothing
        assert world.requests() == 20
    monkeypatch.setenv("EBIRD_DAILY_CALL_LIMIT", "1000")
    Engine(now=lambda: six + timedelta(days=1)).run(TODAY + timedelta(days=1), days)
    resumed = world.requests()
    before = Engine().content()["observations"]
    fresh = Engine(settings=load_settings().model_copy(update={
        "database_url": f"duckdb:///{engine.settings.hidden_dir.parent}/fresh/databox.duckdb"
    }))  # fmt: skip
    world.ask("DELETE", "/requests")
    fresh.run(TODAY + timedelta(days=1), days)
    assert before == fresh.content()["observations"]
    # only what is true now was asked for on both days
    assert resumed <= world.requests() + 7
