"""`task deploy:up`: the webserver and the daemon of a site, and a living server for each location.

The code servers are not its children: it may be stopped, upgraded and started again while runs go
on in them. A server that died is started again, see `revive`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager

import requests

from databox_shared.settings import Settings
from databox_workspace import servers
from databox_workspace.address import open_warning, own_url
from databox_workspace.deployment import START_SECONDS, Server, ServerError, supervised
from databox_workspace.gates import settings_errors
from databox_workspace.home import Home, dagster_home, forget_daemon, home_settings
from databox_workspace.locations import locations
from databox_workspace.locks import try_lock
from databox_workspace.revive import Reviver
from databox_workspace.site import Site

WORKSPACE = "workspace.prod.yaml"
_WATCH_SECONDS = 2.0
# what the daemon may wait longer than it should, before it is started again
_PUT_BACK_SECONDS = 30.0

Say = Callable[[str], object]


@contextmanager
def host(
    where: Site, settings: Settings, *, address: str, port: int, say: Say = lambda _: None
) -> Generator[Callable[[], None]]:
    """Run the webserver and the daemon; yields what has to be called again and again.

    It raises `ServerError` if one of the two has ended, and starts code servers that died again.
    Raises `ServerError` if the site has a host already, or builds that cannot read its settings.
    """
    where.run_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        lock = stack.enter_context(where.host_lock.open("a"))
        if not try_lock(lock.fileno()):
            msg = f"the webserver and the daemon of {where.folder} are running already"
            raise ServerError(msg)
        where.host_note.unlink(missing_ok=True)
        _refuse_old_builds(where)
        home = stack.enter_context(
            dagster_home(settings, folder=where.home, has_own_servers=True, say=say)
        )
        if not home.is_ours:
            msg = f"another deployment works on {home.path}; stop it first"
            raise ServerError(msg)
        reviver = Reviver(where, say)
        reviver.look()
        os.environ.update(socket_variables(where))
        running = stack.enter_context(_webserver_and_daemon(where, home, address, port, say))

        def look() -> None:
            for server in running:
                server.check()
            reviver.look()

        yield look


def _refuse_old_builds(where: Site) -> None:
    """Raise `ServerError` before a host works by settings that what is deployed cannot read."""
    deployed = [build for found in locations() if (build := where.current_build(found.name))]
    file = where.home / "dagster.yaml"
    if not os.environ.get("DAGSTER_HOME"):
        settings = home_settings(where.home)
    else:
        # a home that was named keeps what it says
        settings = file.read_text(encoding="utf-8") if file.is_file() else ""
    if errors := [said for build in deployed for said in settings_errors(settings, build)]:
        raise ServerError("; ".join(errors))


def run_host(where: Site, settings: Settings, *, address: str, port: int, say: Say) -> None:
    """Run the host until it is interrupted. Raises `ServerError`.

    Dagster's daemon waits by the time of day: when that is put back, it would sleep until it has
    caught up, so it is started again.
    """
    while True:
        with host(where, settings, address=address, port=port, say=say) as look:
            before = _clock_offset()
            while (now := _clock_offset()) > before - _PUT_BACK_SECONDS:
                before = now
                look()
                time.sleep(_WATCH_SECONDS)
        say(f"The clock was put back by {before - now:.0f} s: starting again what waits by it")


def _clock_offset() -> float:
    """Seconds from the clock that nobody can put back to the time of day."""
    return time.time() - time.monotonic()


def socket_variables(where: Site) -> dict[str, str]:
    """Where `workspace.prod.yaml` finds each location."""
    return {
        f"{location.name.upper()}_SOCKET": str(servers.address(where.run_dir, location.name))
        for location in locations()
    }


@contextmanager
def _webserver_and_daemon(
    where: Site, home: Home, address: str, port: int, say: Say
) -> Generator[list[Server]]:
    workspace = str(where.root / WORKSPACE)
    url = own_url(address, port)
    if warning := open_warning(address, port):
        say(warning)
    with ExitStack() as stack:
        stack.callback(forget_daemon)
        daemon = stack.enter_context(
            supervised(
                "daemon",
                [sys.executable, "-m", "dagster._daemon", "run", "--workspace", workspace],
                home,
            )
        )
        webserver = stack.enter_context(
            supervised(
                "webserver",
                [
                    *(sys.executable, "-m", "dagster_webserver", "--workspace", workspace),
                    *("--host", address, "--port", str(port), "--log-level", "warning"),
                ],
                home,
            )
        )
        _wait_for(webserver, url)
        part = where.host_note.with_suffix(".part")
        part.write_text(json.dumps({"url": url}), encoding="utf-8")
        part.replace(where.host_note)
        stack.callback(lambda: where.host_note.unlink(missing_ok=True))
        absent = [
            location.name
            for location in locations()
            if servers.current(where.run_dir, location.name) is None
        ]
        if absent:
            say(f"Not deployed yet: {', '.join(absent)}")
        say(f"The UI is at {url}; the daemon runs. Ctrl-C stops both, and no code server")
        yield [daemon, webserver]
        for server in (webserver, daemon):
            server.ask_to_stop()


def _wait_for(webserver: Server, url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        webserver.check()
        try:
            requests.get(f"{url}/server_info", timeout=5).raise_for_status()
        except requests.RequestException:
            if time.monotonic() > deadline:
                msg = f"the webserver does not answer after {START_SECONDS:.0f} s; {webserver.log}"
                raise ServerError(msg) from None
            time.sleep(0.2)
        else:
            return
