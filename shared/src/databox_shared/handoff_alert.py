"""Tells people, once, that an edge gave up on days: nothing answers them until somebody acts.

Told is remembered in a tag of the run that failed last, so it survives a lost cursor and a
redeploy, and goes with the run. The value repeats the run's id, because a re-execution copies its
parent's tags and is an incident of its own. Killed between the delivery and the tag, it is told
twice. Days that the edge steps over before anybody could be told are found by a tag as well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import date

import dagster as dg

from databox_shared.alerts import AlertError, send_alert
from databox_shared.days import DAYS_TAG, parse_days
from databox_shared.edges import EDGE_TAG
from databox_shared.handoff_cursor import ANSWERS_TO_TAG, NO_MARK, mark_id
from databox_shared.handoff_rule import Wait, Waiting
from databox_shared.settings import SettingsError, load_settings

ALERT_TAG = "databox/alert"
UNTOLD_TAG = "databox/alert_untold"
RETRY_SECONDS = 300.0


def tell(
    instance: dg.DagsterInstance,
    edge_name: str,
    given_up: Sequence[Waiting],
    *,
    now: float,
    log: Callable[[], logging.Logger],
) -> None:
    """Say in the log and by the settings' ways what was given up, if it was not said before.

    `log` gives the tick's log, for which Dagster opens an instance. Raises nothing if that fails:
    it is said in the log, and tried again after `RETRY_SECONDS`, also when the days are not among
    those `given_up` any more, unless they were answered meanwhile.
    """
    given_up = [*given_up, *_stepped_over(instance, edge_name, {w.run_id for w in given_up})]
    if not given_up:
        return
    runs = instance.get_runs(dg.RunsFilter(run_ids=[waiting.run_id for waiting in given_up]))
    said = {run.run_id: _said(run) for run in runs}
    due = [waiting for waiting in given_up if _is_due(said.get(waiting.run_id), now)]
    if not due:
        return
    lines = [waiting.reason for waiting in due]
    text = "\n".join([f"Databox: the hand-off {edge_name} has stopped for some days.", *lines])
    if any(said.get(waiting.run_id) is None for waiting in due):
        log().critical(text)
    try:
        send_alert(load_settings(), text)
    except (AlertError, SettingsError) as error:
        log().warning("%s", error)
        word = "tried"
    else:
        word = "told"
    untold = edge_name if word == "tried" else ""
    for run_id in {waiting.run_id for waiting in due}:
        tags = {ALERT_TAG: f"{word} {run_id} {now:.0f}", UNTOLD_TAG: untold}
        instance.add_run_tags(run_id, tags)


def _stepped_over(
    instance: dg.DagsterInstance, edge_name: str, known: set[str]
) -> Iterator[Waiting]:
    """What nobody was told of and the edge does not read any more, by the run that failed last."""
    for run in instance.get_runs(dg.RunsFilter(tags={UNTOLD_TAG: edge_name})):
        said = _said(run)
        if run.run_id in known or said is None or said[0] != "tried":
            continue
        left = _days(run) - _answered_after(instance, edge_name, run)
        if left:
            days = tuple(sorted(left, key=lambda day: day or date.max))
            yield Waiting(Wait.GIVEN_UP, run.run_id, days)
        else:
            instance.add_run_tags(run.run_id, {UNTOLD_TAG: ""})


def _answered_after(
    instance: dg.DagsterInstance, edge_name: str, failed: dg.DagsterRun
) -> set[date | None]:
    succeeded = dg.RunsFilter(tags={EDGE_TAG: edge_name}, statuses=[dg.DagsterRunStatus.SUCCESS])
    later = [run for run in instance.get_runs(succeeded) if _mark(run) >= _mark(failed)]
    return {None, *(day for run in later for day in _days(run))} if later else set()


def _mark(run: dg.DagsterRun) -> int:
    return mark_id(run.tags.get(ANSWERS_TO_TAG, NO_MARK))


def _days(run: dg.DagsterRun) -> set[date | None]:
    """The days of a run; one that has none is for unpartitioned assets."""
    return set(parse_days(run.tags.get(DAYS_TAG, ""))) or {None}


def _said(run: dg.DagsterRun) -> tuple[str, float] | None:
    word, _, rest = run.tags.get(ALERT_TAG, "").partition(" ")
    run_id, _, at = rest.partition(" ")
    return (word, float(at)) if run_id == run.run_id else None


def _is_due(said: tuple[str, float] | None, now: float) -> bool:
    if said is None:
        return True
    word, at = said
    return word == "tried" and abs(now - at) > RETRY_SECONDS
