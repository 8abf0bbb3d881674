"""`workspace.yaml` is the one list of locations; what cannot be made from it agrees with it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from databox_shared.contracts import contract, contract_names
from databox_shared.edges import EDGES
from databox_shared.settings import project_root
from databox_workspace.locations import locations

ROOT = project_root()
PACKAGES = {f"{location.name}_location" for location in locations()}
# members of the uv workspace that are no locations
OTHERS = {"databox_shared", "databox_workspace", "ebird_sandbox"}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_location_is_a_folder_with_a_package_of_its_name_and_the_reverse() -> None:
    assert {folder.name for folder in ROOT.glob("*_location")} == PACKAGES
    for location in locations():
        assert location.module == f"{location.name}_location.definitions"
        folder = ROOT / f"{location.name}_location"
        assert (folder / "src" / folder.name / "definitions.py").is_file()
        assert (folder / "tests").is_dir()
        assert (folder / "README.md").is_file()
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert project["name"] == folder.name.replace("_", "-")


def test_the_whole_project_installs_every_package(pyproject: dict[str, Any]) -> None:
    distributions = {name.replace("_", "-") for name in PACKAGES | OTHERS}
    assert set(pyproject["project"]["dependencies"]) == distributions
    assert set(pyproject["tool"]["uv"]["sources"]) == distributions


def test_the_import_rules_know_every_package(pyproject: dict[str, Any]) -> None:
    assert set(pyproject["tool"]["importlinter"]["root_packages"]) == PACKAGES | OTHERS


def test_the_task_runner_tests_every_location() -> None:
    task = Path(sys.executable).with_name("task")
    command = [str(task), "--color=false", "--dry", "test"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    tested = re.findall(r"^task: \[test:(\w+)\] uv sync", done.stdout + done.stderr, re.MULTILINE)
    assert tested == [location.name for location in locations()]


def test_edges_and_owners_of_contracts_are_locations() -> None:
    names = {location.name for location in locations()}
    for edge in EDGES:
        assert {edge.upstream, edge.downstream} <= names
    assert {contract(name).owner.removeprefix("team:") for name in contract_names()} <= names
