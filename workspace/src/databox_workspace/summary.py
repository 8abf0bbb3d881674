"""What `task pipeline` says at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from databox_shared.settings import Settings
from databox_workspace.follow import Stage
from databox_workspace.screen import say


def print_summary(
    console: Console, settings: Settings, report: Mapping[str, Any], seconds: float
) -> None:
    """Say what was released: rows per table, checks, the most reported species, where it lies."""
    rows = cast("Mapping[str, int]", report.get("rows", {}))
    table = Table(box=None, padding=(0, 3, 0, 0), title="Rows", title_justify="left")
    table.add_column("table")
    table.add_column("rows", justify="right")
    for name, count in sorted(rows.items()):
        table.add_row(name, f"{count:,}")
    console.print()
    if rows:
        console.print(table)
        console.print()
    checks = cast("Mapping[str, int]", report.get("checks", {}))
    counts = ", ".join(f"{checks.get(word, 0)} {word}" for word in ("passed", "warned", "failed"))
    is_there = settings.release_path.exists()
    facts = [
        ("Checks", counts),
        ("Days", report.get("days", "")),
        ("Most reported", report.get("top_species", "")),
        ("Release", str(settings.release_path) if is_there else "there is none yet"),
        ("And in", _database(settings) if rows else ""),
        ("Report", report.get("report", "")),
        (
            "Look inside",
            f"uv run duckdb -readonly {settings.release_path} -c 'FROM about'" if is_there else "",
        ),
        ("Open the UI", "uv run task dagster:dev, then http://127.0.0.1:3000"),
        ("Took", f"{seconds:.0f} s"),
    ]
    for name, value in facts:
        if value:
            say(console, f"{name:<14} {value}")


def _database(settings: Settings) -> str:
    """Where people find the release beside the file; empty if nowhere."""
    lake = settings.lake
    if lake is None:
        return ""
    kind = "schema ebird" if settings.release_in_postgres else "a DuckLake"
    return f"PostgreSQL {lake.host}:{lake.port}/{lake.database}, {kind}"


def print_times(console: Console, stages: Sequence[Stage], phases: Mapping[str, float]) -> None:
    """Say where the time went: each phase of the command, and each run's waiting and working."""
    console.print()
    table = Table(box=None, padding=(0, 3, 0, 0), title="Where the time went", title_justify="left")
    table.add_column("what")
    table.add_column("s", justify="right")
    for name, seconds in phases.items():
        table.add_row(name, f"{seconds:.1f}")
    for stage in stages:
        if stage.times and stage.times.started and stage.times.ended:
            times = stage.times
            table.add_row(
                f"{stage.location}: queued, run worker starts",
                f"{stage.times.started - times.created:.1f}",
            )
            table.add_row(
                f"{stage.location}: run works", f"{stage.times.ended - stage.times.started:.1f}"
            )
    console.print(table)
