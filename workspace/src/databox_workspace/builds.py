"""Builds: what is deployed of a location, each an immutable folder named for what it was made from.

A build has its own virtual environment with that location's dependencies only, and a `build.json`
that says what it is. It is made beside its place and moved there with one rename, so a build that
was interrupted is never taken for one. It may be moved: no path of the checkout is in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from databox_workspace.inputs import (
    RECIPE,
    Inputs,
    digest,
    folders_digest,
    inputs,
    revision,
    uncommitted_files,
)
from databox_workspace.locations import Location

NOTE = "build.json"
_PART = ".part"
_SHARED = "shared"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

# asked of the new environment itself: only it knows what it has
_SAY_VERSIONS = """
import json, sys
from importlib.metadata import version
from databox_shared.contracts import contract, contract_names
from databox_shared.edges import EDGES

owners = {name: edge.upstream for edge in EDGES for name in edge.contracts}
reads = {
    name: owners[name]
    for edge in EDGES if edge.downstream == sys.argv[1]
    for name in (*edge.contracts, *edge.also_reads)
}
print(json.dumps({
    "dagster": version("dagster"),
    "databox_shared": version("databox-shared"),
    "contracts": {name: contract(name).version for name in contract_names()},
    "reads": reads,
}))
"""


class BuildError(Exception):
    """A build cannot be made; the message says why and what to do."""


@dataclass(frozen=True)
class Build:
    """What `build.json` says. `id` is the digest of the content, `folder` where it lies now.

    `revision` is the commit that it was first built from; `is_dirty` if files differed from it.
    `databox_shared` is its version and a digest of its content, `contracts` maps each contract in
    it to the version, and `reads` each contract that the location reads to who hands it over.
    """

    location: str
    id: str
    module: str
    revision: str
    is_dirty: bool
    built_at: str
    dagster: str
    databox_shared: str
    contracts: Mapping[str, str]
    reads: Mapping[str, str]
    folder: Path = field(default=Path(), compare=False)

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where its modules lie."""
        (found,) = (self.folder / "venv" / "lib").glob("python3.*/site-packages")
        return found

    @property
    def image(self) -> str:
        """The name that Dagster shows for the code, as a container's would be shown."""
        return f"{self.location}:{self.id}"

    @property
    def said(self) -> str:
        """The build as people name it."""
        return f"{self.location} {self.id} (revision {self.revision[:8]}" + (
            ", with changes that are in no commit)" if self.is_dirty else ")"
        )


def builds_folder(deploy_dir: Path, location: str) -> Path:
    """Where the builds of a location lie."""
    return deploy_dir / location / "builds"


def build(
    location: Location,
    *,
    root: Path,
    deploy_dir: Path,
    may_be_dirty: bool = False,
    say: Callable[[str], object] = lambda _: None,
) -> Build:
    """Make the build of a location as `root` has it now, or return it if it was made before.

    Raises `BuildError` for a tree with changes that are in no commit, unless `may_be_dirty`, and
    with what uv says if the environment cannot be made.
    """
    made_from = inputs(location, root)
    changed = uncommitted_files(made_from, root)
    if changed and not may_be_dirty:
        msg = (
            f"{location.name} cannot be built: what it is made from is in no commit "
            f"({', '.join(changed[:5])}{' …' if len(changed) > 5 else ''}); "  # noqa: PLR2004
            f"commit it, or ask for --dirty"
        )
        raise BuildError(msg)
    name = digest(made_from, root, python=_PYTHON)
    target = builds_folder(deploy_dir, location.name) / name
    if (target / NOTE).is_file():
        found = read_build(target)
        say(f"{found.said} was built before")
        return found
    part = target.with_name(f".{name}{_PART}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    say(f"Building {location.name} {name}")
    began = time.monotonic()
    try:
        made = _make(location, made_from, name, part, root=root, is_dirty=bool(changed))
        if digest(made_from, root, python=_PYTHON) != name:
            msg = f"files of {location.name} changed while it was built; build it again"
            raise BuildError(msg)
        # what is left of a build whose deletion was interrupted would be in the way
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    say(f"Built {made.said} in {time.monotonic() - began:.0f} s")
    return read_build(target)


def read_build(folder: Path) -> Build:
    """The build in a folder, which must be one.

    What a later version of this program says beside is left out. Raises `BuildError` if what is
    needed is not said.
    """
    said = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    names = {known.name for known in fields(Build)} - {"folder"}
    if missing := sorted(names - said.keys()):
        msg = f"{folder / NOTE} does not say {', '.join(missing)}: delete {folder} and deploy again"
        raise BuildError(msg)
    return Build(**{name: said[name] for name in names}, folder=folder)


def builds(deploy_dir: Path, location: str) -> dict[str, Build]:
    """Every complete build of a location, by id. Raises `BuildError`, see `read_build`."""
    folder = builds_folder(deploy_dir, location)
    found = [note.parent for note in sorted(folder.glob(f"*/{NOTE}"))]
    return {place.name: read_build(place) for place in found if _is_build(place)}


def prune(deploy_dir: Path, location: str, *, keep: Collection[str]) -> list[Build]:
    """Delete the builds of a location whose ids are not in `keep`, and return them.

    What interrupted commands left goes as well, so nobody may be building the location.
    """
    gone = [old for name, old in builds(deploy_dir, location).items() if name not in keep]
    for old in gone:
        # without its note it is no build any more, however much of it can be deleted
        (old.folder / NOTE).unlink()
        shutil.rmtree(old.folder)
    for left in builds_folder(deploy_dir, location).iterdir():
        if left.is_dir() and not _is_build(left):
            shutil.rmtree(left)
    return gone


def _is_build(folder: Path) -> bool:
    return (folder / NOTE).is_file() and folder.suffix != _PART


def _make(
    location: Location, made_from: Inputs, name: str, part: Path, *, root: Path, is_dirty: bool
) -> Build:
    environment = part / "venv"
    _run([str(root / RECIPE), made_from.package, str(environment), sys.executable], root)
    python = str(environment / "bin" / "python")
    versions = json.loads(_run([python, "-IBc", _SAY_VERSIONS, location.name], root))
    versions["databox_shared"] += f"+{folders_digest((_SHARED,), root)}"
    made = Build(
        location=location.name,
        id=name,
        module=location.module,
        revision=revision(root),
        is_dirty=is_dirty,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        **versions,
    )
    said = {key: value for key, value in asdict(made).items() if key != "folder"}
    (part / NOTE).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return made


def _run(command: list[str], root: Path) -> str:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{' '.join(command)} failed:\n{done.stderr.strip() or done.stdout.strip()}"
        raise BuildError(msg)
    return done.stdout
