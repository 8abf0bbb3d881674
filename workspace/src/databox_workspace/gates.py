"""What a new server has to pass before it may take over: decisions only, nothing is changed here.

Each gate returns sentences; an empty list lets it pass. They are held against what is deployed
now, not against the checkout: the builds of the other locations and their running servers.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from packaging.version import Version

from databox_shared.contracts import version_numbers
from databox_workspace.builds import Build

# a run that has a worker keeps its own code; one that still waits will start with the new
_WAITING = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
)


@contextmanager
def loaded_together(
    sockets: Mapping[str, Path], folder: Path
) -> Generator[WorkspaceProcessContext]:
    """The locations as Dagster would load them if these servers were the current ones."""
    entries = [
        {"grpc_server": {"socket": str(socket), "location_name": name}}
        for name, socket in sorted(sockets.items())
    ]
    workspace = folder / "workspace.yaml"
    workspace.write_text(yaml.safe_dump({"load_from": entries}), encoding="utf-8")
    with (
        dg.DagsterInstance.local_temp(str(folder)) as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([str(workspace)])) as process,
    ):
        yield process


def settings_errors(settings: str, build: Build) -> list[str]:
    """Whether a build has the modules that its instance's settings name: its runs load them."""
    return [
        f"Dagster's settings name {module}, which {build.said} does not have: its runs would fail "
        f"as they begin; deploy {build.location} from a checkout that has it first"
        for module in _named_modules(yaml.safe_load(settings))
        if not _has_module(build.site_packages.joinpath(*module.split(".")))
    ]


def version_errors(build: Build, host: str) -> list[str]:
    """A host must be at least as new as the newest location: it reads what they send."""
    if Version(host) >= Version(build.dagster):
        return []
    sentence = (
        f"{build.location} has dagster {build.dagster} and the host that must read it has {host}; "
        f"upgrade the webserver and the daemon first"
    )
    return [sentence]


def contract_errors(build: Build, others: Mapping[str, Build]) -> list[str]:
    """Whether whoever reads a contract and whoever hands it over speak the same major version.

    Each build says itself what its location reads, so both ends may be of different days.
    """
    together = {**others, build.location: build}
    return [
        _mismatch(consumer, producer, name)
        for consumer in together.values()
        for name, owner in consumer.reads.items()
        if build.location in {consumer.location, owner} and owner in together
        for producer in [together[owner]]
        if _major(producer.contracts.get(name)) != _major(consumer.contracts[name])
    ]


def job_errors(instance: dg.DagsterInstance, location: str, jobs: Collection[str]) -> list[str]:
    """Whether every run that waits still has its job: Dagster cancels one that has not."""
    waiting = instance.get_runs(dg.RunsFilter(statuses=list(_WAITING)))
    lost: dict[str, list[str]] = {}
    for run in waiting:
        origin = run.remote_job_origin
        if origin and origin.location_name == location and run.job_name not in jobs:
            lost.setdefault(run.job_name, []).append(run.run_id[:8])
    return [
        f"{location} has no job {job} any more, and the queue holds runs of it "
        f"({', '.join(runs)}), which would be cancelled; let them run or cancel them, then deploy "
        f"again"
        for job, runs in sorted(lost.items())
    ]


def jobs_of(context: BaseWorkspaceRequestContext, location: str) -> frozenset[str]:
    """The names of a location's jobs."""
    repositories = context.get_code_location(location).get_repositories().values()
    return frozenset(job.name for found in repositories for job in found.get_all_jobs())


def _mismatch(consumer: Build, producer: Build, name: str) -> str:
    version = producer.contracts.get(name)
    handed_over = f"version {version} of {name}" if version else f"no contract {name}"
    return (
        f"{consumer.location} {consumer.id} reads version {consumer.contracts[name]} of {name}, "
        f"and {producer.location} {producer.id} hands over {handed_over}; let "
        f"{producer.location} hand over both versions first (docs/contracts.md)"
    )


def _has_module(path: Path) -> bool:
    return path.with_name(f"{path.name}.py").is_file() or (path / "__init__.py").is_file()


def _named_modules(said: Any) -> Iterator[str]:
    if isinstance(said, dict):
        for name, value in said.items():
            if name == "module" and isinstance(value, str):
                yield value
            else:
                yield from _named_modules(value)
    elif isinstance(said, list):
        for value in said:
            yield from _named_modules(value)


def _major(version: str | None) -> int | None:
    return version_numbers(version)[0] if version else None
