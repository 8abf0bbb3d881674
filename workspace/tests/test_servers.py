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
from contextlib import suppress
from unittest import mock

import pytest
from deployed import is_running
from idle import empty_build, idle_server

from databox_workspace import lost_runs, servers
from databox_workspace import revive as reviving
from databox_workspace.builds import builds_folder
from databox_workspace.deployment import ServerError
from databox_workspace.servers import CodeServer
from databox_workspace.site import Site


def test_a_server_that_is_too_busy_to_answer_is_not_killed_with_its_runs(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    busy = idle_server(where, process)
    servers.ask_to_stop(busy)
    assert process.poll() is None
    assert busy.runs() is None
    servers.ask_to_stop(busy, was_current=False)
    process.wait(5)


def test_a_server_that_never_listened_is_killed(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    stuck = idle_server(where, process)
    stuck.socket.unlink()
    servers.ask_to_stop(stuck)
    process.wait(5)


def test_a_server_whose_start_was_killed_before_its_note_lends_no_lock_to_the_next(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    build = empty_build(where)
    build.python.parent.mkdir(parents=True)
    build.python.symlink_to("/bin/true")
    started = servers.start(build, where.run_dir, home=where.home, working_dir=where.root)
    assert process.poll() is None
    assert started.number == 2


def dead_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = mock.Mock(**{"is_alive.return_value": False})
    monkeypatch.setattr(servers, "servers", lambda *_: [dead])


def test_a_location_that_cannot_be_served_stops_no_other(
    where: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def fail(_where: Site, location: str, **_: object) -> None:
        tried.append(location)
        msg = f"{location} cannot be served"
        raise ServerError(msg)

    dead_everywhere(monkeypatch)
    monkeypatch.setattr(reviving, "revive", fail)
    said: list[object] = []
    reviver = reviving.Reviver(where, said.append)
    for _ in range(2):
        reviver.look()
        reviver.wait()
    assert sorted(tried) == ["ingestion", "quality", "transform"]
    assert len(said) == 3


def test_a_location_that_takes_long_to_come_back_holds_up_no_other(
    where: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: set[str] = set()
    all_tried, may_end = threading.Event(), threading.Event()

    def slow(_where: Site, location: str, **_: object) -> None:
        tried.add(location)
        if len(tried) == 3:
            all_tried.set()
        may_end.wait(60)

    dead_everywhere(monkeypatch)
    monkeypatch.setattr(reviving, "revive", slow)
    reviver = reviving.Reviver(where)
    reviver.look()
    reviver.look()
    assert all_tried.wait(60), "one waits for another"
    may_end.set()
    reviver.wait()


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
    yield idle_server(where, started), started, worker, stranger
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
    current = idle_server(where, process)
    note = json.loads((where.run_dir / "quality-1.json").read_text())
    for suffix, text in ((".json", json.dumps({**note, "number": 2, "pid": 0})), (".lock", "")):
        (where.run_dir / f"quality-2{suffix}").write_text(text)
    steps: list[str] = []
    knows = iter([False, True])
    monkeypatch.setattr(lost_runs, "end_workers", lambda dead, _: steps.append(f"end {dead.name}"))
    monkeypatch.setattr(
        lost_runs, "end_lost_runs", lambda *_: steps.append("report") or next(knows)
    )
    reviver = reviving.Reviver(where)
    for is_known in (False, True, True):
        reviver.look()
        reviver.wait()
        assert (len(servers.servers(where.run_dir, "quality")) == 1) == is_known
    assert steps == ["end quality-2", "report"] * 2
    assert servers.servers(where.run_dir, "quality") == [current]
