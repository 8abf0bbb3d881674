"""Code servers and who looks after them, at the moments where something was killed or is too busy.

The servers here are processes that only hold the lock: nothing answers at their sockets.
"""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Generator
from contextlib import ExitStack, suppress
from pathlib import Path
from unittest import mock

import pytest
from deployed import is_running

from databox_workspace import host, lost_runs, servers
from databox_workspace.builds import NOTE, Build, builds_folder, read_build
from databox_workspace.deploy import let_serve
from databox_workspace.deployment import ServerError
from databox_workspace.locks import try_lock
from databox_workspace.servers import CodeServer
from databox_workspace.site import BusyError, Site


@pytest.fixture
def where(tmp_path: Path) -> Site:
    site = Site(tmp_path, tmp_path / "d", tmp_path / "home")
    site.run_dir.mkdir(parents=True)
    return site


@pytest.fixture
def process(where: Site) -> Generator[subprocess.Popen[bytes]]:
    """A process that holds the lock of quality's first server and does not answer."""
    with (where.run_dir / "quality-1.lock").open("a") as lock:
        assert try_lock(lock.fileno())
        started = subprocess.Popen(
            ["sleep", "600"], start_new_session=True, pass_fds=(lock.fileno(),)
        )
    yield started
    started.kill()
    started.wait()


def server(where: Site, process: subprocess.Popen[bytes]) -> CodeServer:
    """That process, noted as the server that is current."""
    said = {"location": "quality", "number": 1, "build": "abc", "pid": process.pid}
    note = json.dumps({**said, "started_at": "2026-11-24T00:00:00+00:00"})
    (where.run_dir / "quality-1.json").write_text(note)
    (where.run_dir / "quality-1.sock").touch()
    (found,) = servers.servers(where.run_dir, "quality")
    servers.switch(where.run_dir, "quality", found)
    return found


def made(where: Site) -> Build:
    folder = builds_folder(where.folder, "quality") / "abc"
    folder.mkdir(parents=True)
    said = {
        "location": "quality",
        "id": "abc",
        "module": "quality_location.definitions",
        "revision": "0" * 40,
        "is_dirty": False,
        "built_at": "2026-11-24T00:00:00+00:00",
        "dagster": "1",
        "databox_shared": "1",
        "contracts": {},
        "reads": {},
    }
    (folder / NOTE).write_text(json.dumps(said))
    return read_build(folder)


def test_a_server_that_is_too_busy_to_answer_is_not_killed_with_its_runs(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    busy = server(where, process)
    servers.ask_to_stop(busy)
    assert process.poll() is None
    assert busy.runs() is None
    servers.ask_to_stop(busy, was_current=False)
    process.wait(5)


def test_a_server_that_never_listened_is_killed(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    stuck = server(where, process)
    stuck.socket.unlink()
    servers.ask_to_stop(stuck)
    process.wait(5)


def test_a_server_whose_start_was_killed_before_its_note_lends_no_lock_to_the_next(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    build = made(where)
    build.python.parent.mkdir(parents=True)
    build.python.symlink_to("/bin/true")
    started = servers.start(build, where.run_dir, home=where.home, working_dir=where.root)
    assert process.poll() is None
    assert started.number == 2


def test_a_deploy_that_was_killed_after_its_switch_is_noted_by_the_next(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    build = made(where)
    server(where, process)
    let_serve(where, "quality", lambda: build, action="deploy")
    let_serve(where, "quality", lambda: build, action="deploy")
    assert [entry.build for entry in where.history("quality")] == ["abc"]


def test_runs_of_a_server_that_a_killed_deploy_ousted_can_be_cancelled(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    build = made(where)
    current = server(where, process)
    ousted = mock.Mock(**{"is_alive.return_value": True})
    with (
        mock.patch.object(servers, "alive", return_value=[current, ousted]),
        mock.patch.object(servers, "keep_runs_cancellable") as kept,
    ):
        let_serve(where, "quality", lambda: build, action="deploy")
    ousted.client.shutdown_server.assert_called_once_with()
    kept.assert_called_once_with(mock.ANY, ousted)


def test_a_location_that_cannot_be_served_stops_no_other(
    where: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def fail(_where: Site, location: str, _say: object) -> None:
        tried.append(location)
        msg = f"{location} cannot be served"
        raise ServerError(msg)

    dead = mock.Mock(**{"is_alive.return_value": False})
    monkeypatch.setattr(servers, "servers", lambda *_: [dead])
    monkeypatch.setattr(host, "_revive", fail)
    said: list[object] = []
    waits: dict[str, float] = {}
    host.revive(where, waits, say=said.append)
    host.revive(where, waits, say=said.append)
    assert tried == ["ingestion", "transform", "quality"]
    assert len(said) == 3


@pytest.mark.parametrize("runs", [None, ["the run"]])
def test_a_run_of_a_server_that_says_nothing_is_not_reported_as_lost(
    where: Site, runs: list[str] | None
) -> None:
    run = mock.Mock(run_id="the run")
    run.remote_job_origin.location_name = "quality"
    instance = mock.Mock(**{"get_runs.return_value": [run]})
    living = mock.Mock(**{"runs.return_value": runs})
    with mock.patch.object(servers, "alive", return_value=[living]):
        lost_runs.end_lost_runs(where, instance, "quality")
    instance.report_run_failed.assert_not_called()


@pytest.mark.parametrize(("is_finished", "reports"), [(False, 1), (True, 0)])
def test_only_a_run_that_has_not_ended_meanwhile_is_reported_as_lost(
    where: Site, is_finished: bool, reports: int
) -> None:
    run = mock.Mock(run_id="the run", is_finished=False)
    run.remote_job_origin.location_name = "quality"
    later = mock.Mock(is_finished=is_finished)
    instance = mock.Mock(**{"get_runs.return_value": [run], "get_run_by_id.return_value": later})
    lost_runs.end_lost_runs(where, instance, "quality")
    assert instance.report_run_failed.call_count == reports


@pytest.fixture
def orphans(where: Site) -> Generator[tuple[CodeServer, subprocess.Popen[bytes], int, int]]:
    """A killed server, its process, and what lives on of it: a worker, and one of no build."""
    python = builds_folder(where.folder, "quality") / "abc" / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(shutil.which("sleep") or "")
    (where.run_dir / "quality-1.lock").touch()
    started = subprocess.Popen(
        ["bash", "-c", f"{python} 600 & echo $!; sleep 600 & echo $!; wait"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert started.stdout
    worker, stranger = (int(started.stdout.readline()) for _ in range(2))
    yield server(where, started), started, worker, stranger
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    started.stdout.close()


def test_workers_of_a_killed_server_are_ended_and_no_other_process(
    where: Site, orphans: tuple[CodeServer, subprocess.Popen[bytes], int, int]
) -> None:
    dead, process, worker, stranger = orphans
    folder = builds_folder(where.folder, "quality") / "abc"
    lost_runs.end_workers(dead, folder)
    assert is_running(worker), "a number that lives is another's"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    lost_runs.end_workers(dead, folder.with_name("other"))
    assert is_running(worker), "it runs in no build of the server"
    lost_runs.end_workers(dead, folder)
    assert not is_running(worker)
    assert is_running(stranger)


def test_what_a_dead_server_that_is_not_current_left_is_ended_reported_and_forgotten(
    where: Site, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    current = server(where, process)
    note = json.loads((where.run_dir / "quality-1.json").read_text())
    for suffix, text in ((".json", json.dumps({**note, "number": 2, "pid": 0})), (".lock", "")):
        (where.run_dir / f"quality-2{suffix}").write_text(text)
    steps: list[str] = []
    knows = iter([False, True])
    monkeypatch.setattr(lost_runs, "end_workers", lambda dead, _: steps.append(f"end {dead.name}"))
    monkeypatch.setattr(
        lost_runs, "end_lost_runs", lambda *_: steps.append("report") or next(knows)
    )
    host.revive(where, {})
    assert len(servers.servers(where.run_dir, "quality")) == 2, "nobody could tell"
    host.revive(where, {})
    host.revive(where, {})
    assert steps == ["end quality-2", "report"] * 2
    assert servers.servers(where.run_dir, "quality") == [current]


def test_a_deploy_waits_a_moment_for_who_only_tidies_up(where: Site) -> None:
    with ExitStack() as stack:
        stack.enter_context(where.deploying("quality"))
        with pytest.raises(BusyError, match="is being deployed by"), where.deploying("quality"):
            pass
        let_go = threading.Timer(0.5, stack.close)
        let_go.start()
        with where.deploying("quality", wait_seconds=60):
            let_go.join()
