"""`task deploy:build`: what a build holds, when it is the same one, what is never taken for one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployed import commit, git, location, project_copy, without_ours
from plant import environment

from databox_shared.contracts import contract_names
from databox_shared.settings import project_root
from databox_workspace.builds import Build, BuildError, build, builds, prune
from databox_workspace.inputs import RECIPE, digest, inputs, revision
from databox_workspace.proving import TestsFailedError, prove
from databox_workspace.watch import copied_paths

pytestmark = pytest.mark.slow

QUALITY = location("quality")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_copy(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def deploy_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def made(project: Path, deploy_dir: Path) -> Build:
    return build(QUALITY, root=project, deploy_dir=deploy_dir)


@pytest.fixture
def edited(project: Path) -> Iterator[Path]:
    """The project, put back after a test has changed it."""
    first = revision(project)
    yield project
    git(project, "reset", "--quiet", "--hard", first)
    git(project, "clean", "--quiet", "-fd")


def installed(made: Build) -> set[str]:
    return {
        folder.name.partition("-")[0].lower() for folder in made.site_packages.glob("*.dist-info")
    }


def test_it_has_the_dependencies_of_its_location_and_no_others(made: Build) -> None:
    found = installed(made)
    assert {"quality_location", "databox_shared", "dagster", "dagster_duckdb"} <= found
    others = {"dlt", "sqlmesh", "ingestion_location", "transform_location", "ebird_sandbox"}
    assert not found & {*others, "pytest", "databox_workspace", "dagster_webserver"}


def test_it_says_what_it_is(made: Build, project: Path) -> None:
    assert made.id == digest(inputs(QUALITY, project), project, python=python_version())
    assert made.revision == revision(project)
    assert not made.is_dirty
    assert made.contracts.keys() == set(contract_names())
    assert made.reads["ebird_raw"] == "ingestion"


def python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def test_no_path_of_the_checkout_or_of_its_own_place_is_in_it(
    made: Build, project: Path, deploy_dir: Path
) -> None:
    paths = [str(path).encode() for path in (project, deploy_dir, project_root())]
    holders = [
        file
        for file in made.folder.rglob("*")
        if file.is_file() and not file.is_symlink() and any(p in file.read_bytes() for p in paths)
    ]
    assert not holders


def test_it_runs_where_it_is_moved_to_and_writes_nothing_there(made: Build, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    subprocess.run(["cp", "--archive", "--link", str(made.folder), str(moved)], check=True)
    before = listing(moved)
    code = "from quality_location import definitions as d; print(d.__file__, d.definitions)"
    done = subprocess.run(
        [str(moved / "venv/bin/python"), "-P", "-c", code],
        cwd=tmp_path,
        env=without_ours(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(moved) in done.stdout
    script = [str(moved / "venv/bin/dagster"), "--version"]
    assert "dagster" in subprocess.run(script, check=True, capture_output=True, text=True).stdout
    assert listing(moved) == before


def listing(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.lstat().st_mtime_ns for file in folder.rglob("*")}


def test_the_same_content_is_built_once_whatever_the_revision(
    made: Build, edited: Path, deploy_dir: Path
) -> None:
    (edited / "transform_location/src/transform_location/extra.py").write_text("X = 1\n")
    (edited / "quality_location/tests/test_more.py").write_text("def test_more() -> None: ...\n")
    commit(edited)
    again = build(QUALITY, root=edited, deploy_dir=deploy_dir)
    assert again == made
    assert list(builds(deploy_dir, "quality")) == [made.id]


def test_a_changed_module_of_shared_is_in_the_next_build_though_uv_keeps_wheels(
    made: Build, edited: Path, deploy_dir: Path
) -> None:
    module = edited / "shared/src/databox_shared/days.py"
    module.write_text(module.read_text() + "\nONLY_IN_THE_NEXT_BUILD = True\n")
    with pytest.raises(BuildError, match=r"shared/src/databox_shared/days\.py.*--dirty"):
        build(QUALITY, root=edited, deploy_dir=deploy_dir)
    other = build(QUALITY, root=edited, deploy_dir=deploy_dir, may_be_dirty=True)
    assert other.id != made.id
    assert other.is_dirty
    assert other.databox_shared != made.databox_shared
    text = (other.site_packages / "databox_shared/days.py").read_text()
    assert "ONLY_IN_THE_NEXT_BUILD" in text
    assert (
        "ONLY_IN_THE_NEXT_BUILD" not in (made.site_packages / "databox_shared/days.py").read_text()
    )
    assert prune(deploy_dir, "quality", keep={made.id}) == [other]
    assert not other.folder.exists()


def test_a_build_that_is_killed_is_not_taken_for_one_and_does_not_stop_the_next(
    project: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from databox_workspace.builds import build; "
        "from databox_workspace.locations import locations; "
        "build(locations()[-1], root=Path(sys.argv[1]), deploy_dir=Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(project), str(tmp_path)]
    with subprocess.Popen(command, start_new_session=True) as process:
        parts = tmp_path / "quality" / "builds"
        while not list(parts.glob(".*.part/venv/lib/python3.*/site-packages/*")):
            assert process.poll() is None, "it was done before it could be killed"
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
    assert builds(tmp_path, "quality") == {}
    made = build(QUALITY, root=project, deploy_dir=tmp_path)
    assert "dagster_duckdb" in installed(made)
    assert not list(parts.glob(".*"))


def test_the_tests_run_on_the_files_of_the_build_and_stop_a_deploy_that_fails_them(
    made: Build, edited: Path
) -> None:
    tests = edited / "quality_location" / "tests"
    shutil.rmtree(tests)
    tests.mkdir()
    said = (
        "import quality_location\n\n"
        "def test_place() -> None:\n"
        f"    assert {str(made.folder)!r} in quality_location.__file__\n"
    )
    (tests / "test_place.py").write_text(said)
    with environment(DAGSTER_HOME="/nowhere"):
        prove(QUALITY, made, root=edited)
    lines: list[str] = []
    prove(QUALITY, made, root=edited, say=lines.append)
    assert lines == [f"The tests passed on {made.id} before"]
    (tests / "test_place.py").write_text(said + "    assert 1 == 2\n")
    with pytest.raises(TestsFailedError, match="assert 1 == 2"):
        prove(QUALITY, made, root=edited)
    assert not list(made.folder.parent.glob(".*")), "a test environment was left behind"


@pytest.mark.parametrize(
    ("dockerfile", "name", "package"),
    [
        ("deploy/Dockerfile", "quality", "quality-location"),
        ("deploy/host.Dockerfile", "", "databox-workspace"),
    ],
)
def test_the_container_image_is_made_by_the_same_commands_from_what_is_copied(
    project: Path, tmp_path: Path, dockerfile: str, name: str, package: str
) -> None:
    text = (project / dockerfile).read_text()
    for path in copied_paths(text, name):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (project / path).is_dir():
            shutil.copytree(project / path, target)
        else:
            shutil.copy2(project / path, target)
    run = re.search(rf"^RUN ({re.escape(RECIPE)} .*)$", text, re.MULTILINE)
    assert run
    command = run[1].replace("${LOCATION}", name).replace("/app/", f"{tmp_path}/app/")
    assert f" {package} " in command
    subprocess.run(command.split(), cwd=tmp_path, check=True, env=without_ours())
    assert (tmp_path / "app/venv/bin/dagster").is_file()
