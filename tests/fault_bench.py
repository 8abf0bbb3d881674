"""The fault bench: daily runs in a world that moves, while everything that can go wrong does.

A day is over when its faults have happened, its run of ingestion has succeeded and every hand-off
is answered. What people can read then must be what they could read on that day had nothing gone
wrong: what looks done is done.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import requests
from dagster._core.storage.tags import WILL_RETRY_TAG
from faults import Faults, Machine, processes
from redeploys import released
from sqlalchemy.exc import SQLAlchemyError
from stage import Stage, free_port
from straight import run_straight

from databox_shared.days import DAILY_TAG, READ_DATE_TAG
from databox_shared.edges import EDGES
from databox_shared.handoff import read_and_decide
from databox_workspace.deployment import ServerError
from ebird_sandbox.process import Sandbox

FIRST = date(2026, 5, 16)
DAY_SECONDS = 1800.0
_POLL_SECONDS = 0.25
# reads all that ever happened
_LOOK_SECONDS = 1.0
_MEAN_PAUSE_SECONDS = 4.0
_PROCESSES = {"daemon killed": "dagster._daemon", "webserver killed": "dagster_webserver"}
_UNFINISHED = [
    status
    for status in dg.DagsterRunStatus
    if status.value not in {"SUCCESS", "FAILURE", "CANCELED", "MANAGED"}
]


@dataclass
class Happened:
    """One fault: what it hit, and how many seconds later all was as before."""

    kind: str
    hit: str
    seconds: float | None = None


@dataclass
class Report:
    """What came of it: `days` has a digest of everything released at the end of each day.

    `kinds` are all kinds of faults that there could have been.
    """

    days: dict[date, str] = field(default_factory=dict[date, str])
    kinds: set[str] = field(default_factory=set[str])
    faults: list[Happened] = field(default_factory=list[Happened])
    relaunched: int = 0
    failed_runs: int = 0
    host_starts: int = 0

    def table(self) -> str:
        """The faults by kind, each with how often, and the seconds to recover."""
        kinds: dict[str, list[float]] = defaultdict(list)
        for fault in self.faults:
            kinds[fault.kind].append(fault.seconds or 0.0)
        lines = [f"{'fault':32}{'times':>6}{'median s':>10}{'most s':>8}"]
        for kind, seconds in sorted(kinds.items()):
            middle, most = statistics.median(seconds), max(seconds)
            lines.append(f"{kind:32}{len(seconds):6}{middle:10.1f}{most:8.1f}")
        lines.append(
            f"{len(self.faults)} faults in {len(self.days)} days; {self.failed_runs} runs failed, "
            f"{self.relaunched} were launched again by hand, the host started {self.host_starts} x"
        )
        return "\n".join(lines)


@dataclass
class Bench:
    """One deployment in one world, on one machine."""

    stage: Stage
    sandbox: Sandbox
    machine: Machine
    seed: int
    say: Callable[[str], object]
    report: Report = field(default_factory=Report)
    due: list[str] = field(default_factory=list[str])
    host: subprocess.Popen[bytes] | None = None
    port: int = field(default_factory=free_port)

    def run(self, *, days: int, faults: int) -> Report:
        """The first run, undisturbed, and then a day after the other with its share of faults."""
        choice = random.Random(self.seed)
        source = Faults(self.stage, self.sandbox, self.machine, choice)
        self.report.kinds = set(source.kinds())
        with self._kept_host():
            for number in range(days + 1):
                today = FIRST + timedelta(days=number)
                left = faults - len(self.report.faults)
                share = round(left / (days + 1 - number)) if number else 0
                self._day(today, source, choice, share)
        self.report.failed_runs = len(
            self.stage.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        )
        return self.report

    def _day(self, today: date, source: Faults, choice: random.Random, share: int) -> None:
        _ask(self.sandbox, "/clock", today=today.isoformat())
        deadline, began = time.monotonic() + DAY_SECONDS, len(self.report.faults)
        due = looked = time.monotonic()
        open_faults: list[tuple[Happened, float]] = []
        while True:
            self._keep_host()
            self._recovered(open_faults)
            is_over = len(self.report.faults) - began >= share
            if not is_over and time.monotonic() >= due:
                open_faults += self._inject(source, choice)
                due = time.monotonic() + choice.expovariate(1 / _MEAN_PAUSE_SECONDS)
            elif is_over:
                source.end()
            if time.monotonic() - looked >= _LOOK_SECONDS:
                if self._is_settled(today, source) and is_over:
                    break
                looked = time.monotonic()
            assert time.monotonic() < deadline, self._why_not_over(today, source)
            time.sleep(_POLL_SECONDS)
        for fault, since in open_faults:
            fault.seconds = time.monotonic() - since
        self.report.days[today] = _digest()
        self.say(f"{today}: {len(self.report.faults) - began} faults, everything is answered")

    def _inject(self, source: Faults, choice: random.Random) -> list[tuple[Happened, float]]:
        """One fault of a kind that has not been for the longest time and finds something to hit."""
        kinds = source.kinds()
        if not self.due:
            self.due = choice.sample(sorted(kinds), len(kinds))
        for kind in list(self.due):
            since = time.monotonic()
            hit = kinds[kind]()
            if hit is not None:
                self.due.remove(kind)
                fault = Happened(kind, hit)
                self.report.faults.append(fault)
                self.say(f"  {kind}: {hit}")
                return [(fault, since)]
        self.due.clear()
        return []

    def _recovered(self, faults: list[tuple[Happened, float]]) -> None:
        """A process is well when there is one again; all else when the day is over."""
        for fault, since in list(faults):
            if fault.kind == "code server killed":
                is_back = self.stage.now(fault.hit).is_alive()
            elif fault.kind in _PROCESSES:
                is_back = any(processes(self.stage.folder, _PROCESSES[fault.kind]))
            else:
                is_back = fault.kind == "location redeployed"
            if is_back:
                fault.seconds = time.monotonic() - since
                faults.remove((fault, since))

    def _is_settled(self, today: date, source: Faults) -> bool:
        """Whether the day is over; launches its run, and again if it failed, as people would."""
        instance = self.stage.instance
        runs = instance.get_runs(dg.RunsFilter(tags={DAILY_TAG: today.isoformat()}))
        if runs and runs[0].is_failure and runs[0].tags.get(WILL_RETRY_TAG) == "true":
            return False
        if not any(run.is_success or not run.is_finished for run in runs):
            self.report.relaunched += self._launch(today, source) and bool(runs)
            return False
        if instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED), limit=1):
            return False
        now = datetime.now(UTC).timestamp()
        decisions = [read_and_decide(instance, edge, cursor=None, now=now) for edge in EDGES]
        if any(decision.given_up for decision in decisions):
            # a person who was told so sees to it: the same days once more
            self.report.relaunched += self._launch(today, source)
            return False
        return not any(decision.pending for decision in decisions)

    def _why_not_over(self, today: date, source: Faults) -> str:
        """What a person would look at: what is unfinished, and whether there is room."""
        said = [f"{today} was not over in {DAY_SECONDS:.0f} s"]
        said += [
            f"{shutil.disk_usage(disk).free / 1e6:.0f} MB free on the disk of {name}"
            for name, disk in self.machine.disks.items()
        ]
        said += ["something is held"] if source.is_held() else []
        instance, now = self.stage.instance, datetime.now(UTC).timestamp()
        try:
            said += [
                f"{run.job_name} {run.run_id} is {run.status.value}"
                for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
            ]
            decisions = [read_and_decide(instance, edge, cursor=None, now=now) for edge in EDGES]
            said += [f"{found.pending} pending, {found.reason}" for found in decisions]
        except (SQLAlchemyError, OSError) as error:
            said.append(f"Dagster's storage cannot be read: {error}")
        return "; ".join(said)

    def _launch(self, today: date, source: Faults) -> bool:
        """Whether the day's run could be launched; a person whose attempt fails makes another."""
        if source.is_held():
            return False
        tags = {DAILY_TAG: today.isoformat(), READ_DATE_TAG: today.isoformat()}
        try:
            self.stage.launch("ingestion", "daily_ebird_pipeline", tags)
        except (ServerError, dg.DagsterError):
            # its code server is not there at this moment
            time.sleep(_POLL_SECONDS)
            return False
        return True

    @contextmanager
    def _kept_host(self) -> Generator[None]:
        try:
            yield
        finally:
            if self.host is not None:
                self.host.terminate()
                self.host.wait()

    def _keep_host(self) -> None:
        """What systemd or compose does: start the host again when it has ended."""
        if self.host is not None and self.host.poll() is None:
            return
        command = [sys.executable, "-m", "databox_workspace", "up", "--port", str(self.port)]
        with (self.stage.folder / "host.log").open("ab") as words:
            self.host = subprocess.Popen(command, stdout=words, stderr=subprocess.STDOUT)
        self.report.host_starts += 1


def undisturbed(sandbox: Sandbox, *, days: int) -> dict[date, str]:
    """A digest of everything released at the end of each day, if nothing happens."""
    found: dict[date, str] = {}
    for today in (FIRST + timedelta(days=number) for number in range(days + 1)):
        _ask(sandbox, "/clock", today=today.isoformat())
        run_straight({DAILY_TAG: today.isoformat(), READ_DATE_TAG: today.isoformat()})
        found[today] = _digest()
    return found


def _digest() -> str:
    return hashlib.sha256(repr(released()).encode()).hexdigest()


def _ask(sandbox: Sandbox, path: str, **said: str) -> None:
    requests.post(f"{sandbox.admin_url}{path}", json=said, timeout=30).raise_for_status()
