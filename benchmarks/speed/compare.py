"""The rule by which a run is compared with the reference that is kept: ratios with ratios."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from speed.measure import Line

TOLERATED = 0.20


def regressions(kept: Mapping[str, float], found: Mapping[str, float]) -> list[str]:
    """A sentence for each line whose ratio is more than 20 % above the kept one."""
    return [
        f"{name}: {found[name]:.2f} times its reference, {found[name] / ratio - 1:.0%} more than "
        f"the {ratio:.2f} that is kept"
        for name, ratio in kept.items()
        if name in found and found[name] > ratio * (1 + TOLERATED)
    ]


def unmatched(kept: Mapping[str, float], found: Mapping[str, float]) -> list[str]:
    """A sentence for each line that only one side has, so that none is lost without a word."""
    return [
        *(f"{name}: kept, but not measured in this run" for name in kept if name not in found),
        *(f"{name}: measured, but not kept yet" for name in found if name not in kept),
    ]


def read_ratios(file: Path) -> dict[str, float]:
    """Line → ratio, of a file that `write_lines` wrote."""
    lines = json.loads(file.read_text(encoding="utf-8"))["lines"]
    return {name: float(line["ratio"]) for name, line in lines.items()}


def write_lines(file: Path, lines: Sequence[Line], machine: Mapping[str, object]) -> None:
    """Write what was measured, and where."""
    said = {
        "machine": dict(machine),
        "lines": {
            line.name: {
                "unit": line.unit,
                "subject": round(line.subject, 3),
                "reference": round(line.reference, 3),
                "ratio": round(line.ratio, 3),
            }
            for line in lines
        },
    }
    file.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
