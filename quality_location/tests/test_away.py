"""Quality stopped and started: what happened meanwhile is checked once, together, and released."""

from typing import TYPE_CHECKING

import dagster as dg

from databox_shared.contracts import MARTS, RAW, STAGING, contract
from databox_shared.days import DAYS_TAG, format_days, parse_days
from databox_shared.settings import Settings
from databox_shared.snapshots import KEEP, Snapshot, writing
from quality_location.definitions import definitions

from .conftest import DAYS, failed_checks

if TYPE_CHECKING:
    from .conftest import World

SENSOR = definitions.get_sensor_def("transform_to_quality")


def test_what_was_published_while_quality_was_away_is_checked_once_and_released(
    world: "World",
) -> None:
    # the first is released; then quality is away, and each day is transformed on its own
    _announce(world, world.publish(), DAYS[0])
    [first], cursor = _tick(world, None)
    world.check(tags=first.tags)
    published: list[Snapshot] = []
    for birds, day in enumerate(DAYS, start=8):
        _count_birds(world, birds)
        published.append(world.publish())
        _announce(world, published[-1], day)
    newest = published[-1]
    # ingestion goes on: without a reader its snapshots would be deleted
    built_from = newest.upstream["ingestion"]
    world.run_sql("ingestion", "DELETE FROM stored.ebird_raw__checklists")
    later = [_publish_raw(world.settings) for _ in range(KEEP + 1)]
    assert later[-1].id - built_from > KEEP

    [request], cursor = _tick(world, cursor)
    assert parse_days(request.tags[DAYS_TAG]) == list(DAYS)
    result = world.check(tags=request.tags)

    assert failed_checks(result) == {}, "it looked into another raw snapshot"
    assert world.release.manifest.snapshots == {
        "transform": newest.id,
        "ingestion": built_from,
    }
    assert world.release.manifest.days == format_days(DAYS)
    assert world.query("SELECT DISTINCT birds_counted FROM ebird.species_daily") == [(9,)]
    assert _tick(world, cursor)[0] == [], "everything is answered"


def _tick(world: "World", cursor: str | None) -> tuple[list[dg.RunRequest], str | None]:
    tick = SENSOR.evaluate_tick(dg.build_sensor_context(instance=world.instance, cursor=cursor))
    return list(tick.run_requests or []), tick.cursor


def _announce(world: "World", snapshot: Snapshot, day: object) -> None:
    """What a run of transform says once its snapshot is in place."""
    metadata = {"databox/snapshot_id": snapshot.id}
    for name in (STAGING, MARTS):
        for table in contract(name).tables.values():
            partition = str(day) if table.day_column else None
            world.instance.report_runless_asset_event(
                dg.AssetMaterialization(table.asset_key, partition=partition, metadata=metadata)
            )


def _count_birds(world: "World", number: int) -> None:
    world.run_sql("transform", f"UPDATE stored.ebird__species_daily SET birds_counted = {number}")


def _publish_raw(settings: Settings) -> Snapshot:
    with writing(settings, "ingestion") as writer:
        return writer.publish(run_id="i", contract_names=[RAW], source="127.0.0.1:8765")
