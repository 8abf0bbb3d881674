"""Deploying without waiting for new data: once this location was loaded with changed models."""

from __future__ import annotations

import dagster as dg

from databox_shared.settings import load_settings
from transform_location.automation import deploy_models
from transform_location.deployed import deployed_code
from transform_location.manifest import current_manifest


@dg.sensor(
    job=deploy_models,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts deploy_models once when this location was loaded with changed models.",
)
def deploy_when_code_changed() -> dg.RunRequest | dg.SkipReason:
    """One run for each code that differs from what is deployed; the first is left to the data."""
    deployed = deployed_code(load_settings().hidden_dir / "transform")
    loaded = current_manifest().fingerprint
    if deployed is None:
        return dg.SkipReason("nothing is deployed yet: the first transform_pipeline does it")
    if deployed.fingerprint == loaded:
        return dg.SkipReason(f"the loaded models {loaded} are deployed")
    # once from each deployed state, to which a rollback adds one; a deploy that fails is for a
    # person to look at, and is tried again by the next transform_pipeline
    return dg.RunRequest(run_key=f"deploy:{deployed.fingerprint}:{deployed.deployed_at}:{loaded}")
