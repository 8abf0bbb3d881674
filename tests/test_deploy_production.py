"""The files of a deployment in production: what they promise, and their own commands as processes.

Containers and a cluster are not run here: compose and values are held against schema and promises,
and the commands that they start are started as they are, on PostgreSQL.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import requests
import yaml
from dagster._core.workspace.load_target import WorkspaceFileTarget
from deployed import runbook
from plant import READ_DATE, environment, warehouse
from postgres import Postgres, programs
from stage import free_port

from databox_shared.days import DAYS_TAG, READ_DATE_TAG
from databox_shared.settings import load_settings, project_root
from databox_workspace.builds import Build
from databox_workspace.deploy_files import deploy_files
from databox_workspace.follow import Chain
from databox_workspace.launch import launch
from databox_workspace.locations import locations
from ebird_sandbox.process import running_sandbox

ROOT = project_root()
NAMES = [location.name for location in locations()]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ENVIRONMENT: dict[str, str] = COMPOSE["x-dagster"]["environment"]
WAIT_SECONDS = 240.0


def test_every_file_that_names_the_locations_is_made_from_the_one_list() -> None:
    for path, text in deploy_files(ROOT, NAMES).items():
        assert (ROOT / path).read_text() == text, f"{path} is not current: task deploy:files"


def test_compose_is_valid_by_the_schema_of_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*check, str(ROOT / "deploy/compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_no_writable_root_and_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith("0")
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory", "pids"}
    assert "healthcheck" in service or name == "migrate"


def test_only_the_login_can_be_reached_and_only_from_the_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"proxy": ["127.0.0.1:${DATABOX_PORT:-8080}:8080"]}
    login = (ROOT / "deploy/nginx.conf").read_text()
    assert login.index("auth_basic_user_file") < login.index("location /")
    assert "auth_basic off" not in login


def test_every_secret_comes_from_the_environment_or_a_file() -> None:
    secret = re.compile(r"^\s*\w*(?:password|token)\w*: *(.*)$", re.IGNORECASE | re.MULTILINE)
    values = [
        value
        for file in ("compose.yaml", "dagster.yaml", "helm/dagster.yaml")
        for value in secret.findall((ROOT / "deploy" / file).read_text())
    ]
    assert len(values) > 3
    for value in values:
        assert value.startswith(("${", "{env: ")) or value == "false", value


@pytest.mark.parametrize("name", NAMES)
def test_a_location_is_a_release_of_its_own_with_a_tag_of_its_own(name: str) -> None:
    assert SERVICES[name]["image"] == f"databox/{name}:${{{name.upper()}_TAG:-latest}}"
    values = yaml.safe_load((ROOT / f"deploy/helm/{name}.yaml").read_text())
    (deployment,) = values["deployments"]
    assert deployment["image"]["repository"] == f"databox/{name}"
    assert deployment["podSecurityContext"]["runAsNonRoot"]
    assert deployment["securityContext"]["readOnlyRootFilesystem"]
    assert "deploymentStrategy" in deployment
    assert deployment["resources"]["limits"].keys() == {"cpu", "memory"}
    host = yaml.safe_load((ROOT / "deploy/helm/dagster.yaml").read_text())
    assert not host["dagster-user-deployments"]["enableSubchart"]
    servers = host["dagsterWebserver"]["workspace"]["servers"]
    assert {"host": deployment["name"], "port": deployment["port"], "name": name} in servers
    cloud = yaml.safe_load((ROOT / "deploy/dagster_cloud.yaml").read_text())
    modules = {entry["location_name"]: entry["code_source"] for entry in cloud["locations"]}
    assert modules[name] == {"module_name": f"{name}_location.definitions"}


class Machine:
    """The containers' commands as processes: their paths lie in a folder, their ports are free."""

    def __init__(self, folder: Path, postgres: Postgres, api: str, stack: ExitStack) -> None:
        self.folder = folder
        self.port = free_port()
        self._stack = stack
        for name in ("run", "data", "logs", "dagster"):
            (folder / name).mkdir()
        (folder / "dagster/dagster.yaml").write_text((ROOT / "deploy/dagster.yaml").read_text())
        self.variables = {
            **{
                key: self.here(str(value))
                for key, value in COMPOSE["x-dagster"]["environment"].items()
            },
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(postgres.port),
            "DAGSTER_PG_USER": postgres.user,
            "DAGSTER_PG_PASSWORD": postgres.password,
            "DAGSTER_PG_DB": postgres.new_database(),
            "EBIRD_API_URL": api,
            "EBIRD_API_TOKEN": "",
            "EBIRD_REGIONS": "US-DC",
            "EBIRD_SCHEDULE_TIMEZONE": "UTC",
            "EBIRD_SCHEDULE_PAUSED": "1",
        }

    def here(self, text: str) -> str:
        """A container's path or port as it is on this machine."""
        text = text.replace("/app/workspace.prod.yaml", str(ROOT / "workspace.prod.yaml"))
        text = text.replace("/run/databox", f"{self.folder}/run")
        text = re.sub(r"(?<![\w/.])/(data|logs|dagster)\b", rf"{self.folder}/\1", text)
        text = text.replace("duckdb:////data", f"duckdb:///{self.folder}/data")
        return text.replace("0.0.0.0", "127.0.0.1").replace("3000", str(self.port))

    def command(self, words: list[str]) -> list[str]:
        """A service's command."""
        return [self.here(word) for word in words]

    def run(self, command: list[str], path: Path, **more: str) -> subprocess.Popen[bytes]:
        """Start a process with `path` first on its PATH; it is stopped at the end."""
        found = {**os.environ, **self.variables, **more, "PATH": f"{path}:{os.environ['PATH']}"}
        log = (self.folder / f"{len(list(self.folder.glob('*.log')))}.log").open("wb")
        process = subprocess.Popen(
            command, env=found, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT
        )
        self._stack.callback(log.close)
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        return process


def dockerfile_command(name: str) -> list[str]:
    text = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    found = re.search(r"^CMD exec (.*)$", text, re.MULTILINE)
    assert found
    return shlex.split(found[1].replace("${LOCATION}", name))


def dockerfile_health(name: str) -> list[str]:
    text = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    found = re.search(r"^HEALTHCHECK .* CMD (.*)$", text, re.MULTILINE)
    assert found
    return shlex.split(found[1].replace("$LOCATION", name))


@pytest.fixture(scope="module")
def machine(postgres: Postgres, built: dict[str, Build]) -> Iterator[Machine]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="databox-")))
        sandbox = stack.enter_context(running_sandbox())
        made = Machine(folder, postgres, sandbox.url, stack)
        stack.enter_context(environment(**(warehouse(folder) | made.variables)))
        host = Path(sys.executable).parent
        migrate = made.run(made.command(SERVICES["migrate"]["command"]), host)
        assert migrate.wait() == 0, (folder / "0.log").read_text()
        for name, found in built.items():
            path = found.folder / "venv/bin"
            made.run(made.command(dockerfile_command(name)), path, LOCATION=name)
        for name, found in built.items():
            wait_for_health(made.command(dockerfile_health(name)), found.folder / "venv/bin", made)
        for name in ("webserver", "daemon"):
            made.run(made.command(SERVICES[name]["command"]), host)
        for name in ("webserver", "daemon"):
            _, *health = SERVICES[name]["healthcheck"]["test"]
            wait_for_health(made.command(health), host, made)
        yield made


def wait_for_health(command: list[str], path: Path, machine: Machine) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    variables: Mapping[str, str] = {
        **os.environ,
        **machine.variables,
        "PATH": f"{path}:{os.environ['PATH']}",
    }
    while (
        done := subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    ).returncode:
        assert time.monotonic() < deadline, f"{command}: {done.stdout}{done.stderr}"
        time.sleep(1)


@pytest.mark.slow
def test_the_containers_commands_take_a_day_to_the_release_on_postgresql(machine: Machine) -> None:
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        chain = Chain(instance)
        target = WorkspaceFileTarget([str(ROOT / "workspace.prod.yaml")])
        tags = {DAYS_TAG: "2026-05-16", READ_DATE_TAG: READ_DATE}
        chain.begin(
            launch(instance, target, location="ingestion", job="daily_ebird_pipeline", tags=tags)
        )
        deadline = time.monotonic() + WAIT_SECONDS
        while not chain.poll():
            assert time.monotonic() < deadline, repr(chain.stages)
            time.sleep(0.5)
        assert chain.release_report()["is_current"]
    assert load_settings().release_path.is_file()
    page = requests.get(f"http://127.0.0.1:{machine.port}/server_info", timeout=30)
    assert page.status_code == 200


@pytest.mark.slow
def test_the_runbooks_backup_can_be_restored(postgres: Postgres, tmp_path: Path) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    backup.mkdir()
    variables = {
        **os.environ,
        "DATA": str(data),
        "BACKUP": str(backup),
        "DAGSTER_PG_URL": postgres.url(database := postgres.new_database()),
        "PATH": f"{programs()}:{os.environ['PATH']}",
    }
    postgres.execute("CREATE TABLE runs AS SELECT 7 AS id", database)
    for name in ("ingestion", "transform", "quality"):
        (data / ".databox" / name).mkdir(parents=True)
        (data / ".databox" / name / f"{name}.duckdb").write_text("before")
    commands = [line for line in runbook() if "task deploy" not in line]
    assert len(commands) == 8
    for number, command in enumerate(commands):
        if number == 4:
            postgres.execute("DROP TABLE runs", database)
            for file in data.rglob("*.duckdb"):
                file.write_text("lost")
        done = subprocess.run(
            ["bash", "-c", command], env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert postgres.execute("SELECT id FROM runs", database) == [(7,)]
    assert {file.read_text() for file in data.rglob("*.duckdb")} == {"before"}
