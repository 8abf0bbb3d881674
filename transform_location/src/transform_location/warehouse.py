"""Where the models run: SQLMesh's configuration for the location's own DuckDB file.

The models' tables are in the location's working file and SQLMesh's state in a file beside it. Raw
tables come from a snapshot of ingestion that a run attaches under the name `ingestion`; nothing
here may open a file of another location. This module imports SQLMesh, so `definitions` must not
import it.
"""

from __future__ import annotations

from pathlib import Path

from sqlmesh.core.config import (
    AutoCategorizationMode,
    CategorizerConfig,
    Config,
    DuckDBConnectionConfig,
    GatewayConfig,
    ModelDefaultsConfig,
    PlanConfig,
)
from sqlmesh.core.config.linter import LinterConfig
from sqlmesh.core.console import NoopConsole, set_console
from sqlmesh.core.context import Context

from databox_shared.days import FIRST_DAY
from databox_shared.settings import Settings
from transform_location.contracted import ContractedLoader
from transform_location.manifest import PROJECT
from transform_location.time_zones import ZonedDuckDB

LOCATION = "transform"
RAW_CATALOG = "ingestion"
GATEWAY = "duckdb"
STATE_FILE = "sqlmesh_state.duckdb"


class Silent(NoopConsole):
    """SQLMesh says nothing: runs record what audits found, and deploy is meant to skip backfill."""

    def log_warning(self, short_message: str, long_message: str | None = None) -> None:
        """Say nothing, not even to the log."""


def state_folder(settings: Settings) -> Path:
    """The folder of the location's working file, SQLMesh's state and its cache."""
    return settings.hidden_dir / LOCATION


def sqlmesh_config(settings: Settings | None) -> Config:
    """The project's configuration; without settings for work that needs no warehouse."""
    folder = state_folder(settings) if settings else None
    full = AutoCategorizationMode.FULL
    return Config(
        project="databox",
        gateways={
            GATEWAY: GatewayConfig(
                # the key is the catalog that views are bound to; readers attach a copy under it
                connection=ZonedDuckDB(
                    catalogs={
                        LOCATION: str(folder / f"{LOCATION}.duckdb") if folder else ":memory:"
                    }
                ),
                state_connection=DuckDBConnectionConfig(
                    database=str(folder / STATE_FILE) if folder else None
                ),
                variables={"raw_catalog": RAW_CATALOG},
            )
        },
        default_gateway=GATEWAY,
        default_test_connection=ZonedDuckDB(),
        model_defaults=ModelDefaultsConfig(
            dialect="duckdb", start=FIRST_DAY.isoformat(), cron="@daily"
        ),
        loader=ContractedLoader,
        cache_dir=str(folder / "sqlmesh_cache") if folder else None,
        plan=PlanConfig(
            auto_categorize_changes=CategorizerConfig(
                external=full, python=full, sql=full, seed=full
            )
        ),
        linter=LinterConfig.model_validate({"enabled": True, "rules": "ALL"}),
        disable_anonymized_analytics=True,
    )


def load_project() -> Context:
    """All models, loaded from their files without a warehouse."""
    set_console(Silent())
    return Context(paths=[str(PROJECT)], config=sqlmesh_config(None))
