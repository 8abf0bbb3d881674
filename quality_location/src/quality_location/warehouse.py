"""The data that a run judges: one transform snapshot, and the ingestion snapshot it was built from.

Both are held from a run's start to its end and attached READ_ONLY to a database in memory, so
nothing that is published meanwhile can mix into what is checked and released.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_duckdb import DuckDBResource

from databox_shared.edges import TRANSFORM_TO_QUALITY
from databox_shared.settings import Settings
from databox_shared.snapshots import Snapshot, SnapshotError, reading
from quality_location.checks import literal
from quality_location.private import private_values_sql

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class Held:
    """The two snapshots of a run."""

    transform: Snapshot
    ingestion: Snapshot

    @property
    def ids(self) -> dict[str, int]:
        """Location → snapshot id."""
        return {"ingestion": self.ingestion.id, "transform": self.transform.id}

    @property
    def contracts(self) -> dict[str, str]:
        """Schema → version under which it was handed over."""
        return {**self.ingestion.contracts, **self.transform.contracts}

    @property
    def attach_sql(self) -> str:
        """Statements that give a DuckDB shell the same view of the data."""
        return "\n".join(snapshot.attach_sql for snapshot in (self.ingestion, self.transform))

    def query_for_people(self, query: str) -> str:
        """A query as it can be pasted into a DuckDB shell."""
        private = ";\n".join(private_values_sql()) + ";\n" if "memory.private" in query else ""
        return f"{self.attach_sql}\n{private}{query};"


@contextmanager
def held_snapshots(settings: Settings) -> Generator[Held]:
    """Hold the newest transform snapshot and the ingestion snapshot that it was built from.

    Raises `SnapshotError` if one is missing, `ContractError` if one cannot be read.
    """
    with reading(settings, "transform") as transform:
        for name in TRANSFORM_TO_QUALITY.contracts:
            transform.check_readable(name)
        source = transform.upstream.get("ingestion")
        if source is None:
            msg = f"snapshot {transform.id} of transform does not say what it was built from"
            raise SnapshotError(msg)
        with reading(settings, "ingestion", source) as ingestion:
            for name in TRANSFORM_TO_QUALITY.also_reads:
                ingestion.check_readable(name)
            yield Held(transform, ingestion)


def spill_dir(settings: Settings) -> Path:
    """The folder beside the data for what does not fit into memory, while it is needed."""
    return settings.hidden_dir / "quality" / "spill"


@contextmanager
def attached(
    duckdb: DuckDBResource, settings: Settings, held: Held
) -> Generator["DuckDBPyConnection"]:
    """A connection that sees the snapshots as catalogs `ingestion` and `transform`.

    What does not fit into memory goes into `spill_dir` while a query needs it.
    """
    with duckdb.get_connection() as connection:
        try:
            # else it is the working directory of whoever started the run
            connection.execute(f"SET temp_directory = {literal(str(spill_dir(settings)))}")
            held.ingestion.attach(connection)
            held.transform.attach(connection)
            yield connection
        finally:
            # the resource leaves a connection open when its user fails
            connection.close()
