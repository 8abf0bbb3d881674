"""Where the bench runs: warehouses in folders of their own, and a deployment that stays up.

The sandbox is one process of its own, started once, and counted to nobody.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import psutil
import yaml
from dagster._core.workspace.load_target import WorkspaceFileTarget

from databox_shared.days import DAYS_TAG, READ_DATE_TAG, format_days
from databox_shared.settings import Settings, load_settings
from databox_workspace.deployment import Deployment, code_servers, daemon, supervised
from databox_workspace.follow import Chain, Stage
from databox_workspace.home import Home, dagster_home
from databox_workspace.launch import launch
from databox_workspace.locations import locations
from speed.measure import BenchError, Cost, cpu_below, run

REGION = "US-DC"
PLAIN = Path(__file__).with_name("plain.py")
EMPTY = Path(__file__).with_name("empty.py")
TODAY = datetime.now(UTC).date()
# before ours: of later days the sandbox has nothing, and they are empty
SANDBOX_TODAY = TODAY - timedelta(days=2)
EMPTY_DAY = TODAY - timedelta(days=1)
START_SECONDS, CHAIN_SECONDS = 120.0, 3600.0


def last_days(number: int, *, before: date = SANDBOX_TODAY) -> list[date]:
    """So many days, the last of them the day before `before`."""
    return [before - timedelta(days=n) for n in range(number, 0, -1)]


def warehouse(folder: Path, url: str) -> dict[str, str]:
    """The environment of a warehouse in a folder; nothing of the user's own .env is left in it."""
    empty = ("EBIRD_API_TOKEN", "EBIRD_DAILY_CALL_LIMIT", "EBIRD_REREAD", "EBIRD_SCHEDULE_TIMEZONE")
    quiet = ("ALERT_WEBHOOK_URL", "ALERT_EMAIL", "ALERT_SMTP_URL", "DAGSTER_HOME")
    return {
        **dict.fromkeys((*empty, *quiet), ""),
        "DATABASE_URL": f"duckdb:///{folder}/databox.duckdb",
        "DLT_DATA_DIR": f"{folder}/dlt",
        "EBIRD_API_URL": url,
        "EBIRD_REGIONS": REGION,
        "EBIRD_SCHEDULE_PAUSED": "1",
    }


def pipeline(folder: Path, url: str, days: Sequence[date]) -> Cost:
    """`task pipeline` for these days, from its first line to the end of its last process."""
    command = [sys.executable, "-m", "databox_workspace", "pipeline", "--days", format_days(days)]
    return run(command, warehouse(folder, url))


def plain_script(folder: Path, url: str, days: Sequence[date]) -> Cost:
    """The plain script for these days."""
    listed = [day.isoformat() for day in days]
    return run([sys.executable, str(PLAIN), str(folder / "plain.duckdb"), url, REGION, *listed])


def expect_equal(ours: Path, plain: Path) -> None:
    """Raise `BenchError` unless the release and the plain script's tables are the same rows."""
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{ours}/databox.duckdb' AS ours (READ_ONLY)")
        connection.execute(f"ATTACH '{plain}/plain.duckdb' AS plain (READ_ONLY)")
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_catalog = 'ours' "
            "AND table_schema = 'ebird' AND table_name <> 'review_history' ORDER BY 1"
        ).fetchall()
        for (name,) in names:
            sides = [f"(FROM {side}.ebird.{name})" for side in ("ours", "plain")]
            differing = connection.execute(
                f"SELECT count(*) FROM (({sides[0]} EXCEPT ALL {sides[1]}) "
                f"UNION ALL ({sides[1]} EXCEPT ALL {sides[0]}))"
            ).fetchall()
            if differing != [(0,)]:
                msg = f"{name}: {differing[0][0]} rows of the release and of the script differ"
                raise BenchError(msg)
        if not names:
            msg = f"the release in {ours} has no tables"
            raise BenchError(msg)


@dataclass(frozen=True)
class Running:
    """A deployment that is up: code servers and daemon on a warehouse of its own."""

    folder: Path
    settings: Settings
    instance: dg.DagsterInstance
    deployment: Deployment

    @property
    def servers(self) -> list[int]:
        """The processes that serve code: a run's worker is a child of one."""
        names = {location.name for location in locations()}
        return [
            psutil.Process(server.process.pid).children()[0].pid
            for server in self.deployment.servers
            if server.name in names
        ]

    def launch(self, days: Sequence[date]) -> Chain:
        """Launch ingestion's daily job for these days; the chain follows by itself."""
        chain = Chain(self.instance)
        tags = {DAYS_TAG: format_days(days), READ_DATE_TAG: TODAY.isoformat()}
        target: WorkspaceFileTarget = self.deployment.workspace
        chain.begin(
            launch(
                self.instance, target, location="ingestion", job="daily_ebird_pipeline", tags=tags
            )
        )
        return chain

    def bare_launch(self) -> float:
        """Seconds from the launch of a job that does nothing until its run has started."""
        run_id = launch(
            self.instance, self.deployment.workspace, location="empty", job="nothing", tags={}
        )
        deadline = time.monotonic() + CHAIN_SECONDS
        while True:
            record = self.instance.get_run_record_by_id(run_id)
            if record is not None and record.start_time is not None and record.end_time is not None:
                return record.start_time - record.create_timestamp.timestamp()
            self.deployment.check()
            if time.monotonic() > deadline:
                msg = f"the empty run {run_id} has no end after {CHAIN_SECONDS:.0f} s"
                raise BenchError(msg)
            time.sleep(0.2)

    def chain(self, days: Sequence[date]) -> tuple[Cost, list[Stage]]:
        """The cost of these days from launch to release, and the stages that they went through.

        CPU is that of the runs' workers: what the daemon and the servers use goes with the clock.
        """
        before = cpu_below(self.servers)
        chain = self.launch(days)
        deadline = time.monotonic() + CHAIN_SECONDS
        while not chain.poll():
            self.deployment.check()
            if time.monotonic() > deadline:
                msg = f"the chain of {format_days(days)} has no end after {CHAIN_SECONDS:.0f} s"
                raise BenchError(msg)
            time.sleep(0.5)
        # the last worker has said that it is done and still has to end
        time.sleep(2)
        cpu = cpu_below(self.servers) - before
        stages = list(chain.stages.values())
        first, last = stages[0].times, stages[-1].times
        if first is None or last is None or last.ended is None:
            msg = f"the chain of {format_days(days)} has no times"
            raise BenchError(msg)
        return Cost(last.ended - first.created, cpu), stages


@contextmanager
def deployment(folder: Path, url: str) -> Generator[Running]:
    """A deployment as it runs for days, when its daemon looks after queue and sensors."""
    os.environ |= warehouse(folder, url)
    settings = load_settings()
    with (
        dagster_home(settings) as home,
        dg.DagsterInstance.get() as instance,
        code_servers(home) as servers,
        _with_empty_location(home, servers) as all_servers,
        daemon(home, all_servers) as running,
    ):
        _wait_for_daemon(instance, running)
        yield Running(folder, settings, instance, running)


@contextmanager
def _with_empty_location(home: Home, servers: Deployment) -> Generator[Deployment]:
    """Beside the locations one that costs nothing, whose runs tell what Dagster itself takes."""
    (listed,) = map(Path, servers.workspace.paths)
    socket = listed.with_name("empty.sock")
    entry = {"grpc_server": {"socket": str(socket), "location_name": "empty"}}
    entries = yaml.safe_load(listed.read_text(encoding="utf-8"))["load_from"]
    workspace = listed.with_name("with_empty.yaml")
    workspace.write_text(yaml.safe_dump({"load_from": [*entries, entry]}), encoding="utf-8")
    command = [sys.executable, "-m", "dagster", "api", "grpc", "--python-file", str(EMPTY)]
    command += ["--location-name", "empty", "--socket", str(socket)]
    with supervised("empty", command, home) as server:
        deadline = time.monotonic() + START_SECONDS
        while not socket.exists():
            server.check()
            if time.monotonic() > deadline:
                msg = f"the empty location does not serve after {START_SECONDS:.0f} s"
                raise BenchError(msg)
            time.sleep(0.1)
        target = WorkspaceFileTarget([str(workspace)])
        yield Deployment(target, [*servers.servers, server])


def _wait_for_daemon(instance: dg.DagsterInstance, running: Deployment) -> None:
    wanted = set(instance.get_required_daemon_types())
    deadline = time.monotonic() + START_SECONDS
    while not wanted <= set(instance.get_daemon_heartbeats()):
        running.check()
        if time.monotonic() > deadline:
            msg = f"the daemon is not up after {START_SECONDS:.0f} s"
            raise BenchError(msg)
        time.sleep(0.2)
    # and has looked at every sensor once
    time.sleep(6)
