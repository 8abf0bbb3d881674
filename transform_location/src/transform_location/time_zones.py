"""The time zone of a place, as the SQL function `time_zone_at` of every DuckDB connection.

Boundaries come with tzfpy, within about 111 m of the true ones; nothing is asked over the network.
The function is part of the connection that SQLMesh makes, so that models, their unit tests and
previews of a change all have it. This module imports SQLMesh, so `definitions` must not import it.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from sqlmesh.core.config import DuckDBConnectionConfig
from tzfpy import get_tz

FUNCTION = "time_zone_at"


def time_zone_at(latitude: float, longitude: float) -> str:
    """The IANA name of the zone at a point in degrees; at sea one of `Etc/GMT…`, never empty."""
    return get_tz(longitude, latitude)


def zones_version() -> str:
    """Which answers `time_zone_at` gives: another text if the boundaries or its code are others."""
    code = hashlib.sha256(inspect.getsource(time_zone_at).encode()).hexdigest()[:8]
    return f"tzfpy {version('tzfpy')}, code {code}"


class ZonedDuckDB(DuckDBConnectionConfig):
    """A DuckDB connection whose SQL has `time_zone_at(latitude, longitude)`."""

    @property
    def _cursor_init(self) -> Callable[[Any], None]:
        init = super()._cursor_init

        def with_zones(cursor: Any) -> None:
            if init:
                init(cursor)
            known = "SELECT 1 FROM duckdb_functions() WHERE function_name = ?"
            # cursors of one database share their functions
            if not cursor.execute(known, [FUNCTION]).fetchone():
                cursor.create_function(FUNCTION, time_zone_at)

        return with_zones
