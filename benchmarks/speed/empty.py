"""A code location whose one job does nothing: what Dagster itself costs."""

from __future__ import annotations

import dagster as dg


@dg.op
def nothing_at_all() -> None:
    """Do nothing."""


@dg.job(executor_def=dg.in_process_executor)
def nothing() -> None:
    """Do nothing, in a run."""
    nothing_at_all()


defs = dg.Definitions(jobs=[nothing])
