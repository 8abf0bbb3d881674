"""Builds for the tests of deploys: a copy of the project to build from, and cheap other builds."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from databox_shared.settings import project_root
from databox_workspace.builds import NOTE, Build, read_build
from databox_workspace.locations import Location, locations
from databox_workspace.proving import passed_note, tests_digest


def location(name: str) -> Location:
    """One entry of the list of locations."""
    return next(found for found in locations() if found.name == name)


def project_copy(folder: Path) -> Path:
    """The project as it lies here, committed or not, as the one commit of a new repository."""
    root = project_root()
    listed = git(root, "ls-files", "-z", "-co", "--exclude-standard")
    for name in sorted(set(listed.split("\0")) - {""}):
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    """Commit everything and return the revision."""
    git(folder, "add", "--all")
    git(
        folder,
        *("-c", "user.name=Tests", "-c", "user.email=tests@example.org"),
        *("commit", "--quiet", "--message", "The project"),
    )
    return git(folder, "rev-parse", "HEAD").strip()


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout


def variant(
    template: Build,
    where: Path,
    name: str,
    *,
    files: Mapping[str, str] | None = None,
    contracts: Mapping[str, str] | None = None,
    dagster: str | None = None,
) -> Build:
    """Another build, as a later revision would make it: hard links, but for the files given.

    `where` is the folder of the location's builds, `files` are relative to its site-packages.
    """
    folder = where / name
    if folder.exists():
        return read_build(folder)
    part = where / f".{name}.part"
    where.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "--archive", "--link", str(template.folder), str(part)], check=True)
    other = replace(
        template,
        id=name,
        revision=name.ljust(40, "0"),
        built_at=datetime.now(UTC).isoformat(),
        contracts={**template.contracts, **(contracts or {})},
        dagster=dagster or template.dagster,
        folder=part,
    )
    for file, text in (files or {}).items():
        target = other.site_packages / file
        target.unlink(missing_ok=True)
        target.write_text(text)
    said = {key: value for key, value in vars(other).items() if key != "folder"}
    (part / NOTE).unlink()
    (part / NOTE).write_text(json.dumps(said))
    part.rename(folder)
    return read_build(folder)


def count_as_tested(made: Build, root: Path) -> None:
    """Let a build pass for one whose tests have passed."""
    passed_note(made).write_text(tests_digest(location(made.location), root))


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def without_ours() -> dict[str, str]:
    """The environment without what chose this interpreter."""
    return {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}


def runbook() -> list[str]:
    """Every command in a block of the runbook, without its comment."""
    text = (project_root() / "deploy" / "README.md").read_text()
    text = text.replace("\\\n", "")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
