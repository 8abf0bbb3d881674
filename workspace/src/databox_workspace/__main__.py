"""The commands that act on all code locations: `python -m databox_workspace --help`."""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import click
from rich.console import Console

from databox_shared.days import FIRST_DAY, DaysError, format_days, parse_days
from databox_shared.settings import SettingsError, load_settings, project_root
from databox_workspace.deploy_commands import (
    build_command,
    deploy_command,
    files_command,
    rollback_command,
    status_command,
    up_command,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run, watch and check the three code locations of Databox together."""
    # a stopped service and a closed terminal end as Ctrl-C does: in order
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _days(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        days = parse_days(value)
    except DaysError as error:
        raise click.BadParameter(str(error)) from None
    if not days:
        message = "it names no day"
        raise click.BadParameter(message)
    # east of Greenwich it is tomorrow already
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    if wrong := [day for day in days if not FIRST_DAY <= day <= tomorrow]:
        message = f"{format_days(wrong)} cannot be read: days are from {FIRST_DAY} to today"
        raise click.BadParameter(message)
    return value


@main.command()
@click.option(
    "--days",
    callback=_days,
    help="Only these days, e.g. 2026-11-20 or 2026-11-01/2026-11-07,2026-11-20. "
    "Default: yesterday and the trailing window (the first time: the last 14 days).",
)
@click.option("--verbose", "-v", is_flag=True, help="Say at the end where the time went.")
def pipeline(days: str | None, verbose: bool) -> None:
    """Run the main job to its end: from the eBird API to a release.

    Starts the daemon, the code servers and, without EBIRD_API_TOKEN and EBIRD_API_URL, the
    sandbox; launches daily_ebird_pipeline; follows the chain across the locations; stops all.
    Exit code 0: released. 1: a run failed or a check blocked the release. 130: interrupted.
    """
    from databox_workspace.deployment import ServerError
    from databox_workspace.follow import ChainFailedError
    from databox_workspace.home import HomeError
    from databox_workspace.pipeline import StalledError, run_pipeline
    from databox_workspace.screen import say

    console = Console()
    try:
        is_released = run_pipeline(console, load_settings(), days=days, is_verbose=verbose)
    except (HomeError, SettingsError) as error:
        say(console, f"Failed: {error}", style="bold red")
        sys.exit(1)
    except (ChainFailedError, ServerError, StalledError) as error:
        say(console, f"\nFailed: {error}", style="bold red")
        say(console, "Look at it with: uv run task dagster:dev, then http://127.0.0.1:3000/runs")
        sys.exit(1)
    except KeyboardInterrupt:
        say(console, "\nInterrupted. What this command started has stopped; run it again to go on.")
        sys.exit(130)
    sys.exit(0 if is_released else 1)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where the UI listens.")
@click.option("--port", default=3000, show_default=True, help="Port of the UI.")
def dev(host: str, port: int) -> None:
    """Run the UI and the daemon on this machine until Ctrl-C.

    Without EBIRD_API_TOKEN and EBIRD_API_URL the sandbox is started as well.
    """
    from databox_workspace.deployment import ServerError
    from databox_workspace.dev import run_dev
    from databox_workspace.home import HomeError
    from databox_workspace.screen import say

    console = Console()
    try:
        sys.exit(run_dev(console, load_settings(), host=host, port=port))
    except (HomeError, ServerError, SettingsError) as error:
        say(console, f"Failed: {error}", style="bold red")
        sys.exit(1)
    except KeyboardInterrupt:
        # Ctrl-C is how this ends
        sys.exit(0)


@main.command()
@click.option("--watch", "-w", is_flag=True, help="Draw it over and over until Ctrl-C.")
def edges(watch: bool) -> None:
    """Show the state of every edge between locations: what is answered, waits, runs or failed.

    Read from the Dagster home of the deployment, which may be running or not: that of
    `task deploy:up` while it runs or if there is no other, else the one beside the data.
    docs/handoff.md says what the states mean and what to do.
    """
    import dagster as dg

    from databox_workspace.edge_state import show_edges
    from databox_workspace.home import home_path
    from databox_workspace.site import site

    try:
        settings = load_settings()
        where, home = site(settings), home_path(settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    is_new = not (home / "dagster.yaml").exists()
    if where.webserver_url() or (is_new and (where.home / "dagster.yaml").exists()):
        home = where.home
    if not (home / "dagster.yaml").exists():
        message = f"no deployment has run on {home} yet; start one with: uv run task dagster:dev"
        raise click.ClickException(message)
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with dg.DagsterInstance.get() as instance:
            show_edges(Console(), instance, is_watching=watch)
    except KeyboardInterrupt:
        # Ctrl-C is how --watch ends
        sys.exit(0)


@main.command()
def check() -> None:
    """Check that the locations fit together: keys, checks, partitions, versions."""
    from databox_workspace.check import check_workspace

    try:
        errors = check_workspace(project_root() / "workspace.yaml")
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    for error in errors:
        click.echo(error)
    click.echo(f"{len(errors)} errors" if errors else "The locations fit together.")
    sys.exit(1 if errors else 0)


def _revision(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> str | None:
    # CI says nothing, or zeros, where a branch has no commit before
    return value if value and value.strip("0") else None


_AGAINST = click.option(
    "--against",
    metavar="REV",
    callback=_revision,
    help="Compare with where HEAD left this revision, not the main branch.",
)


@main.command()
@_AGAINST
def contract_check(against: str | None) -> None:
    """Check that every changed contract has the version that its change asks for.

    Breaking needs a new major version, more or a stricter promise a minor one, words a patch.
    Exit code 0: so it is. 1: it is not. 3: there was nothing to compare with, and nothing is
    known (only without --against: a revision that was named must be there).
    """
    from databox_shared.contracts import ContractError
    from databox_workspace.contract_check import check_contracts, report
    from databox_workspace.revisions import RevisionError, base_revision

    root = project_root()
    try:
        base = base_revision(root, against)
    except RevisionError as error:
        click.echo(f"The contracts were NOT compared: {error}", err=True)
        sys.exit(1 if against else 3)
    try:
        verdicts = check_contracts(root, base)
    except ContractError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"The contracts, compared with revision {base[:9]}:")
    for line in report(verdicts):
        click.echo(line)
    sys.exit(1 if any(verdict.error for verdict in verdicts) else 0)


@main.command()
@_AGAINST
@click.option("--json", "as_json", is_flag=True, help="One line of JSON, as CI reads it.")
def ci_changed(against: str | None, as_json: bool) -> None:
    """Say which locations must be tested for what has changed.

    Whatever cannot be told is tested: in a copy without that revision, everything.
    """
    from databox_workspace.revisions import RevisionError, base_revision
    from databox_workspace.watch import select, select_all

    root = project_root()
    try:
        base = base_revision(root, against)
        selection, why = select(root, base), f"Compared with revision {base[:9]}:"
    except RevisionError as error:
        selection, why = select_all(root), f"Everything is tested: {error}"
    if as_json:
        click.echo(why, err=True)
        click.echo(selection.as_json())
        return
    click.echo(why)
    for name, files in {**selection.locations, "across them": selection.across}.items():
        rest = f" and {len(files) - 3} more" if len(files) > 3 else ""  # noqa: PLR2004
        click.echo(f"  {name:12} {'tested: ' + ', '.join(files[:3]) + rest if files else 'not'}")


@main.command()
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit 1 if one is stale.")
def contract_pages(only_check: bool) -> None:
    """Write the contracts as pages for people, into docs/contracts."""
    from databox_shared.contracts import contract, contract_names
    from databox_workspace.contract_pages import FOLDER, pages, stale, write_pages

    root = project_root()
    wanted = pages([contract(name) for name in contract_names()])
    changed = stale(root, wanted) if only_check else write_pages(root, wanted)
    for name in changed:
        click.echo(f"{FOLDER}/{name} {'is not of its contract' if only_check else 'written'}")
    if only_check and changed:
        message = "run `task contract:pages` and commit what it writes"
        raise click.ClickException(message)


@main.command()
@click.argument("name")
def location_new(name: str) -> None:
    """Add a code location NAME that loads, is tested and is linked to transform by contract.

    Adds NAME_location/ and a contract NAME_data, and registers both. It is all there or, whatever
    goes wrong, nothing is; if it was killed between the two, the same command finishes it.
    """
    from databox_workspace.new_location import NewLocationError, new_location

    try:
        new_location(project_root(), name, say=click.echo)
    except NewLocationError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"""
The location {name} is there. It makes a small table from transform's marts after each transform.
  uv run task test:{name}        its tests, alone
  uv run task check:workspace    that it fits to the others
  uv run task dagster:dev        the UI with it
  uv run task deploy:{name}      it alone, beside what runs
Now make it yours: the contract {name}_data, then {name}_location/src/{name}_location/tables.py.""")


main.add_command(build_command)
main.add_command(deploy_command)
main.add_command(files_command, "deploy-files")
main.add_command(rollback_command)
main.add_command(status_command)
main.add_command(up_command)


if __name__ == "__main__":
    main()
