"""The real schedule and sensor daemons, one step at a time under a clock that a test sets.

Dagster's own loops are private, so this is the one place that touches them.
"""

import json
import logging
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

_LOG = logging.getLogger("daemon")
_QUEUE_ONLY = {
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "QueuedRunCoordinator",
    },
    "telemetry": {"enabled": False},
}


@dataclass
class Daemon:
    """Both daemons over one code server. What they launch stays in the queue."""

    workspace: IWorkspaceProcessContext[Any]
    iteration_times: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.workspace.instance

    def step(self, now: datetime) -> None:
        """Let both daemons do once, at `now`, whatever is due."""
        with freeze_time(now), ThreadPoolExecutor(1) as pool:
            list(launch_scheduled_runs(self.workspace, _LOG, now, self.iteration_times))
            futures: dict[str, Any] = {}
            list(execute_sensor_iteration(self.workspace, _LOG, pool, None, futures))
            for future in futures.values():
                future.result()

    def reasons(self) -> dict[str, str | None]:
        """The newest skip reason of the schedule and of the sensor."""
        found: dict[str, str | None] = {}
        for state in self.instance.all_instigator_state():
            ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            found[state.instigator_name] = ticks[0].skip_reason if ticks else None
        return found


@contextmanager
def daemon(instance: dg.DagsterInstance) -> Generator[Daemon]:
    target = ModuleTarget("ingestion_location.definitions", None, None, "ingestion")
    with create_test_daemon_workspace_context(target, instance) as workspace:
        yield Daemon(workspace)


@contextmanager
def queueing_instance(home: Path) -> Generator[dg.DagsterInstance]:
    """An instance whose runs are queued and never started."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text(json.dumps(_QUEUE_ONLY))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance
