"""The manifest: what Dagster must know of the SQLMesh models, without importing SQLMesh.

`python -m transform_location.manifest` writes it from the project's files; `load_manifest` reads
it and writes it again, in a process of its own, when a model, a contract or SQLMesh has changed
since. Loading it costs milliseconds where a SQLMesh context costs seconds. It repeats nothing that
the contracts or the model's own file say. This module must not import SQLMesh.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import TypeAdapter

from databox_shared.contracts import MARTS, RAW, STAGING, contract

PROJECT = Path(__file__).parent / "project"
MANIFEST = Path(__file__).parent / "manifest.json"

# what decides the content beside the project's own files
DEPLOYED_CODE = (
    "contracted.py",
    "evaluation.py",
    "manifest.py",
    "manifest_build.py",
    "time_zones.py",
    "warehouse.py",
)
_NOT_DEPLOYED = ("tests", "__pycache__", ".cache")


class ManifestError(Exception):
    """The models and the contracts do not fit together, or the manifest cannot be written."""


@dataclass(frozen=True)
class Audit:
    """One audit of a model; a blocking one fails the run."""

    name: str
    blocking: bool
    description: str


@dataclass(frozen=True)
class ColumnSource:
    """A column that another is computed from."""

    schema: str
    table: str
    column: str


@dataclass(frozen=True)
class Model:
    """One model: the table of the same name in the contract of its schema.

    `file` is relative to the project, `deps` are `schema.table` of models and raw tables that it
    reads, `lineage` maps each column to the columns it is computed from, and `code_version`
    changes when its rows would be computed differently.
    """

    schema: str
    table: str
    file: str
    kind: str
    code_version: str
    deps: list[str]
    audits: list[Audit]
    lineage: dict[str, list[ColumnSource]]

    @property
    def full_name(self) -> str:
        """`schema.table`, as a query says it."""
        return f"{self.schema}.{self.table}"

    @property
    def sql(self) -> str:
        """The model's file as it is written."""
        return (PROJECT / self.file).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Manifest:
    """All models in topological order, under the fingerprint of the code that they came from."""

    fingerprint: str
    models: list[Model] = field(default_factory=list[Model])

    def model(self, full_name: str) -> Model:
        """The model `schema.table`."""
        return next(model for model in self.models if model.full_name == full_name)


def code_fingerprint() -> str:
    """A hash of everything that decides how the tables are computed: files, contracts, versions."""
    libraries = [f"{name} {version(name)}" for name in ("sqlmesh", "sqlglot", "tzfpy")]
    digest = hashlib.sha256(" ".join(libraries).encode())
    files = [
        file
        for file in sorted(PROJECT.rglob("*"))
        if file.is_file() and not set(file.relative_to(PROJECT).parts) & set(_NOT_DEPLOYED)
    ]
    for file in [*files, *(PROJECT.parent / name for name in DEPLOYED_CODE)]:
        digest.update(f"\n{file.relative_to(PROJECT.parent).as_posix()}\n".encode())
        digest.update(file.read_bytes())
    for schema in (RAW, STAGING, MARTS):
        for table in contract(schema).tables.values():
            digest.update(repr((table.full_name, table.key, table.day_column)).encode())
            # descriptions may change without a deploy; what is checked or typed may not
            for column in table.columns:
                bounds = (column.enum, column.minimum, column.maximum, column.required)
                digest.update(repr((column.name, column.type, bounds)).encode())
    return digest.hexdigest()[:16]


def load_manifest(path: Path = MANIFEST) -> Manifest:
    """The manifest of the code as it is now, rebuilt first if it is stale.

    Raises `ManifestError` with the sentence of what does not fit.
    """
    fingerprint = code_fingerprint()
    manifest = stored_manifest(path)
    if manifest is None or manifest.fingerprint != fingerprint:
        _rebuild(path)
        manifest = stored_manifest(path)
    if manifest is None or manifest.fingerprint != fingerprint:
        msg = f"{path} was rebuilt and is still not of the code beside it; a file changed meanwhile"
        raise ManifestError(msg)
    return manifest


@cache
def current_manifest() -> Manifest:
    """The manifest that this process was started with."""
    return load_manifest()


def write_manifest(manifest: Manifest, path: Path = MANIFEST) -> None:
    """Write by atomic rename, so that a code server that loads meanwhile reads a whole file."""
    temporary = path.with_suffix(f".{os.getpid()}.part")
    text = json.dumps(asdict(manifest), indent=1, ensure_ascii=False)
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def stored_manifest(path: Path = MANIFEST) -> Manifest | None:
    """The manifest as it was written, fresh or stale; None if there is none."""
    if not path.is_file():
        return None
    return TypeAdapter(Manifest).validate_json(path.read_bytes())


def _rebuild(path: Path) -> None:
    # in a process of its own: SQLMesh would stay in the memory of the code server
    command = [sys.executable, "-m", "transform_location.manifest", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ManifestError(done.stderr.strip() or f"{' '.join(command)} failed")


def main(arguments: list[str]) -> int:
    """Build the manifest and write it; print the sentences of what does not fit."""
    from transform_location.manifest import ManifestError  # this may be running as __main__
    from transform_location.manifest_build import build_manifest

    path = Path(arguments[0]) if arguments else MANIFEST
    try:
        write_manifest(build_manifest(), path)
    except (ManifestError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
