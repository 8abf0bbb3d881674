"""Code servers and who looks after them, at the moments where something was killed or is too busy.

The servers here are processes that only hold the lock: nothing answers at their sockets.
"""

import json
import subprocess
from collections.abc import Generator
from pathlib import Path
from unittest import mock

import pytest

from databox_workspace import host, servers
from databox_workspace.builds import NOTE, Build, builds_folder, read_build
from databox_workspace.deploy import let_serve
from databox_workspace.deployment import ServerError
from databox_workspace.locks import try_lock
from databox_workspace.servers import CodeServer
from databox_workspace.site import Site


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
    monkeypatch.setattr(servers, "current", lambda *_: dead)
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
        host.end_lost_runs(where, instance, "quality")
    instance.report_run_failed.assert_not_called()


@pytest.mark.parametrize(("is_finished", "reports"), [(False, 1), (True, 0)])
def test_only_a_run_that_has_not_ended_meanwhile_is_reported_as_lost(
    where: Site, is_finished: bool, reports: int
) -> None:
    run = mock.Mock(run_id="the run", is_finished=False)
    run.remote_job_origin.location_name = "quality"
    later = mock.Mock(is_finished=is_finished)
    instance = mock.Mock(**{"get_runs.return_value": [run], "get_run_by_id.return_value": later})
    host.end_lost_runs(where, instance, "quality")
    assert instance.report_run_failed.call_count == reports
