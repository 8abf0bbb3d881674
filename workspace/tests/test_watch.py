"""Which locations are tested for a change: every file of the project, by a hand-made list."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from databox_shared.settings import project_root
from databox_workspace import __main__ as commands
from databox_workspace.locations import locations
from databox_workspace.watch import (
    PARTS,
    Selection,
    copied_paths,
    select_all,
    selected,
    watched_folders,
)

ROOT = project_root()
ALL = {location.name for location in locations()}
ACROSS = "across"
TEXTS = {path: (ROOT / path).read_text() for path in PARTS}

# the first that fits; by hand, and not from what the code under test reads
EXPECTED: list[tuple[str, set[str]]] = [
    # what is tested is that their commands run and that they name every state
    (r"deploy/README\.md|docs/handoff\.md", {ACROSS}),
    (r".*\.md", set()),
    (r"docs/.*|benchmarks/.*|LICENSE|\.gitignore", set()),
    (r"(\w+)_location/tests/.*", {r"\1"}),
    (r"(\w+)_location/.*", {r"\1", ACROSS}),
    (r"shared/tests/.*|sandbox/tests/.*", {ACROSS}),
    (r"shared/.*", {*ALL, ACROSS}),
    # ingestion's tests speak to it
    (r"sandbox/.*", {"ingestion", ACROSS}),
    # quality's tests import them
    (r"tests/(receivers|drawings)\.py", {"quality", ACROSS}),
    (r"workspace/.*|tests/.*", {ACROSS}),
    (r"conftest\.py|\.ci/.*|\.github/.*|deploy/(Dockerfile|environment\.sh)", {*ALL, ACROSS}),
    # only the part of them that concerns a location does: see below
    (r"uv\.lock|pyproject\.toml|Taskfile\.yml|workspace\.yaml", {ACROSS}),
    (r"[^/]*\.yaml|\.env\.example|\.dockerignore|deploy/.*", {ACROSS}),
]


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this copy of the project has no git history")
    return done.stdout.split("\n")[:-1]


def names(selection: Selection, path: str) -> set[str]:
    found = {name for name, files in selection.locations.items() if path in files}
    return found | ({ACROSS} if path in selection.across else set())


def expected(path: str) -> set[str]:
    for pattern, wanted in EXPECTED:
        match = re.fullmatch(pattern, path)
        if match:
            return {match.expand(name) for name in wanted}
    pytest.fail(f"say what must be tested when {path} changes: nobody has")


def test_for_every_file_of_the_project_what_the_list_says_is_tested() -> None:
    files = tracked()
    selection = selected(ROOT, files, TEXTS, TEXTS)
    found = {path: names(selection, path) for path in files}
    assert found == {path: expected(path) for path in files}


def test_a_change_of_words_tests_nothing() -> None:
    selection = selected(ROOT, ["docs/contracts.md", "quality_location/README.md"], TEXTS, TEXTS)
    assert selection == Selection({name: [] for name in ALL}, [])
    assert selection.as_json() == '{"locations": [], "across": false}'


def bumped(package: str) -> str:
    """The lock with another version of a package."""
    pattern = rf'(name = "{package}"\nversion = ")[^"]+'
    text, count = re.subn(pattern, r"\g<1>99.0", TEXTS["uv.lock"])
    assert count, f"{package} is not in the lock"
    return text


@pytest.mark.parametrize(
    ("package", "concerned"),
    [
        ("dagster", ALL),
        # a dependency of a dependency
        ("alembic", ALL),
        ("pytest", ALL),
        ("dlt", {"ingestion"}),
        ("starlette", {"ingestion"}),
        ("sqlmesh", {"transform"}),
        ("sqlglot", {"ingestion", "transform"}),
        ("dagster-duckdb", {"quality"}),
        ("playwright", {"quality"}),
        ("ruff", set[str]()),
        ("check-jsonschema", set[str]()),
    ],
)
def test_a_locked_package_concerns_those_who_need_it(package: str, concerned: set[str]) -> None:
    now = TEXTS | {"uv.lock": bumped(package)}
    selection = selected(ROOT, ["uv.lock"], TEXTS, now)
    assert names(selection, "uv.lock") == {*concerned, ACROSS}


@pytest.mark.parametrize(
    ("path", "old", "new", "concerned"),
    [
        ("pyproject.toml", "line-length = 100", "line-length = 99", set[str]()),
        ("pyproject.toml", "timeout = 600", "timeout = 601", ALL),
        ("Taskfile.yml", "Delete all data", "Remove all data", set[str]()),
        ("Taskfile.yml", "--no-sync {{.PYTEST}}", "--no-sync pytest", ALL),
        ("workspace.yaml", "quality_location.definitions", "quality_location.other", {"quality"}),
    ],
)
def test_a_file_in_the_root_concerns_a_location_by_the_part_that_it_uses(
    path: str, old: str, new: str, concerned: set[str]
) -> None:
    assert old in TEXTS[path]
    now = TEXTS | {path: TEXTS[path].replace(old, new)}
    assert names(selected(ROOT, [path], TEXTS, now), path) == {*concerned, ACROSS}


def test_a_new_location_is_tested_without_being_named_anywhere_else() -> None:
    entry = "module_name: weather_location.definitions, location_name: weather"
    now = TEXTS | {"workspace.yaml": f"{TEXTS['workspace.yaml']}  - python_module: {{{entry}}}\n"}
    selection = selected(ROOT, ["workspace.yaml"], TEXTS, now)
    assert names(selection, "workspace.yaml") == {"weather", ACROSS}


def test_what_the_dockerfile_copies_is_watched_for_the_location_that_it_is_built_for() -> None:
    dockerfile = """
FROM python:3.11 AS build
COPY pyproject.toml uv.lock ./
COPY --chown=1000 shared/ \\
     ${LOCATION}_location/ /app/
RUN --mount=type=cache,target=/cache --mount=type=bind,source=deploy/environment.sh,target=/e sh /e
FROM python:3.11
COPY --from=build /app /app
"""
    assert copied_paths(dockerfile, "quality") == {
        *("pyproject.toml", "uv.lock", "shared", "quality_location", "deploy/environment.sh"),
    }


def test_what_tests_share_is_watched_by_whose_tests_import_it_directly_or_not(
    tmp_path: Path,
) -> None:
    for path, text in {
        "tests/receivers.py": "import answers",
        "tests/answers.py": "",
        "tests/plant.py": "import receivers",
        "quality_location/tests/test_it.py": "def test_it():\n    from receivers import Webhook",
        "ingestion_location/tests/test_it.py": "import deleted",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for path, text in TEXTS.items():
        (tmp_path / path).write_text(text)
    paths = [f"tests/{name}.py" for name in ("receivers", "answers", "plant", "deleted")]
    selection = selected(tmp_path, paths, TEXTS, TEXTS)
    assert {path: names(selection, path) - {ACROSS} for path in paths} == {
        "tests/receivers.py": {"quality"},
        "tests/answers.py": {"quality"},
        "tests/plant.py": set(),
        "tests/deleted.py": {"ingestion"},
    }


def test_where_the_base_is_not_known_everything_is_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "workspace.yaml").write_text(TEXTS["workspace.yaml"])
    monkeypatch.setattr(commands, "project_root", lambda: tmp_path)
    result = CliRunner().invoke(commands.main, ["ci-changed", "--json", "--against", "v9"])
    assert result.exit_code == 0
    assert result.stdout == f"{select_all(ROOT).as_json()}\n"
    assert "Everything is tested: this clone has no revision v9" in result.stderr


def test_the_selection_is_read_from_git_with_what_is_new_and_what_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    for path, text in TEXTS.items():
        (tmp_path / path).write_text(text)
    gone = tmp_path / "quality_location" / "src" / "checks.py"
    gone.parent.mkdir(parents=True)
    gone.write_text("")
    git("init", "--quiet", "--initial-branch", "main")
    git("add", "--all")
    git("commit", "--quiet", "--message", "As it was")
    monkeypatch.setattr(commands, "project_root", lambda: tmp_path)
    gone.unlink()
    result = CliRunner().invoke(commands.main, ["ci-changed", "--json"])
    assert result.stdout == '{"locations": ["quality"], "across": true}\n'
    new = tmp_path / "transform_location" / "tests" / "test_new.py"
    new.parent.mkdir(parents=True)
    new.write_text("")
    said = CliRunner().invoke(commands.main, ["ci-changed", "--against", "HEAD"]).stdout
    assert "transform    tested: transform_location/tests/test_new.py" in said
    assert "ingestion    not" in said


def test_the_workflow_is_valid_and_asks_the_same_command_for_its_matrix() -> None:
    file = ROOT / ".github" / "workflows" / "ci.yml"
    check = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
        str(file),
    ]
    subprocess.run(check, check=True, capture_output=True)
    workflow = yaml.safe_load(file.read_text())
    jobs = workflow["jobs"]
    steps = [str(step.get("run")) for job in jobs.values() for step in job["steps"]]
    assert any('ci:changed -- --against "$BASE" --json' in step for step in steps)
    assert jobs["location"]["strategy"]["matrix"]["location"] == (
        "${{ fromJSON(needs.changed.outputs.locations) }}"
    )
    # everything that can fail is asked for at the end
    assert set(jobs["passed"]["needs"]) == jobs.keys() - {"passed"}
    assert workflow["permissions"] == {"contents": "read"}
    # no word of a pull request is ever part of a command
    assert not any("${{" in step for step in steps)
    for location in locations():
        assert location.name not in file.read_text().replace("location", "")


def test_every_package_of_ours_that_a_location_needs_is_watched() -> None:
    found = {location.name: set(watched_folders(ROOT, location)) for location in locations()}
    assert {"ingestion_location", "shared", "sandbox"} <= found["ingestion"]
    assert {"transform_location", "shared"} <= found["transform"]
    assert "sandbox" not in found["transform"] | found["quality"]
