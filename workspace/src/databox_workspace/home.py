"""The Dagster home of this checkout: its settings, its storage, its pools, and who uses it.

Only one deployment may run on a home, or sensors would tick twice. It must be prepared before the
first server starts: servers that start together race to create the tables.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from databox_shared.settings import Settings, project_root

POOLS = ("ingestion_duckdb", "transform_duckdb", "quality_duckdb")


@dataclass(frozen=True)
class Home:
    """A prepared home. `is_ours` is False when another deployment is running on it."""

    path: Path
    is_ours: bool
    lock_descriptor: int

    @property
    def logs(self) -> Path:
        """Where the servers that we start write what they say."""
        folder = self.path / "server_logs"
        folder.mkdir(exist_ok=True)
        return folder


@contextmanager
def dagster_home(settings: Settings) -> Generator[Home]:
    """Prepare the home and hold it: DAGSTER_HOME if that is set, else a hidden folder by the data.

    The lock is passed on to every server that is started, so it is held until the last has gone.
    """
    named = os.environ.get("DAGSTER_HOME")
    path = Path(named) if named else settings.hidden_dir / "dagster"
    path.mkdir(parents=True, exist_ok=True)
    os.environ["DAGSTER_HOME"] = str(path)
    if not named:
        shutil.copyfile(project_root() / "dagster.yaml", path / "dagster.yaml")
    with (path / "deployment.lock").open("a") as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Home(path, is_ours=False, lock_descriptor=lock.fileno())
            return
        with dg.DagsterInstance.get() as instance:
            _set_pool_limits(instance)
            _end_lost_runs(instance)
        yield Home(path, is_ours=True, lock_descriptor=lock.fileno())


def _set_pool_limits(instance: dg.DagsterInstance) -> None:
    # a mere default limit lets the first runs on a fresh instance overlap
    for pool in POOLS:
        instance.event_log_storage.set_concurrency_slots(pool, 1)


def _end_lost_runs(instance: dg.DagsterInstance) -> None:
    lost = [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    for run in instance.get_runs(dg.RunsFilter(statuses=lost)):
        instance.report_run_failed(
            run, "The deployment that worked on this run was stopped before it ended."
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
