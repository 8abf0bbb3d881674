"""What starts the daily run: the job, the schedule at 06:00, and the sensor that catches up.

At 06:00 the schedule asks the API. If it answers, the day's run starts; if not, the tick is
skipped, and the sensor starts that same run when the API is back. A day never gets two runs: the
schedule and the sensor both look for a run that carries the day in its tags, and the sensor acts
only on a tick that the scheduler is done with.
"""

from collections.abc import Sequence
from datetime import date, datetime

import dagster as dg
from dagster._core.remote_origin import RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from databox_shared.days import DAILY_TAG, READ_DATE_TAG
from databox_shared.settings import load_settings
from ingestion_location.ebird.api import EbirdApi
from ingestion_location.ebird.assets import ebird_assets

SENSOR_SECONDS = 30

daily_ebird_pipeline = dg.define_asset_job(
    "daily_ebird_pipeline",
    selection=dg.AssetSelection.assets(ebird_assets),
    description=(
        "Yesterday and the days that are read again, from the eBird API into ebird_raw. "
        "Transform and quality follow by themselves."
    ),
    executor_def=dg.in_process_executor,
    tags={
        # a lost worker is worth another try; an answer such as 403 is not
        "dagster/max_retries": "2",
        "dagster/retry_on_asset_or_op_failure": "false",
    },
)


@dg.schedule(
    name="daily_ebird_schedule",
    cron_schedule="0 6 * * *",
    job=daily_ebird_pipeline,
    execution_timezone=load_settings().ebird_schedule_timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Starts the daily run at 06:00 if the eBird API answers.",
)
def daily_ebird_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """Ask the API; start the day's run, or leave it to the sensor and say so."""
    settings = load_settings()
    day = context.scheduled_execution_time.astimezone(settings.timezone).date()
    if run := _daily_run(context.instance, day):
        return _already(run, day)
    if settings.ebird_schedule_paused:
        return dg.SkipReason(
            f"EBIRD_SCHEDULE_PAUSED is set; ebird_api_availability_sensor starts the run for {day} "
            f"in the first deployment where it is not"
        )
    if trouble := _api_trouble():
        return dg.SkipReason(
            f"{trouble}; ebird_api_availability_sensor asks again every {SENSOR_SECONDS} s "
            f"and starts the run for {day} as soon as the API answers"
        )
    return _run_request(day)


@dg.sensor(
    name="ebird_api_availability_sensor",
    job=daily_ebird_pipeline,
    minimum_interval_seconds=SENSOR_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the daily run that the schedule had to skip, once the eBird API is back.",
)
def ebird_api_availability_sensor(
    context: dg.SensorEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """Start the run of the newest scheduled day if the schedule could not."""
    settings = load_settings()
    if settings.ebird_schedule_paused:
        return dg.SkipReason(
            f"EBIRD_SCHEDULE_PAUSED is set; a run that is due starts within {SENSOR_SECONDS} s of "
            f"a start of this deployment without it"
        )
    tick = _newest_tick(context)
    if tick is None:
        return dg.SkipReason(
            "daily_ebird_schedule has not ticked yet, so there is nothing to catch up; its next "
            "tick is at 06:00"
        )
    day = datetime.fromtimestamp(tick.timestamp, settings.timezone).date()
    retries = getattr(context.instance.scheduler, "max_tick_retries", 0)
    if not is_missed(tick.status, tick.failure_count, retries):
        return dg.SkipReason(
            f"daily_ebird_schedule itself sees to the run for {day}; the next one is due at 06:00"
        )
    if run := _daily_run(context.instance, day):
        return _already(run, day)
    if trouble := _api_trouble():
        return dg.SkipReason(
            f"{trouble}; the run for {day} waits, the API is asked again in {SENSOR_SECONDS} s"
        )
    return _run_request(day)


def is_missed(status: TickStatus, failures: int, max_retries: int) -> bool:
    """Whether the scheduler is done with a tick and has started no run.

    It repeats a failed tick up to `max_retries` times, and without end while the code server is
    away (that counts as no failure): then the run is still the schedule's to start.
    """
    if status is TickStatus.FAILURE:
        return failures > max_retries
    return status is TickStatus.SKIPPED


def _newest_tick(context: dg.SensorEvaluationContext) -> InstigatorTick | None:
    """The schedule's newest tick; its run also reads the days that older ones missed."""
    location, repository = context.code_location_origin, context.repository_name
    if location is None or repository is None:
        msg = "the sensor was evaluated outside a workspace, so there is no schedule to look at"
        raise dg.DagsterInvariantViolationError(msg)
    origin = RemoteInstigatorOrigin(
        RemoteRepositoryOrigin(location, repository), daily_ebird_schedule.name
    )
    ticks: Sequence[InstigatorTick] = context.instance.get_ticks(
        origin.get_id(), origin.get_selector().get_id(), limit=1
    )
    return ticks[0] if ticks else None


def _daily_run(instance: dg.DagsterInstance, day: date) -> dg.DagsterRun | None:
    """A run for the day that has not failed; one that somebody started by hand may have."""
    runs = instance.get_runs(dg.RunsFilter(tags={DAILY_TAG: day.isoformat()}))
    return next((run for run in runs if not run.is_failure_or_canceled), None)


def _already(run: dg.DagsterRun, day: date) -> dg.SkipReason:
    return dg.SkipReason(
        f"run {run.run_id[:8]} for {day} was already started; the next one is due at 06:00"
    )


def _run_request(day: date) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"daily:{day}",
        tags={DAILY_TAG: day.isoformat(), READ_DATE_TAG: day.isoformat()},
    )


def _api_trouble() -> str | None:
    with EbirdApi(load_settings()) as api:
        return api.trouble()
