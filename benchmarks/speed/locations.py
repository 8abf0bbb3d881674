"""How long each location's definitions take to load, against `import dagster` alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from databox_workspace.locations import locations
from speed.measure import Cost, Line, line, paired, run


def _import(module: str) -> Cost:
    return run([sys.executable, "-c", f"import {module}"])


def load_lines(rounds: int) -> Iterator[Line]:
    """A line for each location."""
    reference = partial(_import, "dagster")
    for location in locations():
        subject = partial(_import, location.module)
        # once before, so that nobody pays for files that were not read yet
        subject()
        reference()
        pairs = paired(rounds, subject, reference)
        yield line(f"load {location.name} / import dagster", pairs)
