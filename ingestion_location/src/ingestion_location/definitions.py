"""The ingestion location: from the eBird API to raw tables."""

import dagster as dg

from ingestion_location.ebird.assets import ebird_assets
from ingestion_location.ebird.automation import (
    daily_ebird_pipeline,
    daily_ebird_schedule,
    ebird_api_availability_sensor,
)

defs = dg.Definitions(
    assets=[ebird_assets],
    jobs=[daily_ebird_pipeline],
    schedules=[daily_ebird_schedule],
    sensors=[ebird_api_availability_sensor],
    executor=dg.in_process_executor,
)
