"""The Dagster home of this checkout: its settings, its storage, its pools, and who uses it.

Only one deployment may run on a home, or sensors would tick twice. It must be prepared before the
first server starts: servers that start together race to create the tables.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import yaml

from databox_shared.open_storage import OpenSqliteStorage
from databox_shared.settings import Settings, project_root
from databox_workspace.locations import locations
from databox_workspace.locks import try_lock

# a daemon says every 30 s that it lives
HEARTBEAT_SECONDS = 45.0


class HomeError(Exception):
    """A home that cannot be worked on; the message says why and what to do."""


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
def dagster_home(
    settings: Settings,
    *,
    folder: Path | None = None,
    has_own_servers: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Generator[Home]:
    """Prepare the home and hold it: DAGSTER_HOME if that is set, else a hidden folder by the data.

    `folder` is another place for it if DAGSTER_HOME is not set. With `has_own_servers` the runs of
    an earlier deployment are left alone, because the code servers that work on them outlive it.

    The lock is passed on to every server that is started, so it is held until the last has gone.
    A deployment that does not know the lock is known by its daemon's heartbeat. Raises `HomeError`
    for a home whose storage is another's.
    """
    named = os.environ.get("DAGSTER_HOME")
    path = home_path(settings, folder)
    path.mkdir(parents=True, exist_ok=True)
    os.environ.update(home_variables(path))
    with (path / "deployment.lock").open("a") as lock:
        is_ours = try_lock(lock.fileno())
        if not named and (is_ours or not (path / "dagster.yaml").exists()):
            _write_settings(path)
        _refuse_storage_of_another(path)
        with dg.DagsterInstance.get() as instance:
            is_ours = is_ours and not _has_daemon(instance, say)
            if is_ours:
                _set_pool_limits(instance)
            if is_ours and not has_own_servers:
                _end_lost_runs(instance)
        yield Home(path, is_ours, lock.fileno())


def home_settings(path: Path) -> str:
    """What `dagster.yaml` says in a home of ours.

    That is what it says in the checkout, and that the storage stays open; see `open_storage`.
    """
    storage = {
        "module": OpenSqliteStorage.__module__,
        "class": OpenSqliteStorage.__name__,
        "config": {"base_dir": str(path)},
    }
    text = (project_root() / "dagster.yaml").read_text(encoding="utf-8")
    return text + "\n" + yaml.safe_dump({"storage": {"custom": storage}})


def home_variables(path: Path) -> dict[str, str]:
    """What the environment of every process says that works on a home."""
    # what Dagster plans for a run, or hears of many days, is stored at once
    return {"DAGSTER_HOME": str(path), "DAGSTER_EVENT_BATCH_SIZE": "1000"}


def prepare_home(path: Path) -> None:
    """Give a home its settings, its tables and the limits of its pools, where they are missing.

    Servers that start together on a new home would race to create the tables. Raises `HomeError`
    for a home whose storage is another's.
    """
    path.mkdir(parents=True, exist_ok=True)
    if not (path / "dagster.yaml").exists():
        _write_settings(path)
    _refuse_storage_of_another(path)
    with dg.DagsterInstance.from_config(str(path)) as instance:
        _set_pool_limits(instance)


def _refuse_storage_of_another(path: Path) -> None:
    file = path / "dagster.yaml"
    match yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None:
        case {"storage": {"custom": {"class": OpenSqliteStorage.__name__, "config": config}}}:
            base = config["base_dir"]
        case _:
            return
    if base != str(path):
        msg = (
            f"{file} names the storage in {base}: the home was moved; write base_dir: {path} there"
        )
        raise HomeError(msg)


def _write_settings(path: Path) -> None:
    part = path / f"dagster.yaml.{os.getpid()}.part"
    part.write_text(home_settings(path), encoding="utf-8")
    part.replace(path / "dagster.yaml")


def home_path(settings: Settings, folder: Path | None = None) -> Path:
    """Where the home is, or will be: DAGSTER_HOME if that is set, else `folder` or by the data."""
    named = os.environ.get("DAGSTER_HOME")
    return Path(named) if named else folder or settings.hidden_dir / "dagster"


def is_deserted(home: Home, instance: dg.DagsterInstance) -> bool:
    """Whether the other deployment on a home that is not ours has gone."""
    with (home.path / "deployment.lock").open("a") as lock:
        is_free = try_lock(lock.fileno())
    return is_free and _last_heartbeat(instance) < time.time() - 2 * HEARTBEAT_SECONDS


def forget_daemon() -> None:
    """Wipe the heartbeats of a daemon that we have stopped, so that nobody waits for it."""
    with dg.DagsterInstance.get() as instance:
        instance.wipe_daemon_heartbeats()


def _last_heartbeat(instance: dg.DagsterInstance) -> float:
    beats = instance.get_daemon_heartbeats().values()
    return max((beat.timestamp for beat in beats), default=0.0)


def _has_daemon(instance: dg.DagsterInstance, say: Callable[[str], object]) -> bool:
    """Whether a daemon works on this storage: its newest heartbeat is fresh, and moves on."""
    seen = _last_heartbeat(instance)
    if seen < time.time() - HEARTBEAT_SECONDS:
        return False
    say("A daemon was at work here a moment ago: looking whether it still is (up to 45 s)")
    deadline = time.monotonic() + HEARTBEAT_SECONDS
    while time.monotonic() < deadline:
        if _last_heartbeat(instance) > seen:
            return True
        time.sleep(1)
    return False


def _set_pool_limits(instance: dg.DagsterInstance) -> None:
    # a mere default limit lets the first runs on a fresh instance overlap
    for location in locations():
        instance.event_log_storage.set_concurrency_slots(f"{location.name}_duckdb", 1)


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
