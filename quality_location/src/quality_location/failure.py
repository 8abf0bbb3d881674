"""Tells people that a run of quality failed: it came to no decision, so no check can tell it.

Told once, until a run succeeds again, and remembered in a tag of the run that was told of. The
value is the run's own id, because a re-execution copies its parent's tags. An alert that could not
be delivered is tried with the next run that fails.
"""

import dagster as dg

from databox_shared.alerts import AlertError, send_alert
from databox_shared.settings import SettingsError, load_settings

TOLD_TAG = "databox/failure_told"
_RUNS_LOOKED_AT = 50
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def tell_failure(context: dg.RunFailureSensorContext) -> None:
    """Tell of this failed run, unless it goes on what people have been told of."""
    run = context.dagster_run
    if _is_settled(context.instance, run):
        return
    text = (
        "Databox could not check its data or release it; the last good release stays.\n"
        f"{run.job_name}, run {run.run_id[:8]}: {context.failure_event.message}"
    )
    context.log.critical(text)
    try:
        send_alert(load_settings(), text)
    except (AlertError, SettingsError) as error:
        context.log.warning(str(error))
    else:
        context.instance.add_run_tags(run.run_id, {TOLD_TAG: run.run_id})


def _is_settled(instance: dg.DagsterInstance, failed: dg.DagsterRun) -> bool:
    """Whether people know, or a run has succeeded since."""
    finished = dg.RunsFilter(job_name=failed.job_name, statuses=_FINISHED)
    is_older = False
    for run in instance.get_runs(finished, limit=_RUNS_LOOKED_AT):
        if run.status is dg.DagsterRunStatus.SUCCESS:
            return not is_older
        is_older |= run.run_id == failed.run_id
        if run.tags.get(TOLD_TAG) == run.run_id:
            return True
    return False
