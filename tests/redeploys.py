"""Redeploys under load: code is switched in random order while a backfill and daily runs go on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import dagster as dg
import duckdb
from stage import Stage

from databox_shared.contracts import MARTS, contract
from databox_shared.days import DAYS_TAG, READ_DATE_TAG
from databox_shared.edges import EDGE_TAG, EDGES
from databox_shared.handoff_cursor import ANSWERS_TO_TAG, mark_id
from databox_shared.settings import load_settings
from databox_workspace.follow import Chain
from databox_workspace.locations import locations

READ_DATE = date(2026, 6, 1)
CHAIN_SECONDS = 1200.0
_POLL_SECONDS = 0.5

Tables = dict[str, list[tuple[object, ...]]]


@dataclass
class Load:
    """What is launched: `backfill` days in runs of `per_run`, then `daily` runs of one day."""

    backfill: int
    per_run: int
    daily: int

    def runs(self) -> Iterator[str]:
        """The days of each run, the backfill's first."""
        first = READ_DATE - timedelta(days=self.backfill + self.daily)
        for offset in range(0, self.backfill, self.per_run):
            begin = first + timedelta(days=offset)
            end = begin + timedelta(days=min(self.per_run, self.backfill - offset) - 1)
            yield f"{begin}/{end}"
        for number in range(self.daily):
            yield (first + timedelta(days=self.backfill + number)).isoformat()


@dataclass
class Report:
    """What came of it. `noticed` are redeploys at which another location got another server.

    `in_flight` counts the runs that a location worked on when its redeploy began.
    """

    tables: Tables
    runs: dict[str, int]
    not_successful: list[str]
    unanswered: int
    answered_twice: list[str]
    noticed: list[str]
    redeploys: list[float] = field(default_factory=list[float])
    in_flight: int = 0


def run_load(
    stage: Stage,
    load: Load,
    *,
    redeploys: int,
    seed: int = 1,
    say: Callable[[str], object] = lambda _: None,
) -> Report:
    """Launch the load, redeploy meanwhile, wait until every hand-off is answered, and report."""
    chain = Chain(stage.instance)
    noticed: list[str] = []
    seconds: list[float] = []
    in_flight = 0
    launching = threading.Thread(target=_launch, args=(stage, load), daemon=True)
    launching.start()
    choice = random.Random(seed)
    for number in range(1, redeploys + 1):
        name = choice.choice([location.name for location in locations()])
        if number == 1:
            # chance alone does not promise that any redeploy meets a run
            name = "ingestion"
            stage.until("a run of ingestion", lambda: stage.now("ingestion").runs())
        busy = len(stage.now(name).runs() or ())
        in_flight += busy
        before = stage.server_ids()
        began = time.monotonic()
        stage.deploy(stage.variant(name, f"{name}{number}"))
        seconds.append(time.monotonic() - began)
        after = stage.server_ids()
        if {**after, name: ""} != {**before, name: ""} or after[name] == before[name]:
            noticed.append(f"redeploy {number} of {name}: {before} → {after}")
        say(f"redeploy {number} of {redeploys}: {name}, {busy} runs in flight, {seconds[-1]:.1f} s")
    launching.join()
    _wait_for_answers(stage, chain)
    return Report(
        tables=released(),
        runs={name: _count(stage, name) for name in chain.stages},
        not_successful=[
            f"{run.job_name} {run.run_id} {run.status.value}"
            for run in stage.instance.get_runs()
            if run.status is not dg.DagsterRunStatus.SUCCESS
        ],
        unanswered=sum(chain.pending(edge)[0] for edge in EDGES),
        answered_twice=list(_answered_twice(stage)),
        noticed=noticed,
        redeploys=seconds,
        in_flight=in_flight,
    )


def released() -> Tables:
    """Every table that people get, in an order of its own."""
    path = str(load_settings().release_path)
    with duckdb.connect(path, read_only=True) as connection:
        return {
            table.full_name: connection.sql(f"FROM {table.full_name} ORDER BY ALL").fetchall()
            for table in contract(MARTS).tables.values()
        }


def _launch(stage: Stage, load: Load) -> None:
    for days in load.runs():
        tags = {DAYS_TAG: days, READ_DATE_TAG: READ_DATE.isoformat()}
        stage.launch("ingestion", "daily_ebird_pipeline", tags)
        # one after the other, as days come; what has begun goes on
        stage.until("ingestion to take the run", lambda: not _queued(stage))


def _queued(stage: Stage) -> Sequence[dg.DagsterRun]:
    waiting = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
    return stage.instance.get_runs(
        dg.RunsFilter(job_name="daily_ebird_pipeline", statuses=waiting), limit=1
    )


def _wait_for_answers(stage: Stage, chain: Chain) -> None:
    deadline = time.monotonic() + CHAIN_SECONDS
    unfinished = [
        status
        for status in dg.DagsterRunStatus
        if status
        not in {
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
            dg.DagsterRunStatus.CANCELED,
        }
    ]
    while stage.instance.get_runs(dg.RunsFilter(statuses=unfinished), limit=1) or any(
        chain.pending(edge)[0] for edge in EDGES
    ):
        assert time.monotonic() < deadline, f"waited {CHAIN_SECONDS:.0f} s for the chain's end"
        time.sleep(_POLL_SECONDS)


def _count(stage: Stage, location: str) -> int:
    return sum(
        run.remote_job_origin is not None and run.remote_job_origin.location_name == location
        for run in stage.instance.get_runs()
    )


def _answered_twice(stage: Stage) -> Iterator[str]:
    """Runs of an edge that answer nothing that an earlier one for the same days had not."""
    for edge in EDGES:
        runs = stage.instance.get_runs(dg.RunsFilter(tags={EDGE_TAG: edge.name}))
        seen: dict[str, int] = {}
        for run in reversed(runs):
            mark = mark_id(run.tags[ANSWERS_TO_TAG])
            days = run.tags.get(DAYS_TAG, "")
            if mark <= seen.get(days, -1):
                yield f"{edge.name}: run {run.run_id} for {days} up to {mark}"
            seen[days] = mark
