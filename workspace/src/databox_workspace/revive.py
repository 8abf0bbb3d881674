"""Starting a deployed location's server again that has died, from the same build.

What it left is ended first, and its runs reported. A location that cannot be served, or takes
long, stops no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from databox_workspace import servers
from databox_workspace.builds import builds
from databox_workspace.deployment import ServerError
from databox_workspace.failures import FAILURES, sentence
from databox_workspace.locations import locations
from databox_workspace.lost_runs import clean_up_after_dead
from databox_workspace.servers import HEALTH_SECONDS, CodeServerError
from databox_workspace.site import BusyError, Site

# what cannot be served is tried again, but not all the time
_RETRY_SECONDS = 60.0

Say = Callable[[str], object]


def revive(where: Site, location: str, *, say: Say = lambda _: None) -> None:
    """Start a location's server again if it is not alive, and end what any dead one left.

    Raises `BusyError` if the location is being deployed, `ServerError` if it cannot be served.
    """
    with where.deploying(location):
        # first, so that nothing starts the work of a lost run again while a worker is left
        clean_up_after_dead(where, location)
        dead = servers.current(where.run_dir, location)
        if dead is None or dead.is_alive():
            return
        made = builds(where.folder, location).get(dead.build)
        if made is None:
            msg = f"the build {dead.build} of {location} is gone; deploy it: task deploy:{location}"
            raise ServerError(msg)
        say(f"The server of {location} is gone; starting {made.said} again")
        new = servers.start(made, where.run_dir, home=where.home, working_dir=where.root)
        try:
            servers.wait_until_healthy(new, seconds=HEALTH_SECONDS)
        except CodeServerError as error:
            servers.ask_to_stop(new, was_current=False)
            msg = f"{location} cannot be served: {error}"
            raise ServerError(msg) from None
        servers.switch(where.run_dir, location, new)
        clean_up_after_dead(where, location)


class Reviver:
    """Revives whatever dies, each location in a thread of its own: one that is slow holds up none.

    A thread that its process ends leaves a server that is not current; the next deploy ends it.
    """

    def __init__(self, where: Site, say: Say = lambda _: None) -> None:
        self._where = where
        self._say = say
        self._at_work: dict[str, threading.Thread] = {}
        # before which time a location is left alone
        self._waits: dict[str, float] = {}
        servers.heed_interrupts()

    def look(self) -> None:
        """Begin to revive each location that has died; call it again and again."""
        for location in (listed.name for listed in locations()):
            at_work = self._at_work.get(location)
            if (at_work and at_work.is_alive()) or self._is_whole(location):
                continue
            if time.monotonic() >= self._waits.get(location, 0.0):
                thread = threading.Thread(target=self._revive, args=(location,), daemon=True)
                self._at_work[location] = thread
                thread.start()

    def wait(self) -> None:
        """Wait until everything that was begun has come to an end."""
        for thread in self._at_work.values():
            thread.join()

    def _is_whole(self, location: str) -> bool:
        noted = servers.servers(self._where.run_dir, location)
        return all(server.is_alive() for server in noted)

    def _revive(self, location: str) -> None:
        self._waits[location] = time.monotonic() + _RETRY_SECONDS
        try:
            revive(self._where, location, say=self._say)
        except BusyError:
            # it is being deployed at this moment, which is as good
            pass
        except FAILURES as error:
            self._say(f"{sentence(error)}\nIt is tried again in {_RETRY_SECONDS:.0f} s.")
            self._waits[location] = time.monotonic() + _RETRY_SECONDS
            return
        self._waits.pop(location)
