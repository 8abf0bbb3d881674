"""A deploy on servers that only hold their lock: its order, and what is taken back."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from deployed import location
from idle import empty_build, idle_server
from sqlalchemy.exc import OperationalError

from databox_workspace import deploy as deploying
from databox_workspace import fit, servers
from databox_workspace.builds import Build, builds
from databox_workspace.deploy import DeployError, let_serve, rollback
from databox_workspace.deployment import ServerError
from databox_workspace.servers import CodeServer
from databox_workspace.site import BusyError, Site


@contextmanager
def nothing_checked(start: mock.Mock) -> Generator[None]:
    """Servers are what `start` says, healthy at once, and fit."""
    with (
        mock.patch.object(servers, "start", start),
        mock.patch.object(servers, "wait_until_healthy"),
        mock.patch.object(servers, "ask_to_stop"),
        mock.patch.object(deploying, "fitting_jobs", return_value=frozenset({"kept"})),
        mock.patch.object(deploying, "SETTLE_SECONDS", 0.0),
    ):
        yield


@contextmanager
def queued(*runs: mock.Mock) -> Generator[None]:
    """The storage has these runs and no others."""
    storage = mock.MagicMock(**{"__enter__.return_value.get_runs.return_value": list(runs)})
    with mock.patch.object(Site, "instance", return_value=storage):
        yield


def test_after_five_deploys_exactly_three_builds_stay_and_one_can_roll_back_to_the_one_before(
    where: Site,
) -> None:
    numbers = iter(range(1, 100))

    def start(build: Build, run_dir: Path, **_: object) -> CodeServer:
        # its process has ended already, so nothing has to drain
        number = next(numbers)
        at = "2026-11-25T00:00:00+00:00"
        said = {"location": "quality", "number": number, "build": build.id, "pid": 0}
        (run_dir / f"quality-{number}.json").write_text(json.dumps({**said, "started_at": at}))
        return CodeServer("quality", number, build.id, 0, at, run_dir)

    with nothing_checked(mock.Mock(side_effect=start)), queued():
        for number in range(1, 6):
            build = empty_build(where, f"build{number}", built_at=number)
            let_serve(where, "quality", lambda made=build: made, action="deploy")
        assert list(builds(where.folder, "quality")) == ["build3", "build4", "build5"]
        assert rollback(where, location("quality")).id == "build4"
        assert list(builds(where.folder, "quality")) == ["build3", "build4", "build5"]


def test_a_deploy_that_was_killed_after_its_switch_is_noted_by_the_next(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    build = empty_build(where)
    idle_server(where, process)
    let_serve(where, "quality", lambda: build, action="deploy")
    let_serve(where, "quality", lambda: build, action="deploy")
    assert [entry.build for entry in where.history("quality")] == ["abc"]


def test_runs_of_a_server_that_a_killed_deploy_ousted_can_be_cancelled(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    build = empty_build(where)
    current = idle_server(where, process)
    ousted = mock.Mock(**{"is_alive.return_value": True})
    with (
        mock.patch.object(servers, "alive", return_value=[current, ousted]),
        mock.patch.object(servers, "keep_runs_cancellable") as kept,
    ):
        let_serve(where, "quality", lambda: build, action="deploy")
    ousted.client.shutdown_server.assert_called_once_with()
    kept.assert_called_once_with(mock.ANY, ousted)


def test_a_deploy_waits_a_moment_for_who_only_tidies_up(where: Site) -> None:
    with ExitStack() as stack:
        stack.enter_context(where.deploying("quality"))
        with pytest.raises(BusyError, match="is being deployed by"), where.deploying("quality"):
            pass
        let_go = threading.Timer(0.5, stack.close)
        let_go.start()
        with where.deploying("quality", wait_seconds=60):
            let_go.join()


@pytest.fixture
def ousting(where: Site, process: subprocess.Popen[bytes]) -> Generator[Build]:
    """A build that may oust the server of another: its own is healthy, and nothing is checked."""
    empty_build(where)
    idle_server(where, process)
    build = empty_build(where, "new")
    new = CodeServer("quality", 2, "new", 0, "2026-11-25T00:00:00+00:00", where.run_dir)
    with nothing_checked(mock.Mock(return_value=new)):
        yield build


def test_a_run_that_is_queued_while_its_job_is_taken_away_takes_the_switch_back(
    where: Site, ousting: Build
) -> None:
    run = mock.Mock(run_id="the queued run", job_name="gone")
    run.remote_job_origin.location_name = "quality"
    with queued(run), pytest.raises(DeployError, match="quality has no job gone any more"):
        let_serve(where, "quality", lambda: ousting, action="deploy")
    now = servers.current(where.run_dir, "quality")
    assert now is not None
    assert now.build == "abc"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DagsterUserCodeUnreachableError("no answer"), "Dagster cannot do what it is asked"),
        (OSError(28, "No space left on device"), "the system does not let it: .*No space left"),
        (OperationalError("q", {}, Exception("refused\nby")), "Dagster's storage .* refused$"),
    ],
)
def test_what_dagster_and_the_system_refuse_while_it_is_checked_is_said_in_a_sentence(
    where: Site, ousting: Build, error: Exception, sentence: str
) -> None:
    with (
        mock.patch.object(deploying, "fitting_jobs", side_effect=error),
        pytest.raises(DeployError, match=f"quality was not deployed: (?m:{sentence})") as caught,
    ):
        let_serve(where, "quality", lambda: ousting, action="deploy")
    assert str(caught.value).endswith("quality abc (revision 00000000) still serves.")


def test_what_cannot_be_tidied_up_after_a_switch_is_said_and_is_no_failed_deploy(
    where: Site, ousting: Build
) -> None:
    said: list[object] = []
    with (
        mock.patch.object(deploying, "refuse_lost_runs"),
        mock.patch.object(deploying, "_begin_drain", side_effect=OSError(28, "No space left")),
    ):
        let_serve(where, "quality", lambda: ousting, action="deploy", say=said.append)
    assert "Not all was tidied up" in str(said[-1])


def test_a_dead_server_of_another_location_is_started_again_before_anything_is_checked(
    where: Site, process: subprocess.Popen[bytes]
) -> None:
    dead, said = idle_server(where, process), list[object]()
    process.kill()
    process.wait()
    with mock.patch.object(fit, "revive") as revived:
        fit.revive_others(where, "transform", said.append)
        revived.assert_called_once_with(where, dead.location, say=said.append)
        revived.side_effect = ServerError("quality cannot be served: it does not load")
        fit.revive_others(where, "transform", said.append)
    assert said == ["quality cannot be served: it does not load"]
    with mock.patch.object(fit, "revive") as revived:
        fit.revive_others(where, "quality", said.append)
        revived.assert_not_called()


def test_a_location_that_cannot_be_served_blocks_no_other_but_its_contracts_count(
    where: Site, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_build(where)
    idle_server(where, process)
    process.kill()
    process.wait()
    build, new = mock.Mock(location="transform"), mock.Mock()
    held: dict[str, object] = {}

    @contextmanager
    def together(sockets: dict[str, Path], _folder: Path) -> Generator[mock.Mock]:
        held["loaded"] = set(sockets)
        yield mock.Mock()

    def contracts(_build: object, others: dict[str, Build]) -> list[str]:
        held["contracts"] = set(others)
        return []

    monkeypatch.setattr(fit, "loaded_together", together)
    monkeypatch.setattr(fit, "contract_errors", contracts)
    monkeypatch.setattr(fit, "version_errors", lambda *_: [])
    monkeypatch.setattr(fit, "workspace_errors", lambda _, absent: held.update(absent=absent) or [])
    monkeypatch.setattr(fit, "jobs_of", lambda *_: frozenset[str]())
    said: list[object] = []
    with queued():
        fit.fitting_jobs(where, build, new, said.append)
    assert held == {
        "loaded": {"transform"},
        "contracts": {"quality"},
        "absent": {"ingestion", "quality"},
    }
    assert said == ["quality is down: transform is held against its contracts only"]
