"""The code location `transform`: raw tables to staging and marts, with SQLMesh."""

from __future__ import annotations

import dagster as dg

from transform_location.assets import sqlmesh_models
from transform_location.automation import (
    deploy_models,
    ingestion_to_transform,
    transform_pipeline,
)
from transform_location.deployment import deploy_when_code_changed

defs = dg.Definitions(
    assets=[sqlmesh_models],
    jobs=[transform_pipeline, deploy_models],
    sensors=[ingestion_to_transform, deploy_when_code_changed],
    executor=dg.in_process_executor,
)
