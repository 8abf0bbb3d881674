"""Whether a new server fits what is deployed now: the gates, held against what really runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from databox_workspace import servers
from databox_workspace.builds import Build
from databox_workspace.check import workspace_errors
from databox_workspace.failures import FAILURES, sentence
from databox_workspace.gates import (
    contract_errors,
    job_errors,
    jobs_of,
    loaded_together,
    settings_errors,
    version_errors,
)
from databox_workspace.locations import locations
from databox_workspace.revive import revive
from databox_workspace.servers import CodeServer
from databox_workspace.site import Site
from databox_workspace.view import shown

Say = Callable[[str], object]


class RefusedError(Exception):
    """A gate does not let the build pass."""


def revive_others(where: Site, location: str, say: Say) -> None:
    """Start what has died of the other locations: the check needs all that is deployed.

    One that cannot be served stops nobody: it is held against what is deployed then, when a build
    of it that works is.
    """
    for other in locations():
        server = servers.current(where.run_dir, other.name)
        if other.name != location and server and not server.is_alive():
            try:
                revive(where, other.name, say=say)
            except FAILURES as error:
                say(sentence(error))


def refuse_unreadable_settings(where: Site, made: Build) -> None:
    """Raise `RefusedError` if a build cannot load the instance that its runs belong to."""
    settings = where.home / "dagster.yaml"
    if settings.is_file() and (errors := settings_errors(settings.read_text("utf-8"), made)):
        raise RefusedError("; ".join(errors))


def fitting_jobs(where: Site, made: Build, new: CodeServer, say: Say) -> frozenset[str]:
    """Hold a healthy server against what is deployed now, and return the names of its jobs.

    Of a location whose server is dead only the contracts are known, from its build.
    Raises `RefusedError` if it does not fit.
    """
    noted = {
        other.name: server
        for other in locations()
        if other.name != made.location
        and (server := servers.current(where.run_dir, other.name)) is not None
    }
    others = {name: build for name in noted if (build := where.current_build(name))}
    for name, server in list(noted.items()):
        if not server.is_alive():
            say(f"{name} is down: {made.location} is held against its contracts only")
            del noted[name]
    sockets = {name: servers.address(where.run_dir, name) for name in noted}
    sockets[made.location] = new.socket
    absent = {location.name for location in locations()} - sockets.keys()
    url = where.webserver_url()
    host = shown(url)[0] if url else version("dagster")
    errors = [*version_errors(made, host), *contract_errors(made, others)]
    with (
        tempfile.TemporaryDirectory(prefix="databox-") as folder,
        loaded_together(sockets, Path(folder)) as process,
    ):
        context = process.create_request_context()
        jobs = jobs_of(context, made.location)
        errors += workspace_errors(context, absent=absent)
    if errors:
        raise RefusedError("; ".join(errors))
    refuse_lost_runs(where, made.location, jobs)
    return jobs


def refuse_lost_runs(where: Site, location: str, jobs: frozenset[str]) -> None:
    """Raise `RefusedError` if a run waits whose job is none of these."""
    with where.instance() as instance:
        errors = job_errors(instance, location, jobs)
    if errors:
        raise RefusedError("; ".join(errors))
