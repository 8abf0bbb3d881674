"""The zone of a place: what the library says is what DuckDB understands."""

from __future__ import annotations

import duckdb
import pytest
from tzfpy import timezonenames

from transform_location.time_zones import time_zone_at
from transform_location.warehouse import load_project


def test_duckdb_knows_every_zone_that_a_place_can_have() -> None:
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT name FROM pg_timezone_names()").fetchall()
    assert set(timezonenames()) <= {name for (name,) in rows}


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone"),
    [
        (38.9, -77.0, "America/New_York"),
        (-54.8, -68.3, "America/Argentina/Ushuaia"),
        (50.45, 30.52, "Europe/Kyiv"),
        (-44.0, -176.5, "Pacific/Chatham"),
        (34.0, -70.0, "Etc/GMT+5"),
        (90.0, 0.0, "Etc/GMT"),
        (-90.0, 0.0, "Antarctica/McMurdo"),
        (0.0, 180.0, "Etc/GMT-12"),
        (0.0, -180.0, "Etc/GMT+12"),
    ],
)
def test_every_point_has_a_zone_also_at_sea_and_at_the_ends_of_the_earth(
    latitude: float, longitude: float, zone: str
) -> None:
    assert time_zone_at(latitude, longitude) == zone


def test_with_other_boundaries_the_models_that_ask_for_zones_are_changed_models_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or a deploy would note the new package as deployed and keep the old zones."""

    def versions() -> dict[str, str]:
        models = load_project().models.values()
        return {f"{model.schema_name}.{model.view_name}": model.data_hash for model in models}

    before = versions()
    monkeypatch.setattr("transform_location.time_zones.version", lambda _: "2099.1")
    after = versions()
    assert {name for name in after if after[name] != before[name]} == {
        "ebird_staging.checklists",
        "ebird_staging.locations",
    }
