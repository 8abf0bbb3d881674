"""What all sections measure with: the cost of processes, pairs of them, and lines of the table.

A line is a ratio to a reference that was measured beside it, turn by turn, so that a busy machine
slows both. Seconds of CPU are those of a process and all that it started and waited for; they say
what work there is whoever else works on the machine, so they are used unless waiting is the point.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil


class BenchError(Exception):
    """Something that is to be measured failed; the message ends with its last words."""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, seconds of CPU, and the largest process in MB."""

    wall: float
    cpu: float
    memory: float = 0.0


@dataclass(frozen=True)
class Line:
    """One line of the table: the subject, its reference, and the median of their ratios."""

    name: str
    unit: str
    subject: float
    reference: float
    ratio: float


Pairs = Sequence[tuple[Cost, Cost]]

SPAWNED = Path(__file__).with_name("spawned.py")
UNITS = {"wall": "s", "cpu": "s CPU", "memory": "MB"}


def line(name: str, pairs: Pairs, measure: str = "cpu") -> Line:
    """The line of one measure (`wall`, `cpu` or `memory`) of pairs of subject and reference."""
    values = [(getattr(ours, measure), getattr(other, measure)) for ours, other in pairs]
    return Line(
        name,
        UNITS[measure],
        median(ours for ours, _ in values),
        median(other for _, other in values),
        median(ours / other for ours, other in values),
    )


def paired(
    rounds: int, subject: Callable[[], Cost], reference: Callable[[], Cost]
) -> list[tuple[Cost, Cost]]:
    """Measure both, turn by turn."""
    return [(subject(), reference()) for _ in range(rounds)]


def run(command: Sequence[str], variables: Mapping[str, str] | None = None) -> Cost:
    """The cost of a command and all that it starts. Raises `BenchError` if it fails."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        cost = Path(name) / "cost.json"
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-S", str(SPAWNED), str(cost), *command],
            env={**os.environ, **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        wall = time.perf_counter() - began
        ended, cpu, memory = json.loads(cost.read_text(encoding="utf-8"))
    if ended:
        msg = f"{' '.join(command)[:200]} ended with {ended}:\n{done.stdout[-3000:]}"
        raise BenchError(msg)
    return Cost(wall, cpu, memory)


def cpu_below(pids: Sequence[int]) -> float:
    """Seconds of CPU of all that these processes have started until now, without their own."""
    total = 0.0
    for pid in pids:
        top = psutil.Process(pid)
        times = top.cpu_times()
        total += times.children_user + times.children_system
        for process in top.children(recursive=True):
            # one that has ended since is counted by its parent when that has waited for it
            with suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


def fresh(folder: Path) -> Path:
    """A new, empty folder in another."""
    return Path(tempfile.mkdtemp(dir=folder))
