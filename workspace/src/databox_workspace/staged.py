"""Files that are put in place together: all of them, also if whoever does it is killed.

They are made ready in a folder beside the files that they replace, which gets its name when it is
complete. From then on what was begun can be finished by anybody; before that, nothing was changed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = ".staged"
_PART = ".staged.part"
_PLAN = "plan.json"


class StagedError(Exception):
    """A file is neither as it was when its successor was made ready, nor as it will be."""


def stage(root: Path, title: str, files: Mapping[str, bytes]) -> None:
    """Make files ready to be put in place, in this order; paths are relative to the root."""
    part = root / _PART
    shutil.rmtree(part, ignore_errors=True)
    plan: list[tuple[str, str | None, str]] = []
    for path, content in files.items():
        plan.append((path, _digest(root / path), hashlib.sha256(content).hexdigest()))
        target = part / "files" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if (root / path).exists():
            shutil.copymode(root / path, target)
    (part / _PLAN).write_text(json.dumps({"title": title, "files": plan}), encoding="utf-8")
    # what is left of one that was put in place has no plan
    shutil.rmtree(root / FOLDER, ignore_errors=True)
    part.rename(root / FOLDER)


def staged(root: Path) -> str | None:
    """The title of what is ready and not all in place, None if there is nothing."""
    plan = root / FOLDER / _PLAN
    return str(json.loads(plan.read_text(encoding="utf-8"))["title"]) if plan.is_file() else None


def put_in_place(root: Path, say: Callable[[str], object]) -> None:
    """Move everything that is ready to its place, or what is left of it.

    Raises `StagedError`, before any file is moved, if somebody changed one meanwhile.
    """
    folder = root / FOLDER
    plan = json.loads((folder / _PLAN).read_text(encoding="utf-8"))
    waiting = [
        (path, before)
        for path, before, after in plan["files"]
        if (now := _digest(root / path)) != after and _is_as_it_was(path, now, before)
    ]
    for path, before in waiting:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "files" / path).replace(root / path)
        say(f"{'changed' if before else 'added'}  {path}")
    (folder / _PLAN).unlink()
    shutil.rmtree(folder)


def _is_as_it_was(path: str, now: str | None, before: str | None) -> bool:
    if now != before:
        msg = (
            f"{path} was changed since an attempt that was interrupted: bring it back as it was "
            f"(`git diff` shows it) to let this finish, or delete {FOLDER} and begin anew"
        )
        raise StagedError(msg)
    return True


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
