"""Quality's server is stopped and started while transforms go on: nothing is lost or unchecked."""

from __future__ import annotations

from datetime import date
from functools import partial

import dagster as dg
import pytest
from plant import Plant

from databox_shared.days import DAYS_TAG, parse_days
from databox_shared.edges import EDGE_TAG, TRANSFORM_TO_QUALITY
from databox_workspace.follow import Chain

pytestmark = pytest.mark.slow

FIRST, *MEANWHILE = (date(2026, 5, 16), date(2026, 5, 10), date(2026, 5, 13))
RELEASED_DAYS = "SELECT DISTINCT obs_date FROM ebird.region_daily_totals ORDER BY ALL"


def quality_runs(plant: Plant) -> list[dg.DagsterRun]:
    filters = dg.RunsFilter(tags={EDGE_TAG: TRANSFORM_TO_QUALITY.name})
    return list(plant.instance.get_runs(filters))


def checked_days(plant: Plant) -> dict[str | None, bool]:
    """Days whose values are checked as they were last materialized, and whether they passed."""
    key = dg.AssetCheckKey(dg.AssetKey(["ebird", "species_daily"]), "values")
    found = plant.instance.event_log_storage.get_asset_check_partition_info([key])
    return {
        info.partition_key: info.latest_execution_status.value == "SUCCEEDED"
        for info in found
        if info.partition_key and info.is_current
    }


def is_transformed(chain: Chain) -> bool:
    chain.poll()
    return chain.stages["transform"].status is dg.DagsterRunStatus.SUCCESS


def test_what_is_transformed_while_quality_is_away_is_checked_once_when_it_is_back(
    plant: Plant,
) -> None:
    chain, _ = plant.launch(FIRST.isoformat())
    plant.until("the first release", chain.poll)
    released = plant.settings.release_path.resolve()
    [first_run] = quality_runs(plant)

    rest, server = plant.stop("quality")
    for day in MEANWHILE:
        chain, _ = rest.launch(day.isoformat())
        rest.until(f"the transform of {day}", partial(is_transformed, chain))
    assert plant.settings.release_path.resolve() == released, "released without a check"
    assert [run.run_id for run in quality_runs(plant)] == [first_run.run_id]
    assert checked_days(plant) == {FIRST.isoformat(): True}

    with rest.start(server) as again:
        again.until(
            "the release of all days",
            lambda: again.release(RELEASED_DAYS) == [(day,) for day in sorted([FIRST, *MEANWHILE])],
        )
        again.until("the end of its run", lambda: all(r.is_success for r in quality_runs(again)))
        [answer] = [run for run in quality_runs(again) if run.run_id != first_run.run_id]
        assert set(MEANWHILE) <= set(parse_days(answer.tags[DAYS_TAG]))
        assert checked_days(again) == dict.fromkeys(map(str, [FIRST, *MEANWHILE]), True)
