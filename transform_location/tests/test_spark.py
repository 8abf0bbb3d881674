"""The models move to a distributed engine: Spark makes of the same raw rows what DuckDB makes."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from databox_shared.settings import Settings
from transform_location.models import Models

from .raw_world import RawWorld
from .runs import TABLES, failure, published, run
from .spark import hand_over, rows, spark_models, spark_session
from .test_reference import REGIONS, generate, poll

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BY_DAY = ("checklists", "observations", "region_stats", "observation_history")
# the last days of one year and the first of the next
DAYS = tuple(date(2024, 12, 30) + timedelta(days=n) for n in range(4))


def test_spark_makes_the_same_rows_when_days_are_added_edited_and_emptied(
    settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    whole, dice = with_regions(generate(RawWorld(settings), 3)), random.Random(3)
    with spark_session(tmp_path) as spark, spark_models(settings, tmp_path) as models:
        poll(whole, dice, 0)
        expected = both(
            spark, models, instance, part(whole, DAYS[:3]), DAYS[:3], folder=tmp_path / "1"
        )
        assert_same(on_spark(spark), expected)
        assert not [name for name, found in expected.items() if not found]
        assert DAYS[2] in {row[2] for row in expected["ebird_staging.checklists"]}

        poll(whole, dice, 1)
        later = part(change(whole), (DAYS[0], DAYS[1], DAYS[3]))
        expected = both(spark, models, instance, later, DAYS, folder=tmp_path / "2")
        assert_same(on_spark(spark), expected)
        # what is remembered was added to and changed, and the third day has become empty
        ended = {row[2] is not None for row in expected["ebird_staging.location_history"]}
        assert ended == {True, False}
        assert DAYS[2] not in {row[2] for row in expected["ebird_staging.checklists"]}


def with_regions(world: RawWorld) -> RawWorld:
    for region in REGIONS:
        world.add("regions", region_code=region, region_type="subnational1", parent_code="US")
    return world


def part(whole: RawWorld, days: Sequence[date]) -> RawWorld:
    """The world of some days only."""
    tables = {name: list(found) for name, found in whole.tables.items()}
    for name in BY_DAY:
        tables[name] = [row for row in tables[name] if row["obs_date"] in days]
    return RawWorld(whole.settings, tables)


def change(world: RawWorld) -> RawWorld:
    """A hotspot has a new name since, and every bird was counted again."""
    for row in world.tables["hotspots"]:
        row["read_at"] += timedelta(days=1)
    world.tables["hotspots"][0]["loc_name"] = "Renamed"
    for row in world.tables["observations"]:
        row["how_many_str"] = "3"
    return world


def both(
    spark: Any,
    models: Models,
    instance: dg.DagsterInstance,
    world: RawWorld,
    days: Sequence[date],
    *,
    folder: Path,
) -> dict[str, list[tuple[Any, ...]]]:
    """Let DuckDB and Spark make all days from the same raw rows; what DuckDB made of them."""
    world.publish()
    result = run(instance, ",".join(day.isoformat() for day in days))
    assert result.success, failure(result)

    hand_over(spark, world.settings, folder)
    if models.deployed() is None:
        models.deploy()
    evaluation = models.evaluate([table.full_name for table in TABLES], days, days)
    assert not evaluation.failures
    assert not evaluation.skipped
    assert not any(audit.blocks for audit in evaluation.audits.values())
    return published(world.settings)


def on_spark(spark: Any) -> dict[str, list[tuple[Any, ...]]]:
    """All rows that Spark has, by `schema.table`."""
    return {table.full_name: rows(spark, table) for table in TABLES}


def assert_same(
    found: dict[str, list[tuple[Any, ...]]], expected: dict[str, list[tuple[Any, ...]]]
) -> None:
    """The same rows in any order, and every value of the same type and to the last digit."""
    for name, wanted in expected.items():
        assert sorted(map(repr, found[name])) == sorted(map(repr, wanted)), name
