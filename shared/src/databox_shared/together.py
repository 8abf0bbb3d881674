"""Events of a run that are stored together: what a step says of many days, tables or checks.

Each event of its own is up to six transactions; together they are one, where the storage can do
that (`open_storage`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager, nullcontext
from itertools import islice

import dagster as dg

# others wait so long with what they store: a second or two
AT_ONCE = 500


@contextmanager
def together(instance: dg.DagsterInstance) -> Generator[None]:
    """Let all that this process stores meanwhile be stored in one transaction, or not at all.

    Other processes wait with what they store, so nothing may be worked out inside.
    """
    begin = getattr(instance.event_log_storage, "together", nullcontext)
    with begin():
        yield


def log_materializations(
    context: dg.AssetExecutionContext, materializations: Iterable[dg.AssetMaterialization]
) -> None:
    """Log what was made of many days and tables, many at once."""
    left = iter(materializations)
    while some := list(islice(left, AT_ONCE)):
        with together(context.instance):
            for materialization in some:
                context.log_event(materialization)
