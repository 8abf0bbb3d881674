"""A real code server whose run worker dies while Dagster's storage is away."""

import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import instance_for_test
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster._grpc.client import DagsterGrpcClient

from databox_workspace.launch import launch

LOCATION = """
import os, signal, time
from pathlib import Path
import dagster as dg
from databox_shared import handoff  # as every location does

HERE = Path(__file__).parent

@dg.op
def dies():
    (HERE / "began").touch()
    while not (HERE / "may_die").exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)

@dg.job(executor_def=dg.in_process_executor)
def dying():
    dies()

defs = dg.Definitions(jobs=[dying])
"""


def wait_for(what: Callable[[], object], log: Path) -> None:
    deadline = time.monotonic() + 90
    while not what():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture
def server(tmp_path: Path) -> Generator[subprocess.Popen[bytes]]:
    """A code server that listens at `socket` and says what it does in `log`."""
    file, socket, log = (tmp_path / name for name in ("location.py", "socket", "log"))
    file.write_text(LOCATION)
    command = [sys.executable, "-m", "dagster", "api", "grpc", "-f", str(file), "-s", str(socket)]
    with log.open("wb") as words:
        process = subprocess.Popen(command, stdout=words, stderr=subprocess.STDOUT)
    try:
        wait_for(socket.exists, log)
        yield process
    finally:
        # the worker, too, if it was not there in time
        (tmp_path / "may_die").touch()
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_run_whose_worker_died_while_storage_was_away_fails_when_it_is_back_and_the_server_ends(
    tmp_path: Path, server: subprocess.Popen[bytes]
) -> None:
    home, log = tmp_path / "home", tmp_path / "log"
    home.mkdir()
    without_queue = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    with instance_for_test({"run_coordinator": without_queue}, temp_dir=str(home)) as instance:
        socket = str(tmp_path / "socket")
        target = GrpcServerTarget("localhost", None, socket, "dying")
        run_id = launch(instance, target, location="dying", job="dying", tags={})
        wait_for((tmp_path / "began").exists, log)
        DagsterGrpcClient(socket=socket).shutdown_server()
        history, away = home / "history", home / "away"
        history.rename(away)
        # where a folder is expected
        history.touch()
        (tmp_path / "may_die").touch()
        wait_for(lambda: "no worker's end can be reported" in log.read_text(), log)
        assert server.poll() is None
        history.unlink()
        away.rename(history)
        failed = dg.RunsFilter([run_id], statuses=[dg.DagsterRunStatus.FAILURE])
        wait_for(lambda: instance.get_runs(failed), log)
        assert server.wait(90) == 0
