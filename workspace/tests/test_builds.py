"""Builds that interrupted commands left are no builds, and stand in nobody's way."""

import json
from pathlib import Path
from unittest import mock

import pytest

from databox_workspace import builds
from databox_workspace.locations import locations

QUALITY = next(location for location in locations() if location.name == "quality")
SAID = {
    "id": "abc",
    "revision": "0" * 40,
    "is_dirty": False,
    "built_at": "2026-11-24T00:00:00+00:00",
    "dagster": "1.13.27",
    "databox_shared": "1",
    "contracts": {},
    "reads": {},
}


def make(folder: Path, name: str) -> Path:
    place = folder / name
    (place / "venv").mkdir(parents=True)
    said = {**SAID, "location": "quality", "module": "quality_location.definitions"}
    (place / builds.NOTE).write_text(json.dumps(said))
    return place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return builds.builds_folder(tmp_path, "quality")


def test_a_build_that_was_killed_before_its_rename_is_none(folder: Path, tmp_path: Path) -> None:
    make(folder, ".abc.part")
    assert builds.builds(tmp_path, "quality") == {}


def test_what_killed_commands_left_is_deleted_with_the_old_builds(
    folder: Path, tmp_path: Path
) -> None:
    kept, part, half = make(folder, "kept"), make(folder, ".abc.part"), make(folder, "half")
    (half / builds.NOTE).unlink()
    (folder / ".abc.tests").mkdir()
    assert builds.prune(tmp_path, "quality", keep={"kept"}) == []
    assert list(folder.iterdir()) == [kept]
    assert not part.exists()


def test_content_whose_build_was_half_deleted_can_be_built_again(
    folder: Path, tmp_path: Path
) -> None:
    half = make(folder, "abc")
    (half / builds.NOTE).unlink()

    with (
        mock.patch.object(builds, "digest", return_value="abc"),
        mock.patch.object(builds, "uncommitted_files", return_value=[]),
        mock.patch.object(builds, "_make") as made,
    ):
        made.side_effect = lambda *_, **__: builds.read_build(make(folder, ".abc.part"))
        built = builds.build(QUALITY, root=Path(__file__).parents[2], deploy_dir=tmp_path)
    assert built.folder == half
    assert list(builds.builds(tmp_path, "quality")) == ["abc"]


def test_a_build_of_another_version_of_this_program_is_read_or_named(folder: Path) -> None:
    note = make(folder, "abc") / builds.NOTE
    said = json.loads(note.read_text())
    note.write_text(json.dumps({**said, "signed_by": "somebody"}))
    assert builds.read_build(note.parent).id == "abc"
    del said["reads"]
    note.write_text(json.dumps(said))
    with pytest.raises(builds.BuildError, match=r"abc/build\.json does not say reads: delete"):
        builds.read_build(note.parent)
