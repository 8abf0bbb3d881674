"""Asking git, the program; nothing here changes a file."""

from __future__ import annotations

import subprocess
from pathlib import Path


class GitError(Exception):
    """Git is not there, or does not answer what is asked."""


def git(root: Path, *arguments: str) -> str:
    """What git says in a folder. Raises `GitError` with its own words."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        msg = "git is not installed, and only git knows what is committed: install it"
        raise GitError(msg) from None
    if done.returncode:
        msg = f"`{' '.join(command)}` failed: {done.stderr.strip()}"
        raise GitError(msg)
    return done.stdout
