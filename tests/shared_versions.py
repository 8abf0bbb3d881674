"""Versions of `databox_shared` with other contracts, as they are installed at other locations."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

PACKAGE = Path(str(resources.files("databox_shared")))


def contract_text(name: str) -> str:
    """Today's contract as it is written."""
    return (PACKAGE / "contracts" / f"{name}.odcs.yaml").read_text(encoding="utf-8")


def shared_version(path: Path, contracts: Mapping[str, str | None]) -> Path:
    """Copy databox_shared to import it from `path`; contracts replaced, added or (None) absent."""
    shutil.copytree(PACKAGE, path / "databox_shared", ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in contracts.items():
        file = path / "databox_shared" / "contracts" / f"{name}.odcs.yaml"
        if text is None:
            file.unlink()
        else:
            file.write_text(text, encoding="utf-8")
    return path


def run_with(
    shared: Path, code: str, *arguments: str, database_url: str
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process that imports that version of databox_shared."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "DATABASE_URL": database_url, "PYTHONPATH": str(shared)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
