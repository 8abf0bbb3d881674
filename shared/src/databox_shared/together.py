"""Events of a run that are stored together: what a step says of many days, tables or checks.

Each event is several transactions of its own; many are one for each file, where the storage can
do that (`open_storage`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import dagster as dg

# in memory until they are stored; others wait so long with what they store
AT_ONCE = 500


def log_together(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    events: Iterable[dg.AssetMaterialization | dg.AssetCheckEvaluation],
) -> None:
    """Log what was made or checked, many at once.

    No context manager, which could be put around a `yield`: if Dagster fails there it does not come
    back, and what it stores of the failure would be in a batch that nobody ends.
    """
    left = iter(events)
    while some := list(islice(left, AT_ONCE)):
        with _together(context.instance):
            for event in some:
                # it takes check evaluations as well, which its type does not say
                context.op_execution_context.log_event(event)  # pyright: ignore[reportArgumentType]


def report_checks(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    evaluations: Sequence[dg.AssetCheckEvaluation],
) -> Iterator[dg.Output[None]]:
    """Log what was checked, then yield what Dagster awaits of each check: once, whatever its days.

    Instead of an `AssetCheckResult` each, which Dagster stores one by one, asks for the newest
    materialization of, and takes for all partitions only.
    """
    log_together(context, evaluations)
    for key in dict.fromkeys(evaluation.asset_check_key for evaluation in evaluations):
        spec = dg.AssetCheckSpec(key.name, asset=key.asset_key)
        yield dg.Output(None, spec.get_python_identifier())


def _together(instance: dg.DagsterInstance) -> AbstractContextManager[None]:
    from databox_shared.open_storage import OpenEventLog

    log = instance.event_log_storage
    return log.together() if isinstance(log, OpenEventLog) else nullcontext()
