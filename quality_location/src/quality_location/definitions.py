"""The quality location, as Dagster loads it."""

import dagster as dg
from dagster_duckdb import DuckDBResource

from quality_location.assets import data_quality, history_assets, release_asset
from quality_location.automation import (
    data_quality_checks,
    quality_failed,
    transform_to_quality,
)

definitions = dg.Definitions(
    assets=[release_asset, *history_assets],
    asset_checks=[data_quality],
    jobs=[data_quality_checks],
    sensors=[transform_to_quality, quality_failed],
    resources={"duckdb": DuckDBResource(database=":memory:")},
    executor=dg.in_process_executor,
)
