from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import dagster as dg
import pytest

from databox_shared.settings import Settings, load_settings

from .raw_world import RawWorld
from .runs import failure, run

# PySpark is in the environment of `task test:spark` alone, which runs this test
collect_ignore = [] if find_spec("pyspark") else ["test_spark.py"]


@pytest.fixture
def bare_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An environment with nothing in it."""
    monkeypatch.setenv("DATABASE_URL", f"duckdb:///{tmp_path}/databox.duckdb")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return load_settings()


@pytest.fixture(scope="session")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a warehouse into which the models were deployed and nothing was evaluated."""
    home = tmp_path_factory.mktemp("deployed")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setenv("DATABASE_URL", f"duckdb:///{home}/databox.duckdb")
        settings = load_settings()
        RawWorld(settings).publish()
        result = run(instance, job="deploy_models")
        assert result.success, failure(result)
        return settings.hidden_dir / "transform"


@pytest.fixture
def settings(bare_settings: Settings, deployed: Path) -> Settings:
    """An environment with deployed models, which saves each test some seconds."""
    copy_of(deployed, bare_settings)
    return bare_settings


def copy_of(deployed: Path, settings: Settings) -> None:
    """Put the files of a deployed warehouse where these settings look for them."""
    target = settings.hidden_dir / "transform"
    target.mkdir(parents=True)
    for name in ("transform.duckdb", "sqlmesh_state.duckdb", "deployed.json"):
        shutil.copy(deployed / name, target)


@pytest.fixture
def world(settings: Settings) -> RawWorld:
    """Two days at one hotspot, with a complete and an incomplete checklist each."""
    return filled(RawWorld(settings))


def filled(world: RawWorld) -> RawWorld:
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
