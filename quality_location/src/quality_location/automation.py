"""When quality runs: its job, and the sensor that starts it after each transform."""

import dagster as dg

from databox_shared.edges import TRANSFORM_TO_QUALITY
from databox_shared.handoff import handoff_sensor
from quality_location.assets import data_quality

data_quality_checks = dg.define_asset_job(
    "data_quality_checks",
    selection=dg.AssetSelection.checks(data_quality),
    description="Check every table of the newest transform snapshot, and release it if it is good.",
    executor_def=dg.in_process_executor,
)

transform_to_quality = handoff_sensor(TRANSFORM_TO_QUALITY, job=data_quality_checks)
