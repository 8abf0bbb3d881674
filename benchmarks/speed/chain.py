"""`task pipeline`, and a chain on a running deployment, against the plain script."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from databox_workspace.follow import Stage
from speed.measure import Cost, Line, fresh, line, paired, run
from speed.world import (
    EMPTY,
    EMPTY_DAY,
    deployment,
    expect_equal,
    last_days,
    pipeline,
    plain_script,
)

HISTORY = 14
# Dagster looks at a sensor every five seconds at most
TICK_SECONDS = 5.0


def empty_job() -> Cost:
    """`dagster job execute` of a job that does nothing."""
    command = [sys.executable, "-W", "ignore", "-m", "dagster", "job", "execute"]
    return run([*command, "-f", str(EMPTY), "-j", "nothing"], {"DAGSTER_HOME": ""})


def from_nothing_lines(folder: Path, url: str, rounds: int) -> Iterator[Line]:
    """The command in an empty folder: servers, first deploy of the models, chain, release."""
    days = last_days(1)
    pairs: list[tuple[Cost, Cost]] = []
    for _ in range(rounds):
        ours, plain = fresh(folder), fresh(folder)
        pairs.append((pipeline(ours, url, days), plain_script(plain, url, days)))
        expect_equal(ours, plain)
    yield line("task pipeline, a day from nothing / plain script", pairs, "wall")
    yield line("task pipeline, a day from nothing / plain script, CPU", pairs)
    yield line("task pipeline, a day from nothing, largest process / plain script", pairs, "memory")


def running_lines(folder: Path, url: str, rounds: int) -> Iterator[Line]:
    """On a running deployment: a new day beside two weeks, the command, an empty day."""
    days = last_days(HISTORY + 2 * rounds)
    ours, plain = fresh(folder), fresh(folder)
    with deployment(ours, url) as running:
        running.chain(days[:HISTORY])
        plain_script(plain, url, days[:HISTORY])
        new_days: list[tuple[Cost, Cost]] = []
        waits: list[tuple[Cost, Cost]] = []
        for day in days[HISTORY : HISTORY + rounds]:
            cost, stages = running.chain([day])
            new_days.append((cost, plain_script(plain, url, [day])))
            waits.append((hand_off(stages), Cost(TICK_SECONDS + running.bare_launch(), 0)))
        expect_equal(ours, plain)
        yield line("a new day, launch to release / plain script", new_days, "wall")
        yield line("a new day, launch to release / plain script, CPU", new_days)
        yield line("hand-off, success to start / sensor tick and bare launch", waits, "wall")
        starts = [
            (pipeline(fresh(folder), url, [day]), pipeline(ours, url, [day]))
            for day in days[HISTORY + rounds :]
        ]
        yield line("task pipeline, a day from nothing / on a running deployment", starts, "wall")
        empty = paired(rounds, lambda: running.chain([EMPTY_DAY])[0], empty_job)
        yield line("an empty day, launch to release / dagster job execute of nothing", empty)


def hand_off(stages: Sequence[Stage]) -> Cost:
    """From an upstream run's success to the start of the run that answers it, on average."""
    times = [stage.times for stage in stages if stage.times]
    waits = [
        after.started - before.ended
        for before, after in pairwise(times)
        if after.started is not None and before.ended is not None
    ]
    return Cost(sum(waits) / len(waits), 0)


def growth_lines(folder: Path, url: str) -> Iterator[Line]:
    """The command for 1, 10 and 100 days, and the script for 100, each in an empty folder."""
    day, ten, hundred = (fresh(folder) for _ in range(3))
    one = pipeline(day, url, last_days(1))
    ten_days = pipeline(ten, url, last_days(10))
    yield line("task pipeline, 10 days / 1 day, CPU", [(ten_days, one)])
    many = pipeline(hundred, url, last_days(100))
    yield line("task pipeline, 100 days / 10 days, CPU", [(many, ten_days)])
    plain = fresh(folder)
    script = plain_script(plain, url, last_days(100))
    expect_equal(hundred, plain)
    yield line("task pipeline, 100 days / plain script, CPU", [(many, script)])
    yield line(
        "task pipeline, 100 days, largest process / plain script", [(many, script)], "memory"
    )


def year_lines(folder: Path, url: str) -> Iterator[Line]:
    """A year in one chain on a running deployment that has nothing yet."""
    days = last_days(365)
    ours, plain = fresh(folder), fresh(folder)
    with deployment(ours, url) as running:
        pairs = [(running.chain(days)[0], plain_script(plain, url, days))]
        expect_equal(ours, plain)
    yield line("a year, launch to release / plain script", pairs, "wall")
    yield line("a year, launch to release / plain script, CPU", pairs)
