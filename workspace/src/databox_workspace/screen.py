"""What a person sees while the chain runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

import dagster as dg
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from databox_workspace.follow import Stage

_WORDS = {
    None: "waiting",
    dg.DagsterRunStatus.NOT_STARTED: "queued",
    dg.DagsterRunStatus.QUEUED: "queued",
    dg.DagsterRunStatus.STARTING: "starting",
    dg.DagsterRunStatus.STARTED: "running",
    dg.DagsterRunStatus.SUCCESS: "done",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
    dg.DagsterRunStatus.CANCELING: "cancelling",
}
_STYLES = {"running": "bold cyan", "done": "green", "failed": "bold red", "waiting": "dim"}


def say(console: Console, text: str, *, style: str | None = None) -> None:
    """Print words as they are: on one line however narrow the output, and never as markup."""
    console.print(text, style=style, soft_wrap=True, markup=False, highlight=False)


class Screen(Protocol):
    """Shows stages as they come; a context manager, so that a terminal is left in order."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def show(self, stages: Iterable[Stage]) -> None:
        """Show the state of the chain now."""
        ...


def screen(console: Console) -> Screen:
    """The screen for this output: live in a terminal, lines in a pipe or in CI."""
    return LiveScreen(console) if console.is_terminal else LineScreen(console)


@dataclass
class LiveScreen:
    """One table that is drawn over and over."""

    console: Console
    _live: Live = field(init=False)

    def __post_init__(self) -> None:
        self._live = Live(console=self.console, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, stages: Iterable[Stage]) -> None:
        """Draw the table."""
        table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
        for title in ("location", "state", "days", "rows", "time"):
            numeric = title in {"days", "rows", "time"}
            table.add_column(title, justify="right" if numeric else "left", no_wrap=True)
        table.add_column("doing", ratio=1, no_wrap=True, overflow="ellipsis")
        for stage in stages:
            word = _WORDS.get(stage.status, "running")
            table.add_row(
                stage.location,
                Text(word, style=_STYLES.get(word, "yellow")),
                str(len(stage.days) or ""),
                f"{stage.rows:,}" if stage.rows else "",
                "" if stage.seconds is None else f"{stage.seconds:.0f} s",
                Text(stage.message),
            )
        self._live.update(table)


@dataclass
class LineScreen:
    """One line for each thing that was said or changed."""

    console: Console
    _words: dict[str, str] = field(default_factory=dict[str, str])
    # how many lines of a run have been printed
    _printed: dict[str | None, int] = field(default_factory=dict[str | None, int])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def show(self, stages: Iterable[Stage]) -> None:
        """Print what is new since the last call."""
        for stage in stages:
            for line in stage.lines[self._printed.get(stage.run_id, 0) :]:
                self._line(stage, line)
            self._printed[stage.run_id] = len(stage.lines)
            word = _WORDS.get(stage.status, "running")
            if word != self._words.get(stage.location, "waiting"):
                rows = f", {stage.rows:,} rows in {stage.seconds:.0f} s" if word == "done" else ""
                run = f" (run {(stage.run_id or '')[:8]})" if word == "queued" else ""
                self._line(stage, f"{word}{run}{rows}")
            self._words[stage.location] = word

    def _line(self, stage: Stage, text: str) -> None:
        clock = datetime.now().astimezone().strftime("%H:%M:%S")
        say(self.console, f"{clock} {stage.location:<10} {text}")
