"""Locks on files: held by a process until it ends, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


def try_lock(descriptor: int) -> bool:
    """Take the lock of an open file if nobody has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(file: Path) -> bool:
    """Whether somebody holds the lock; two that ask at once do not see each other."""
    try:
        with file.open("rb") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Hold the lock, after whoever has it."""
    with file.open("a") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        yield
