"""Running a location's tests on a build: the files that are deployed are the files that are tested.

The test environment has the location's development group and nothing else of its own; the build's
packages are put on its path. A build that has passed is not tested again, unless what tests it
changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from databox_workspace.builds import Build, BuildError
from databox_workspace.inputs import folders_digest
from databox_workspace.locations import Location
from databox_workspace.watch import PARTS, TEST_GROUPS, locked_packages, shared_test_modules

_LAST_LINES = 25
# a test run must not find the deployment's home, data, keys and alerts
_OURS = ("DAGSTER_", "DATABASE_", "DEPLOY_DIR", "DLT_", "EBIRD_", "ALERT_")
_UV_OURS = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}


class TestsFailedError(Exception):
    """The location's tests do not pass on the build."""

    __test__ = False


def prove(
    location: Location, made: Build, *, root: Path, say: Callable[[str], object] = lambda _: None
) -> None:
    """Run the location's tests on a build. Raises `TestsFailedError` with the last lines said."""
    tests = root / location.folder / "tests"
    note = passed_note(made)
    digest = tests_digest(location, root)
    if note.is_file() and note.read_text(encoding="utf-8").strip() == digest:
        say(f"The tests passed on {made.id} before")
        return
    environment = made.folder.with_name(f".{made.id}.tests")
    log = made.folder.parent.parent / "tests.log"
    say(f"Running the tests of {made.location} on {made.id}; they are written to {log}")
    began = time.monotonic()
    try:
        python = _environment(location, made, environment, root)
        with log.open("wb") as words:
            done = subprocess.run(
                [
                    *(str(python), "-m", "pytest", str(tests), "-p", "no:cacheprovider"),
                    *("--numprocesses", "2", "--dist", "loadfile"),
                ],
                cwd=root,
                env=_variables(),
                stdout=words,
                stderr=subprocess.STDOUT,
                check=False,
            )
    finally:
        shutil.rmtree(environment, ignore_errors=True)
    if done.returncode:
        last = "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])
        msg = f"the tests of {made.location} do not pass on {made.id}:\n{last}"
        raise TestsFailedError(msg)
    note.write_text(digest + "\n", encoding="utf-8")
    say(f"The tests passed in {time.monotonic() - began:.0f} s")


def passed_note(made: Build) -> Path:
    """The file that says which tests a build has passed."""
    return made.folder.with_name(f"{made.id}.passed")


def tests_digest(location: Location, root: Path) -> str:
    """A name for all that decides whether a location's tests pass, but for the build itself.

    The tests, what they import beside the build, how pytest is set, and the packages that the lock
    has for them.
    """
    tests = root / location.folder / "tests"
    files = [root / "conftest.py"]
    files += (file for file in tests.rglob("*") if "__pycache__" not in file.parts)
    files += (root / path for path in shared_test_modules(root, location))
    found = hashlib.sha256()
    for file in sorted(files):
        if file.is_file():
            found.update(f"{file.relative_to(root)}\n".encode())
            found.update(hashlib.sha256(file.read_bytes()).digest())
    for name in ("pyproject.toml", "uv.lock"):
        part = PARTS[name]((root / name).read_text(encoding="utf-8"), location)
        found.update(json.dumps(part, sort_keys=True, default=str).encode())
    locked = locked_packages(
        (root / "uv.lock").read_text(encoding="utf-8"), location, groups=TEST_GROUPS
    )
    ours = [str(entry["source"]["editable"]) for entry in locked if "editable" in entry["source"]]
    found.update(folders_digest(tuple(ours), root).encode())
    return found.hexdigest()[:12]


def _environment(location: Location, made: Build, folder: Path, root: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    commands = [
        ["uv", "venv", "--quiet", "--no-project", "--python", sys.executable, str(folder)],
        [
            *("uv", "sync", "--quiet", "--frozen", "--no-editable", "--only-group", "dev"),
            *(
                "--package",
                location.package.replace("_", "-"),
                "--refresh-package",
                "ebird-sandbox",
            ),
        ],
    ]
    for command in commands:
        done = subprocess.run(
            command,
            cwd=root,
            env=_variables() | {"UV_PROJECT_ENVIRONMENT": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            msg = f"{' '.join(command)} failed:\n{done.stderr.strip()}"
            raise BuildError(msg)
    (site,) = (folder / "lib").glob("python3.*/site-packages")
    (site / "build_under_test.pth").write_text(f"{made.site_packages}\n", encoding="utf-8")
    return folder / "bin" / "python"


def _variables() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name not in _UV_OURS
    } | {"PYTHONDONTWRITEBYTECODE": "1"}
