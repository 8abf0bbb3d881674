"""Drills: every kind of bad row in each table, generated from the contracts, must be found."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from databox_shared.contracts import RAW, Column, Table, contract
from databox_shared.days import FIRST_DAY
from quality_location.assets import TABLES
from quality_location.checks import literal
from quality_location.release import current_release

from .conftest import OBSERVER, PRIVATE_NAME, PRIVATE_PLACE, VIEWS, failed_checks

if TYPE_CHECKING:
    from .conftest import World

STORED = [table for table in TABLES if table.full_name not in VIEWS]


@dataclass(frozen=True)
class BadRow:
    """A copy of a good row with other values, the check that must find it, and in which words."""

    table: Table
    values: dict[str, str]
    check: str
    words: str

    def __str__(self) -> str:
        return f"{self.table.full_name} with {self.values}"


def bad_rows(table: Table) -> Iterator[BadRow]:
    yield BadRow(table, {}, "key", "a key that occurs more than once")
    for column in table.columns:
        name = column.name
        if column.required:
            yield BadRow(table, {name: "NULL"}, "values", f"{name} is null")
        for value in _out_of_range(column):
            yield BadRow(table, {name: value}, "values", rf"[^,]*\b{name}\b[^,]* is broken")
        if column.enum:
            yield BadRow(table, {name: "'nonsense'"}, "values", f"{name} is not in its list")
        if column.references:
            target = contract(table.schema).tables[column.references[0]]
            check, words = f"{name}_in_{target.name}", f"{name} is not in {target.full_name}"
            value = "'nothing'" if column.type == "VARCHAR" else "-1"
            yield BadRow(table, {name: value}, check, words)
            if target.day_column and target.day_column == table.day_column:
                yield BadRow(table, {target.day_column: f"DATE '{FIRST_DAY}'"}, check, words)
    if table.day_column:
        for day in (f"DATE '{FIRST_DAY}' - 1", "current_date + 3"):
            words = f"{table.day_column} ≤ today is broken"
            yield BadRow(table, {table.day_column: day}, "values", words)
    if table.schema != RAW:
        yield from _private_rows(table)


def _out_of_range(column: Column) -> Iterator[str]:
    if column.minimum is not None:
        yield f"{column.minimum:g} - 1"
    if column.maximum is not None:
        yield f"{column.maximum:g} + 1"
    if column.type == "DOUBLE" and (column.minimum, column.maximum) != (None, None):
        yield "'NaN'::DOUBLE"


def _private_rows(table: Table) -> Iterator[BadRow]:
    check = "no_private_place_or_person"
    names = [column.name for column in table.columns]
    for column in table.columns:
        if column.type == "VARCHAR":
            words = f"{column.name} holds a private name or comment"
            for text in (PRIVATE_NAME, OBSERVER):
                yield BadRow(table, {column.name: literal(text)}, check, words)
    if "latitude" in names:
        latitude, longitude = map(str, PRIVATE_PLACE)
        place = {"latitude": latitude, "longitude": longitude}
        yield BadRow(table, place, check, r"\(latitude, longitude\) is a private place")


def _insert(row: BadRow) -> str:
    stored = f"stored.{row.table.schema}__{row.table.name}"
    changed = ", ".join(f"{value} AS {name}" for name, value in row.values.items())
    replace = f" REPLACE ({changed})" if changed else ""
    return f"INSERT INTO {stored} SELECT *{replace} FROM {stored} WHERE rowid = 0"


@pytest.fixture(scope="module")
def drilled(
    released_module: "World",
) -> tuple["World", dict[str, dg.AssetCheckEvaluation], Path]:
    """One run over a released world into which every bad row was put; and the release before."""
    world = released_module
    before = world.release.folder
    for location in ("ingestion", "transform"):
        tables = [table for table in STORED if (table.schema == RAW) == (location == "ingestion")]
        rows = [row for table in tables for row in bad_rows(table)]
        world.run_sql(location, ";".join(map(_insert, rows)))
    world.publish()
    return world, failed_checks(world.check()), before


@pytest.mark.parametrize("table", STORED, ids=lambda table: table.full_name)
def test_every_kind_of_bad_row_in_a_table_is_found_and_blocks(
    drilled: tuple["World", dict[str, dg.AssetCheckEvaluation], Path], table: Table
) -> None:
    _, failed, _ = drilled
    for row in bad_rows(table):
        found = failed.get(f"{table.full_name}:{row.check}")
        assert found, f"{row.check} did not find {row}"
        assert re.search(row.words, str(found.description)), f"{found.description}: {row}"
        assert found.severity is dg.AssetCheckSeverity.ERROR


def test_the_release_stays_and_says_why(
    drilled: tuple["World", dict[str, dg.AssetCheckEvaluation], Path],
) -> None:
    world, failed, before = drilled
    release = current_release(world.settings)
    assert release
    assert release.folder == before
    why = str(failed["release.databox:release_is_current"].description)
    for table in STORED:
        assert f"{table.full_name}: key:" in why


def test_a_column_that_is_gone_or_another_is_found_in_every_table(released_world: "World") -> None:
    world = released_world
    before = world.release.folder
    for location in ("ingestion", "transform"):
        tables = [table for table in STORED if (table.schema == RAW) == (location == "ingestion")]
        world.run_sql(location, ";".join(_other_columns(table, location) for table in tables))
    world.publish()
    failed = failed_checks(world.check())
    for table in STORED:
        found = failed[f"{table.full_name}:schema"]
        first, last = table.columns[0], table.columns[-1]
        assert found.severity is dg.AssetCheckSeverity.ERROR
        assert f"olumn {first.name} is BLOB instead of {first.type}" in str(found.description)
        assert f"olumn {last.name} is missing" in str(found.description)
        # what cannot be asked has not passed
        assert f"{table.full_name}:key" in failed
    assert world.release.folder == before


def _other_columns(table: Table, location: str) -> str:
    first, last = table.columns[0].name, table.columns[-1].name
    return (
        f"CREATE OR REPLACE VIEW {table.full_name} AS "
        f"SELECT * EXCLUDE ({last}) REPLACE (''::BLOB AS {first}) "
        f"FROM {location}.stored.{table.schema}__{table.name}"
    )
