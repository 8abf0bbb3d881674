"""When quality runs: its job, the sensor that starts it after each transform, and who is told."""

import dagster as dg

from databox_shared.edges import TRANSFORM_TO_QUALITY
from databox_shared.handoff import handoff_sensor
from quality_location.assets import data_quality
from quality_location.failure import tell_failure

data_quality_checks = dg.define_asset_job(
    "data_quality_checks",
    selection=dg.AssetSelection.checks(data_quality),
    description="Check every table of the newest transform snapshot, and release it if it is good.",
    executor_def=dg.in_process_executor,
)

transform_to_quality = handoff_sensor(TRANSFORM_TO_QUALITY, job=data_quality_checks)

quality_failed = dg.run_failure_sensor(
    name="quality_failed",
    description="Tells people, once until it succeeds again, that a run of quality failed.",
    monitored_jobs=[data_quality_checks],
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
)(tell_failure)
