"""What code servers that died have left: run workers that go on, and runs that nobody works on.

Workers do not end with a server that is killed, and Dagster's default launcher notices neither.
A worker that went on while the hand-off starts its days again would write beside it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dagster as dg

from databox_workspace import servers
from databox_workspace.builds import builds_folder
from databox_workspace.deployment import ServerError
from databox_workspace.servers import CodeServer
from databox_workspace.site import Site

_GONE = "The code server that worked on this run is gone."
_END_SECONDS = 30.0
_PROCESSES = Path("/proc")
# in /proc/<pid>/stat after the name, which may hold anything: state, parent, group, session
_STATE, _SESSION = 0, 3


def clean_up_after_dead(where: Site, location: str) -> None:
    """End what dead servers of a location left, report their runs as failed, and forget them.

    They stay noted, for the next time, while nobody can tell what a living one works on. The
    current one stays noted in any case. Whoever calls this deploys the location.
    Raises `ServerError` if a worker does not end.
    """
    dead = [found for found in servers.servers(where.run_dir, location) if not found.is_alive()]
    if not dead:
        return
    for server in dead:
        end_workers(server, builds_folder(where.folder, location) / server.build)
    with where.instance() as instance:
        is_known = end_lost_runs(where, instance, location)
    if is_known:
        now = servers.current(where.run_dir, location)
        servers.forget_dead(where.run_dir, location, keep=[now] if now else [])


def end_workers(dead: CodeServer, build_folder: Path) -> None:
    """Kill the processes of a dead server's session that run in its build, and wait for their end.

    Raises `ServerError` if one does not end.
    """
    deadline = time.monotonic() + _END_SECONDS
    while left := list(_workers(dead.pid, build_folder)):
        if time.monotonic() > deadline:
            msg = f"what {dead.name} left does not end: {', '.join(map(str, left))}"
            raise ServerError(msg)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def end_lost_runs(where: Site, instance: dg.DagsterInstance, location: str) -> bool:
    """Report the runs of a location as failed that no living server works on any more.

    Returns whether that could be told: a living server may not answer.
    """
    started = instance.get_runs(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])
    )
    said = [server.runs() for server in servers.alive(where.run_dir, location)]
    if None in said:
        # nobody knows what that one works on; run monitoring ends what is really lost
        return False
    working = {run for runs in said for run in runs or ()}
    for run in started:
        origin = run.remote_job_origin
        if origin and origin.location_name == location and run.run_id not in working:
            now = instance.get_run_by_id(run.run_id)
            if now is None or now.is_finished:
                # it ended while we asked
                continue
            instance.report_run_failed(run, _GONE)
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return True


def _workers(session: int, build_folder: Path) -> Iterator[int]:
    if _session(session) == session:
        # the number lives, so it is another's: none is given again while its session has members
        return
    folder = f"{build_folder}/".encode()
    for place in _PROCESSES.glob("[0-9]*"):
        pid = int(place.name)
        with suppress(OSError):
            if _session(pid) == session and folder in (place / "cmdline").read_bytes():
                yield pid


def _session(pid: int) -> int | None:
    """The session of a process; None if it has ended, though its parent may not know yet."""
    try:
        stat = (_PROCESSES / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].split()
    return None if fields[_STATE] in (b"Z", b"X") else int(fields[_SESSION])
