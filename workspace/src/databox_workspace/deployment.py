"""The servers of a deployment on this machine: code servers, daemon, and the sandbox if needed.

Every server is a child process that ends with us, whatever ends us; none outlives the command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._grpc.client import DagsterGrpcClient

from databox_shared.settings import Settings, project_root
from databox_workspace.home import Home, forget_daemon
from databox_workspace.locations import Location, locations

START_SECONDS = 120.0
_READY = re.compile(r"https?://\S+/v2\b")


class ServerError(Exception):
    """A server could not be started, or ended by itself."""


@dataclass(frozen=True)
class Server:
    """A child process and the file that holds what it says."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raise `ServerError` with its last words if it has ended."""
        code = self.process.poll()
        if code is not None:
            words = self.log.read_text(errors="replace").strip().splitlines()[-12:]
            msg = f"{self.name} ended with code {code}; {self.log} ends with:\n" + "\n".join(words)
            raise ServerError(msg)

    def ask_to_stop(self) -> None:
        """Let it begin to stop, without waiting."""
        if self.process.stdin is not None:
            self.process.stdin.close()


@dataclass(frozen=True)
class Deployment:
    """Running servers, and the workspace by which Dagster finds them."""

    workspace: WorkspaceFileTarget
    servers: Sequence[Server]

    def check(self) -> None:
        """Raise `ServerError` if any server has ended."""
        for server in self.servers:
            server.check()

    def ask_to_stop(self) -> None:
        """Let all servers begin to stop at once; each is waited for where it was started."""
        for server in self.servers:
            server.ask_to_stop()


@contextmanager
def sandbox_if_needed(settings: Settings, home: Home, *, port: int = 0) -> Generator[str | None]:
    """Start the sandbox if there is neither a token nor an address, and yield its address.

    The address goes into our environment, so that servers started later find it.
    """
    if settings.ebird_api_token or settings.ebird_api_url:
        yield None
        return
    command = [sys.executable, "-m", "ebird_sandbox", "--port", str(port)]
    with supervised("sandbox", command, home) as server:
        url = _ready_url(server)
        os.environ["EBIRD_API_URL"] = url
        try:
            yield url
        finally:
            del os.environ["EBIRD_API_URL"]


@contextmanager
def code_servers(home: Home) -> Generator[Deployment]:
    """Start a code server for each location, and stop them at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="databox-")))
        sockets = {location.name: folder / f"{location.name}.sock" for location in locations()}
        servers = [
            stack.enter_context(
                supervised(location.name, _code_server(location, sockets[location.name]), home)
            )
            for location in locations()
        ]
        workspace = folder / "workspace.yaml"
        workspace.write_text(_workspace(sockets))
        for server in servers:
            _wait_until_serving(server, sockets[server.name])
        yield Deployment(WorkspaceFileTarget([str(workspace)]), servers)


@contextmanager
def daemon(home: Home, servers: Deployment) -> Generator[Deployment]:
    """Start the daemon on running code servers, and stop it at the end."""
    (workspace,) = servers.workspace.paths
    command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", workspace]
    try:
        with supervised("daemon", command, home) as server:
            everything = Deployment(servers.workspace, [*servers.servers, server])
            try:
                yield everything
            finally:
                everything.ask_to_stop()
    finally:
        forget_daemon()


def _code_server(location: Location, socket: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "dagster", "api", "grpc"),
        *("--module-name", location.module, "--location-name", location.name),
        *("--socket", str(socket), "--working-directory", str(project_root())),
    ]


def _workspace(sockets: Mapping[str, Path]) -> str:
    entries = [
        {"grpc_server": {"socket": str(socket), "location_name": name}}
        for name, socket in sockets.items()
    ]
    return yaml.safe_dump({"load_from": entries})


@contextmanager
def supervised(
    name: str, command: Sequence[str], home: Home, *, output: IO[Any] | None = None
) -> Generator[Server]:
    """Run a server that ends with us, whatever ends us; its words go to `output` or to its log."""
    log = home.logs / f"{name}.log"
    with log.open("wb") as words:
        process = subprocess.Popen(
            [sys.executable, "-m", "databox_workspace.supervise", *command],
            stdin=subprocess.PIPE,
            stdout=words if output is None else output,
            stderr=subprocess.STDOUT,
            cwd=project_root(),
            # a session of its own: Ctrl-C reaches us alone, and we stop the servers in order
            start_new_session=True,
            # held for as long as anything of the deployment lives
            pass_fds=(home.lock_descriptor,),
        )
    server = Server(name, process, log)
    try:
        yield server
    finally:
        server.ask_to_stop()
        process.wait()


def _answers(client: DagsterGrpcClient) -> bool:
    try:
        client.ping("")
    except DagsterUserCodeUnreachableError:
        return False
    return True


def _ready_url(server: Server) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        found = _READY.search(server.log.read_text(errors="replace"))
        if found:
            return found[0]
        server.check()
        time.sleep(0.05)
    msg = f"the sandbox did not say its address within {START_SECONDS:.0f} s; see {server.log}"
    raise ServerError(msg)


def _wait_until_serving(server: Server, socket: Path) -> None:
    client = DagsterGrpcClient(socket=str(socket))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        server.check()
        if socket.exists() and _answers(client):
            return
        time.sleep(0.1)
    msg = f"{server.name} does not answer after {START_SECONDS:.0f} s; see {server.log}"
    raise ServerError(msg)
