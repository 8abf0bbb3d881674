"""Raw data under a version of the contract that this location cannot read: refused, unwritten."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from databox_shared.contracts import RAW, contract
from databox_shared.settings import Settings

from .raw_world import RawWorld
from .runs import failure, run

MAJOR = contract(RAW).major


def written(folder: Path) -> dict[str, bytes]:
    return {
        str(file): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "writer.lock"
    }


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({RAW: f"{MAJOR + 1}.0.0"}, f"handed over under version {MAJOR + 1}.0.0"),
        ({RAW: f"{MAJOR - 1}.9.0"}, f"handed over under version {MAJOR - 1}.9.0"),
        ({f"{RAW}_v2": "2.0.0"}, f"which holds {RAW}_v2 2.0.0, was handed over under no version"),
        ({}, "which holds no contract, was handed over under no version"),
    ],
    ids=["newer", "older", "another contract", "none"],
)
def test_raw_data_that_cannot_be_read_fails_the_run_before_anything_is_written(
    settings: Settings,
    world: RawWorld,
    instance: dg.DagsterInstance,
    said: dict[str, str],
    sentence: str,
) -> None:
    manifest = world.publish().path.with_suffix(".json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"contracts": said}))
    before = written(settings.hidden_dir / "transform")

    result = run(instance)

    assert not result.success
    assert sentence in failure(result)
    assert f"this location reads version {MAJOR}.x; deploy the location that is behind" in (
        failure(result)
    )
    assert written(settings.hidden_dir / "transform") == before
    assert not result.get_asset_materialization_events()


def test_raw_data_under_another_minor_version_is_read(
    world: RawWorld, instance: dg.DagsterInstance
) -> None:
    manifest = world.publish().path.with_suffix(".json")
    said = {"contracts": {RAW: f"{MAJOR}.999.0"}}
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | said))
    result = run(instance)
    assert result.success, failure(result)
