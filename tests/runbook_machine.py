"""The machine that the runbook is followed on: its shell, what serves on it, and its storage."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import dagster as dg
import duckdb
import psutil
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from postgres import Postgres

from databox_shared import snapshots
from databox_shared.contracts import RAW, contract
from databox_shared.days import DAYS_TAG
from databox_shared.settings import load_settings
from databox_workspace import servers
from databox_workspace.builds import Build, read_build
from databox_workspace.host import WORKSPACE
from databox_workspace.launch import launch
from databox_workspace.locations import locations
from databox_workspace.site import Site

NAMES = [listed.name for listed in locations()]
WAIT_SECONDS = 240.0


@dataclass
class Machine:
    """The machine that the runbook is followed on, and what the steps have to remember.

    `root` is a checkout without changes, `where` what is deployed from it, `said` what the last
    command wrote.
    """

    root: Path
    where: Site
    variables: Mapping[str, str]
    postgres: Postgres
    templates: Mapping[str, Build]
    said: str = ""
    up: subprocess.Popen[bytes] | None = None
    run_id: str = ""
    files: dict[str, str] = field(default_factory=dict[str, str])

    def run(self, command: str) -> None:
        """Run a command to its end, which must be a good one."""
        with self._shell(command, stdout=subprocess.PIPE) as shell:
            self.said = shell.communicate()[0].decode()
        assert shell.returncode == 0, f"{command}\n{self.said}"

    def start(self, command: str) -> None:
        """Start a command that goes on until it is interrupted, as in a terminal of its own."""
        with (self.where.folder / "up.log").open("wb") as words:
            self.up = self._shell(command, stdout=words, start_new_session=True)
        self.until("the UI", self.where.webserver_url)

    def _shell(
        self, command: str, *, stdout: int | BinaryIO, start_new_session: bool = False
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-c", command],
            cwd=self.root,
            env=dict(self.variables),
            stdout=stdout,
            stderr=subprocess.STDOUT,
            start_new_session=start_new_session,
        )

    def interrupt(self) -> None:
        """Type Ctrl-C in that terminal: everything in it hears that."""
        if self.up is not None:
            os.killpg(self.up.pid, signal.SIGINT)
            self.up.wait(WAIT_SECONDS)
            self.up = None

    def until(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert self.up is None or self.up.poll() is None, self.words()
            assert time.monotonic() < deadline, f"waited for {what}; {self.words()}"
            time.sleep(0.2)

    def words(self) -> str:
        return (self.where.folder / "up.log").read_text(errors="replace")

    def table(self, query: str) -> list[tuple[object, ...]]:
        return self.postgres.execute(query, self.variables["DAGSTER_PG_DB"])

    def tables(self) -> set[str]:
        rows = self.table("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {str(name) for (name,) in rows}

    def serving(self) -> dict[str, str]:
        """The build that a living server serves, by location."""
        found = {name: servers.current(self.where.run_dir, name) for name in NAMES}
        return {name: now.build for name, now in found.items() if now and now.is_alive()}

    def folder(self, name: str) -> Path:
        """What a variable of the runbook names."""
        return Path(self.variables[name])

    def stop_sensors(self) -> None:
        """Let nothing run but what is launched here."""
        target = WorkspaceFileTarget([str(self.root / WORKSPACE)])
        with (
            self.where.instance() as instance,
            WorkspaceProcessContext(instance, target) as process,
        ):
            context = process.create_request_context()
            for name in NAMES:
                for repository in context.get_code_location(name).get_repositories().values():
                    for sensor in repository.get_sensors():
                        instance.stop_sensor(
                            sensor.get_remote_origin_id(), sensor.selector_id, sensor
                        )

    def launch(self) -> str:
        """Put a run that opens SQLMesh's state into the queue."""
        target = WorkspaceFileTarget([str(self.root / WORKSPACE)])
        with self.where.instance() as instance:
            return launch(
                instance, target, location="transform", job="deploy_models", tags={DAYS_TAG: ""}
            )

    def end_of(self, run_id: str) -> str:
        """Wait for a run's end and say it, with why if it failed."""
        with self.where.instance() as instance:

            def ended() -> dg.DagsterRun | None:
                run = instance.get_run_by_id(run_id)
                return run if run and run.is_finished else None

            self.until(f"run {run_id} to end", ended)
            run = ended()
            assert run is not None
            failed = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
            why = [str(entry.dagster_event) for entry in failed if entry.dagster_event]
            why += [
                entry.dagster_event.step_failure_data.error.to_string()
                for entry in failed
                if entry.dagster_event and entry.dagster_event.step_failure_data.error
            ]
            return " ".join([run.status.value, *why])

    def contents(self) -> dict[str, str]:
        """A digest of every file that is backed up."""
        hidden = self.folder("DATA") / ".databox"
        return {
            str(file.relative_to(hidden)): hashlib.sha256(file.read_bytes()).hexdigest()
            for name in NAMES
            for file in (hidden / name).rglob("*")
            if file.is_file()
        }


def hard_links(made: Build, where: Path) -> Build:
    """The same build in another folder."""
    where.mkdir(parents=True)
    folder = where / made.id
    subprocess.run(["cp", "--archive", "--link", str(made.folder), str(folder)], check=True)
    return read_build(folder)


def of_folder(folder: Path) -> list[str]:
    """The processes that were told of a folder, but for this one."""
    found: list[str] = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if process.pid != os.getpid() and any(str(folder) in word for word in words):
            found.append(" ".join(process.cmdline()))
    return found


def publish_raw() -> None:
    """Raw tables without a row, handed over as ingestion does."""
    with snapshots.writing(load_settings(), "ingestion") as writer:
        with duckdb.connect(str(writer.path)) as connection:
            connection.execute(f"CREATE SCHEMA {RAW}")
            for table in contract(RAW).tables.values():
                columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
                connection.execute(f"CREATE TABLE {table.full_name} ({columns})")
        writer.publish(run_id="raw", contract_names=[RAW], source="sandbox")
