"""What a location's build is made from: its folder, the packages of ours that it needs, the lock.

Told by the lock itself, so no list of folders has to be kept. Whatever is not in here may change
without a new build of the location.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databox_workspace.git import git
from databox_workspace.locations import Location
from databox_workspace.watch import locked_packages

# the commands that make an environment from the rest
RECIPE = "deploy/environment.sh"
_TESTS = "tests"


class InputsError(Exception):
    """What a location is made from cannot be told."""


@dataclass(frozen=True)
class Inputs:
    """Folders and locked packages that decide what a location's environment holds.

    `folders` are relative to the project's root. `locked` has a line for each package of others:
    name, version and the hashes of what may be installed.
    """

    package: str
    folders: tuple[str, ...]
    locked: tuple[str, ...]


def inputs(location: Location, root: Path) -> Inputs:
    """What a location is made from, by the lock in `root`; development groups do not count.

    Raises `InputsError` if the lock does not know it.
    """
    package = location.package.replace("_", "-")
    entries = locked_packages((root / "uv.lock").read_text(encoding="utf-8"), location)
    ours = [entry for entry in entries if "editable" in entry["source"]]
    if package not in {entry["name"] for entry in ours}:
        msg = f"uv.lock has no package {package}: run `uv lock`"
        raise InputsError(msg)
    return Inputs(
        package,
        tuple(str(entry["source"]["editable"]) for entry in ours),
        tuple(_line(entry) for entry in entries if "editable" not in entry["source"]),
    )


def digest(made_from: Inputs, root: Path, *, python: str) -> str:
    """A short name for exactly this content; the same in every checkout of it."""
    found = hashlib.sha256(f"{made_from.package} python {python}\n".encode())
    found.update((root / RECIPE).read_bytes())
    for line in made_from.locked:
        found.update(f"{line}\n".encode())
    found.update(folders_digest(made_from.folders, root).encode())
    return found.hexdigest()[:12]


def folders_digest(folders: tuple[str, ...], root: Path) -> str:
    """A name for what git knows in these folders, or would, without their tests."""
    found = hashlib.sha256()
    for file in _files(folders, root):
        content = hashlib.sha256((root / file).read_bytes()).hexdigest()
        found.update(f"{file} {content}\n".encode())
    return found.hexdigest()[:12]


def uncommitted_files(made_from: Inputs, root: Path) -> list[str]:
    """What concerns the location and is not as the last commit has it, its tests included."""
    # a rename would be said as two paths of which only the first has a status before it
    status = ["status", "--porcelain", "-z", "--no-renames"]
    said = git(root, *status, "--", *made_from.folders, RECIPE, "uv.lock")
    return sorted(entry[3:] for entry in said.split("\0") if entry)


def revision(root: Path) -> str:
    """The commit that is checked out."""
    return git(root, "rev-parse", "HEAD").strip()


def _line(entry: Mapping[str, Any]) -> str:
    files = [*entry.get("wheels", []), *([entry["sdist"]] if "sdist" in entry else [])]
    hashes = sorted(str(file.get("hash", file.get("url", ""))) for file in files)
    return f"{entry['name']} {entry.get('version', '')} {' '.join(hashes)}"


def _files(folders: tuple[str, ...], root: Path) -> Iterator[str]:
    listed = git(root, "ls-files", "-z", "-co", "--exclude-standard", "--", *folders)
    for file in sorted(set(listed.split("\0")) - {""}):
        # tests decide whether a build may be deployed, not what is in it
        if _TESTS not in Path(file).parts[:2] and (root / file).is_file():
            yield file
