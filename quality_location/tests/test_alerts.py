"""Alerts of quality: said once per incident."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from receivers import Webhook, webhook_of_the_settings

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
