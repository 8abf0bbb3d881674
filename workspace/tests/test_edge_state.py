"""`edges`: what it says of an edge in each state, and that the page about it is current."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.remote_origin import (
    InProcessCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._core.test_utils import create_run_for_test
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from databox_shared.days import DAYS_TAG, format_days
from databox_shared.edges import EDGE_TAG, EDGES, INGESTION_TO_TRANSFORM, TRANSFORM_TO_QUALITY, Edge
from databox_shared.handoff import newest_mark
from databox_shared.handoff_cursor import ANSWERS_TO_TAG
from databox_shared.handoff_rule import MAX_ATTEMPTS
from databox_shared.settings import project_root
from databox_workspace.__main__ import main
from databox_workspace.edge_state import EdgeState, edge_states

DAY = date(2026, 11, 20)
PAGE = project_root() / "docs" / "handoff.md"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as made:
        yield made


def announce(instance: dg.DagsterInstance, edge: Edge, *days: date) -> None:
    for key in edge.keys[:2]:
        for day in days:
            event = dg.AssetMaterialization(key, partition=day.isoformat())
            instance.report_runless_asset_event(event)


def run(
    instance: dg.DagsterInstance, edge: Edge, status: dg.DagsterRunStatus, *days: date
) -> dg.DagsterRun:
    tags = {
        EDGE_TAG: edge.name,
        ANSWERS_TO_TAG: newest_mark(instance, edge),
        DAYS_TAG: format_days(days),
    }
    return create_run_for_test(instance, job_name="job", status=status, tags=tags)


def sensor_looked(instance: dg.DagsterInstance, edge: Edge, at: float) -> None:
    target = LoadableTargetOrigin(module_name=f"{edge.downstream}_location.definitions")
    repository = RemoteRepositoryOrigin(InProcessCodeLocationOrigin(target), "__repository__")
    origin = RemoteInstigatorOrigin(repository, edge.name)
    data = SensorInstigatorData(last_tick_timestamp=at, sensor_type=SensorType.STANDARD)
    status = InstigatorStatus.DECLARED_IN_CODE
    instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, status, data))


def state_of(instance: dg.DagsterInstance, edge: Edge) -> EdgeState:
    return next(state for state in edge_states(instance) if state.edge == edge)


def test_each_state_has_its_word(instance: dg.DagsterInstance) -> None:
    edge = INGESTION_TO_TRANSFORM
    assert state_of(instance, edge).word == "nothing yet"
    announce(instance, edge, DAY)
    waits = state_of(instance, edge)
    assert (waits.word, waits.waiting) == ("waiting", "2 for 2026-11-20")
    going = run(instance, edge, dg.DagsterRunStatus.STARTED, DAY)
    running = state_of(instance, edge)
    assert (running.word, running.running) == ("in flight", f"{going.run_id[:8]} for 2026-11-20")
    instance.report_run_failed(going, "a bad day")
    assert state_of(instance, edge).word == "to be retried"
    for _ in range(MAX_ATTEMPTS - 1):
        run(instance, edge, dg.DagsterRunStatus.FAILURE, DAY)
    given_up = state_of(instance, edge)
    assert given_up.word == "given up"
    assert "gave up on 2026-11-20" in given_up.notes(0.0)[0]
    run(instance, edge, dg.DagsterRunStatus.SUCCESS, DAY)
    answered = state_of(instance, edge)
    assert (answered.word, answered.waiting) == ("answered", "")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", answered.answered_up_to)


def test_a_sensor_that_does_not_look_is_noticed(instance: dg.DagsterInstance) -> None:
    [note] = state_of(instance, TRANSFORM_TO_QUALITY).notes(0.0)
    assert note.startswith("transform_to_quality: its sensor has never looked")
    sensor_looked(instance, TRANSFORM_TO_QUALITY, 10_000.0)
    state = state_of(instance, TRANSFORM_TO_QUALITY)
    assert state.notes(10_003.0) == []
    [note] = state.notes(20_000.0)
    assert note == "transform_to_quality: its sensor looked 3 h ago: does the daemon run?"


def test_the_home_of_what_is_deployed_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{tmp_path}/data/databox.duckdb")
    monkeypatch.setenv("DEPLOY_DIR", str(tmp_path / "deployed"))
    home = tmp_path / "deployed" / "home"
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    done = CliRunner().invoke(main, ["edges"])
    assert done.exit_code == 0, done.output
    assert os.environ["DAGSTER_HOME"] == str(home)


def edges_command(home: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "databox_workspace", "edges"]
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.slow
def test_without_a_deployment_it_says_so(tmp_path: Path) -> None:
    done = edges_command(tmp_path)
    assert done.returncode == 1
    assert "no deployment has run" in done.stderr


@pytest.mark.slow
def test_the_page_shows_what_the_command_prints(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        for edge in EDGES:
            sensor_looked(instance, edge, time.time())
        announce(instance, INGESTION_TO_TRANSFORM, DAY)
        run(instance, INGESTION_TO_TRANSFORM, dg.DagsterRunStatus.SUCCESS, DAY)
        announce(instance, INGESTION_TO_TRANSFORM, DAY + timedelta(days=1))
        run(
            instance,
            INGESTION_TO_TRANSFORM,
            dg.DagsterRunStatus.STARTED,
            DAY + timedelta(days=1),
        )
        announce(instance, TRANSFORM_TO_QUALITY, DAY)
        for _ in range(MAX_ATTEMPTS):
            run(instance, TRANSFORM_TO_QUALITY, dg.DagsterRunStatus.FAILURE, DAY)
    done = edges_command(tmp_path)
    assert done.returncode == 0, done.stderr
    shown = re.search(r"```console\n\$ uv run task handoff\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    assert _without_what_changes(done.stdout) == _without_what_changes(shown[1])


def _without_what_changes(output: str) -> list[str]:
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "TIME", output)
    text = re.sub(r"\b[0-9a-f]{8}\b", "RUN", text)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    return [line for line in lines if line]


def test_the_page_names_every_edge() -> None:
    page = PAGE.read_text()
    for edge in EDGES:
        assert edge.name in page
