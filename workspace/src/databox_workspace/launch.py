"""Launching a job of a code location from outside, by Dagster's inner API.

Dagster's public ways are a running webserver (GraphQL) and `dagster job launch`, which imports
everything anew in another process. This does what that command does, on the location's server if
the workspace names one that runs, else on one that it starts for the launch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._cli.job import _create_run as create_run  # pyright: ignore[reportPrivateUsage]
from dagster._core.remote_origin import CodeLocationOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget

from databox_workspace.deployment import ServerError


@dataclass(frozen=True)
class _OneLocation(WorkspaceLoadTarget):
    """A workspace without its other locations, each of which may take a server to load."""

    workspace: WorkspaceLoadTarget
    location: str

    def create_origins(self) -> Sequence[CodeLocationOrigin]:
        origins = self.workspace.create_origins()
        return [origin for origin in origins if origin.location_name == self.location]


def launch(
    instance: dg.DagsterInstance,
    workspace: WorkspaceLoadTarget,
    *,
    location: str,
    job: str,
    tags: Mapping[str, str],
) -> str:
    """Put one run of `job` into the queue and return its id.

    Raises `ServerError` with the location's own error if it did not load.
    """
    with WorkspaceProcessContext(instance, _OneLocation(workspace, location)) as process:
        context = process.create_request_context()
        error = context.get_code_location_error(location)
        if error is not None:
            msg = f"the location {location} does not load: {error.to_string()}"
            raise ServerError(msg)
        code_location = context.get_code_location(location)
        repository = next(iter(code_location.get_repositories().values()))
        run = create_run(
            instance=instance,
            code_location=code_location,
            remote_repo=repository,
            remote_job=repository.get_full_job(job),
            run_config={},
            tags=tags,
            op_selection=None,
            run_id=None,
        )
        instance.submit_run(run.run_id, context)
        return run.run_id
