"""What another revision of this repository holds, asked of git; nothing here changes a file."""

from __future__ import annotations

import shutil
from pathlib import Path

from databox_workspace.git import GitError, git

MAIN = ("origin/main", "main")


class RevisionError(Exception):
    """There is no revision to compare with in this clone."""


def base_revision(root: Path, against: str | None) -> str:
    """The commit that the working tree is compared with.

    It is where HEAD left `against`, so that what others added there since does not look removed
    here. Without a name it is where HEAD left the main branch; on the main branch itself it is
    HEAD if something is not committed, and else the commit before. Raises `RevisionError` if this
    clone does not have it.
    """
    names = [against] if against else [name for name in MAIN if _commit(root, name)]
    if not names:
        msg = f"this clone has no {' and no '.join(MAIN)}; name a revision with --against"
        raise RevisionError(msg)
    target, head = _commit(root, names[0]), _commit(root, "HEAD")
    if target is None or head is None:
        msg = (
            f"this clone has no revision {names[0]}; fetch it first "
            f"(git fetch origin {names[0]}, in a shallow clone git fetch --unshallow)"
        )
        raise RevisionError(msg)
    left = _git(root, "merge-base", head, target)
    if left is None:
        msg = (
            f"this clone does not know where HEAD left {names[0]}; fetch the history first "
            f"(git fetch --unshallow)"
        )
        raise RevisionError(msg)
    if against or left.strip() != head:
        return left.strip()
    if _git(root, "status", "--porcelain"):
        return head
    before = _commit(root, f"{head}^")
    if before is None:
        msg = f"HEAD is {names[0]}, and this clone has no commit before it; name one with --against"
        raise RevisionError(msg)
    return before


def files_at(root: Path, commit: str, folder: str) -> list[str]:
    """The paths under a folder at a commit, relative to the root."""
    listed = _git(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", folder)
    return [path for path in (listed or "").split("\0") if path]


def text_at(root: Path, commit: str, path: str) -> str | None:
    """A file as it was at a commit; None if it was not there."""
    return _git(root, "show", f"{commit}:{path}")


def changed_files(root: Path, commit: str) -> list[str]:
    """Paths that differ between a commit and the working tree, new and deleted ones included."""
    differing = _git(root, "diff", "-z", "--name-only", "--no-renames", commit) or ""
    untracked = _git(root, "ls-files", "-z", "--others", "--exclude-standard") or ""
    return sorted({path for path in (differing + untracked).split("\0") if path})


def _commit(root: Path, name: str) -> str | None:
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return found.strip() if found else None


def _git(root: Path, *arguments: str) -> str | None:
    """What git says, None where it has no answer. Raises `RevisionError` if there is no git."""
    if shutil.which("git") is None:
        msg = "git is not installed, so there is no other revision to compare with"
        raise RevisionError(msg)
    try:
        return git(root, *arguments)
    except GitError:
        return None
