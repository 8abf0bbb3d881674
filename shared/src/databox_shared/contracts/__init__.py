"""Data contracts: what one location hands to another, described once.

Each `*.odcs.yaml` beside this module is one schema of the warehouse in the Open Data Contract
Standard: tables, columns, types, keys, meaning, freshness, owner, version. Everything else that
knows a column (dlt's types, SQLMesh's external models, asset metadata, quality's checks) is
derived from here and must not describe it again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, cast

import dagster as dg
import yaml
from open_data_contract_standard.model import (
    OpenDataContractStandard,
    SchemaObject,
    SchemaProperty,
)

RAW = "ebird_raw"
STAGING = "ebird_staging"
MARTS = "ebird"

PRIVATE = "private"


class ContractError(Exception):
    """A contract is malformed, or data was handed over under one that cannot be read here."""


@dataclass(frozen=True)
class Column:
    """One column. `type` is a DuckDB type; `enum`, `minimum` and `maximum` bound non-null values.

    `references` is `(table, column)` within the same schema. `private` columns must never leave
    the schema they are in.
    """

    name: str
    type: str
    description: str
    required: bool
    enum: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    references: tuple[str, str] | None = None
    private: bool = False


@dataclass(frozen=True)
class Table:
    """One table: one row per `key`. `day_column` is set if its partitions are days.

    `freshness_column` is set if the contract says by which column its freshness is told.
    """

    schema: str
    name: str
    description: str
    grain: str
    owner: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    day_column: str | None
    freshness_hours: float | None
    is_view: bool = False
    freshness_column: str | None = None

    @property
    def asset_key(self) -> dg.AssetKey:
        """The same words as in the warehouse."""
        return dg.AssetKey([self.schema, self.name])

    @property
    def full_name(self) -> str:
        """`schema.table`, as a query says it."""
        return f"{self.schema}.{self.name}"

    @property
    def column_schema(self) -> dg.TableSchema:
        """For `dagster/column_schema`, so that the UI shows what the contract says."""
        return dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name,
                    type=column.type,
                    description=column.description,
                    constraints=dg.TableColumnConstraints(
                        nullable=not column.required, unique=self.key == (column.name,)
                    ),
                )
                for column in self.columns
            ]
        )


@dataclass(frozen=True)
class Contract:
    """One schema, handed over as a whole under one version (`major.minor.patch`)."""

    name: str
    version: str
    description: str
    owner: str
    tables: dict[str, Table]

    @property
    def major(self) -> int:
        """Versions with the same major number can be read by the same consumer."""
        return version_numbers(self.version)[0]

    def check_readable(self, version: str | None, *, source: str) -> None:
        """Raise `ContractError` unless data written under `version` can be read with this one."""
        if version is None or version_numbers(version)[0] != self.major:
            said = f"version {version}" if version else "no version"
            msg = (
                f"{source} was handed over under {said} of the contract {self.name}, "
                f"and this location reads version {self.major}.x; deploy the location that is "
                f"behind, then run again"
            )
            raise ContractError(msg)


def version_numbers(version: str) -> tuple[int, int, int]:
    """`1.4.0` → `(1, 4, 0)`. Raises `ContractError` for anything else."""
    found = re.fullmatch(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", version)
    if found is None:
        msg = f"{version!r} is not a version of a contract: write major.minor.patch, like 1.4.0"
        raise ContractError(msg)
    return int(found[1]), int(found[2]), int(found[3])


@cache
def contract(name: str) -> Contract:
    """The contract for one schema, for example `contract("ebird_raw")`.

    Raises `ContractError` if there is none or it is not a valid Open Data Contract.
    """
    file = resources.files(__name__) / f"{name}.odcs.yaml"
    if not file.is_file():
        msg = f"there is no contract {name}; known are {', '.join(contract_names())}"
        raise ContractError(msg)
    return parse_contract(file.read_text(encoding="utf-8"))


def contract_names() -> list[str]:
    """All contracts, in alphabetical order."""
    return sorted(
        file.name.removesuffix(".odcs.yaml")
        for file in resources.files(__name__).iterdir()
        if file.name.endswith(".odcs.yaml")
    )


def parse_contract(text: str) -> Contract:
    """Read one contract from ODCS YAML. Raises `ContractError` that says what is missing."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        document = OpenDataContractStandard(**cast("dict[str, Any]", yaml.load(text, loader)))  # noqa: S506
    except (yaml.YAMLError, TypeError, ValueError) as error:
        msg = f"not an Open Data Contract: {error}"
        raise ContractError(msg) from error
    name = _need(document.name, "the contract has no name")
    version = _need(document.version, f"{name} has no version")
    version_numbers(version)
    team = document.team
    owner = _need(
        team.name if team is not None and not isinstance(team, list) else None,
        f"{name} has no team.name (its owner)",
    )
    # an element is a table, or `table.column`
    freshness = {
        table: (float(cast("float", sla.value)), column or None)
        for sla in document.slaProperties or []
        if sla.property == "freshness"
        for table, _, column in [(sla.element or "").partition(".")]
    }
    tables = [_table(name, owner, freshness, entry) for entry in document.schema_ or []]
    return Contract(
        name=name,
        version=version,
        description=document.description.purpose or "" if document.description else "",
        owner=owner,
        tables={table.name: table for table in tables},
    )


def _table(
    schema: str,
    owner: str,
    freshness: dict[str, tuple[float, str | None]],
    entry: SchemaObject,
) -> Table:
    name = _need(entry.name, f"a table of {schema} has no name")
    where = f"{schema}.{name}"
    properties = entry.properties or []
    columns = tuple(_column(where, item) for item in properties)
    keyed = sorted(
        (item.primaryKeyPosition or 0, item.name or "") for item in properties if item.primaryKey
    )
    if not keyed:
        msg = f"{where} has no primary key: say what one row is"
        raise ContractError(msg)
    hours, freshness_column = freshness.get(name, (None, None))
    if freshness_column and freshness_column not in {column.name for column in columns}:
        msg = f"{where} has a freshness by {freshness_column}, which is none of its columns"
        raise ContractError(msg)
    day_columns = [item.name for item in properties if item.partitioned]
    return Table(
        schema=schema,
        name=name,
        description=_need(entry.description, f"{where} has no description").strip(),
        grain=_need(entry.dataGranularityDescription, f"{where} does not say its grain"),
        owner=owner,
        columns=columns,
        key=tuple(column for _, column in keyed),
        day_column=day_columns[0] if day_columns else None,
        freshness_hours=hours,
        is_view=entry.physicalType == "view",
        freshness_column=freshness_column,
    )


def _column(where: str, item: SchemaProperty) -> Column:
    name = _need(item.name, f"a column of {where} has no name")
    options = item.logicalTypeOptions or {}
    target = item.relationships[0].to if item.relationships else None
    references = None
    if isinstance(target, str):
        table, _, column = target.partition(".")
        references = (table, column)
    return Column(
        name=name,
        type=_need(item.physicalType, f"{where}.{name} has no physicalType"),
        description=_need(item.description, f"{where}.{name} has no description"),
        required=bool(item.required or item.primaryKey),
        enum=tuple(str(entry.value) for entry in item.enum or []),
        minimum=options.get("minimum"),
        maximum=options.get("maximum"),
        references=references,
        private=item.classification == PRIVATE,
    )


def _need(value: str | None, message: str) -> str:
    if not value:
        raise ContractError(message)
    return value
