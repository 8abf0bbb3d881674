"""What each location's tests depend on, and so which locations must be tested for a change.

Everything is told by what is really read: the location's folder, the packages of this repository
that the lock says it needs (for its tests as well), what the Dockerfile copies, and of files in the
root only the part that concerns the location. Words are nobody's input, unless a test reads them.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, cast

import yaml

from databox_workspace.locations import Location, parse_locations
from databox_workspace.revisions import changed_files, text_at

DOCKERFILE = "deploy/Dockerfile"
# files that say how every location is tested
_HOW = (".ci/run", ".github/workflows/ci.yml", DOCKERFILE, "conftest.py")
TEST_GROUPS = ("dev",)
# what no test reads, but for the pages whose commands and states are tested
_WORDS = re.compile(
    r"(?!deploy/README\.md|docs/handoff\.md)"
    r"(docs/.*|.*\.md|LICENSE|(.*/)?\.gitignore|benchmarks/.*)"
)
_IMPORTED = re.compile(r"^ *(?:from|import) (\w+)", re.MULTILINE)
_OWN_TESTS = re.compile(r"[^/]+_location/tests/.*")


@dataclass(frozen=True)
class Selection:
    """What must be tested, and why.

    `locations` maps each location to the changed files that concern it, `across` has those that
    concern the tests of what crosses locations. Without any there is nothing to test.
    """

    locations: Mapping[str, Sequence[str]]
    across: Sequence[str]

    def as_json(self) -> str:
        """One line for a CI job: the names to test, and whether what crosses them is tested."""
        names = [name for name, files in self.locations.items() if files]
        return json.dumps({"locations": names, "across": bool(self.across)})


def select(root: Path, commit: str) -> Selection:
    """What must be tested for the working tree, that was tested at `commit`."""
    now = {path: file.read_text() if (file := root / path).is_file() else None for path in PARTS}
    before = {path: text_at(root, commit, path) for path in PARTS}
    return selected(root, changed_files(root, commit), before, now)


def select_all(root: Path) -> Selection:
    """Everything: for when nobody knows what changed."""
    listed = parse_locations((root / "workspace.yaml").read_text())
    everything = ["(everything)"]
    return Selection({location.name: everything for location in listed}, everything)


def selected(
    root: Path,
    changed: Sequence[str],
    before: Mapping[str, str | None],
    now: Mapping[str, str | None],
) -> Selection:
    """The selection for changed paths; `before` and `now` are the texts of the files of `PARTS`."""
    relevant = [path for path in changed if not _WORDS.fullmatch(path)]
    found: dict[str, list[str]] = {}
    for location in parse_locations(now["workspace.yaml"] or ""):
        folders = watched_folders(root, location)
        found[location.name] = [
            path
            for path in relevant
            if path in _HOW
            or any(_is_within(path, folder, location) for folder in folders)
            or (path in PARTS and _part(path, before, location) != _part(path, now, location))
        ]
    return Selection(found, [path for path in relevant if not _OWN_TESTS.fullmatch(path)])


def watched_folders(root: Path, location: Location) -> list[str]:
    """Files and folders, relative to the root, whose change changes the location or its tests."""
    locked = locked_packages((root / "uv.lock").read_text(), location, groups=TEST_GROUPS)
    folders = {entry["source"]["editable"] for entry in locked if "editable" in entry["source"]}
    dockerfile = root / DOCKERFILE
    copied = copied_paths(dockerfile.read_text(), location.name) if dockerfile.is_file() else set()
    return sorted(folders | (copied - PARTS.keys()) | shared_test_modules(root, location))


def shared_test_modules(root: Path, location: Location) -> set[str]:
    """The modules beside the tests of the whole that a location's tests import, or theirs do.

    Every name that is imported counts, whether it is there or not: one may have been deleted.
    """
    waiting = sorted((root / location.folder / "tests").rglob("*.py"))
    found: set[str] = set()
    while waiting:
        for name in _IMPORTED.findall(waiting.pop().read_text(encoding="utf-8")):
            path = f"tests/{name}.py"
            if path not in found:
                found.add(path)
                waiting += [root / path] if (root / path).is_file() else []
    return found


def copied_paths(dockerfile: str, name: str) -> set[str]:
    """What a Dockerfile takes from the project for one location, the build argument LOCATION."""
    text = re.sub(r"\\\n", " ", dockerfile)
    text = re.sub(r"\$\{?LOCATION\}?", name, text)
    found: set[str] = set()
    for line in text.splitlines():
        found.update(re.findall(r"--mount=type=bind,(?:\S*,)?source=([^,\s]+)", line))
        copy = re.match(r"\s*(?:COPY|ADD)\s+((?:--\S+\s+)*)(.+)", line, re.IGNORECASE)
        if copy and "--from" not in copy[1]:
            *sources, _ = copy[2].split()
            found.update(sources)
    return {str(PurePosixPath(path)) for path in found}


def _is_within(path: str, folder: str, location: Location) -> bool:
    if folder not in (".", path) and not path.startswith(f"{folder}/"):
        return False
    # another package's tests are not run with this location's
    return folder == location.folder or not path.startswith(f"{folder}/tests/")


def _part(path: str, texts: Mapping[str, str | None], location: Location) -> Any:
    text = texts[path]
    return None if text is None else PARTS[path](text, location)


def locked_packages(
    text: str, location: Location, *, groups: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The lock's entries of a location and of all that it needs; of `groups` of its own as well."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for entry in cast("list[dict[str, Any]]", _toml(text)["package"]):
        # a package may be there once for each platform
        packages.setdefault(entry["name"], []).append(entry)
    own = location.package.replace("_", "-")
    waiting = [(own, extra) for extra in ("", *groups)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or name not in packages:
            continue
        seen.add((name, extra))
        for need in _needs(packages[name], extra, groups=name == own):
            waiting += [(need["name"], more) for more in ("", *need.get("extra", ()))]
    return [entry for name in sorted({name for name, _ in seen}) for entry in packages[name]]


def _needs(entries: Sequence[dict[str, Any]], extra: str, *, groups: bool) -> Iterator[Any]:
    for entry in entries:
        yield from entry.get("dependencies", ())
        yield from entry.get("optional-dependencies", {}).get(extra, ())
        if groups:
            yield from entry.get("dev-dependencies", {}).get(extra, ())


@cache
def _toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _lock_part(text: str, location: Location) -> Any:
    lock = _toml(text)
    return (
        lock.get("requires-python"),
        lock.get("options"),
        locked_packages(text, location, groups=TEST_GROUPS),
    )


def _pyproject_part(text: str, _location: Location) -> Any:
    document = _toml(text)
    # what uv reads in it is in the lock; the other tools are asked by the lint job
    return document["project"]["requires-python"], document["tool"]["pytest"]


def _taskfile_part(text: str, _location: Location) -> Any:
    document = yaml.safe_load(text)
    return document.get("vars"), document.get("dotenv"), document["tasks"].get("test:*")


def _workspace_part(text: str, location: Location) -> Any:
    return [listed for listed in parse_locations(text) if listed.name == location.name]


PARTS = {
    "uv.lock": _lock_part,
    "pyproject.toml": _pyproject_part,
    "Taskfile.yml": _taskfile_part,
    "workspace.yaml": _workspace_part,
}
"""Files of which a part concerns a location: path → (text, location) → that part, comparable."""
