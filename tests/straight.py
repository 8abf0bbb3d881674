"""The three jobs one after the other in this process, without any daemon, server or hand-off.

What a chain comes to must be what this comes to, whatever happens on its way.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from ingestion_location.definitions import defs as ingestion
from quality_location.definitions import definitions as quality
from transform_location.definitions import defs as transform

JOBS = (
    (ingestion, "daily_ebird_pipeline"),
    (transform, "transform_pipeline"),
    (quality, "data_quality_checks"),
)


def run_straight(tags: Mapping[str, str]) -> None:
    """Ingest as the tags say, and bring all that is there to the release."""
    with dg.DagsterInstance.ephemeral() as instance:
        for definitions, job in JOBS:
            said = tags if definitions is ingestion else {}
            done = definitions.resolve_job_def(job).execute_in_process(
                instance=instance, tags=dict(said)
            )
            assert done.success
