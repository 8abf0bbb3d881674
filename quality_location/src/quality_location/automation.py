"""When quality runs: its job, and the sensor that starts it after each transform."""

import dagster as dg

from databox_shared.handoff import handoff_sensor
from quality_location.assets import WATCHED, data_quality

data_quality_checks = dg.define_asset_job(
    "data_quality_checks",
    selection=dg.AssetSelection.checks(data_quality),
    description="Check every table of the newest transform snapshot, and release it if it is good.",
    executor_def=dg.in_process_executor,
)

transform_to_quality = handoff_sensor(
    "transform_to_quality",
    watch=WATCHED,
    job=data_quality_checks,
    description="Starts data_quality_checks for whatever transform has materialized.",
)
