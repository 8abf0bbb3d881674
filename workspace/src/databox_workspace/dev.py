"""`task dagster:dev`: the UI and the daemon on this machine, with the sandbox if it is needed."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from subprocess import Popen
from threading import Thread

from rich.console import Console

from databox_shared.settings import SANDBOX_PORT, Settings, load_settings
from databox_workspace.address import open_warning, own_url
from databox_workspace.deployment import ServerError, sandbox_if_needed, supervised
from databox_workspace.home import dagster_home, forget_daemon
from databox_workspace.screen import say


def run_dev(console: Console, settings: Settings, *, host: str, port: int) -> int:
    """Run `dagster dev -w workspace.yaml` on the project's Dagster home until it is interrupted.

    Returns its exit code. Raises `ServerError` if another deployment runs on the home.
    """
    with ExitStack() as stack:
        home = stack.enter_context(dagster_home(settings, say=partial(say, console)))
        if not home.is_ours:
            msg = f"a deployment is already running on {home.path}; stop it first"
            raise ServerError(msg)
        # a sandbox that somebody started with `task sandbox` is used as it is
        if not _is_listening(SANDBOX_PORT):
            url = stack.enter_context(sandbox_if_needed(settings, home, port=SANDBOX_PORT))
            if url:
                say(console, f"No EBIRD_API_TOKEN: generated birds from the sandbox at {url}")
        say(console, f"eBird's API is asked at {load_settings().api_url}")
        if warning := open_warning(host, port):
            say(console, warning, style="bold yellow")
        say(console, "Starting the UI, the daemon and the code servers; Ctrl-C stops everything")
        command = [
            # Dagster advises its other command line, which knows no workspace of several locations
            *(sys.executable, "-W", "ignore:Function `dev_command` is superseded"),
            *("-m", "dagster", "dev", "-w", "workspace.yaml"),
            *("--host", host, "--port", str(port)),
            # sensors look every few seconds; what they skip is in the UI
            *("--log-level", "warning"),
        ]
        stack.callback(forget_daemon)
        server = stack.enter_context(supervised("dagster dev", command, home, output=sys.stdout))
        ready = partial(
            say, console, f"The UI is ready at {own_url(host, port)}", style="bold green"
        )
        waits = Thread(
            target=_when_listening, args=(server.process, host, port, ready), daemon=True
        )
        waits.start()
        return server.process.wait()


def _when_listening(server: Popen[bytes], host: str, port: int, then: Callable[[], object]) -> None:
    while server.poll() is None:
        if _is_listening(port, host):
            then()
            return
        time.sleep(0.5)


def _is_listening(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=0.5).close()
    except OSError:
        return False
    return True
