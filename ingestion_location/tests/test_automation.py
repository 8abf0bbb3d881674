"""The schedule and the sensor under the real daemons: one run for every day, never two."""

import socket
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus
from hypothesis import given
from hypothesis import strategies as st

from ingestion_location.ebird.automation import is_missed

from .canned import Reply, canned_api
from .daemon import daemon, queueing_instance

BEFORE = datetime(2026, 11, 23, 5, 59, tzinfo=UTC)
SIX = datetime(2026, 11, 23, 6, 0, 5, tzinfo=UTC)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """A port on which nothing answers until a test starts something there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    monkeypatch.setenv("EBIRD_API_URL", f"http://127.0.0.1:{number}/v2")
    return number


@pytest.fixture
def instance(tmp_path: Path) -> Generator[dg.DagsterInstance]:
    with queueing_instance(tmp_path / "dagster") as instance:
        yield instance


def versions(_: str) -> Reply:
    return Reply([{"authorityVer": 2025.0, "latest": True}])


def days_started(instance: dg.DagsterInstance) -> list[str]:
    return sorted(run.tags["databox/read_date"] for run in instance.get_runs())


@pytest.mark.slow
def test_the_api_answers_at_six_so_the_schedule_starts_the_run_and_the_sensor_none(
    instance: dg.DagsterInstance, port: int
) -> None:
    with canned_api(versions, port), daemon(instance) as running:
        for now in (BEFORE, SIX, SIX.replace(minute=1), SIX.replace(minute=40)):
            running.step(now)
        assert days_started(instance) == ["2026-11-23"]
        running.step(SIX.replace(day=24))
        running.step(SIX.replace(day=24, minute=1))
        assert days_started(instance) == ["2026-11-23", "2026-11-24"]


@pytest.mark.slow
def test_the_api_is_away_at_six_and_back_at_six_forty_so_the_sensor_starts_the_run_once(
    instance: dg.DagsterInstance, port: int
) -> None:
    with daemon(instance) as running:
        for now in (BEFORE, SIX, SIX.replace(minute=1), SIX.replace(minute=30)):
            running.step(now)
        assert days_started(instance) == []
        reasons = running.reasons()
        assert "ebird_api_availability_sensor asks again" in str(reasons["daily_ebird_schedule"])
        assert "the run for 2026-11-23 waits" in str(reasons["ebird_api_availability_sensor"])
        with canned_api(versions, port):
            for minute in (40, 41, 42):
                running.step(SIX.replace(minute=minute))
            assert days_started(instance) == ["2026-11-23"]
            running.step(SIX.replace(day=24))
            running.step(SIX.replace(day=24, minute=1))
            assert days_started(instance) == ["2026-11-23", "2026-11-24"]


@pytest.mark.slow
def test_daemon_and_api_were_both_away_so_the_run_starts_once_when_both_are_back(
    instance: dg.DagsterInstance, port: int
) -> None:
    with daemon(instance) as running:
        running.step(BEFORE)
    with daemon(instance) as running:
        running.step(SIX.replace(hour=8))
        assert days_started(instance) == []
        with canned_api(versions, port):
            running.step(SIX.replace(hour=8, minute=1))
            running.step(SIX.replace(hour=8, minute=2))
            assert days_started(instance) == ["2026-11-23"]


@given(st.sampled_from(TickStatus), st.integers(0, 5), st.integers(0, 5))
def test_the_sensor_leaves_every_tick_that_the_scheduler_will_try_again(
    status: TickStatus, failures: int, retries: int
) -> None:
    scheduler_tries_again = status is TickStatus.STARTED or (
        status is TickStatus.FAILURE and failures <= retries
    )
    started_a_run = status is TickStatus.SUCCESS
    assert is_missed(status, failures, retries) == (not scheduler_tries_again and not started_a_run)
