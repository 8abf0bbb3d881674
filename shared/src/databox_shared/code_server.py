"""Dagster's code server, with a correction: what it could not report, it reports later.

A server watches the workers of its runs, and reports a run as failed when its worker has died. In
Dagster (1.13) the thread that does so ends for good when one report cannot be stored, as on a full
disk or while PostgreSQL is away. Its edge then waits for that run until run monitoring ends it,
after hours; no later death is noticed; and the server, when it is asked to stop, never ends.

A report that was stored in part is made again as a whole, so an event may be there twice.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

RETRY_SECONDS = 5.0

_SERVER = "dagster._grpc.server"
_LOOK = "_check_for_orphaned_runs"

# the server's own
_log = logging.getLogger("dagster.code_server")


def report_until_stored() -> None:
    """Keep this process, if it is a code server, watching its workers after a failed report.

    `handoff` calls it as it is imported, which every location does.
    """
    # not imported for it: that would cost each run worker and each load
    if module := sys.modules.get(_SERVER):
        setattr(module.DagsterApiServer, _LOOK, _again(getattr(module.DagsterApiServer, _LOOK)))


def _again(look: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(look)
    def looked(server: Any) -> None:
        try:
            look(server)
        # whatever a storage raises; the server still knows what it has not reported
        except Exception as error:  # noqa: BLE001
            message = "no worker's end can be reported, which is tried again in %g s: %r"
            _log.warning(message, RETRY_SECONDS, error)
            time.sleep(RETRY_SECONDS)

    return looked
