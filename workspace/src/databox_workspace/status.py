"""What `task deploy:status` says of each location."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from databox_workspace import servers
from databox_workspace.builds import builds
from databox_workspace.locations import locations
from databox_workspace.site import Site

Row = tuple[str, str, str, str, str, str, str]


def status(where: Site) -> Iterator[Row]:
    """A row for each location, and one for each old server that still has runs.

    Columns: location, build, revision, since, server, runs in flight, builds kept.
    """
    for location in locations():
        name = location.name
        there = builds(where.folder, name)
        now = servers.current(where.run_dir, name)
        if now is None:
            yield (name, "not deployed", "", "", "", "", f"{len(there)}")
            continue
        for server in servers.servers(where.run_dir, name):
            is_alive, is_current = server.is_alive(), server == now
            if not is_alive and not is_current:
                continue
            made = there.get(server.build)
            state = f"pid {server.pid}" if is_alive else "gone"
            yield (
                name,
                server.build,
                (f"{made.revision[:8]}{'+' if made.is_dirty else ''}" if made else "?"),
                f"{datetime.fromisoformat(server.started_at).astimezone():%Y-%m-%d %H:%M}",
                state if is_current else f"{state}, ending",
                _count(server.runs()) if is_alive else "0",
                f"{len(there)}",
            )


def _count(runs: list[str] | None) -> str:
    return "?" if runs is None else f"{len(runs)}"
