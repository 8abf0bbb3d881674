"""The code servers of what is deployed: processes that outlive the command that started them.

A location has one address that never changes, `run/<location>.sock`, a link to the socket of the
server that is current. Dagster asks by that name anew at each call and looks every second whether
another server answers, so moving the link is all that a switch is. Each server holds a lock for as
long as it lives: nothing here trusts a process id without it.

A server that is asked to stop takes no more runs, and ends when those that it started have ended:
runs are its children, with its environment.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import GetCurrentRunsResult, ListRepositoriesResponse
from dagster._serdes import deserialize_value
from dagster_shared.error import SerializableErrorInfo

from databox_workspace.builds import Build
from databox_workspace.home import home_variables
from databox_workspace.locks import is_locked, try_lock

_NOTE = re.compile(r"(?P<location>\w+)-(?P<number>\d+)\.json")
# a socket's path is an array of 108 bytes
_MAX_SOCKET_PATH = 100
HEALTH_SECONDS = 180.0
"""How long a new server may take to load its code."""
_POLL_SECONDS = 0.1
_LAST_WORDS = 15


class CodeServerError(Exception):
    """A code server does not come to life, or cannot be asked."""


@dataclass(frozen=True)
class CodeServer:
    """A process that serves one build of a location, alive or not."""

    location: str
    number: int
    build: str
    pid: int
    started_at: str
    folder: Path = field(compare=False)

    @property
    def name(self) -> str:
        """The word that its files begin with."""
        return f"{self.location}-{self.number}"

    @property
    def socket(self) -> Path:
        """Where it listens; nobody but us is told this name."""
        return self.folder / f"{self.name}.sock"

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / f"{self.name}.log"

    @property
    def client(self) -> DagsterGrpcClient:
        """Asks this server, whether it is current or not."""
        return DagsterGrpcClient(socket=str(self.socket))

    def is_alive(self) -> bool:
        """Whether the process is there: it holds its lock until it ends."""
        return is_locked(_lock_file(self.folder, self.name))

    def runs(self) -> list[str] | None:
        """Ids of the runs that it works on; None if it does not answer, which tells nothing."""
        try:
            said = self.client.get_current_runs()
        except DagsterUserCodeUnreachableError:
            return None
        return list(deserialize_value(said, GetCurrentRunsResult).current_runs)

    def server_id(self) -> str:
        """The id by which Dagster tells one server from another."""
        return self.client.get_server_id()

    def last_words(self) -> str:
        """The end of its log."""
        words = self.log.read_text(errors="replace").strip().splitlines()
        return "\n".join(words[-_LAST_WORDS:])


def address(run_dir: Path, location: str) -> Path:
    """Where Dagster finds the location, whatever serves it."""
    return run_dir / f"{location}.sock"


def servers(run_dir: Path, location: str) -> list[CodeServer]:
    """Every server of a location that is noted, the newest last. A dead one may be among them."""
    found: list[CodeServer] = []
    for file in run_dir.glob(f"{location}-*.json"):
        # another command may forget a dead one while we read
        with suppress(FileNotFoundError):
            if _NOTE.fullmatch(file.name):
                said = json.loads(file.read_text(encoding="utf-8"))
                found.append(CodeServer(**said, folder=run_dir))
    return sorted(found, key=lambda server: server.number)


def current(run_dir: Path, location: str) -> CodeServer | None:
    """The server that the address leads to, alive or not; None if nothing was ever deployed."""
    link = address(run_dir, location)
    if not link.is_symlink():
        return None
    name = link.readlink().stem
    return next((server for server in servers(run_dir, location) if server.name == name), None)


def start(build: Build, run_dir: Path, *, home: Path, working_dir: Path) -> CodeServer:
    """Start a server for a build, beside whatever serves the location now; it does not wait.

    `home` is the Dagster home, `working_dir` what relative paths in the environment begin at.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    # a server whose start was interrupted has a lock and no note, and may live
    taken = [_NOTE.fullmatch(f"{file.stem}.json") for file in run_dir.glob("*.lock")]
    numbers = [int(m["number"]) for m in taken if m and m["location"] == build.location]
    number = max(numbers, default=0) + 1
    name = f"{build.location}-{number}"
    socket = run_dir / f"{name}.sock"
    if len(str(socket)) > _MAX_SOCKET_PATH:
        msg = f"{socket} is too long for the path of a socket; set DEPLOY_DIR to a shorter folder"
        raise CodeServerError(msg)
    heed_interrupts()
    with (
        _lock_file(run_dir, name).open("a") as lock,
        (run_dir / f"{name}.log").open("wb") as words,
    ):
        try_lock(lock.fileno())
        process = subprocess.Popen(
            [
                *(str(build.python), "-P", "-m", "dagster", "api", "grpc"),
                *("--module-name", build.module, "--location-name", build.location),
                *("--socket", str(socket), "--container-image", build.image),
                # nothing of the working directory may be imported instead of the build
                "--empty-working-directory",
                # code that does not load is told when it is asked for, instead of ending the server
                "--lazy-load-user-code",
                *("--log-level", "warning"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=subprocess.STDOUT,
            cwd=working_dir,
            env=_environment(home),
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
    server = CodeServer(
        location=build.location,
        number=number,
        build=build.id,
        pid=process.pid,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        folder=run_dir,
    )
    note = run_dir / f"{name}.json"
    said = {key: value for key, value in asdict(server).items() if key != "folder"}
    temporary = note.with_suffix(".part")
    temporary.write_text(json.dumps(said), encoding="utf-8")
    temporary.replace(note)
    return server


def heed_interrupts() -> None:
    """Hear SIGINT, which a shell that starts us with `&` ignores; the main thread calls it first.

    A server that inherited that could not be stopped: Dagster gives SIGTERM its handler.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_until_healthy(server: CodeServer, *, seconds: float) -> None:
    """Wait until a server answers and has loaded its code.

    Raises `CodeServerError` with the error of the code, or with the server's last words.
    """
    deadline = time.monotonic() + seconds
    while True:
        if not server.is_alive():
            msg = f"its server ended by itself; it said:\n{server.last_words()}"
            raise CodeServerError(msg)
        if server.socket.exists():
            try:
                said = deserialize_value(
                    server.client.list_repositories(),
                    (ListRepositoriesResponse, SerializableErrorInfo),
                )
            except DagsterUserCodeUnreachableError:
                pass
            else:
                if isinstance(said, SerializableErrorInfo):
                    msg = f"its code does not load: {_cause(said)}"
                    raise CodeServerError(msg)
                return
        if time.monotonic() > deadline:
            msg = f"its server does not answer after {seconds:.0f} s; it said:\n" + (
                server.last_words() or "nothing"
            )
            raise CodeServerError(msg)
        time.sleep(_POLL_SECONDS)


def switch(run_dir: Path, location: str, server: CodeServer | None) -> None:
    """Let the address lead to another server, in one step; to none to take the location away."""
    link = address(run_dir, location)
    if server is None:
        link.unlink(missing_ok=True)
        return
    temporary = link.with_name(f"{link.name}.part")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(server.socket.name)
    temporary.replace(link)


def ask_to_stop(server: CodeServer, *, was_current: bool = True) -> None:
    """Let a server end as soon as its runs have; it takes no more. Harmless if it has ended.

    One that cannot be asked is killed if it has no runs: it never listened, or never was current.
    """
    try:
        server.client.shutdown_server()
    except DagsterUserCodeUnreachableError:
        # one that listens may only be too busy to answer
        if not (was_current and server.socket.exists()):
            kill(server)


def kill(server: CodeServer) -> None:
    """End a server that cannot be asked, and all that it started."""
    if server.is_alive():
        os.killpg(server.pid, signal.SIGKILL)


def keep_runs_cancellable(instance: dg.DagsterInstance, server: CodeServer) -> list[str]:
    """Note on each run of a server where that server itself listens, and return the runs' ids.

    A run carries the address that it was launched at. After a switch another server answers there,
    and it could not cancel the run.
    """
    own = json.dumps({"host": "localhost", "socket": str(server.socket)})
    running = server.runs() or []
    for run_id in running:
        run = instance.get_run_by_id(run_id)
        if run is not None and run.tags.get(GRPC_INFO_TAG) != own:
            instance.add_run_tags(run_id, {GRPC_INFO_TAG: own})
    return running


def forget_dead(run_dir: Path, location: str, *, keep: Sequence[CodeServer] = ()) -> None:
    """Delete the notes, logs and locks of servers that have ended."""
    kept = {server.name for server in keep}
    for server in servers(run_dir, location):
        if server.name not in kept and not server.is_alive():
            for suffix in (".sock", ".log", ".lock", ".json"):
                (run_dir / f"{server.name}{suffix}").unlink(missing_ok=True)


def alive(run_dir: Path, location: str) -> Iterator[CodeServer]:
    """The servers of a location that live: the current one, and those that still have runs."""
    return (server for server in servers(run_dir, location) if server.is_alive())


def _environment(home: Path) -> dict[str, str]:
    # what chose our own environment must not choose the server's
    ours = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT"}
    return {name: value for name, value in os.environ.items() if name not in ours} | {
        **home_variables(home),
        # a build is immutable
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _lock_file(run_dir: Path, name: str) -> Path:
    return run_dir / f"{name}.lock"


def _cause(error: SerializableErrorInfo) -> str:
    while error.cause is not None:
        error = error.cause
    where = error.stack[-1].strip() if error.stack else ""
    return f"{error.message.strip()}\n{where}".strip()
