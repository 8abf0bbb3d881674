"""The main job in one command: start the servers, launch ingestion's daily job, follow the chain.

The command launches one run and starts no other: the locations' own sensors carry the chain on,
and the command watches until every materialization is answered and the release is decided.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import dagster as dg
from dagster._core.workspace.load_target import WorkspaceFileTarget
from rich.console import Console

from databox_shared.days import DAILY_TAG, DAYS_TAG, READ_DATE_TAG
from databox_shared.settings import Settings, project_root
from databox_workspace.deployment import (
    Deployment,
    ServerError,
    code_servers,
    daemon,
    sandbox_if_needed,
)
from databox_workspace.follow import Chain
from databox_workspace.home import Home, dagster_home, is_deserted
from databox_workspace.launch import launch
from databox_workspace.screen import say, screen
from databox_workspace.summary import print_summary, print_times

JOB = "daily_ebird_pipeline"
POLL_SECONDS = 0.4
STALL_SECONDS = 180.0


class StalledError(Exception):
    """Nothing has moved for long, and no run is in flight: a sensor is off, or has given up."""


@dataclass
class Stopwatch:
    """Seconds spent in each phase of the command."""

    phases: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Count the time inside as `name`."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = time.monotonic() - began


def run_pipeline(
    console: Console, settings: Settings, *, days: str | None, is_verbose: bool
) -> bool:
    """Run the chain to its end and return whether a new release is out.

    `days` restricts it to those days; otherwise the job decides (yesterday and the trailing
    window). Raises `ChainFailedError`, `ServerError` or `StalledError`, each with a sentence.
    """
    began = time.monotonic()
    watch = Stopwatch()
    with ExitStack() as stack, _words_on_interrupt(console):
        with watch.phase("prepare the Dagster home"):
            home = stack.enter_context(dagster_home(settings, say=partial(say, console)))
            instance = stack.enter_context(dg.DagsterInstance.get())
        chain = Chain(instance)
        running: Deployment | None = None
        if home.is_ours:
            running = _deploy(console, settings, stack, watch, home)
        else:
            say(console, "A deployment is running on this Dagster home: the run goes to its queue")
        with watch.phase("launch the run"):
            target = running.workspace if running else _workspace()
            tags = {DAYS_TAG: days} if days else _daily_tags(settings)
            chain.begin(launch(instance, target, location="ingestion", job=JOB, tags=tags))
        if running:
            # after the launch, so that the daemon finds the run and nothing to catch up
            running = stack.enter_context(daemon(home, running))
        with watch.phase("follow the chain"):
            _follow(console, chain, home, running)
        report = chain.release_report()
        print_summary(console, settings, report, time.monotonic() - began)
        stages = list(chain.stages.values())
        with watch.phase("stop"):
            stack.close()
    if is_verbose:
        print_times(console, stages, watch.phases)
    if not report.get("is_current", False):
        say(console, f"\nNo new release: {report.get('why', 'a check failed')}", style="bold red")
        return False
    return True


@contextmanager
def _words_on_interrupt(console: Console) -> Generator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say(console, "\nStopping the servers; this takes some seconds")
        raise


def _deploy(
    console: Console, settings: Settings, stack: ExitStack, watch: Stopwatch, home: Home
) -> Deployment:
    with watch.phase("start the sandbox"):
        url = stack.enter_context(sandbox_if_needed(settings, home))
    if url:
        say(console, f"No EBIRD_API_TOKEN: using generated birds from the sandbox at {url}")
    say(console, "Starting the code servers of the locations, and the daemon")
    # this daemon is here for one run: the schedule is left to a deployment that stays
    os.environ["EBIRD_SCHEDULE_PAUSED"] = "1"
    with watch.phase("start the code servers"):
        return stack.enter_context(code_servers(home))


def _daily_tags(settings: Settings) -> dict[str, str]:
    today = datetime.now(settings.timezone).date().isoformat()
    return {DAILY_TAG: today, READ_DATE_TAG: today}


def _workspace() -> WorkspaceFileTarget:
    return WorkspaceFileTarget([str(project_root() / "workspace.yaml")])


def _follow(console: Console, chain: Chain, home: Home, running: Deployment | None) -> None:
    moved_at, last = time.monotonic(), ""
    with screen(console) as shown:
        while True:
            is_done = chain.poll()
            shown.show(chain.stages.values())
            if is_done:
                return
            if running:
                running.check()
            elif is_deserted(home, chain.instance):
                msg = "the deployment that worked on this Dagster home has stopped; run this again"
                raise ServerError(msg)
            state = repr([(s.run_id, s.status, s.message, s.rows) for s in chain.stages.values()])
            if state != last:
                moved_at, last = time.monotonic(), state
            elif time.monotonic() - moved_at > STALL_SECONDS and not chain.is_working:
                reasons = [f"{edge.name}: {chain.pending(edge)[1]}" for edge in chain.edges]
                msg = f"nothing has moved for {STALL_SECONDS:.0f} s; " + "; ".join(reasons)
                raise StalledError(msg)
            time.sleep(POLL_SECONDS)
