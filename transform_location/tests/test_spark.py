"""The models move to a distributed engine: Spark makes of the same raw rows what DuckDB makes."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from databox_shared.settings import Settings
from transform_location.models import Models

from .raw_world import RawWorld
from .runs import TABLES, failure, published, run
from .spark import hand_over, rows, spark_context, spark_session
from .test_reference import generate, poll

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BY_DAY = ("checklists", "observations", "region_stats", "observation_history")
# the last days of one year, and then the first of the next
LOADS = (
    (date(2024, 12, 30), date(2024, 12, 31)),
    (date(2024, 12, 30), date(2024, 12, 31), date(2025, 1, 1), date(2025, 1, 2)),
)


def test_spark_makes_the_same_rows_of_every_table_at_first_and_when_days_are_added(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    whole, dice = generate(RawWorld(settings), 3), random.Random(3)
    with spark_session(tmp_path) as spark:
        models = Models(spark_context(settings, tmp_path), tmp_path, log=print)
        for number, days in enumerate(LOADS):
            world = RawWorld(settings, {name: list(found) for name, found in whole.tables.items()})
            poll(world, dice, number)
            for name in BY_DAY:
                world.tables[name] = [r for r in world.tables[name] if r["obs_date"] in days]
            world.publish()
            result = run(instance)
            assert result.success, failure(result)

            hand_over(spark, settings, tmp_path / f"raw{number}")
            if models.deployed() is None:
                models.deploy()
            evaluation = models.evaluate([], [], days)
            assert not evaluation.failures
            assert not evaluation.skipped
            assert not any(audit.blocks for audit in evaluation.audits.values())
            assert on_spark(spark) == published(settings)


def on_spark(spark: Any) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that Spark has, sorted as DuckDB's are, by `schema.table`."""
    return {table.full_name: sorted(rows(spark, table), key=in_order) for table in TABLES}


def in_order(row: tuple[Any, ...]) -> list[tuple[bool, Any]]:
    # as ORDER BY ALL of DuckDB: NULL after everything
    return [(value is None, 0 if value is None else value) for value in row]
