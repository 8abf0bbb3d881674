"""A site without Dagster: servers that only hold their lock, and builds of nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from databox_workspace import servers
from databox_workspace.builds import NOTE, Build, builds_folder, read_build
from databox_workspace.locks import try_lock
from databox_workspace.servers import CodeServer
from databox_workspace.site import Site


def idle_site(folder: Path) -> Site:
    """A site to which nothing is deployed."""
    site = Site(folder, folder / "d", folder / "home")
    site.run_dir.mkdir(parents=True)
    return site


@contextmanager
def idle_process(where: Site) -> Generator[subprocess.Popen[bytes]]:
    """A process that holds the lock of quality's first server and does not answer."""
    with (where.run_dir / "quality-1.lock").open("a") as lock:
        assert try_lock(lock.fileno())
        started = subprocess.Popen(
            ["sleep", "600"], start_new_session=True, pass_fds=(lock.fileno(),)
        )
    yield started
    started.kill()
    started.wait()


def idle_server(where: Site, process: subprocess.Popen[bytes], build: str = "abc") -> CodeServer:
    """That process, noted as the server that is current."""
    said = {"location": "quality", "number": 1, "build": build, "pid": process.pid}
    note = json.dumps({**said, "started_at": "2026-11-24T00:00:00+00:00"})
    (where.run_dir / "quality-1.json").write_text(note)
    (where.run_dir / "quality-1.sock").touch()
    (found,) = servers.servers(where.run_dir, "quality")
    servers.switch(where.run_dir, "quality", found)
    return found


def empty_build(where: Site, name: str = "abc", *, built_at: int = 0) -> Build:
    """A build of quality with nothing in it but its note and what the settings name."""
    folder = builds_folder(where.folder, "quality") / name
    shared = folder / "venv/lib/python3.11/site-packages/databox_shared"
    shared.mkdir(parents=True)
    for module in ("open_storage", "run_queue"):
        (shared / f"{module}.py").touch()
    said = {
        "location": "quality",
        "id": name,
        "module": "quality_location.definitions",
        "revision": "0" * 40,
        "is_dirty": False,
        "built_at": f"2026-11-24T00:{built_at:02}:00+00:00",
        "dagster": "1",
        "databox_shared": "1",
        "contracts": {},
        "reads": {},
    }
    (folder / NOTE).write_text(json.dumps(said))
    return read_build(folder)
