"""What is printed where there is no terminal, as in CI: everything that was said, once."""

from __future__ import annotations

import io

import dagster as dg
from rich.console import Console

from databox_workspace.follow import Stage
from databox_workspace.screen import LineScreen


def shown(*looks: Stage) -> list[str]:
    """The lines, without their time, of a screen that looks several times."""
    console = Console(file=io.StringIO(), width=40)
    with LineScreen(console) as screen:
        for stage in looks:
            screen.show([stage])
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()[1:]) for line in console.file.getvalue().splitlines()]


def test_everything_that_was_said_between_two_looks_is_printed_once() -> None:
    started = dg.DagsterRunStatus.STARTED
    assert shown(
        Stage("quality", "run1", started, lines=["one"]),
        Stage("quality", "run1", started, lines=["one", "two", "three"]),
        Stage("quality", "run1", started, lines=["one", "two", "three"]),
    ) == ["quality one", "quality running", "quality two", "quality three"]


def test_a_second_run_of_a_location_is_told_from_its_beginning() -> None:
    started = dg.DagsterRunStatus.STARTED
    assert shown(
        Stage("quality", "run1", started, lines=["one", "two"]),
        Stage("quality", "run2", started, lines=["one"]),
    ) == ["quality one", "quality two", "quality running", "quality one"]
