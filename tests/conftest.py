"""The deployment that the tests of a module share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dagster as dg
import pytest
import requests
from moto.server import ThreadedMotoServer
from plant import Plant, environment, warehouse
from postgres import Postgres, running_postgres

from databox_shared.settings import load_settings, project_root
from databox_workspace.builds import Build, build
from databox_workspace.deployment import code_servers, daemon
from databox_workspace.home import dagster_home
from databox_workspace.locations import locations
from databox_workspace.locks import locked
from ebird_sandbox.process import running_sandbox


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    with (
        running_sandbox(admin=True) as sandbox,
        environment(**(warehouse(folder) | {"EBIRD_API_URL": sandbox.url})),
    ):
        settings = load_settings()
        with (
            dagster_home(settings) as home,
            dg.DagsterInstance.get() as instance,
            code_servers(home) as servers,
            daemon(home, servers) as running,
        ):
            yield Plant(settings, sandbox, instance, running, home)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Build]:
    """A build of each location as it lies here, made once for all the processes that test."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built"
    folder.mkdir(exist_ok=True)
    with locked(folder / "lock"):
        return {
            location.name: build(
                location, root=project_root(), deploy_dir=folder, may_be_dirty=True
            )
            for location in locations()
        }


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; a test makes databases of its own in it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The address of a server that speaks S3 and has the bucket `birds`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        requests.put(f"{url}/birds", timeout=10).raise_for_status()
        yield url
    finally:
        server.stop()
