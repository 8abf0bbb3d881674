"""What a build has passed is tests as they were: whatever decides them makes them others."""

import shutil
from pathlib import Path

import pytest
from deployed import git, location

from databox_shared.settings import project_root
from databox_workspace import proving


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("uv.lock", "pyproject.toml", "conftest.py", "README.md"):
        shutil.copy(project_root() / name, tmp_path / name)
    for name in (
        "ingestion_location/tests/test_it.py",
        "sandbox/src/world.py",
        "tests/receivers.py",
        "tests/test_chain.py",
        "tests/plant.py",
        "quality_location/tests/test_it.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# it")
    (tmp_path / "ingestion_location/tests/test_it.py").write_text("from receivers import it")
    git(tmp_path, "init", "--quiet")
    return tmp_path


def is_tested_again(root: Path, file: str, old: str, new: str) -> bool:
    before = proving.tests_digest(location("ingestion"), root)
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))
    return proving.tests_digest(location("ingestion"), root) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("ingestion_location/tests/test_it.py", "it", "that"),
        ("conftest.py", "import importlib", "import importlib  # it"),
        ("pyproject.toml", "timeout = 600", "timeout = 6"),
        ("uv.lock", 'name = "pytest"\nversion = "', 'name = "pytest"\nversion = "1'),
        ("sandbox/src/world.py", "it", "that"),
        ("tests/receivers.py", "it", "that"),
    ],
)
def test_a_build_is_tested_again_when_what_tests_it_changes(
    root: Path, file: str, old: str, new: str
) -> None:
    assert is_tested_again(root, file, old, new)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("README.md", "Databox", "Box"),
        ("pyproject.toml", "line-length = 100", "line-length = 90"),
        ("quality_location/tests/test_it.py", "it", "that"),
        ("tests/test_chain.py", "it", "that"),
        ("tests/plant.py", "it", "that"),
    ],
)
def test_a_build_is_not_tested_again_for_what_does_not_concern_it(
    root: Path, file: str, old: str, new: str
) -> None:
    assert not is_tested_again(root, file, old, new)
