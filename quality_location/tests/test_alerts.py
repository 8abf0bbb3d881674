"""Alerts of quality: said once per incident."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from receivers import Webhook, webhook_of_the_settings

from quality_location import assets
from quality_location.automation import quality_failed
from quality_location.checks import Check, RowCheck
from quality_location.evaluate import NOT_ASKED
from quality_location.failure import tell_failure
from quality_location.history import Incident, alert_text

if TYPE_CHECKING:
    from .conftest import World


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Webhook]]:
    with webhook_of_the_settings(monkeypatch) as received:
        yield received


def test_an_incident_is_told_once_and_again_when_it_comes_back(
    released_world: "World", webhook: type[Webhook]
) -> None:
    world = released_world
    for birds in (-7, -8, 7, -9):
        world.run_sql(
            "transform", f"UPDATE stored.ebird__species_daily SET birds_counted = {birds}"
        )
        world.publish()
        result = world.check()
    assert len(webhook.texts) == 2
    assert "ebird.species_daily: values: 6 of 6 rows fail" in webhook.texts[0]
    assert f"(run {result.run_id[:8]}, team:transform)" in webhook.texts[1]


def test_an_alert_that_cannot_be_delivered_is_tried_again_and_stops_nothing(
    released_world: "World", webhook: type[Webhook]
) -> None:
    world = released_world
    world.run_sql("transform", "UPDATE stored.ebird__species_daily SET birds_counted = -7")
    world.publish()
    webhook.status = 500
    assert world.check().success
    assert webhook.texts == []
    webhook.status = 200
    world.check()
    world.check()
    assert len(webhook.texts) == 1


def test_a_warning_alone_is_no_alert(world: "World", webhook: type[Webhook]) -> None:
    world.run_sql("ingestion", "UPDATE stored.ebird_raw__region_stats SET num_checklists = 400")
    world.publish()
    world.check()
    assert webhook.texts == []


def test_many_incidents_are_one_message_that_can_be_read() -> None:
    incidents = [
        Incident(f"ebird.t{n}", "key", "team:x", "r" * 36, f"{NOT_ASKED}: {'word ' * 200}")
        for n in range(40)
    ]
    incidents.append(Incident("ebird_raw.taxa", "schema", "team:x", "r" * 36, "It is gone."))
    head, first, *others, last = alert_text(incidents).splitlines()
    assert head == "Databox withholds its release; the last good one stays."
    assert first == "ebird_raw.taxa: schema: It is gone. (run rrrrrrrr, team:x)"
    assert len(others) == 9
    assert max(map(len, others)) < 400
    assert last == "And 31 more checks of 31 tables: see data_quality.incidents."


def test_a_failed_run_is_told_once_until_one_succeeds(
    world: "World", webhook: type[Webhook], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = assets.CHECKS
    crash = RowCheck(good[-1].table, "crash", "", blocking=False, fails={"x": "error('Anna')"})

    def run(checks: list[Check]) -> str:
        monkeypatch.setattr(assets, "CHECKS", checks)
        result = world.check(raise_on_error=False)
        if not result.success:
            _tell(world, result)
        return result.run_id

    webhook.status = 500
    run([*good, crash])
    assert webhook.texts == [], "it could not be delivered"
    webhook.status = 200
    second = run([*good, crash])
    run([*good, crash])
    assert len(webhook.texts) == 1
    assert second[:8] in webhook.texts[0]
    assert "Anna" not in webhook.texts[0]
    run(good)
    run([*good, crash])
    assert len(webhook.texts) == 2


def test_runs_that_failed_before_one_succeeded_are_not_told_afterwards(
    world: "World", webhook: type[Webhook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sensor looks once a minute, and the daemon may have been down."""
    good = assets.CHECKS
    crash = RowCheck(good[-1].table, "crash", "", blocking=False, fails={"x": "error('Anna')"})
    monkeypatch.setattr(assets, "CHECKS", [*good, crash])
    failed = [world.check(raise_on_error=False) for _ in range(2)]
    monkeypatch.setattr(assets, "CHECKS", good)
    world.check()
    for result in failed:
        _tell(world, result)
    assert webhook.texts == []


def _tell(world: "World", result: dg.ExecuteInProcessResult) -> None:
    record = world.instance.get_run_record_by_id(result.run_id)
    assert record
    context = dg.build_run_status_sensor_context(
        sensor_name=quality_failed.name,
        dagster_event=result.get_run_failure_event(),
        dagster_instance=world.instance,
        dagster_run=record.dagster_run,
    ).for_run_failure()
    tell_failure(context)
