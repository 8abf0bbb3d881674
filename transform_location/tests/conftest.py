from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from raw_world import RawWorld

from databox_shared.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{tmp_path}/databox.duckdb")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return load_settings()


@pytest.fixture
def world(settings: Settings) -> RawWorld:
    """Two days at one hotspot, seen by three observers."""
    world = RawWorld(settings)
    world.taxonomy()
    world.add("hotspots", region_code="US-DC", loc_id="L1", loc_name="National Mall")
    for day in ("2026-11-20", "2026-11-21"):
        world.stats(day, checklists=2)
        world.checklist(f"S1-{day}", day, {"amerob": "3", "amecro": "X"})
        world.checklist(f"S2-{day}", day, {"amerob": "2"}, all_obs_reported=False)
    return world


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance
