"""Tells people, once, that an edge gave up on days: nothing answers them until somebody acts.

Told is remembered in a tag of the run that failed last, so it survives a lost cursor and a
redeploy, and goes with the run. The value repeats the run's id, because a re-execution copies its
parent's tags and is an incident of its own. Killed between the delivery and the tag, it is told
twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import dagster as dg

from databox_shared.alerts import AlertError, send_alert
from databox_shared.handoff_rule import Waiting
from databox_shared.settings import SettingsError, load_settings

ALERT_TAG = "databox/alert"
RETRY_SECONDS = 300.0


def tell(
    instance: dg.DagsterInstance,
    edge_name: str,
    given_up: Sequence[Waiting],
    *,
    now: float,
    log: logging.Logger,
) -> None:
    """Say in the log and by the settings' ways what was given up, if it was not said before.

    Raises nothing if that fails: it is said in the log, and tried again after `RETRY_SECONDS`.
    """
    runs = instance.get_runs(dg.RunsFilter(run_ids=[waiting.run_id for waiting in given_up]))
    said = {run.run_id: _said(run) for run in runs}
    due = [waiting for waiting in given_up if _is_due(said.get(waiting.run_id), now)]
    if not due:
        return
    lines = [waiting.reason for waiting in due]
    text = "\n".join([f"Databox: the hand-off {edge_name} has stopped for some days.", *lines])
    if any(said.get(waiting.run_id) is None for waiting in due):
        log.critical(text)
    try:
        send_alert(load_settings(), text)
    except (AlertError, SettingsError) as error:
        log.warning("%s", error)
        word = "tried"
    else:
        word = "told"
    for run_id in {waiting.run_id for waiting in due}:
        instance.add_run_tags(run_id, {ALERT_TAG: f"{word} {run_id} {now:.0f}"})


def _said(run: dg.DagsterRun) -> tuple[str, float] | None:
    word, _, rest = run.tags.get(ALERT_TAG, "").partition(" ")
    run_id, _, at = rest.partition(" ")
    return (word, float(at)) if run_id == run.run_id else None


def _is_due(said: tuple[str, float] | None, now: float) -> bool:
    if said is None:
        return True
    word, at = said
    return word == "tried" and abs(now - at) > RETRY_SECONDS
