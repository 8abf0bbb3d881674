"""A small raw world for tests: rows of `ebird_raw`, published as ingestion publishes them.

Rows are given by what matters to a test; every other column gets a plain value from the contract,
so the world follows the contract and not a copy of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import duckdb

from databox_shared import snapshots
from databox_shared.contracts import RAW, Column, Table, contract
from databox_shared.settings import Settings

REGION = "US-DC"
NOON = datetime.fromisoformat("2026-11-23T12:00")
PLAIN: dict[str, Any] = {
    "VARCHAR": "x",
    "DOUBLE": 1.0,
    "BIGINT": 1,
    "BOOLEAN": False,
    "DATE": date(2026, 11, 20),
    "TIMESTAMP": NOON,
}

Row = dict[str, Any]


@dataclass
class RawWorld:
    """Raw tables as lists of rows; `publish` hands all of them over as ingestion's snapshot."""

    settings: Settings
    tables: dict[str, list[Row]] = field(default_factory=dict[str, list[Row]])
    contract_version: str | None = None

    def add(self, table: str, **values: Any) -> Row:
        """Add a row to a raw table, completed from the contract."""
        row = complete(contract(RAW).tables[table], values)
        self.tables.setdefault(table, []).append(row)
        return row

    def checklist(
        self, sub_id: str, day: str, birds: dict[str, str] | None = None, **values: Any
    ) -> Row:
        """A complete, stationary checklist with its observations, `birds` being counts by code."""
        obs_date = date.fromisoformat(day)
        row = self.add(
            "checklists",
            **{
                "region_code": REGION,
                "sub_id": sub_id,
                "obs_date": obs_date,
                "obs_dt": datetime.combine(obs_date, datetime.min.time()).replace(hour=8),
                "obs_time_valid": True,
                "loc_id": "L1",
                "is_hotspot": True,
                "protocol_id": "P21",
                "all_obs_reported": True,
                "user_display_name": f"Observer of {sub_id}",
                "num_species": len(birds or {}),
                **values,
            },
        )
        for code, count in (birds or {}).items():
            self.add(
                "observations",
                region_code=row["region_code"],
                obs_id=f"OBS-{sub_id}-{code}",
                sub_id=sub_id,
                obs_date=obs_date,
                species_code=code,
                how_many_str=count,
                present=count == "X",
            )
        return row

    def stats(self, day: str, checklists: int, **values: Any) -> None:
        """What eBird says it has for a day."""
        self.add(
            "region_stats",
            **{
                "region_code": REGION,
                "obs_date": date.fromisoformat(day),
                "num_checklists": checklists,
                "num_contributors": checklists,
                "num_species": 2,
                "listed_checklists": checklists,
                "is_capped": False,
                **values,
            },
        )

    def taxonomy(self) -> None:
        """A robin, a crow and a goose, with taxa of each kind that are of them or of no species."""
        for order, (code, category, report_as) in enumerate(
            (
                ("amerob", "species", None),
                ("amerob1", "issf", "amerob"),
                ("amerob2", "issf", "amerob"),
                ("amerob3", "intergrade", "amerob"),
                ("amecro", "species", None),
                ("amecro1", "form", "amecro"),
                ("cangoo", "species", None),
                ("cangoo1", "domestic", "cangoo"),
                ("x00776", "hybrid", None),
                ("amfcro", "slash", None),
                ("crow1", "spuh", None),
            )
        ):
            self.add(
                "taxa",
                taxonomy_version=2025.0,
                species_code=code,
                com_name=f"Name of {code}",
                sci_name=f"Nomen {code}",
                category=category,
                taxon_order=float(order),
                report_as=report_as,
            )

    def drop(self, table: str, **where: Any) -> None:
        """Delete rows whose values are equal to all of `where`."""
        self.tables[table] = [
            row
            for row in self.tables.get(table, [])
            if any(row[name] != value for name, value in where.items())
        ]

    def publish(self) -> snapshots.Snapshot:
        """Replace ingestion's working file with these rows and publish it."""
        with snapshots.writing(self.settings, "ingestion") as writer:
            writer.path.unlink(missing_ok=True)
            with duckdb.connect(str(writer.path)) as connection:
                connection.execute(f"CREATE SCHEMA {RAW}")
                for table in contract(RAW).tables.values():
                    create(connection, table, self.tables.get(table.name, []))
            return writer.publish(run_id="raw", contract_names=[RAW], source="sandbox")


def complete(table: Table, values: Row) -> Row:
    """A row with a plain value in each required column that is not given."""
    unknown = values.keys() - {column.name for column in table.columns}
    assert not unknown, f"{table.full_name} has no {unknown}"
    return {column.name: values.get(column.name, plain(column)) for column in table.columns}


def plain(column: Column) -> Any:
    if not column.required:
        return None
    return column.enum[0] if column.enum else PLAIN[column.type]


def create(connection: duckdb.DuckDBPyConnection, table: Table, rows: list[Row]) -> None:
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    connection.execute(f"CREATE TABLE {table.full_name} ({columns})")
    if rows:
        marks = ", ".join("?" for _ in table.columns)
        connection.executemany(
            f"INSERT INTO {table.full_name} VALUES ({marks})", [list(row.values()) for row in rows]
        )
