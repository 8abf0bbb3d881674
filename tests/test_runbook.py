"""The runbook: every command of `deploy/README.md` is run as it stands there, in its order.

One machine from its first deploy to an upgrade, on a real PostgreSQL. A command that no step here
knows fails the test, as does a step without its command.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import requests
from alembic.script import ScriptDirectory
from deployed import commit, count_as_tested, location, project_copy, runbook, variant, without_ours
from plant import environment, warehouse
from postgres import Postgres, programs
from runbook_machine import NAMES, Machine, hard_links, of_folder, publish_raw
from stage import free_port

from databox_shared import snapshots
from databox_shared.settings import load_settings, project_root
from databox_workspace import servers
from databox_workspace.builds import Build, builds_folder
from databox_workspace.host import socket_variables
from databox_workspace.inputs import digest, inputs
from databox_workspace.site import Site
from databox_workspace.view import shown

# it is long on a machine that has other work
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
DEFINITIONS = "quality_location/definitions.py"
OLD_SECONDS = 31 * 86400


@pytest.fixture
def machine(built: dict[str, Build], postgres: Postgres, tmp_path: Path) -> Iterator[Machine]:
    # sockets need a short path
    with tempfile.TemporaryDirectory(prefix="databox-") as short:
        folder, root = Path(short), project_copy(tmp_path / "project")
        data = folder / "data"
        where = Site(root, folder / "d", folder / "home")
        own = {
            "DEPLOY_DIR": str(where.folder),
            "DAGSTER_HOME": str(where.home),
            "DAGSTER_PG_HOST": "127.0.0.1",
            "DAGSTER_PG_PORT": str(postgres.port),
            "DAGSTER_PG_USER": postgres.user,
            "DAGSTER_PG_PASSWORD": postgres.password,
            "DAGSTER_PG_DB": f"test_{secrets.token_hex(6)}",
            "DAGSTER_COMPUTE_LOGS": str(folder / "logs"),
            "DATABOX_PORT": str(free_port()),
            "DATA": str(data),
            "BACKUP": str(folder / "backup"),
            "PATH": f"{programs()}:{os.environ['PATH']}",
        }
        for name, made in built.items():
            count_as_tested(hard_links(made, builds_folder(where.folder, name)), root)
        # the launch of a run is this process's own, with what the commands are given
        with environment(**(warehouse(data) | own | socket_variables(where))):
            variables = without_ours() | {"UV_PYTHON": PYTHON}
            there = Machine(root, where, variables, postgres, built)
            try:
                yield there
            finally:
                there.interrupt()
                for name in NAMES:
                    for server in servers.alive(where.run_dir, name):
                        servers.kill(server)
                there.until("the last process to end", lambda: not of_folder(folder))


@contextmanager
def makes_the_database(there: Machine) -> Generator[None]:
    yield
    assert there.tables() == set()


@contextmanager
def prepares(_there: Machine) -> Generator[None]:
    yield


@contextmanager
def deploys_first(there: Machine) -> Generator[None]:
    before = there.serving()
    yield
    assert "was built before" in there.said
    assert "The tests passed on" in there.said
    (name,) = there.serving().keys() - before.keys()
    assert there.serving()[name] == there.templates[name].id
    assert {"runs", "event_logs", "jobs", "concurrency_limits"} <= there.tables()
    limits = there.table('SELECT concurrency_key, "limit" FROM concurrency_limits')
    assert sorted(limits) == sorted((f"{pool}_duckdb", 1) for pool in NAMES)


@contextmanager
def starts_the_host(there: Machine) -> Generator[None]:
    if not there.run_id:
        # before there is a daemon, whose tick would write its own view of them
        there.stop_sensors()
    yield
    url = f"http://127.0.0.1:{there.variables['DATABOX_PORT']}"
    assert there.where.webserver_url() == url
    assert requests.get(f"{url}/server_info", timeout=10).ok
    assert shown(url)[1].keys() == set(NAMES)
    if not there.run_id:
        publish_raw()
        # it goes on while the next steps are gone: transform's models over empty raw tables
        there.run_id = there.launch()


@contextmanager
def says_what_is_deployed(there: Machine) -> Generator[None]:
    yield
    for name, made in there.serving().items():
        assert re.search(rf"{name} +{made} .* pid \d+ ", there.said)
    assert f"webserver: http://127.0.0.1:{there.variables['DATABOX_PORT']}" in there.said


@contextmanager
def deploys_the_next_revision(there: Machine) -> Generator[None]:
    file = there.root / "quality_location" / "src" / DEFINITIONS
    text = file.read_text() + "\nIS_LATER = True\n"
    file.write_text(text)
    commit(there.root)
    quality = location("quality")
    name = digest(inputs(quality, there.root), there.root, python=PYTHON)
    where = builds_folder(there.where.folder, "quality")
    made = variant(there.templates["quality"], where, name, files={DEFINITIONS: text})
    count_as_tested(made, there.root)
    before = there.serving()
    yield
    assert there.serving() == {**before, "quality": name}


@contextmanager
def rolls_back(there: Machine) -> Generator[None]:
    yield
    assert there.serving() == {name: made.id for name, made in there.templates.items()}
    assert there.where.history("quality")[-1].action == "rollback"


@contextmanager
def says_who_has_pools(there: Machine) -> Generator[None]:
    yield
    for name in NAMES:
        assert re.search(rf'"{name}_duckdb": [01] / 1 slots occupied', there.said)


@contextmanager
def deletes_old_logs(there: Machine) -> Generator[None]:
    assert there.end_of(there.run_id) == "SUCCESS"
    logs = there.folder("DAGSTER_COMPUTE_LOGS")
    files = sorted(file for file in logs.rglob(f"{there.run_id}/**/*") if file.is_file())
    assert len(files) > 1, "the step of the run has logs"
    empty = logs / "long_ago"
    empty.mkdir()
    old = time.time() - OLD_SECONDS
    for path in (files[0], empty):
        os.utime(path, (old, old))
    yield
    assert [file for file in files if not file.exists()] == files[:1]
    assert not empty.exists()


@contextmanager
def backs_up(there: Machine) -> Generator[None]:
    if not there.files:
        # a location that has never run has nothing to be backed up
        with snapshots.writing(load_settings(), "quality") as writer:
            writer.path.write_text("before")
        there.files = there.contents()
        assert "transform/sqlmesh_state.duckdb" in there.files
    yield


@contextmanager
def sees_that_all_stopped(there: Machine) -> Generator[None]:
    there.interrupt()
    yield
    assert "webserver: not running" in there.said
    assert len(re.findall(r" pid \d+ +0 ", there.said)) == len(NAMES)
    for file in there.folder("DATA").rglob(".databox/*/*.duckdb"):
        file.write_text("lost")
        file.with_name("newer.duckdb").write_text("bad")
    there.table("TRUNCATE runs CASCADE")


@contextmanager
def restores_files(_there: Machine) -> Generator[None]:
    yield


@contextmanager
def restores_the_database(there: Machine) -> Generator[None]:
    yield
    assert there.contents() == there.files
    assert there.table("SELECT run_id, status FROM runs") == [(there.run_id, "SUCCESS")]
    # no backup is restored while its daemon's last word is so fresh that it is waited for
    there.table("DELETE FROM daemon_heartbeats")


@contextmanager
def migrates_dagster(there: Machine) -> Generator[None]:
    version = "SELECT version_num FROM alembic_version"
    ((newest,),) = there.table(version)
    steps = ScriptDirectory(str(Path(dg.__file__).parent / "_core" / "storage" / "alembic"))
    before = steps.get_revision(str(newest)).down_revision
    there.table(f"UPDATE alembic_version SET version_num = '{before}'")
    yield
    assert there.table(version) == [(newest,)]


@contextmanager
def serves_already(there: Machine) -> Generator[None]:
    yield
    assert "serves already" in there.said


@contextmanager
def migrates_sqlmesh(there: Machine) -> Generator[None]:
    state = there.folder("DATA") / ".databox" / "transform" / "sqlmesh_state.duckdb"
    with duckdb.connect(str(state)) as connection:
        connection.execute("UPDATE sqlmesh._versions SET schema_version = schema_version - 1")
    assert "Please run a migration ('sqlmesh migrate' command)" in there.end_of(there.launch())
    yield
    assert there.end_of(there.launch()) == "SUCCESS"


Step = Callable[[Machine], AbstractContextManager[None]]

# what a command begins with, and what is prepared before it and found after it
STEPS: list[tuple[str, Step]] = [
    ('PGPASSWORD="$DAGSTER_PG_PASSWORD" createdb', makes_the_database),
    ("mkdir -p", prepares),
    ("cp deploy/dagster.yaml", prepares),
    ("uv run task deploy:ingestion", deploys_first),
    ("uv run task deploy:transform", deploys_first),
    ("uv run task deploy:quality", deploys_first),
    ("uv run task deploy:up", starts_the_host),
    ("uv run task deploy:status", says_what_is_deployed),
    ("uv run task deploy:quality", deploys_the_next_revision),
    ("uv run task deploy:rollback:quality", rolls_back),
    ("uv run dagster instance concurrency get", says_who_has_pools),
    ('find "$DAGSTER_COMPUTE_LOGS"', deletes_old_logs),
    *((f'flock "$DATA/.databox/{name}/writer.lock" tar', backs_up) for name in NAMES),
    ('PGPASSWORD="$DAGSTER_PG_PASSWORD" pg_dump', backs_up),
    ("uv run task deploy:status", sees_that_all_stopped),
    *((f'tar -tf "$BACKUP/{name}.tar"', restores_files) for name in NAMES),
    ('PGPASSWORD="$DAGSTER_PG_PASSWORD" pg_restore', restores_the_database),
    ("uv run dagster instance migrate", migrates_dagster),
    ("uv run task deploy:up", starts_the_host),
    ("uv run task deploy:transform", serves_already),
    ('flock "$DATA/.databox/transform/writer.lock" uv run sqlmesh', migrates_sqlmesh),
]


def test_every_command_of_the_runbook_has_a_step_and_every_block_is_of_commands() -> None:
    text = (project_root() / "deploy" / "README.md").read_text()
    assert text.count("```") == 2 * len(re.findall(r"^```sh$", text, re.MULTILINE))
    commands = runbook()
    for command, (beginning, _) in zip(commands, STEPS, strict=False):
        assert command.startswith(beginning), f"no step follows up {command}"
    assert not commands[len(STEPS) :], "no step follows these up"
    assert len(commands) == len(STEPS), "steps without a command"


def test_the_runbook_is_followed_from_the_first_deploy_to_an_upgrade(machine: Machine) -> None:
    for command, (_, step) in zip(runbook(), STEPS, strict=True):
        began = time.monotonic()
        with step(machine):
            is_endless = "deploy:up" in command
            (machine.start if is_endless else machine.run)(command)
        print(f"{time.monotonic() - began:5.1f} s  {command[:90]}")  # noqa: T201
