"""Dagster's queue of runs, named in `dagster.yaml`, which brings two corrections into the daemon.

Every process of a deployment loads what that file names, run workers too: a location must have
been deployed with this module before the file of its deployment may name it.

The run of a backfill is asked for with every check on its assets, also with those that another
location defines, and then no location can build it: the backfill fails before its run begins.
Everywhere else Dagster (1.13) leaves such checks out; here that is done for backfills.

A sensor that ticked while the clock of the machine was ahead is not looked at, after the clock is
put right, until the time of that tick has come. Here it is due at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.assets.graph.remote_asset_graph import RemoteWorkspaceAssetGraph
from dagster._core.definitions.automation_tick_evaluation_context import (
    build_run_requests_with_backfill_policies,
)
from dagster._core.execution import asset_backfill
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.scheduler.instigation import InstigatorState

_ELAPSED = "get_elapsed"


class RunQueue(QueuedRunCoordinator):
    """The queue as it is; that it is loaded is what matters."""


def requests_with_own_checks(
    *, asset_graph: BaseAssetGraph[Any], **rest: Any
) -> Sequence[dg.RunRequest]:
    """The requests of a backfill, each with the checks that its assets' location defines."""
    requests = build_run_requests_with_backfill_policies(asset_graph=asset_graph, **rest)
    if not isinstance(asset_graph, RemoteWorkspaceAssetGraph):
        return requests
    return [_with_own_checks(request, asset_graph) for request in requests]


def _with_own_checks(request: dg.RunRequest, graph: RemoteWorkspaceAssetGraph) -> dg.RunRequest:
    if not request.asset_selection or not request.asset_check_keys:
        return request
    own = graph.get_repository_handle(request.asset_selection[0]).to_selector()
    kept = [
        key
        for key in request.asset_check_keys
        if graph.get_repository_handle(key).to_selector() == own
    ]
    return request._replace(asset_check_keys=kept)  # pyright: ignore[reportPrivateUsage]


def since_past_tick(
    elapsed: Callable[[InstigatorState], float | None],
) -> Callable[[InstigatorState], float | None]:
    """The seconds since a sensor's last tick, and none since one that is still to come."""

    @wraps(elapsed)
    def passed(state: InstigatorState) -> float | None:
        seconds = elapsed(state)
        return None if seconds is None or seconds < 0 else seconds

    return passed


_NAME = build_run_requests_with_backfill_policies.__name__
setattr(asset_backfill, _NAME, requests_with_own_checks)
# not imported for it, which would cost each run worker a second; the daemon has it by now
if _sensors := sys.modules.get("dagster._daemon.sensor"):
    setattr(_sensors, _ELAPSED, since_past_tick(getattr(_sensors, _ELAPSED)))
