"""The commands of a deployment: build, deploy, roll back, look, and run the host."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import click
from rich.console import Console
from rich.table import Table

from databox_shared.settings import load_settings
from databox_workspace.locations import Location, locations
from databox_workspace.screen import say
from databox_workspace.servers import HEALTH_SECONDS


def _location(_context: click.Context, _parameter: click.Parameter, value: str) -> Location:
    known = {location.name: location for location in locations()}
    if value not in known:
        message = f"there is no location {value}; there are {', '.join(known)}"
        raise click.BadParameter(message)
    return known[value]


_LOCATION = click.argument("location", callback=_location)
_DIRTY = click.option("--dirty", is_flag=True, help="Allow changes that are in no commit.")
_HEALTH = click.option(
    "--health-seconds",
    default=HEALTH_SECONDS,
    show_default=True,
    type=click.FloatRange(min=1),
    help="How long the new server may take to load its code.",
)


@click.command("build")
@_LOCATION
@_DIRTY
def build_command(location: Location, dirty: bool) -> None:
    """Make the environment of LOCATION as it is checked out, ready to be deployed.

    It has only that location's dependencies, from uv.lock, and holds no path of this checkout.
    The same content is built once. The last line is the folder.
    """
    from databox_workspace.builds import build
    from databox_workspace.site import site

    console = Console()
    with _sentences(console):
        where = site(load_settings())
        with where.deploying(location.name):
            made = build(
                location,
                root=where.root,
                deploy_dir=where.folder,
                may_be_dirty=dirty,
                say=partial(say, console),
            )
    click.echo(made.folder)


@click.command("deploy")
@_LOCATION
@_DIRTY
@_HEALTH
def deploy_command(location: Location, dirty: bool, health_seconds: float) -> None:
    """Build LOCATION, prove it, and let it serve beside what the others have deployed.

    Runs its tests on the build, starts the new server beside the old, holds it against the code of
    the other locations that is deployed now, switches, waits until the webserver shows it, and
    stops the old server after its runs. If anything fails, what served before still does.
    Exit code 0: it serves. 1: it does not, and the reason is said. 130: interrupted.
    """
    from databox_workspace.deploy import deploy
    from databox_workspace.site import site

    console = Console()
    with _sentences(console):
        deploy(
            site(load_settings()),
            location,
            may_be_dirty=dirty,
            health_seconds=health_seconds,
            say=_clocked(console),
        )


@click.command("rollback")
@_LOCATION
@_HEALTH
def rollback_command(location: Location, health_seconds: float) -> None:
    """Let the build of LOCATION serve that served before the present one."""
    from databox_workspace.deploy import rollback
    from databox_workspace.site import site

    console = Console()
    with _sentences(console):
        rollback(
            site(load_settings()), location, health_seconds=health_seconds, say=_clocked(console)
        )


@click.command("status")
def status_command() -> None:
    """Show what is deployed of each location, since when, and from which revision."""
    from databox_workspace.site import site
    from databox_workspace.status import status

    console = Console()
    with _sentences(console):
        where = site(load_settings())
        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("location", "build", "revision", "since", "server", "runs", "kept"):
            table.add_column(title, no_wrap=True)
        for row in status(where):
            table.add_row(*row)
        console.print(table)
        say(console, f"webserver: {where.webserver_url() or 'not running (task deploy:up)'}")


@click.command("files")
def files_command() -> None:
    """Write the places in the deployment's files that name the locations, from workspace.yaml."""
    from databox_shared.settings import project_root
    from databox_workspace.deploy_files import DeployFilesError, deploy_files

    root = project_root()
    try:
        files = deploy_files(root, [location.name for location in locations()])
    except DeployFilesError as error:
        raise click.ClickException(str(error)) from None
    for path, text in files.items():
        (root / path).write_text(text, encoding="utf-8")
        click.echo(path)


@click.command("up")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the UI listens.")
@click.option("--port", default=3000, show_default=True, help="Port of the UI.")
def up_command(host: str, port: int) -> None:
    """Run the webserver and the daemon for what is deployed, until Ctrl-C.

    Code servers that have died are started again; those that live are not touched, also at the
    end: runs in flight go on.
    """
    from databox_workspace.host import run_host
    from databox_workspace.site import site

    console = Console()
    with _sentences(console):
        settings = load_settings()
        run_host(site(settings), settings, address=host, port=port, say=_clocked(console))


def _clocked(console: Console) -> Callable[[str], None]:
    return lambda text: say(console, f"{datetime.now().astimezone():%H:%M:%S} {text}")


@contextmanager
def _sentences(console: Console) -> Generator[None]:
    """Errors that people can do something about end with their sentence, not with a traceback."""
    from databox_workspace.deploy import DeployError
    from databox_workspace.failures import FAILURES, sentence

    try:
        yield
    except (DeployError, *FAILURES) as error:
        say(console, f"Failed: {sentence(error)}", style="bold red")
        sys.exit(1)
    except KeyboardInterrupt:
        say(console, "Interrupted.")
        sys.exit(130)
