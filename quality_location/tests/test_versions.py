"""Data under a version of its contract that quality cannot read: no check, no release, no history.

And what the release says of its own version, to those who read it.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from databox_shared.contracts import MARTS, RAW, STAGING, ContractError, contract
from databox_shared.edges import RELEASED, TRANSFORM_TO_QUALITY
from quality_location.checks import SCHEMAS
from quality_location.release_file import released_tables

if TYPE_CHECKING:
    from .conftest import World


def _written(folder: Path) -> dict[str, bytes]:
    return {
        str(file): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.name != "writer.lock"
    }


def _say(world: "World", location: str, said: dict[str, str | None]) -> None:
    """Let the newest snapshot of a location say other versions; None for no version."""
    folder = world.settings.hidden_dir / location / "snapshots"
    newest = max(folder.glob("*.json"))
    manifest = json.loads(newest.read_text())
    versions = {**manifest["contracts"], **said}
    manifest["contracts"] = {name: version for name, version in versions.items() if version}
    newest.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("location", "name"), [("transform", STAGING), ("transform", MARTS), ("ingestion", RAW)]
)
@pytest.mark.parametrize("steps", [1, -1, None], ids=["newer", "older", "none"])
def test_data_that_cannot_be_read_is_neither_checked_nor_released(
    released_world: "World", location: str, name: str, steps: int | None
) -> None:
    world = released_world
    major = contract(name).major
    version = None if steps is None else f"{major + steps}.9.9"
    _say(world, location, {name: version})
    before = _written(world.settings.release_path.parent)

    with pytest.raises(ContractError, match="deploy the location that is behind") as error:
        world.check()

    assert f"under {f'version {version}' if version else 'no version'} of the contract {name}" in (
        str(error.value)
    )
    assert _written(world.settings.release_path.parent) == before
    assert world.release.manifest.contracts == {MARTS: contract(MARTS).version}


def test_another_minor_version_is_read(world: "World") -> None:
    _say(world, "transform", {MARTS: f"{contract(MARTS).major}.999.0"})
    assert world.check().success


def test_a_release_tells_its_readers_the_version_of_its_contract(released_world: "World") -> None:
    world, version = released_world, contract(MARTS).version
    assert world.query(f"SELECT value FROM about WHERE item = 'contract {MARTS}'") == [(version,)]
    assert json.loads((world.release.folder / "manifest.json").read_text())["contracts"] == {
        MARTS: version
    }


def test_the_contract_check_knows_all_that_quality_reads_and_releases() -> None:
    reads = (*TRANSFORM_TO_QUALITY.contracts, *TRANSFORM_TO_QUALITY.also_reads)
    assert set(reads) == set(SCHEMAS)
    assert {table.schema for table in released_tables()} == set(RELEASED)
