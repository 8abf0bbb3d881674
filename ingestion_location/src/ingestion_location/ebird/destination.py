"""DuckDB as dlt's destination, where a table's new rows replace whole scopes in one transaction.

dlt's own merge writes every row twice, into a staging table and from there into the table, which is
a third of a load's CPU. Here a table's file is merged as it is: what a load replaces is deleted and
what is in the file is inserted, both or neither. Packages, state and types stay dlt's.

It imports dlt, so it is imported where a load begins and never when definitions are loaded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import dlt
from dlt.common.destination.client import FollowupJobRequest, LoadJob
from dlt.common.destination.typing import PreparedTableSchema
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob


class ReplaceScopesJob(DuckDbCopyJob):
    """One table's file: the given scopes are replaced, or those it has rows of, or without any all.

    What a scope is, is the table's merge key. A table may have one such file only, because a second
    one would delete what the first has written.
    """

    def __init__(self, file_path: str, scopes: Sequence[Sequence[object]]) -> None:
        super().__init__(file_path)
        self._scopes = scopes

    def run(self) -> None:
        """Delete and insert, in one transaction. Safe to run again."""
        client = self._job_client.sql_client
        columns = self._load_table.get("columns", {})
        scope = [name for name, column in columns.items() if column.get("merge_key")]
        names = ", ".join(map(client.escape_column_name, scope))
        values: list[object] = []
        replaced = f"DELETE FROM {client.make_qualified_table_name(self.load_table_name)}"  # noqa: S608
        if scope and self._scopes:
            one = ", ".join("%s" for _ in scope)
            replaced += (
                f" WHERE ({names}) IN (VALUES {', '.join(f'({one})' for _ in self._scopes)})"
            )
            values += [value for values in self._scopes for value in values]
        elif scope:
            file = client.capabilities.escape_literal(self._file_path)
            replaced += f" WHERE ({names}) IN (SELECT DISTINCT {names} FROM read_parquet({file}))"  # noqa: S608
        with client.begin_transaction():
            client.execute_sql(replaced, *values)
            super().run()


class ReplaceScopesClient(DuckDbClient):
    """Runs a `ReplaceScopesJob` for each file of a table that is merged or replaced."""

    scopes: Mapping[str, Sequence[Sequence[object]]]

    def should_load_data_to_staging_dataset(self, table_name: str) -> bool:  # noqa: ARG002 (dlt's)
        """Never: the file itself is the staging."""
        return False

    def should_truncate_table_before_load(self, table_name: str) -> bool:  # noqa: ARG002 (dlt's)
        """Never: dlt commits that before the job, and a kill between them leaves nothing."""
        return False

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job for one file. What is appended (dlt's own state) is left to dlt."""
        if table.get("write_disposition") == "append":
            return super().create_load_job(table, file_path, load_id, restore)
        return ReplaceScopesJob(file_path, self.scopes.get(str(table.get("name")), ()))

    def _create_merge_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],  # noqa: ARG002 (dlt's)
    ) -> list[FollowupJobRequest]:
        return []

    def _create_replace_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],  # noqa: ARG002 (dlt's)
    ) -> list[FollowupJobRequest]:
        return []


class WholeScopes(dlt.destinations.duckdb):
    """The destination, for `dlt.pipeline`: a file, and the scopes that a load replaces by table."""

    def __init__(self, file: Path, scopes: Mapping[str, Sequence[Sequence[object]]]) -> None:
        super().__init__(str(file))
        self._scopes = scopes

    @property
    def client_class(self) -> type[DuckDbClient]:
        """What dlt makes its connections and jobs with."""
        return type("Client", (ReplaceScopesClient,), {"scopes": self._scopes})
