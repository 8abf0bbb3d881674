"""`task deploy:LOCATION`: put one location's code beside what runs, prove it, and switch to it.

The order is what makes it safe: nothing that others see changes before everything is proved, the
one step that changes it is a rename, and until the old server is asked to stop the way back is
another rename. Whatever fails before that, what served goes on serving.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from databox_workspace import servers
from databox_workspace.builds import Build, build, builds, prune
from databox_workspace.failures import FAILURES, sentence
from databox_workspace.fit import (
    RefusedError,
    fitting_jobs,
    refuse_lost_runs,
    refuse_unreadable_settings,
    revive_others,
)
from databox_workspace.locations import Location
from databox_workspace.lost_runs import clean_up_after_dead
from databox_workspace.proving import passed_note, prove
from databox_workspace.servers import HEALTH_SECONDS, CodeServer
from databox_workspace.site import Site
from databox_workspace.view import wait_until_shown

KEEP = 3
SHOWN_SECONDS = 90.0
# the daemon looks every second whether another server answers, and ends a call that it has begun
SETTLE_SECONDS = 5.0
# the host takes a moment to forget an old server that has ended
_WAIT_SECONDS = 10.0
_POLL_SECONDS = 1.0

Say = Callable[[str], object]


class DeployError(Exception):
    """A deploy was refused or taken back. The message says why, and what serves now."""


def deploy(
    where: Site,
    location: Location,
    *,
    may_be_dirty: bool = False,
    health_seconds: float = HEALTH_SECONDS,
    say: Say = lambda _: None,
) -> Build:
    """Build a location, prove the build, let it serve, and wait for the old server's end.

    Raises `DeployError` if anything is wrong; then what served before still does.
    """

    def build_and_prove() -> Build:
        made = build(
            location, root=where.root, deploy_dir=where.folder, may_be_dirty=may_be_dirty, say=say
        )
        prove(location, made, root=where.root, say=say)
        return made

    return let_serve(
        where,
        location.name,
        build_and_prove,
        action="deploy",
        health_seconds=health_seconds,
        say=say,
    )


def rollback(
    where: Site,
    location: Location,
    *,
    health_seconds: float = HEALTH_SECONDS,
    say: Say = lambda _: None,
) -> Build:
    """Let the build serve that served before the present one.

    It passes the same gates, since what the others hand over may have moved on meanwhile. Raises
    `DeployError`.
    """
    return let_serve(
        where,
        location.name,
        lambda: _build_before(where, location.name),
        action="rollback",
        health_seconds=health_seconds,
        say=say,
    )


def let_serve(
    where: Site,
    location: str,
    choose: Callable[[], Build],
    *,
    action: str,
    health_seconds: float = HEALTH_SECONDS,
    say: Say = lambda _: None,
) -> Build:
    """Let the build that `choose` returns serve its location, and wait for the old server's end.

    Nobody else deploys the location from the choice to the switch. Raises `DeployError`.
    """
    try:
        with where.deploying(location, wait_seconds=_WAIT_SECONDS):
            made = choose()
            old = _release(where, made, action=action, health_seconds=health_seconds, say=say)
    except (RefusedError, *FAILURES) as error:
        msg = f"{location} was not deployed: {sentence(error)}\n{_what_serves(where, location)}."
        raise DeployError(msg) from None
    _wait_for_end(old, say)
    return made


def _release(
    where: Site, made: Build, *, action: str, health_seconds: float, say: Say
) -> CodeServer | None:
    """Let a build serve its location if it passes the gates, and return the server that it ousts.

    That one has been asked to stop: it ends after its runs.
    """
    name = made.location
    old = servers.current(where.run_dir, name)
    _note_what_serves(where, name)
    _tidy(where, made, old, say)
    if old and old.build == made.id and old.is_alive():
        say(f"{made.said} serves already")
        return None
    refuse_unreadable_settings(where, made)
    say(f"Starting a server for {made.said}")
    new = servers.start(made, where.run_dir, home=where.home, working_dir=where.root)
    is_switched = False
    try:
        servers.wait_until_healthy(new, seconds=health_seconds)
        revive_others(where, name, say)
        # two locations that are deployed at once must be held against each other
        with where.switching():
            jobs = fitting_jobs(where, made, new, say)
            say(f"It is healthy and fits what is deployed: switching {name} to {made.id}")
            is_switched = True
            servers.switch(where.run_dir, name, new)
            refuse_lost_runs(where, name, jobs)
            _wait_until_shown(where, made, new, jobs, say)
            # until then the host asked for runs as the old code has them
            refuse_lost_runs(where, name, jobs)
    except BaseException:
        if is_switched:
            servers.switch(where.run_dir, name, old)
        # once it was current it may have been given a run
        servers.ask_to_stop(new, was_current=is_switched)
        raise
    say(f"{made.said} serves {name}")
    try:
        where.note(made, action)
        if old and old.is_alive():
            _begin_drain(where, old)
        elif old:
            # it died, and what watches over servers finds a living one now
            clean_up_after_dead(where, name)
    except FAILURES as error:
        # it serves: what is left to do the next deploy does
        say(f"Not all was tidied up: {sentence(error)}")
        return None
    return old


def _what_serves(where: Site, location: str) -> str:
    try:
        now = where.current_build(location)
    except FAILURES as error:
        return f"what serves cannot be told: {sentence(error)}"
    return f"{now.said} still serves" if now else "it is still not deployed"


def _note_what_serves(where: Site, location: str) -> None:
    """Complete the history: a deploy that was killed after its switch did not note it."""
    served, noted = where.current_build(location), where.history(location)
    if served and (not noted or noted[-1].build != served.id):
        where.note(served, "deploy")


def _wait_until_shown(
    where: Site, made: Build, new: CodeServer, jobs: frozenset[str], say: Say
) -> None:
    url = where.webserver_url()
    if url is None:
        say("No webserver runs here, so nobody has to notice; start it with: task deploy:up")
        return
    wait_until_shown(
        url,
        made.location,
        server_id=new.server_id(),
        image=made.image,
        jobs=jobs,
        seconds=SHOWN_SECONDS,
    )


def _begin_drain(where: Site, old: CodeServer) -> None:
    """Ask a server that is not current any more to end after its runs."""
    time.sleep(SETTLE_SECONDS)
    _let_end(where, old)


def _let_end(where: Site, server: CodeServer) -> None:
    servers.ask_to_stop(server)
    if server.is_alive():
        with where.instance() as instance:
            servers.keep_runs_cancellable(instance, server)


def _wait_for_end(old: CodeServer | None, say: Say) -> None:
    """Wait for an ousted server's runs. It ends after them even if nobody waits."""
    said: list[str] = []
    while old and old.is_alive():
        running = old.runs()
        if running and running != said:
            names = ", ".join(run[:8] for run in running)
            say(f"The old server ends after its runs ({names}); Ctrl-C stops only this waiting")
        said = running or said
        time.sleep(_POLL_SECONDS)


def _tidy(where: Site, made: Build, now: CodeServer | None, say: Say) -> None:
    """Delete what earlier deploys left: stray servers, notes of dead ones, builds beyond three."""
    location = made.location
    for server in servers.alive(where.run_dir, location):
        if server != now:
            # a deploy that was killed leaves a server that nobody asks
            _let_end(where, server)
    clean_up_after_dead(where, location)
    deployed = dict.fromkeys(entry.build for entry in reversed(where.history(location)))
    deployed.pop(made.id, None)
    served = {server.build for server in servers.servers(where.run_dir, location)}
    # what was built after this one may be meant for the next deploy
    newer = {
        found.id
        for found in builds(where.folder, location).values()
        if found.built_at >= made.built_at
    }
    keep = {made.id, *list(deployed)[: KEEP - 1], *served, *newer}
    for old in prune(where.folder, location, keep=keep):
        passed_note(old).unlink(missing_ok=True)
        say(f"Deleted the old build {old.id}")


def _build_before(where: Site, location: str) -> Build:
    there = builds(where.folder, location)
    now = where.current_build(location)
    before = [
        entry.build
        for entry in where.history(location)
        if entry.build in there and (now is None or entry.build != now.id)
    ]
    if not before:
        msg = f"no earlier build of {location} is kept"
        raise RefusedError(msg)
    return there[before[-1]]
