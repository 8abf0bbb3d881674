"""What a location is made from: its own folder, the packages of ours that it needs, and the lock.

Told by the lock itself, so no list of folders has to be kept. Whatever is not in here may change
without a new build of the location.
"""

from __future__ import annotations

import hashlib
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from databox_workspace.locations import Location

# the commands that make an environment from the rest
RECIPE = "deploy/environment.sh"
_TESTS = "tests"


class InputsError(Exception):
    """What a location is made from cannot be told."""


@dataclass(frozen=True)
class Inputs:
    """Folders and locked packages that decide what a location's environment holds.

    `folders` are relative to the project's root, the location's own first. `locked` has a line for
    each package of others: name, version and the hashes of what may be installed.
    """

    package: str
    folders: tuple[str, ...]
    locked: tuple[str, ...]


def package_of(location: Location) -> str:
    """The name under which a location is installed: `quality-location`."""
    return location.module.partition(".")[0].replace("_", "-")


def inputs(package: str, root: Path) -> Inputs:
    """What `package` is made from, by the lock in `root`. Development groups do not count.

    Raises `InputsError` if the lock does not know the package.
    """
    lock = tomllib.loads((root / "uv.lock").read_text(encoding="utf-8"))
    # a name can be there more than once, for other platforms
    entries: dict[str, list[Mapping[str, Any]]] = {}
    for entry in cast("list[Mapping[str, Any]]", lock["package"]):
        entries.setdefault(str(entry["name"]), []).append(entry)
    if package not in entries:
        msg = f"uv.lock has no package {package}: run `uv lock`"
        raise InputsError(msg)
    needed = _closure(package, entries)
    folders = [
        str(entry["source"]["editable"])
        for name in needed
        for entry in entries[name]
        if "editable" in entry["source"]
    ]
    locked = [
        _line(entry)
        for name in sorted(needed)
        for entry in entries[name]
        if "editable" not in entry["source"]
    ]
    return Inputs(package, tuple(folders), tuple(locked))


def digest(made_from: Inputs, root: Path, *, python: str) -> str:
    """A short name for exactly this content; the same in every checkout of it."""
    found = hashlib.sha256(f"{made_from.package} python {python}\n".encode())
    found.update((root / RECIPE).read_bytes())
    for line in made_from.locked:
        found.update(f"{line}\n".encode())
    for file in _files(made_from.folders, root):
        content = hashlib.sha256((root / file).read_bytes()).hexdigest()
        found.update(f"{file} {content}\n".encode())
    return found.hexdigest()[:12]


def changed_files(made_from: Inputs, root: Path) -> list[str]:
    """What concerns the location and is not as the last commit has it."""
    said = _git(root, "status", "--porcelain", "-z", "--", *made_from.folders, RECIPE, "uv.lock")
    return sorted(entry[3:] for entry in said.split("\0") if entry)


def revision(root: Path) -> str:
    """The commit that is checked out."""
    return _git(root, "rev-parse", "HEAD").strip()


def _closure(package: str, entries: Mapping[str, list[Mapping[str, Any]]]) -> dict[str, None]:
    """The package and all that it needs, in the order in which they are met."""
    found: dict[str, None] = {}
    waiting = [(package, ())]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        found[name] = None
        for entry in entries[name]:
            needs = list(entry.get("dependencies", []))
            for extra in extras:
                needs += entry.get("optional-dependencies", {}).get(extra, [])
            waiting += [(need["name"], tuple(need.get("extra", ()))) for need in needs]
    return found


def _line(entry: Mapping[str, Any]) -> str:
    files = [*entry.get("wheels", []), *([entry["sdist"]] if "sdist" in entry else [])]
    hashes = sorted(str(file.get("hash", file.get("url", ""))) for file in files)
    return f"{entry['name']} {entry.get('version', '')} {' '.join(hashes)}"


def _files(folders: tuple[str, ...], root: Path) -> Iterator[str]:
    listed = _git(root, "ls-files", "-z", "-co", "--exclude-standard", "--", *folders)
    for file in sorted(set(listed.split("\0")) - {""}):
        # tests decide whether a build may be deployed, not what is in it
        if _TESTS not in Path(file).parts[:2] and (root / file).is_file():
            yield file


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"`{' '.join(command)}` failed: {done.stderr.strip()}"
        raise InputsError(msg)
    return done.stdout
