"""The schedule and the sensor under the real daemons: one run for every day, never two."""

import re
import socket
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus
from hypothesis import given
from hypothesis import strategies as st

from ingestion_location.ebird import automation
from ingestion_location.ebird.automation import (
    daily_ebird_schedule,
    ebird_api_availability_sensor,
    is_missed,
)

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


def reason(result: object) -> str:
    assert isinstance(result, dg.SkipReason), result
    return str(result.skip_message)


def schedule_at_six(instance: dg.DagsterInstance) -> object:
    context = dg.build_schedule_context(instance, scheduled_execution_time=SIX.replace(second=0))
    return daily_ebird_schedule(context)


def sensor(instance: dg.DagsterInstance) -> object:
    with dg.build_sensor_context(instance) as context:
        return ebird_api_availability_sensor(context)


@pytest.mark.parametrize(
    ("case", "by_schedule", "by_sensor"),
    [
        ("paused", "starts the run for 2026-11-23 in the first deployment where it is not",
         "a run that is due starts within 30 s of a start of this deployment without it"),
        ("started", "run .* for 2026-11-23 was already started; the next one is due at 06:00",
         "run .* for 2026-11-23 was already started; the next one is due at 06:00"),
        ("away", "asks again every 30 s and starts the run for 2026-11-23 as soon as the API answe",
         "the run for 2026-11-23 waits, the API is asked again in 30 s"),
        ("no tick", None, "nothing to catch up; its next tick is at 06:00"),
        ("ticked", None, "itself sees to the run for 2026-11-23; the next one is due at 06:00"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("port")
def test_every_reason_to_start_no_run_says_what_happens_next(
    case: str,
    by_schedule: str | None,
    by_sensor: str,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = TickStatus.SUCCESS if case == "ticked" else TickStatus.SKIPPED
    tick = SimpleNamespace(timestamp=SIX.timestamp(), status=status, failure_count=0)
    newest = None if case == "no tick" else tick
    monkeypatch.setattr(automation, "_newest_tick", lambda _: newest)
    if case == "paused":
        monkeypatch.setenv("EBIRD_SCHEDULE_PAUSED", "true")
    if case == "started":
        instance.add_run(
            dg.DagsterRun(
                job_name="daily_ebird_pipeline",
                status=dg.DagsterRunStatus.STARTED,
                tags={"databox/daily": "2026-11-23"},
            )
        )
    if by_schedule is not None:
        assert re.search(by_schedule, reason(schedule_at_six(instance)))
    assert re.search(by_sensor, reason(sensor(instance)))


@given(st.sampled_from(TickStatus), st.integers(0, 5), st.integers(0, 5))
def test_the_sensor_leaves_every_tick_that_the_scheduler_will_try_again(
    status: TickStatus, failures: int, retries: int
) -> None:
    scheduler_tries_again = status is TickStatus.STARTED or (
        status is TickStatus.FAILURE and failures <= retries
    )
    started_a_run = status is TickStatus.SUCCESS
    assert is_missed(status, failures, retries) == (not scheduler_tries_again and not started_a_run)
