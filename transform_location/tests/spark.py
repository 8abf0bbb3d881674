"""The project's models on Spark in local mode, over the rows of a raw snapshot.

The gateway is all that differs: SQLMesh translates the models' SQL. Tables are Parquet in Spark's
own catalog, with neither MERGE nor DELETE; here such a table is written anew. With Delta or Iceberg
it would be SQLMesh's own statements, for which their jars are needed.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp
from sqlmesh.core.config import DuckDBConnectionConfig, GatewayConfig
from sqlmesh.core.config.connection import SparkConnectionConfig
from sqlmesh.core.console import set_console
from sqlmesh.core.context import Context
from sqlmesh.core.engine_adapter.base import MERGE_SOURCE_ALIAS, MERGE_TARGET_ALIAS
from sqlmesh.core.engine_adapter.shared import SourceQuery
from sqlmesh.core.engine_adapter.spark import SparkEngineAdapter

from databox_shared import snapshots
from databox_shared.contracts import RAW, Table, contract
from databox_shared.settings import Settings
from transform_location.contracted import RAW_CATALOG_VARIABLE
from transform_location.manifest import PROJECT
from transform_location.models import Models
from transform_location.time_zones import FUNCTION, time_zone_at
from transform_location.warehouse import Silent, sqlmesh_config

# not among what types are checked with: it is in the environment of these tests alone
pyspark: Any = import_module("pyspark.sql")

GATEWAY, CATALOG = "spark", "spark_catalog"
BROKEN_RULE = "org.apache.spark.sql.catalyst.optimizer.RemoveRedundantAliases"


class ParquetSpark(SparkEngineAdapter):
    """Spark's adapter for tables without MERGE and DELETE: it makes them anew."""

    def _to_sql(self, expression: exp.Expr, quote: bool = True, **kwargs: Any) -> str:
        return super()._to_sql(expression.transform(in_utc), quote, **kwargs)

    def _insert_overwrite_by_condition(
        self,
        table_name: Any,
        source_queries: Any,
        target_columns_to_types: Any = None,
        where: Any = None,
        insert_overwrite_strategy_override: Any = None,
        **kwargs: Any,
    ) -> None:
        assert insert_overwrite_strategy_override is None
        columns = list(target_columns_to_types or self.columns(table_name))
        [source] = source_queries
        with source as query:
            whole = exp.select(*columns).from_(query.subquery("new"))
            if where is not None:
                kept = exp.select(*columns).from_(exp.to_table(table_name)).where(exp.not_(where))
                whole = whole.where(where).union(kept, distinct=False)
            # stored first, for it reads the very table that it is put into
            with self.temp_table(whole, name=table_name) as stored:
                self.execute(exp.TruncateTable(expressions=[exp.to_table(table_name)]))
                rows_of_it = exp.select(*columns).from_(stored)
                super()._insert_overwrite_by_condition(
                    table_name,
                    [SourceQuery(query_factory=lambda: rows_of_it)],
                    target_columns_to_types,
                    **kwargs,
                )

    def _merge(self, target_table: Any, query: Any, on: Any, whens: Any) -> None:
        assert not any(when.args.get("condition") for when in whens.expressions)
        columns = list(self.columns(target_table))
        new = query.subquery(MERGE_SOURCE_ALIAS)
        kept = (
            exp.select(*(exp.column(name, MERGE_TARGET_ALIAS) for name in columns))
            .from_(exp.alias_(exp.to_table(target_table), MERGE_TARGET_ALIAS, table=True))
            .where(exp.not_(exp.Exists(this=exp.select("1").from_(new).where(on))))
        )
        merged = exp.select(*columns).from_(query.subquery("new")).union(kept, distinct=False)
        self._insert_overwrite_by_condition(
            target_table, [SourceQuery(query_factory=lambda: merged)]
        )


def in_utc(node: exp.Expr) -> exp.Expr:
    """A local time in UTC, in Spark's words: SQLGlot's translation turns it the other way."""
    inner = node.this if isinstance(node, exp.AtTimeZone) else None
    if isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.AtTimeZone) and node.args["zone"].name == "UTC":
        return exp.func("TO_UTC_TIMESTAMP", inner.this, inner.args["zone"])
    return node


class ParquetSparkConnection(SparkConnectionConfig):
    """The session that is there, with the adapter for Parquet tables."""

    @property
    def _engine_adapter(self) -> type[SparkEngineAdapter]:
        return ParquetSpark


@contextmanager
def spark_session(folder: Path) -> Generator[Any]:
    """A Spark of its own on two threads, with its tables in a folder."""
    spark = (
        pyspark.SparkSession.Builder()
        .master("local[2]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.pyspark.python", sys.executable)
        .config("spark.sql.catalogImplementation", "in-memory")
        # of Spark 4.1 to 4.3 this rule of its optimizer breaks valid queries upon a UNION ALL
        .config("spark.sql.optimizer.excludedRules", BROKEN_RULE)
        .config("spark.sql.execution.arrow.pyspark.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )
    try:
        spark.udf.register(FUNCTION, time_zone_at, "string")
        yield spark
    finally:
        spark.stop()


def hand_over(spark: Any, settings: Settings, folder: Path) -> None:
    """Make the newest raw snapshot Spark's: each table as Parquet, read where it lies."""
    spark.sql(f"CREATE SCHEMA IF NOT EXISTS {RAW}")
    folder.mkdir()
    with (
        snapshots.reading(settings, "ingestion") as raw,
        duckdb.connect(str(raw.path), read_only=True) as connection,
    ):
        for table in contract(RAW).tables.values():
            file = folder / f"{table.name}.parquet"
            connection.execute(f"COPY {table.full_name} TO '{file}'")
            spark.sql(f"DROP TABLE IF EXISTS {table.full_name}")
            spark.sql(f"CREATE TABLE {table.full_name} USING PARQUET LOCATION '{file}'")


class SparkModels(Models):
    """The two verbs, on Spark."""

    def reviewed_days(self) -> list[date]:
        """None: the question is put to the raw catalog by its name in DuckDB."""
        return []


@contextmanager
def spark_models(settings: Settings, folder: Path) -> Generator[Models]:
    """The project on Spark, with SQLMesh's state in a DuckDB file in a folder."""
    config = sqlmesh_config(settings)
    gateway = GatewayConfig(
        connection=ParquetSparkConnection(),
        state_connection=DuckDBConnectionConfig(database=str(folder / "state.duckdb")),
        variables={RAW_CATALOG_VARIABLE: CATALOG},
    )
    defaults = config.model_defaults.model_copy(update={"storage_format": "parquet"})
    set_console(Silent())
    context = Context(
        paths=[str(PROJECT)],
        config=config.model_copy(
            update={
                "gateways": {GATEWAY: gateway},
                "default_gateway": GATEWAY,
                "model_defaults": defaults,
                "cache_dir": str(folder / "sqlmesh_cache"),
            }
        ),
    )
    try:
        yield SparkModels(context, folder, log=print)
    finally:
        context.close()


def rows(spark: Any, table: Table) -> list[tuple[Any, ...]]:
    """All rows of a table of the models, its columns in the contract's order."""
    names = [column.name for column in table.columns]
    return [tuple(row) for row in spark.table(table.full_name).select(*names).collect()]
