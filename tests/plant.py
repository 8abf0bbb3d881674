"""A whole deployment for tests: a warehouse of its own, the sandbox, and everything that runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import dagster as dg
import duckdb
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.utils import make_new_backfill_id
from dagster._core.workspace.context import WorkspaceProcessContext

from databox_shared.days import DAYS_TAG, READ_DATE_TAG
from databox_shared.settings import Settings
from databox_workspace.deployment import Deployment, Server, supervised
from databox_workspace.follow import Chain
from databox_workspace.home import Home
from databox_workspace.launch import launch
from ebird_sandbox.process import Sandbox

CHAIN_SECONDS = 240.0
# no test may depend on midnight
READ_DATE = "2026-06-01"


@dataclass(frozen=True)
class Plant:
    """Everything that runs, on a warehouse in a folder of its own."""

    settings: Settings
    sandbox: Sandbox
    instance: dg.DagsterInstance
    deployment: Deployment
    home: Home

    def stop(self, location: str) -> tuple[Plant, Server]:
        """Stop a location's code server; what goes on without it, and the server that was."""
        [server] = [server for server in self.deployment.servers if server.name == location]
        server.ask_to_stop()
        server.process.wait()
        others = [other for other in self.deployment.servers if other is not server]
        return replace(self, deployment=replace(self.deployment, servers=others)), server

    @contextmanager
    def start(self, server: Server) -> Generator[Plant]:
        """Start a server that was stopped, with the same command, until the end of the block."""
        [_, _, _, *command] = cast("list[str]", server.process.args)
        Path(command[command.index("--socket") + 1]).unlink(missing_ok=True)
        with supervised(server.name, command, self.home) as started:
            servers = [*self.deployment.servers, started]
            yield replace(self, deployment=replace(self.deployment, servers=servers))

    def launch(self, days: str) -> tuple[Chain, str]:
        """Launch ingestion's daily job for these days, and return the chain that will follow."""
        chain = Chain(self.instance)
        run_id = launch(
            self.instance,
            self.deployment.workspace,
            location="ingestion",
            job="daily_ebird_pipeline",
            tags={DAYS_TAG: days, READ_DATE_TAG: READ_DATE},
        )
        chain.begin(run_id)
        return chain, run_id

    def backfill(self, keys: Sequence[dg.AssetKey], days: Sequence[str]) -> str:
        """Ask for a backfill as the button of the UI does, and return its id."""
        with WorkspaceProcessContext(self.instance, self.deployment.workspace) as process:
            backfill = PartitionBackfill.from_asset_partitions(
                asset_graph=process.create_request_context().asset_graph,
                backfill_id=make_new_backfill_id(),
                tags={READ_DATE_TAG: READ_DATE},
                backfill_timestamp=time.time(),
                asset_selection=keys,
                partition_names=days,
                dynamic_partitions_store=self.instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
            self.instance.add_backfill(backfill)
        return backfill.backfill_id

    def backfill_status(self, backfill_id: str) -> BulkActionStatus:
        """How far a backfill has come."""
        found = self.instance.get_backfill(backfill_id)
        assert found is not None
        return found.status

    def until(self, what: str, condition: Callable[[], object]) -> None:
        """Wait for the deployment to reach a state; fail with what was waited for."""
        deadline = time.monotonic() + CHAIN_SECONDS
        while not condition():
            self.deployment.check()
            assert time.monotonic() < deadline, f"waited {CHAIN_SECONDS:.0f} s for {what}"
            time.sleep(0.2)

    def release(self, query: str) -> list[tuple[object, ...]]:
        """Ask the released file."""
        with duckdb.connect(str(self.settings.release_path), read_only=True) as connection:
            return connection.sql(query).fetchall()


@contextmanager
def environment(**variables: str) -> Generator[None]:
    """Set variables of the environment for a while; servers that are started inherit them."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def warehouse(folder: Path) -> dict[str, str]:
    """The environment of a warehouse in a folder."""
    # an empty value is none: nothing of the developer's own .env reaches a test
    own = ("EBIRD_API_TOKEN", "EBIRD_API_URL", "EBIRD_DAILY_CALL_LIMIT", "EBIRD_REREAD")
    return {
        **dict.fromkeys([*own, "EBIRD_SCHEDULE_TIMEZONE", "DAGSTER_HOME"], ""),
        "EBIRD_SCHEDULE_PAUSED": "1",
        "DATABASE_URL": f"duckdb:///{folder}/databox.duckdb",
        "DLT_DATA_DIR": str(folder / "dlt"),
        "EBIRD_REGIONS": "US-DC",
    }
