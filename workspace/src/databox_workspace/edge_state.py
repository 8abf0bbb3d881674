"""The state of every edge between locations, read from Dagster's storage: `task handoff`.

It reads what the sensors read and decides by their rule, and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from databox_shared.days import format_days
from databox_shared.edges import EDGES, Edge
from databox_shared.handoff import read_and_decide
from databox_shared.handoff_cursor import NO_MARK, mark_at
from databox_shared.handoff_rule import Decision, Wait
from databox_workspace.screen import say

WATCH_SECONDS = 2.0
# a sensor looks every few seconds
SILENT_SECONDS = 60.0
_WIDE = 120
_STYLES = {"answered": "green", "given up": "bold red", "to be retried": "red"}


@dataclass(frozen=True)
class EdgeState:
    """One edge now. `looked_at` is when its sensor last looked (seconds since the epoch)."""

    edge: Edge
    decision: Decision
    looked_at: float | None
    is_stopped: bool

    @property
    def word(self) -> str:
        """The state in a word or two; what needs a person comes first."""
        waits = {waiting.wait for waiting in self.decision.waiting}
        if Wait.GIVEN_UP in waits:
            return Wait.GIVEN_UP.value
        if self.decision.running is not None:
            return "in flight"
        for wait in (Wait.FOR_RETRY, Wait.FOR_UPSTREAM, Wait.FOR_RUN):
            if wait in waits:
                return wait.value
        return "nothing yet" if self.decision.answered_to == NO_MARK else "answered"

    @property
    def answered_up_to(self) -> str:
        """When the newest materialization was made up to which all is answered."""
        mark = self.decision.answered_to
        if mark == NO_MARK:
            return ""
        return f"{datetime.fromtimestamp(mark_at(mark), UTC):%Y-%m-%d %H:%M:%S} UTC"

    @property
    def waiting(self) -> str:
        """How many materializations have no answer, and their days."""
        days = {day for group in self.decision.waiting for day in group.days if day is not None}
        count = self.decision.pending
        return f"{count:,} for {format_days(days) or 'no day'}" if count else ""

    @property
    def running(self) -> str:
        """The run in flight and its days."""
        run = self.decision.running
        return f"{run.run_id[:8]} for {format_days(run.days) or 'no day'}" if run else ""

    def notes(self, now: float) -> list[str]:
        """Sentences on what a person may want to know or do."""
        said = [group.reason for group in self.decision.waiting if group.wait is not Wait.FOR_RUN]
        if self.is_stopped:
            said.append("its sensor is switched off: nothing is started")
        elif self.looked_at is None:
            said.append("its sensor has never looked: has a deployment run on this Dagster home?")
        elif now - self.looked_at > SILENT_SECONDS:
            seconds = now - self.looked_at
            said.append(f"its sensor looked {_ago(seconds)} ago: does the daemon run?")
        return [f"{self.edge.name}: {sentence}" for sentence in dict.fromkeys(said)]


def edge_states(instance: dg.DagsterInstance, edges: Sequence[Edge] = EDGES) -> list[EdgeState]:
    """Read the state of each edge."""
    states = {
        state.instigator_name: state
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    }
    return [_state(instance, edge, states.get(edge.name)) for edge in edges]


def _state(instance: dg.DagsterInstance, edge: Edge, sensor: InstigatorState | None) -> EdgeState:
    data = sensor.instigator_data if sensor else None
    cursor, looked_at = None, None
    if isinstance(data, SensorInstigatorData):
        cursor, looked_at = data.cursor, data.last_tick_timestamp
    return EdgeState(
        edge,
        read_and_decide(instance, edge, cursor=cursor, now=time.time()),
        looked_at,
        is_stopped=sensor is not None and sensor.status is InstigatorStatus.STOPPED,
    )


def show_edges(console: Console, instance: dg.DagsterInstance, *, is_watching: bool) -> None:
    """Print the state of all edges, or draw it over and over until Ctrl-C."""
    if not console.is_terminal:
        # a pipe has no width, and a table for 80 columns would break its lines
        console = Console(width=_WIDE)
    if not is_watching:
        states = edge_states(instance)
        console.print(_table(states))
        notes = _notes(states)
        if notes:
            console.print()
        for note in notes:
            say(console, note)
        return
    with Live(console=console, auto_refresh=False) as live:
        while True:
            states = edge_states(instance)
            lines = [Text(), *(Text(note) for note in _notes(states))]
            live.update(Group(_table(states), *lines), refresh=True)
            time.sleep(WATCH_SECONDS)


def _table(states: Sequence[EdgeState]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0))
    for title in ("edge", "state", "answered up to", "waiting", "run in flight"):
        table.add_column(title)
    for state in states:
        word = Text(state.word, style=_STYLES.get(state.word, "yellow"))
        table.add_row(state.edge.name, word, state.answered_up_to, state.waiting, state.running)
    return table


def _notes(states: Sequence[EdgeState]) -> list[str]:
    now = time.time()
    return [note for state in states for note in state.notes(now)]


def _ago(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return f"{seconds:.0f} s"
