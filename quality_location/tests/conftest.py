"""A small world of birds, published as ingestion and transform publish theirs, from contracts."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from databox_shared.contracts import MARTS, RAW, STAGING, Column, Table, contract
from databox_shared.settings import Settings, load_settings
from databox_shared.snapshots import Snapshot, writing
from quality_location.definitions import definitions
from quality_location.release import Release, current_release

DAYS = (date(2020, 11, 20), date(2020, 11, 21))
PRIVATE_NAME, PRIVATE_PLACE = "12 Elm Street, Anna's garden", (38.91234, -77.04321)
OBSERVER = "Anna Private"
SPECIES = {"norcar": "Northern Cardinal", "amerob": "American Robin", "mallar3": "Mallard"}
_DEFAULTS: Mapping[str, Any] = {
    "VARCHAR": "x",
    "BOOLEAN": False,
    "BIGINT": 1,
    "DOUBLE": 1.0,
    "DATE": DAYS[0],
    "TIMESTAMP": datetime(2020, 11, 21, 6),  # noqa: DTZ001  the warehouse has no zones
}


class World:
    """The working files of ingestion and transform in a folder of a test's own.

    Three checklists a day: two at a hotspot, one in a private garden; three species on each.
    Change rows with `run_sql` before `publish`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.instance = dg.DagsterInstance.ephemeral()

    def build(self) -> None:
        """Write the working files."""
        for location, names in (("ingestion", [RAW]), ("transform", [STAGING, MARTS])):
            with writing(self.settings, location) as writer, duckdb.connect(str(writer.path)) as db:
                tables = [t for name in names for t in contract(name).tables.values()]
                for table in (t for t in tables if t.full_name not in VIEWS):
                    _create(db, table, location)
                    _insert(db, table, ROWS.get(table.full_name, lambda: [ANY_ROW])())
                for table in (t for t in tables if t.full_name in VIEWS):
                    _create_view(db, table, location, VIEWS[table.full_name])

    def run_sql(self, location: str, sql: str) -> None:
        """Change a working file. Stored tables are `stored.<schema>__<table>`."""
        with (
            writing(self.settings, location) as writer,
            duckdb.connect(str(writer.path)) as db,
        ):
            db.execute(sql)

    def publish(self) -> Snapshot:
        """Publish both locations, transform as built from that ingestion snapshot."""
        with writing(self.settings, "ingestion") as writer:
            raw = writer.publish(run_id="i", contract_names=[RAW], source="127.0.0.1:8765")
        with writing(self.settings, "transform") as writer:
            return writer.publish(
                run_id="t",
                contract_names=[STAGING, MARTS],
                source=raw.source,
                upstream={"ingestion": raw.id},
            )

    def check(self, **kwargs: Any) -> dg.ExecuteInProcessResult:
        """Run `data_quality_checks` as Dagster does."""
        job = definitions.resolve_job_def("data_quality_checks")
        return job.execute_in_process(instance=self.instance, **kwargs)

    @property
    def release(self) -> Release:
        release = current_release(self.settings)
        assert release, "nothing is released"
        return release

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the release, as a person would."""
        with duckdb.connect(str(self.settings.release_path), read_only=True) as db:
            return db.execute(sql).fetchall()


def failed_checks(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """Failed evaluations by `schema.table:check`, freshness apart: the world is of 2020."""
    return {
        f"{'.'.join(e.asset_key.path)}:{e.check_name}": e
        for e in result.get_asset_check_evaluations()
        if not e.passed and e.check_name not in {"fresh", "last_good_day"}
    }


def settings_in(folder: Path) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"duckdb:///{folder}/databox.duckdb")
        return load_settings()


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one good world, published."""
    folder = tmp_path_factory.mktemp("published")
    world = World(settings_in(folder))
    world.build()
    world.publish()
    return folder


@pytest.fixture(scope="session")
def released(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, and its release."""
    folder = tmp_path_factory.mktemp("released") / "data"
    shutil.copytree(published, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"duckdb:///{folder}/databox.duckdb")
        World(load_settings()).check()
    return folder


@pytest.fixture
def world(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A good world that is published and not yet released."""
    return _copy(published, tmp_path, monkeypatch)


@pytest.fixture
def released_world(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A good world that is released."""
    return _copy(released, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def released_module(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A good world that is released, shared by the tests of a module: one of them changes it."""
    with pytest.MonkeyPatch.context() as patch:
        yield _copy(released, tmp_path_factory.mktemp("module"), patch)


def _copy(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    folder = tmp_path / "data"
    shutil.copytree(source, folder, symlinks=True)
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{folder}/databox.duckdb")
    return World(load_settings())


def _create(db: duckdb.DuckDBPyConnection, table: Table, location: str) -> None:
    columns = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    stored = f"stored.{table.schema}__{table.name}"
    db.execute("CREATE SCHEMA IF NOT EXISTS stored")
    db.execute(f"CREATE SCHEMA IF NOT EXISTS {table.schema}")
    db.execute(f"CREATE TABLE {stored} ({columns})")
    # SQLMesh's views store the catalog's name
    db.execute(f"CREATE VIEW {table.full_name} AS SELECT * FROM {location}.{stored}")


def _create_view(db: duckdb.DuckDBPyConnection, table: Table, location: str, query: str) -> None:
    # in two steps, as SQLMesh does it
    stored = f"stored.{table.schema}__{table.name}"
    db.execute(f"CREATE VIEW {stored} AS {query}")
    db.execute(f"CREATE VIEW {table.full_name} AS SELECT * FROM {location}.{stored}")


def _insert(db: duckdb.DuckDBPyConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    values = [[row.get(c.name, _default(c)) for c in table.columns] for row in rows]
    marks = ", ".join("?" * len(table.columns))
    db.executemany(f"INSERT INTO stored.{table.schema}__{table.name} VALUES ({marks})", values)


def _default(column: Column) -> Any:
    if not column.required:
        return None
    return column.enum[0] if column.enum else _DEFAULTS[column.type]


def _checklists() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for d, day in enumerate(DAYS):
        for n in range(3):
            is_private = n == 2
            found.append(
                {
                    "region_code": "US-DC",
                    "sub_id": f"S{d}{n}",
                    "obs_date": day,
                    "loc_id": "L2" if is_private else "L1",
                    "loc_name": PRIVATE_NAME if is_private else "Rock Creek Park",
                    "latitude": PRIVATE_PLACE[0] if is_private else 38.95,
                    "longitude": PRIVATE_PLACE[1] if is_private else -77.05,
                    "is_hotspot": not is_private,
                    "user_display_name": OBSERVER if is_private else f"Observer {n}",
                    "num_species": len(SPECIES),
                    "is_complete": True,
                    "is_group_primary": True,
                    "protocol": "stationary",
                    "time_zone": "America/New_York",
                }
            )
    return found


def _observations() -> list[dict[str, Any]]:
    return [
        {
            "region_code": "US-DC",
            "obs_id": f"OBS{row['sub_id']}{code}",
            "sub_id": row["sub_id"],
            "obs_date": row["obs_date"],
            "species_code": code,
            "how_many": 2,
            "how_many_str": "2",
            "present": False,
        }
        for row in _checklists()
        for code in SPECIES
    ]


def _species_reports() -> list[dict[str, Any]]:
    return [
        {name: row[name] for name in ("region_code", "sub_id", "obs_date", "loc_id")}
        | {"species_code": code, "is_on_complete_list": True, "how_many": 2}
        for row in _checklists()
        for code in SPECIES
    ]


def _public_checklists() -> list[dict[str, Any]]:
    hidden = dict.fromkeys(("loc_id", "loc_name", "latitude", "longitude"))
    return [row if row["is_hotspot"] else row | hidden for row in _checklists()]


def _taxa() -> list[dict[str, Any]]:
    return [
        {
            "taxonomy_version": 2025.0,
            "species_code": code,
            "com_name": name,
            "sci_name": f"Avis {code}",
            "category": "species",
            "rollup_species_code": code,
        }
        for code, name in SPECIES.items()
    ]


def _sightings() -> list[dict[str, Any]]:
    return [
        {
            "region_code": "US-DC",
            "obs_id": "OBSS12norcar",
            "species_code": "norcar",
            "loc_name": PRIVATE_NAME,
            "lat": PRIVATE_PLACE[0],
            "lng": PRIVATE_PLACE[1],
            "location_private": True,
            "user_display_name": OBSERVER,
        }
    ]


def _stats(names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"region_code": "US-DC", "obs_date": day, "is_capped": False}
        | dict.fromkeys(names, 3)
        | {"completeness": 1.0}
        for day in DAYS
    ]


def _species_daily() -> list[dict[str, Any]]:
    reporting = {"complete_checklists": 3, "complete_checklists_reporting": 3}
    return [
        {
            "region_code": "US-DC",
            "species_code": code,
            "obs_date": day,
            "com_name": name,
            "checklists_reporting": 3,
            "birds_counted": 6,
            **reporting,
        }
        for day in DAYS
        for code, name in SPECIES.items()
    ]


# for tables that no check looks into from elsewhere
ANY_ROW = {"region_code": "US-DC", "species_code": "norcar", "obs_date": DAYS[0], "frequency": 0.5}


def _species_frequency() -> list[dict[str, Any]]:
    return [
        {"region_code": "US-DC", "species_code": code, "month": 11, "quarter": 3, "com_name": name}
        | {"complete_checklists": 6, "complete_checklists_reporting": 6}
        for code, name in SPECIES.items()
    ]


def _rarities() -> list[dict[str, Any]]:
    owl = _HOTSPOT | _AT | {"species_code": "snoowl1", "com_name": "Snowy Owl"}
    return [
        owl | {"obs_date": DAYS[0], "status": "unconfirmed"},
        owl | {"obs_date": DAYS[1], "status": "confirmed", "first_seen": DAYS[0]},
    ]


# only a region that is asked for has bounds
_BOUNDS = dict(zip(("min_x", "max_x", "min_y", "max_y"), (-77.2, -76.9, 38.7, 39.0), strict=True))
_REGION = {"region_code": "US-DC", "region_name": "District of Columbia"} | _BOUNDS
_HOTSPOT = {"region_code": "US-DC", "loc_id": "L1", "loc_name": "Rock Creek Park"}
_AT = {"lat": 38.95, "lng": -77.05, "latitude": 38.95, "longitude": -77.05}
_LOCATIONS = [
    _HOTSPOT | _AT | {"is_hotspot": True},
    {"loc_id": "L2", "is_hotspot": False},
]

ROWS = {
    "ebird_raw.checklists": _checklists,
    "ebird_raw.observations": _observations,
    "ebird_raw.region_stats": lambda: _stats(
        ["num_checklists", "num_contributors", "num_species", "listed_checklists"]
    ),
    "ebird_raw.recent_observations": _sightings,
    "ebird_raw.notable_observations": _sightings,
    "ebird_raw.historic_observations": _sightings,
    "ebird_raw.top100": lambda: [ANY_ROW | {"user_display_name": OBSERVER, "user_id": "USER1"}],
    "ebird_raw.hotspots": lambda: [_HOTSPOT | _AT],
    "ebird_raw.taxa": _taxa,
    "ebird_raw.regions": lambda: [_REGION],
    "ebird_staging.regions": lambda: [_REGION],
    "ebird_staging.checklists": _checklists,
    "ebird_staging.observations": _observations,
    "ebird_staging.species_reports": _species_reports,
    "ebird_staging.taxa": _taxa,
    "ebird_staging.locations": lambda: _LOCATIONS,
    "ebird_staging.location_history": lambda: _LOCATIONS,
    "ebird_staging.region_stats": lambda: _stats(
        ["stats_checklists", "stats_contributors", "stats_species"]
    ),
    "ebird.checklists": _public_checklists,
    "ebird.checklist_reports": _species_reports,
    "ebird.species_daily": _species_daily,
    "ebird.region_daily_totals": lambda: _stats(
        [
            "num_checklists",
            "complete_checklists",
            "num_contributors",
            "num_species",
            "stats_checklists",
        ]
    ),
    "ebird.species_frequency": _species_frequency,
    "ebird.rarity_alerts": _rarities,
    "ebird.review_history": lambda: [ANY_ROW | {"obs_date": day} for day in DAYS],
    "ebird.hotspot_ranking": lambda: [_HOTSPOT | _AT | {"ranking": 1, "last_visit": DAYS[1]}],
}

# views over other tables of their contract; like a model's, with an expression and a subquery
VIEWS = {
    "ebird.checklist_species": """
WITH species AS (SELECT * FROM transform.stored.ebird__species_daily WHERE birds_counted > 0)
SELECT
    region_code, species_code || obs_date AS sub_id, species_code, obs_date,
    true AS is_present, birds_counted AS how_many
FROM species AS s
WHERE obs_date IN (SELECT t.obs_date FROM transform.stored.ebird__region_daily_totals AS t)""",
}
