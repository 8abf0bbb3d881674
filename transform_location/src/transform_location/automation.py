"""When transform runs: after ingestion, for exactly the days that it announced."""

from __future__ import annotations

import dagster as dg

from databox_shared.days import DAYS_TAG
from databox_shared.edges import INGESTION_TO_TRANSFORM
from databox_shared.handoff import handoff_sensor
from transform_location.assets import sqlmesh_models

transform_pipeline = dg.define_asset_job(
    "transform_pipeline",
    selection=dg.AssetSelection.assets(sqlmesh_models),
    executor_def=dg.in_process_executor,
    description="Staging and marts for the run's days, all loaded days if none are named.",
)

deploy_models = dg.define_asset_job(
    "deploy_models",
    selection=dg.AssetSelection.assets(sqlmesh_models),
    executor_def=dg.in_process_executor,
    # for no day in particular: changed models are deployed and what they miss is evaluated
    tags={DAYS_TAG: ""},
    description="Deploy changed models and rebuild their history, without waiting for new data.",
)

ingestion_to_transform = handoff_sensor(INGESTION_TO_TRANSFORM, job=transform_pipeline)
