"""`task bench`: one table of speed, each line a ratio to a reference measured beside it.

`--quick` leaves out what takes long and measures each pair once. `--check` fails if a ratio has
grown by more than 20 % since `benchmarks/reference.json`. See `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from speed.chain import from_nothing_lines, growth_lines, running_lines, year_lines
from speed.compare import read_ratios, regressions, unmatched, write_lines
from speed.locations import load_lines
from speed.measure import Line
from speed.stages import stage_lines
from speed.world import SANDBOX_TODAY

from ebird_sandbox.process import running_sandbox

HERE = Path(__file__).parent
REFERENCE, FOUND = HERE / "reference.json", HERE / "found.json"


def lines(folder: Path, *, is_quick: bool) -> Iterator[Line]:
    """Every line, as soon as it is measured."""
    rounds = 1 if is_quick else 3
    with running_sandbox(today=SANDBOX_TODAY) as sandbox:
        yield from load_lines(rounds if is_quick else 5)
        yield from from_nothing_lines(folder, sandbox.url, rounds)
        yield from running_lines(folder, sandbox.url, rounds)
        yield from stage_lines(folder, sandbox.url, rounds)
        if not is_quick:
            yield from growth_lines(folder, sandbox.url)
            yield from year_lines(folder, sandbox.url)


def machine() -> dict[str, object]:
    """Where it was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gb": memory,
        "python": platform.python_version(),
        **{name: version(name) for name in ("dagster", "duckdb", "dlt", "sqlmesh")},
    }


def main() -> int:
    """Measure, print, write and, if asked, compare."""
    parser = argparse.ArgumentParser(prog="task bench --", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each pair once, nothing long")
    parser.add_argument("--check", action="store_true", help="fail on a regression over 20 %%")
    options = parser.parse_args()
    found: list[Line] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for line in lines(Path(name), is_quick=options.quick):
            found.append(line)
            print(
                f"{line.ratio:8.2f}  {line.subject:9.2f} / {line.reference:7.2f} "
                f"{line.unit:5}  {line.name}",
                flush=True,
            )
    write_lines(FOUND, found, machine())
    kept, ratios = read_ratios(REFERENCE), {line.name: line.ratio for line in found}
    for sentence in unmatched(kept, ratios):
        print(sentence)
    slower = regressions(kept, ratios)
    for sentence in slower:
        print(f"SLOWER {sentence}")
    return int(options.check and bool(slower))


if __name__ == "__main__":
    sys.exit(main())
