"""A deployment for the tests of deploys: a site with webserver and daemon, and cheap builds."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagster as dg
from dagster._core.workspace.load_target import WorkspaceFileTarget
from deployed import variant
from plant import environment, warehouse

from databox_shared.settings import load_settings, project_root
from databox_workspace import servers
from databox_workspace.builds import Build, builds_folder
from databox_workspace.deploy import let_serve
from databox_workspace.home import home_settings
from databox_workspace.host import WORKSPACE, host, socket_variables
from databox_workspace.launch import launch
from databox_workspace.locations import locations
from databox_workspace.site import Site
from databox_workspace.view import shown

WAIT_SECONDS = 240.0


@dataclass
class Stage:
    """A deployment that runs: every location, the webserver and the daemon.

    `templates` are the builds that others are made like, `look` is what the host calls again and
    again, `folder` is where all of it lies, and `files` are in the site-packages of each build.
    """

    where: Site
    folder: Path
    templates: Mapping[str, Build]
    look: Callable[[], None]
    instance: dg.DagsterInstance
    files: Mapping[str, str] = field(default_factory=dict[str, str])

    def variant(
        self,
        location: str,
        name: str,
        *,
        files: Mapping[str, str] | None = None,
        contracts: Mapping[str, str] | None = None,
        dagster: str | None = None,
    ) -> Build:
        """Another build of a location; see `deployed.variant`."""
        return variant(
            self.templates[location],
            builds_folder(self.where.folder, location),
            name,
            files={**self.files, **(files or {})},
            contracts=contracts,
            dagster=dagster,
        )

    def deploy(self, made: Build, *, health_seconds: float = 120) -> list[str]:
        """Deploy a build that counts as proved, and return what was said."""
        said: list[str] = []
        let_serve(
            self.where,
            made.location,
            lambda: made,
            action="deploy",
            health_seconds=health_seconds,
            say=lambda text: said.append(str(text)),
        )
        return said

    def launch(self, location: str, job: str, tags: Mapping[str, str]) -> str:
        """Put a run of a job into the queue, as the servers that are current now know it."""
        target = WorkspaceFileTarget([str(self.where.root / WORKSPACE)])
        return launch(self.instance, target, location=location, job=job, tags=tags)

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def until(self, what: str, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"waited {WAIT_SECONDS:.0f} s for {what}"
            time.sleep(0.1)

    def server_ids(self) -> dict[str, str]:
        """The id of each location's server as the webserver shows it."""
        url = self.where.webserver_url()
        assert url
        return {name: str(found.server_id) for name, found in shown(url)[1].items()}

    def now(self, location: str) -> servers.CodeServer:
        """The server that a location's address leads to."""
        found = servers.current(self.where.run_dir, location)
        assert found is not None
        return found

    def alive(self, location: str) -> list[str]:
        """The builds that living servers of a location serve."""
        return [server.build for server in servers.alive(self.where.run_dir, location)]


@contextmanager
def running_stage(
    folder: Path,
    templates: Mapping[str, Build],
    *,
    max_runs: int = 4,
    variables: Mapping[str, str] | None = None,
) -> Generator[Stage]:
    """Deploy every location once and run the webserver and the daemon; leaves no process.

    `folder` must have a short path: sockets lie in it.
    """
    with deployed_stage(folder, templates, max_runs=max_runs, variables=variables) as stage:
        settings, port = load_settings(), free_port()
        with host(stage.where, settings, address="127.0.0.1", port=port) as look:
            yield replace(stage, look=look)


@contextmanager
def deployed_stage(
    folder: Path,
    templates: Mapping[str, Build],
    *,
    max_runs: int = 4,
    variables: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> Generator[Stage]:
    """Deploy every location once; the webserver and the daemon are left to the caller."""
    where = Site(project_root(), folder / "d", folder / "home")
    own = {
        "DEPLOY_DIR": str(where.folder),
        "DAGSTER_HOME": str(where.home),
        **socket_variables(where),
        **(variables or {}),
    }
    with ExitStack() as stack:
        stack.enter_context(environment(**(warehouse(folder) | own)))
        where.home.mkdir(exist_ok=True)
        text = home_settings(where.home)
        assert "max_concurrent_runs: 4" in text
        text = text.replace("max_concurrent_runs: 4", f"max_concurrent_runs: {max_runs}")
        (where.home / "dagster.yaml").write_text(text)
        stack.callback(_stop_all, where)
        for found in locations():
            builds = builds_folder(where.folder, found.name)
            first = variant(templates[found.name], builds, f"{found.name}0", files=files)
            let_serve(where, found.name, lambda made=first: made, action="deploy")
        instance = stack.enter_context(where.instance())
        yield Stage(where, folder, templates, lambda: None, instance, files or {})


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop_all(where: Site) -> None:
    for found in locations():
        for server in servers.alive(where.run_dir, found.name):
            servers.kill(server)
