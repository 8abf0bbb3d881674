"""`task deploy:LOCATION` beside what runs: what goes on, what is refused, what is put back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
from deployed import is_running, location
from stage import Stage, running_stage

from databox_workspace import deploy as deploying
from databox_workspace import servers
from databox_workspace.builds import Build, builds
from databox_workspace.deploy import DeployError, let_serve, rollback
from databox_workspace.status import status

pytestmark = pytest.mark.slow

# a job that says which environment it runs in, and goes on until it is told to end
HOLD = """

import os as _os
import sys as _sys
import time as _time
from pathlib import Path as _Path

@dg.op
def wait_for_word(context: dg.OpExecutionContext) -> None:
    folder = _Path(_os.environ["HOLD_DIR"])
    (folder / f"{context.run_id}.began").write_text(f"{_os.getpid()} {_sys.prefix}")
    while not (folder / f"{context.run_id}.end").exists():
        _time.sleep(0.1)

@dg.job(executor_def=dg.in_process_executor)
def hold() -> None:
    wait_for_word()

definitions = dg.Definitions.merge(definitions, dg.Definitions(jobs=[hold]))
"""
DEFINITIONS = "quality_location/definitions.py"


@dataclass
class Quality(Stage):
    """The stage, with builds of quality that have a job that goes on until it is told to end."""

    def with_hold(self, name: str) -> Build:
        text = (self.templates["quality"].site_packages / DEFINITIONS).read_text()
        return self.variant("quality", name, files={DEFINITIONS: text + HOLD})

    def launch_hold(self) -> str:
        return self.launch("quality", "hold", {})

    def began(self, run_id: str) -> tuple[int, str]:
        """The process and the environment of a run, once it is inside its step."""
        file = self.folder / f"{run_id}.began"
        self.until(f"run {run_id} to begin", lambda: file.exists() and file.read_text())
        pid, prefix = file.read_text().split(" ", 1)
        return int(pid), prefix

    def end(self, run_id: str) -> None:
        (self.folder / f"{run_id}.end").touch()


@pytest.fixture(scope="module")
def stage(built: dict[str, Build]) -> Iterator[Quality]:
    with tempfile.TemporaryDirectory(prefix="databox-") as folder:
        # two runs fill the queue
        variables = {"HOLD_DIR": folder}
        with running_stage(Path(folder), built, max_runs=2, variables=variables) as running:
            yield Quality(**vars(running))


def test_a_run_in_flight_ends_in_the_old_code_and_a_queued_one_starts_in_the_new(
    stage: Quality,
) -> None:
    stage.deploy(stage.with_hold("hold1"))
    before = stage.server_ids()
    running = [stage.launch_hold() for _ in range(2)]
    for run in running:
        assert "/hold1/" in stage.began(run)[1]
    queued = stage.launch_hold()
    said: list[str] = []
    made = stage.with_hold("hold2")
    deploy = threading.Thread(
        target=lambda: let_serve(
            stage.where, "quality", lambda: made, action="deploy", say=lambda t: said.append(str(t))
        )
    )
    deploy.start()
    stage.until("the deploy to wait", lambda: any("ends after its runs" in text for text in said))
    assert sorted(stage.alive("quality")) == ["hold1", "hold2"]
    assert [row[5] for row in status(stage.where) if row[0] == "quality"] == ["2", "0"]
    after = stage.server_ids()
    assert after["quality"] != before["quality"]
    assert {**after, "quality": ""} == {**before, "quality": ""}, "another location noticed"
    assert [stage.status(run) for run in running] == [dg.DagsterRunStatus.STARTED] * 2
    assert stage.status(queued) is dg.DagsterRunStatus.QUEUED
    for run in running:
        stage.end(run)
    assert "/hold2/" in stage.began(queued)[1]
    stage.end(queued)
    deploy.join()
    assert stage.alive("quality") == ["hold2"]
    for run in (*running, queued):
        stage.until(
            f"{run} to end", lambda run=run: stage.status(run) is dg.DagsterRunStatus.SUCCESS
        )


def test_a_run_that_the_old_server_still_works_on_can_be_cancelled(stage: Quality) -> None:
    stage.deploy(stage.with_hold("hold3"))
    run = stage.launch_hold()
    pid, _ = stage.began(run)
    made = stage.with_hold("hold4")
    deploy = threading.Thread(
        target=lambda: let_serve(stage.where, "quality", lambda: made, action="deploy")
    )
    deploy.start()
    stage.until("the switch", lambda: now(stage).build == "hold4")
    stage.until("the old server to drain", lambda: own_address(stage, run))
    assert is_running(pid)
    assert stage.instance.run_launcher.terminate(run)
    stage.until("its end", lambda: stage.status(run) is dg.DagsterRunStatus.CANCELED)
    deploy.join()
    assert not is_running(pid)


def now(stage: Quality) -> servers.CodeServer:
    return stage.now("quality")


def own_address(stage: Quality, run_id: str) -> bool:
    run = stage.instance.get_run_by_id(run_id)
    return run is not None and "quality-" in run.tags.get(".dagster/grpc_info", "")


def untouched(stage: Quality, refused: Callable[[], object]) -> str:
    """Check that a deploy fails and leaves everything as it was; return its sentence."""
    before, ids, build_id = now(stage), stage.server_ids(), stage.where.current_build("quality")
    history = stage.where.history("quality")
    with pytest.raises(DeployError) as caught:
        refused()
    assert now(stage) == before
    assert stage.server_ids() == ids
    assert stage.where.history("quality") == history
    stage.until("the new server's end", lambda: len(stage.alive("quality")) == 1)
    sentence = str(caught.value)
    assert sentence.startswith("quality was not deployed: ")
    assert build_id is not None
    assert sentence.endswith(f"{build_id.said} still serves.")
    return sentence


def test_code_that_does_not_load_is_refused_with_its_own_error(stage: Quality) -> None:
    broken = stage.variant("quality", "broken", files={DEFINITIONS: "import no_such_library\n"})
    sentence = untouched(stage, lambda: stage.deploy(broken))
    assert "its code does not load: " in sentence
    assert "No module named 'no_such_library'" in sentence


def test_a_contract_of_another_major_version_is_refused_and_says_who_reads_what(
    stage: Quality,
) -> None:
    newer = stage.variant("quality", "newer", contracts={"ebird": "99.0.0"})
    sentence = untouched(stage, lambda: stage.deploy(newer))
    assert "quality newer reads version 99.0.0 of ebird, and transform " in sentence


def test_code_without_a_job_that_queued_runs_need_is_refused(stage: Quality) -> None:
    stage.deploy(stage.with_hold("hold5"))
    running = [stage.launch_hold() for _ in range(2)]
    for run in running:
        stage.began(run)
    queued = stage.launch_hold()
    sentence = untouched(stage, lambda: stage.deploy(stage.variant("quality", "jobless")))
    assert f"quality has no job hold any more, and the queue holds runs of it ({queued[:8]})" in (
        sentence
    )
    for run in (*running, queued):
        stage.end(run)
        stage.until(
            f"{run} to end", lambda run=run: stage.status(run) is dg.DagsterRunStatus.SUCCESS
        )


def test_a_server_that_never_gets_healthy_is_given_up_and_leaves_no_process(stage: Quality) -> None:
    slow = "import time\n\ntime.sleep(600)\n"
    stuck = stage.variant("quality", "stuck", files={DEFINITIONS: slow})
    sentence = untouched(stage, lambda: stage.deploy(stuck, health_seconds=6))
    assert "its server does not answer after 6 s" in sentence


def test_a_location_that_is_newer_than_its_host_is_refused(stage: Quality) -> None:
    ahead = stage.variant("quality", "ahead", dagster="99.0.0")
    sentence = untouched(stage, lambda: stage.deploy(ahead))
    assert "quality has dagster 99.0.0 and the host that must read it has " in sentence


def test_definitions_that_do_not_fit_the_others_are_refused_by_the_workspace_check(
    stage: Quality,
) -> None:
    text = (stage.templates["quality"].site_packages / DEFINITIONS).read_text()
    misspelt = """

@dg.asset(deps=[dg.AssetKey(["ebird", "species_dayly"])])
def lost() -> None: ...

definitions = dg.Definitions.merge(definitions, dg.Definitions(assets=[lost]))
"""
    wrong = stage.variant("quality", "misspelt", files={DEFINITIONS: text + misspelt})
    sentence = untouched(stage, lambda: stage.deploy(wrong))
    assert "asset ebird/species_dayly is in no location" in sentence


def test_a_switch_that_the_webserver_does_not_show_is_taken_back(
    stage: Quality, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploying, "SHOWN_SECONDS", 2.0)
    note = stage.where.host_note
    was = note.read_text()
    old = stage.server_ids()["quality"]
    location_entry = {
        "name": "quality",
        "displayMetadata": [{"key": "image", "value": "quality:old"}],
        "locationOrLoadError": {"serverId": old, "repositories": []},
    }
    view = {"workspaceOrError": {"locationEntries": [location_entry]}, "version": "99.0.0"}

    class Blind(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"data": view}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    with HTTPServer(("127.0.0.1", 0), Blind) as blind:
        threading.Thread(target=blind.serve_forever, daemon=True).start()
        before = now(stage)
        try:
            note.write_text(json.dumps({"url": f"http://127.0.0.1:{blind.server_port}"}))
            with pytest.raises(DeployError, match="the webserver still shows quality:old"):
                stage.deploy(stage.with_hold("hold6"))
        finally:
            note.write_text(was)
            blind.shutdown()
    assert now(stage) == before
    stage.until("one server", lambda: stage.alive("quality") == [before.build])
    stage.until("the view", lambda: stage.server_ids()["quality"] == old)


def test_a_deploy_that_is_killed_leaves_what_served_and_the_next_one_cleans_up(
    stage: Quality,
) -> None:
    before, made = now(stage), stage.with_hold("hold7")
    code = """
import sys
from pathlib import Path
from databox_workspace.builds import read_build
from databox_workspace.deploy import let_serve
from databox_workspace.site import Site

root, folder, home, build = map(Path, sys.argv[1:])
let_serve(Site(root, folder, home), "quality", lambda: read_build(build), action="deploy")
"""
    where = stage.where
    paths = [str(path) for path in (where.root, where.folder, where.home, made.folder)]
    with subprocess.Popen([sys.executable, "-c", code, *paths]) as process:
        stage.until("the new server", lambda: "hold7" in stage.alive("quality"))
        process.send_signal(signal.SIGKILL)
    assert now(stage) == before
    stage.deploy(stage.with_hold("hold8"))
    stage.until("the stray's end", lambda: stage.alive("quality") == ["hold8"])


def test_rollback_serves_the_build_before_and_old_builds_are_deleted(stage: Quality) -> None:
    stage.deploy(stage.with_hold("hold8"))
    stage.deploy(stage.with_hold("hold9"))
    stage.deploy(stage.with_hold("hold10"))
    assert {"hold8", "hold9", "hold10"} <= builds(stage.where.folder, "quality").keys()
    assert not {"hold1", "hold2", "hold3", "hold5"} & builds(stage.where.folder, "quality").keys()
    made = rollback(stage.where, location("quality"))
    assert made.id == "hold9"
    assert stage.alive("quality") == ["hold9"]
    assert stage.where.history("quality")[-1].action == "rollback"


def test_a_location_is_deployed_by_one_at_a_time(stage: Quality) -> None:
    with stage.where.deploying("quality"), pytest.raises(DeployError) as caught:
        stage.deploy(stage.with_hold("hold9"))
    assert f"quality is being deployed by process {os.getpid()}; wait for it" in str(caught.value)


def test_a_dead_server_of_another_location_stops_no_deploy_and_is_started_again(
    stage: Quality,
) -> None:
    dead = stage.now("transform")
    os.kill(dead.pid, signal.SIGKILL)
    stage.until("its end", lambda: not dead.is_alive())
    stage.deploy(stage.with_hold("hold11"))
    assert now(stage).build == "hold11"
    alive = stage.now("transform")
    assert (alive.build, alive.is_alive()) == (dead.build, True)
    stage.until("the view", lambda: stage.server_ids()["transform"] == alive.server_id())


def test_a_server_that_dies_is_started_again_and_its_run_is_ended_and_reported(
    stage: Quality,
) -> None:
    stage.deploy(stage.with_hold("hold11"))
    run = stage.launch_hold()
    worker, _ = stage.began(run)
    dead, others = now(stage), stage.server_ids()
    os.kill(dead.pid, signal.SIGKILL)
    stage.until("its end", lambda: not dead.is_alive())
    assert is_running(worker)
    stage.look()
    stage.until("another server", lambda: now(stage) != dead and now(stage).is_alive())
    assert not is_running(worker), "it would write beside the run that does its work again"
    assert now(stage).build == dead.build
    assert stage.status(run) is dg.DagsterRunStatus.FAILURE
    stage.until(
        "the view", lambda: stage.server_ids()["quality"] not in {others["quality"], "None"}
    )
    assert {**stage.server_ids(), "quality": ""} == {**others, "quality": ""}
