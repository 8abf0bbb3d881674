"""A fourth team: `location:new` on a copy of this project, whole or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from databox_shared.settings import project_root
from databox_workspace.locations import parse_locations
from databox_workspace.new_location import NewLocationError, new_location, refuse_name
from databox_workspace.staged import put_in_place

NAME = "weather"
# what is no part of a clean clone
# what other tests write meanwhile is not the project
LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv*", ".hypothesis", ".task", "data", ".databox", "__pycache__", ".*_cache")
)


def copy_of_the_project(folder: Path) -> Path:
    root = folder / "project"
    shutil.copytree(project_root(), root, ignore=LEFT_OUT)
    return root


def content(root: Path) -> dict[str, bytes]:
    files = ((file, file.relative_to(root)) for file in root.rglob("*") if file.is_file())
    return {
        str(name): file.read_bytes()
        for file, name in files
        if not LEFT_OUT(str(root), list(name.parts))
    }


class Project:
    """A copy with the new location; `run` runs a command in it as on a machine without network."""

    def __init__(self, folder: Path) -> None:
        self.root = copy_of_the_project(folder)
        self.said = ""
        home = folder / "home"
        home.mkdir()
        source = [str(package) for package in self.root.glob("*/src")]
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("UV_")
        } | {
            # nothing is cached that uv could look a package up in
            "HOME": str(home),
            "XDG_CACHE_HOME": str(home / "cache"),
            "UV_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join([*source, str(self.root / f"{NAME}_location" / "src")]),
            "DATABASE_URL": f"duckdb:///{folder}/data/databox.duckdb",
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )

    def python(self, *arguments: str) -> str:
        done = self.run(sys.executable, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("new"))
    said = made.python("-m", "databox_workspace", "location-new", NAME)
    assert f"The location {NAME} is there" in said
    made.said = said
    return made


@pytest.mark.slow
def test_it_loads_and_fits_to_the_others(project: Project) -> None:
    assert "The locations fit together." in project.python("-m", "databox_workspace", "check")


@pytest.mark.slow
def test_its_own_tests_pass_and_so_do_those_of_the_lists_and_contracts(project: Project) -> None:
    tests = [
        f"{NAME}_location/tests",
        "workspace/tests/test_locations.py",
        "shared/tests/test_contracts.py",
    ]
    said = project.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", *tests)
    assert "failed" not in said


@pytest.mark.slow
def test_it_is_linted_locked_and_tested_by_ci_without_further_ado(project: Project) -> None:
    project.python("-m", "ruff", "check")
    project.python("-m", "ruff", "format", "--check")
    done = project.run(str(Path(sys.executable).with_name("lint-imports")))
    assert done.returncode == 0, done.stdout
    project.python("-m", "databox_workspace", "contract-pages", "--check")
    page = (project.root / "docs" / "contracts" / "ebird.md").read_text()
    assert f"{NAME} (edge transform_to_{NAME})" in page
    locked = project.run(os.environ.get("UV", "uv"), "lock", "--check")
    assert locked.returncode == 0, locked.stderr
    selected = project.python("-m", "databox_workspace", "ci-changed", "--json")
    assert f'"{NAME}"' in selected


@pytest.mark.slow
def test_the_same_name_again_is_refused_and_changes_nothing(project: Project) -> None:
    before = content(project.root)
    done = project.run(sys.executable, "-m", "databox_workspace", "location-new", NAME)
    assert done.returncode == 1
    assert done.stderr == f"Error: there is a location {NAME} already: see workspace.yaml\n"
    assert content(project.root) == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Weather", "cannot be the name of a location"),
        ("2fast", "cannot be the name of a location"),
        ("../up", "cannot be the name of a location"),
        ("a-b", "cannot be the name of a location"),
        ("trailing_", "cannot be the name of a location"),
        ("a_name_of_many_letters", "cannot be the name of a location"),
        ("quality", "there is a location quality already"),
        ("shared", "there is a folder shared already"),
        ("ebird", "is taken by a contract"),
        ("class", "is taken by Python"),
        ("match", "is taken by Python"),
        ("select", "is taken by SQL"),
        ("view", "is taken by SQL"),
        ("memory", "is taken by SQL"),
        ("test", "is taken by SQL"),
        ("across", "is taken by a task"),
        ("rollback", "is taken by SQL"),
        ("up", "is taken by a task"),
    ],
)
def test_a_bad_or_taken_name_is_refused_with_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(NewLocationError, match=sentence):
        refuse_name(project_root(), name)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_project(tmp_path_factory.mktemp("untouched"))


@pytest.fixture(scope="module")
def ready(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project to which a location is about to be added: everything is ready, nothing in place."""
    root = tmp_path_factory.mktemp("ready") / "project"
    shutil.copytree(untouched, root)
    # one that was killed while it made things ready leaves its pieces
    (root / ".staged.part/files").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("databox_workspace.new_location.put_in_place", lambda *_: None)
        new_location(root, NAME, say=lambda _: None)
    return root


def killed_after(files: int) -> Callable[[str], None]:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if len(said) == files:
            raise KeyboardInterrupt

    return say


def test_whenever_it_is_killed_the_next_attempt_finishes_it(
    ready: Path, project: Project, tmp_path: Path
) -> None:
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    for files in (1, 5, 6):
        with pytest.raises(KeyboardInterrupt):
            put_in_place(tmp_path, killed_after(files))
        assert NAME not in {
            x.name for x in parse_locations((tmp_path / "workspace.yaml").read_text())
        }
    said: list[str] = []
    new_location(tmp_path, NAME, say=said.append)
    assert said[0] == f"An attempt to add the location {NAME} was interrupted: finishing it"
    assert said[-1] == "changed  workspace.yaml"
    assert content(tmp_path) == content(project.root)


def test_what_somebody_changed_after_an_interrupted_attempt_is_not_overwritten(
    ready: Path, tmp_path: Path
) -> None:
    shutil.copytree(ready, tmp_path, dirs_exist_ok=True)
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write("# mine\n")
    before = content(tmp_path)
    with pytest.raises(
        NewLocationError, match=r"pyproject\.toml was changed since.*delete \.staged"
    ):
        new_location(tmp_path, NAME, say=lambda _: None)
    assert content(tmp_path) == before


def test_only_files_that_change_are_said_to(project: Project) -> None:
    lines = project.said.splitlines()
    assert "changed  deploy/helm/dagster.yaml" in lines
    assert f"added  deploy/helm/{NAME}.yaml" in lines
    assert not [line for line in lines if "helm/quality.yaml" in line]


def test_a_lock_that_cannot_be_made_leaves_the_project_as_it_was(
    untouched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(untouched)
    for uv in (shutil.which("false") or "false", "/no/such/uv"):
        monkeypatch.setenv("UV", uv)
        with pytest.raises(NewLocationError, match=f"`{uv} lock --quiet`"):
            new_location(untouched, NAME, say=lambda _: None)
        assert content(untouched) == before


def test_a_project_whose_lists_were_rearranged_by_hand_is_not_touched(
    tmp_path: Path,
) -> None:
    root = copy_of_the_project(tmp_path)
    edges = root / "shared" / "src" / "databox_shared" / "edges.py"
    edges.write_text(edges.read_text().replace("EDGES = (\n", "EDGES = tuple(\n"))
    before = content(root)
    with pytest.raises(NewLocationError, match=r"edges\.py is not as it was made"):
        new_location(root, NAME, say=lambda _: None)
    assert content(root) == before
    assert NAME not in {x.name for x in parse_locations((root / "workspace.yaml").read_text())}
