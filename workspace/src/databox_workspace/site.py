"""The site that locations are deployed to on this machine: a folder, and who works in it.

```
deployed/
  quality/builds/<id>/    what can be served, see `builds`
  quality/history.jsonl   what was deployed when
  run/quality.sock        the address of the location: a link to the socket of its server
  run/quality-7.*         note, socket, log and lock of one server, see `servers`
  home/                   Dagster's home, unless DAGSTER_HOME names another
```
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from databox_shared.settings import Settings, project_root
from databox_workspace import servers
from databox_workspace.builds import Build, builds
from databox_workspace.home import prepare_home
from databox_workspace.locks import is_locked, locked, try_lock


class BusyError(Exception):
    """Somebody else is deploying the location."""


@dataclass(frozen=True)
class Entry:
    """One line of a location's history."""

    at: str
    action: str
    build: str
    revision: str


@dataclass(frozen=True)
class Site:
    """Where things are deployed to. `root` is the checkout that they are built from."""

    root: Path
    folder: Path
    home: Path

    @property
    def run_dir(self) -> Path:
        """Sockets, logs and notes of the servers."""
        return self.folder / "run"

    @property
    def host_lock(self) -> Path:
        """Held by the command that runs the webserver and the daemon."""
        return self.run_dir / "host.lock"

    @property
    def host_note(self) -> Path:
        """Says where the webserver listens while that command runs."""
        return self.run_dir / "host.json"

    def current_build(self, location: str) -> Build | None:
        """What serves a location now, or would if its server lived; None if nothing does."""
        server = servers.current(self.run_dir, location)
        return builds(self.folder, location).get(server.build) if server else None

    def history(self, location: str) -> list[Entry]:
        """What was deployed of a location, the newest last."""
        file = self._history_file(location)
        if not file.is_file():
            return []
        lines = file.read_text(encoding="utf-8").splitlines()
        return [Entry(**json.loads(line)) for line in lines]

    def note(self, made: Build, action: str) -> None:
        """Add a line to the history of a location."""
        entry = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "action": action,
            "build": made.id,
            "revision": made.revision,
        }
        with self._history_file(made.location).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def webserver_url(self) -> str | None:
        """Where the webserver of the site listens, None if none runs."""
        if not self.run_dir.is_dir() or not is_locked(self.host_lock):
            return None
        # the lock is taken before the note is written
        if not self.host_note.is_file():
            return None
        return str(json.loads(self.host_note.read_text(encoding="utf-8"))["url"])

    @contextmanager
    def deploying(self, location: str, *, wait_seconds: float = 0.0) -> Generator[None]:
        """Be the only one who deploys this location.

        Raises `BusyError` if another still does after `wait_seconds`.
        """
        deadline = time.monotonic() + wait_seconds
        (self.folder / location).mkdir(parents=True, exist_ok=True)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        with (self.folder / location / "deploy.lock").open("a+") as lock:
            while not try_lock(lock.fileno()):
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                lock.seek(0)
                msg = f"{location} is being deployed by process {lock.read().strip()}; wait for it"
                raise BusyError(msg)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            with locked(self.run_dir / "home.lock"):
                prepare_home(self.home)
            yield

    @contextmanager
    def switching(self) -> Generator[None]:
        """One switch at a time: two locations deployed at once are held against each other."""
        with locked(self.run_dir / "switch.lock"):
            yield

    @contextmanager
    def instance(self) -> Generator[dg.DagsterInstance]:
        """Dagster's storage."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def _history_file(self, location: str) -> Path:
        return self.folder / location / "history.jsonl"


def site(settings: Settings) -> Site:
    """The site of this checkout: DEPLOY_DIR, with DAGSTER_HOME or a home of its own in there."""
    folder = settings.deployed_dir
    named = os.environ.get("DAGSTER_HOME")
    return Site(project_root(), folder, Path(named) if named else folder / "home")
