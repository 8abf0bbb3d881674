"""What a run promises: exactly its days, whole snapshots, healing after a failure."""

from __future__ import annotations

from datetime import datetime
from unittest.mock import create_autospec

import dagster as dg
import duckdb
import pytest

from databox_shared import snapshots
from databox_shared.contracts import MARTS, RAW, STAGING, contract
from databox_shared.settings import Settings
from transform_location.assets import POLLS, REPORTS, evaluate
from transform_location.deployed import deployed_fingerprint
from transform_location.models import Models

from .conftest import filled
from .raw_world import RawWorld
from .runs import TABLES, announced, failure, newest, published, run

BY_DAY = {table.full_name for table in TABLES if table.day_column}
WHOLE = {table.full_name for table in TABLES if not table.day_column}


def test_the_first_run_evaluates_all_days_of_raw_and_publishes_what_the_contracts_promise(
    bare_settings: Settings, instance: dg.DagsterInstance
) -> None:
    settings = bare_settings
    raw = filled(RawWorld(settings)).publish()

    result = run(instance)

    assert result.success, failure(result)
    found = announced(result)
    assert {name for name, days in found.items() if days == {None}} == WHOLE
    assert {name for name, days in found.items() if days != {None}} == BY_DAY
    assert all(found[name] == {"2026-11-20", "2026-11-21"} for name in BY_DAY)
    with snapshots.reading(settings, "transform") as snapshot:
        assert snapshot.upstream == {"ingestion": raw.id}
        assert snapshot.source == "sandbox"
        assert snapshot.contracts == {name: contract(name).version for name in (STAGING, MARTS)}
        assert snapshot.run_id == result.run_id
    rows = published(settings)
    assert len(rows["ebird_staging.checklists"]) == 4
    assert {row[1] for row in rows["ebird.species_daily"]} == {"amecro", "amerob"}


def test_a_published_table_has_the_columns_and_types_of_its_contract(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    with snapshots.reading(settings, "transform") as snapshot, duckdb.connect() as connection:
        connection.execute(f"ATTACH '{snapshot.path}' AS transform (READ_ONLY)")
        for table in TABLES:
            described = connection.execute(f"DESCRIBE transform.{table.full_name}").fetchall()
            assert [(name, kind) for name, kind, *_ in described] == [
                (column.name, column.type) for column in table.columns
            ]


def test_a_new_day_touches_that_day_only(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    world.stats("2026-11-22", 1)
    world.checklist("S9", "2026-11-22", {"amerob": "1"})
    # of an old day, and so not seen until that day is asked for
    world.checklist("S10", "2026-11-20", {"amerob": "1"})
    world.publish()

    result = run(instance, "2026-11-22")

    assert result.success, failure(result)
    assert all(announced(result)[name] == {"2026-11-22"} for name in BY_DAY)
    assert all(announced(result)[name] == {None} for name in WHOLE)
    ids = {row[1] for row in published(settings)["ebird_staging.checklists"]}
    assert "S9" in ids
    assert "S10" not in ids


def test_an_old_day_again_gives_what_raw_has_now(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    before = published(settings)
    assert run(instance, "2026-11-20").success
    assert published(settings) == before

    world.drop("checklists", sub_id="S1-2026-11-20")
    world.drop("observations", sub_id="S1-2026-11-20")
    world.publish()
    result = run(instance, "2026-11-20")

    assert result.success, failure(result)
    after = published(settings)
    assert {row[1] for row in after["ebird_staging.checklists"]} == {
        "S2-2026-11-20",
        "S1-2026-11-21",
        "S2-2026-11-21",
    }
    day = [row for row in after["ebird.species_daily"] if str(row[2]) == "2026-11-20"]
    assert [row[1] for row in day] == ["amerob"]


def test_days_with_a_gap_leave_the_gap_alone(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    for day in ("2026-11-18", "2026-11-19"):
        world.checklist(f"S0-{day}", day, {"amerob": "1"})
    world.publish()
    run(instance)
    for day in ("2026-11-18", "2026-11-19", "2026-11-20"):
        world.checklist(f"S5-{day}", day, {"amerob": "1"})
    world.publish()

    result = run(instance, "2026-11-18,2026-11-20")

    assert announced(result)["ebird_staging.checklists"] == {"2026-11-18", "2026-11-20"}
    ids = {row[1] for row in published(settings)["ebird_staging.checklists"]}
    assert {"S5-2026-11-18", "S5-2026-11-20"} <= ids
    assert "S5-2026-11-19" not in ids


def test_a_partition_chosen_in_dagster_is_a_run_for_that_day(
    world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    by_day = sorted(BY_DAY)

    result = run(instance, select=by_day, partition_key="2026-11-21")

    assert result.success, failure(result)
    assert announced(result) == {name: {"2026-11-21"} for name in by_day}


def test_a_range_of_partitions_is_one_run_for_its_days(
    world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    tags = {
        "dagster/asset_partition_range_start": "2026-11-20",
        "dagster/asset_partition_range_end": "2026-11-21",
    }

    result = run(instance, select=sorted(BY_DAY), tags=tags)

    assert result.success, failure(result)
    assert announced(result) == {name: {"2026-11-20", "2026-11-21"} for name in BY_DAY}


@pytest.mark.parametrize(
    ("model", "partition"), [("ebird.species_daily", "2026-11-20"), ("ebird.hotspot_ranking", None)]
)
def test_a_selected_model_is_evaluated_alone(
    world: RawWorld, instance: dg.DagsterInstance, model: str, partition: str | None
) -> None:
    world.publish()
    run(instance)

    result = run(instance, select=[model], partition_key=partition)

    assert result.success, failure(result)
    assert announced(result) == {model: {partition}}


def test_what_is_missing_is_done_by_whatever_run_comes_next(
    world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()

    result = run(instance, select=["ebird_staging.taxa"])

    assert result.success, failure(result)
    assert set(announced(result)) == BY_DAY | WHOLE
    assert announced(result)["ebird.species_daily"] == {"2026-11-20", "2026-11-21"}


def test_a_checklist_that_moved_to_another_day_leaves_the_old_one(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    world.drop("checklists", sub_id="S1-2026-11-20")
    world.drop("observations", sub_id="S1-2026-11-20")
    world.checklist("S1-2026-11-20", "2026-11-22", {"amerob": "3", "amecro": "X"})
    world.publish()

    result = run(instance, "2026-11-22")

    assert result.success, failure(result)
    assert announced(result)["ebird_staging.checklists"] == {"2026-11-20", "2026-11-22"}
    moved = [
        row for row in published(settings)["ebird_staging.checklists"] if row[1] == "S1-2026-11-20"
    ]
    assert [str(row[2]) for row in moved] == ["2026-11-22"]


def test_a_failed_model_publishes_nothing_and_heals_on_the_next_run(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    before = newest(settings)
    too_big = world.add(
        "observations",
        region_code="US-DC",
        obs_id="OBS-big",
        sub_id="S1-2026-11-21",
        obs_date=world.tables["checklists"][2]["obs_date"],
        species_code="cangoo",
        how_many_str="9" * 30,
    )
    world.publish()

    failed = run(instance, "2026-11-21")

    assert not failed.success
    assert "ebird_staging.observations: " in failure(failed)
    assert "not reached: " in failure(failed)
    assert "ebird.species_daily" in failure(failed)
    assert announced(failed) == {}
    assert newest(settings) == before

    too_big["how_many_str"] = "7"
    world.publish()
    healed = run(instance, "2026-11-20")

    assert healed.success, failure(healed)
    assert announced(healed)["ebird_staging.observations"] == {"2026-11-20", "2026-11-21"}
    assert announced(healed)["ebird.species_daily"] == {"2026-11-20", "2026-11-21"}
    geese = [row for row in published(settings)["ebird.species_daily"] if row[1] == "cangoo"]
    assert [row[8] for row in geese] == [7]


def test_a_failed_blocking_audit_names_itself_and_publishes_nothing(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    before = newest(settings)
    world.tables["checklists"].append(dict(world.tables["checklists"][0]))
    world.publish()

    result = run(instance, "2026-11-20")

    assert not result.success
    assert "ebird_staging.checklists: the audit unique_grain found 1 bad rows" in failure(result)
    assert newest(settings) == before
    [found] = [
        event
        for event in result.get_asset_check_evaluations()
        if event.check_name == "unique_grain" and event.asset_key.path[-1] == "checklists"
    ]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.ERROR
    assert found.metadata["bad_rows"].value == 1
    assert "HAVING" in str(found.metadata["query"].value)
    assert found.metadata["examples"].value == "region_code US-DC, sub_id S1-2026-11-20"

    # the bad rows are in the working file, so a run for another day may not publish them either
    other = run(instance, "2026-11-21")
    assert not other.success
    assert newest(settings) == before


def test_a_failed_audit_that_does_not_block_is_a_warning(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.drop("region_stats")
    world.stats("2026-11-20", checklists=100)
    world.stats("2026-11-21", checklists=2)
    world.publish()

    result = run(instance)

    assert result.success, failure(result)
    assert newest(settings) == 1
    [found] = [
        event
        for event in result.get_asset_check_evaluations()
        if event.check_name == "day_is_complete"
    ]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.metadata["bad_rows"].value == 1


def test_a_code_of_a_life_list_that_no_taxonomy_has_is_a_warning_that_names_it(
    world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()

    result = run(instance)

    assert result.success, failure(result)
    [found] = [
        event
        for event in result.get_asset_check_evaluations()
        if event.check_name == "life_list_codes_are_known"
    ]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert found.metadata["bad_rows"].value == 1
    assert found.metadata["examples"].value == "person me, species_code houspa"


def test_raw_under_another_major_version_of_its_contract_is_refused_before_anything_is_written(
    bare_settings: Settings, instance: dg.DagsterInstance
) -> None:
    raw = filled(RawWorld(bare_settings)).publish()
    said = raw.path.with_suffix(".json")
    said.write_text(said.read_text().replace('"ebird_raw": "1.', '"ebird_raw": "99.'))

    result = run(instance)

    assert not result.success
    assert f"of the contract {RAW}, and this location reads version 1.x" in failure(result)
    assert not (bare_settings.hidden_dir / "transform" / "transform.duckdb").exists()


def test_raw_of_an_older_ingestion_is_refused_before_history_is_rebuilt(
    bare_settings: Settings, instance: dg.DagsterInstance
) -> None:
    raw = filled(RawWorld(bare_settings)).publish()
    with duckdb.connect(str(raw.path)) as connection:
        connection.execute(f"DROP TABLE {RAW}.notable_polls")
        connection.execute(f"ALTER TABLE {RAW}.taxa DROP COLUMN report_as")
        # which no model reads
        connection.execute(f"ALTER TABLE {RAW}.notable_observations DROP COLUMN has_rich_media")

    result = run(instance)

    assert not result.success
    assert (
        "was published by an older ingestion: it has not notable_polls.days_back, "
        "notable_polls.polled_at, notable_polls.region_code, taxa.report_as; deploy ingestion "
        "first and let its job daily_ebird_pipeline run"
    ) in failure(result)
    assert deployed_fingerprint(bare_settings.hidden_dir / "transform") is None


def test_a_poll_is_never_evaluated_without_the_reports_that_it_has() -> None:
    models = create_autospec(Models, instance=True)
    models.raw_days.return_value = models.moved_days.return_value = []
    evaluate(models, {POLLS, "ebird.rarity_alerts"}, [], lambda _: None)
    [call] = models.evaluate.call_args_list
    assert call.args[0] == {POLLS, REPORTS, "ebird.rarity_alerts"}


def test_each_day_is_announced_with_its_own_rows_and_the_snapshot_that_has_them(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.checklist("S3", "2026-11-21", {"amerob": "1"})
    world.publish()

    result = run(instance)

    counts = {
        event.materialization.partition: event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.materialization.asset_key.path[-1] == "checklists"
    }
    assert counts["2026-11-20"]["dagster/partition_row_count"].value == 2
    assert counts["2026-11-21"]["dagster/partition_row_count"].value == 3
    assert counts["2026-11-21"]["databox/snapshot_id"].value == newest(settings)


def test_a_notable_report_is_remembered_after_it_left_the_poll(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    def poll(at: str, *reports: tuple[str, str]) -> None:
        world.tables["notable_observations"] = []
        for obs_id, species in reports:
            world.add(
                "notable_observations",
                region_code="US-DC",
                obs_id=obs_id,
                sub_id=f"S-{obs_id}",
                loc_id="L1",
                species_code=species,
                obs_dt=datetime.fromisoformat("2026-11-20T08:00"),
                obs_valid=True,
                polled_at=datetime.fromisoformat(at),
            )
        world.tables["notable_polls"] = []
        world.add(
            "notable_polls",
            region_code="US-DC",
            days_back=30,
            polled_at=datetime.fromisoformat(at),
        )
        world.publish()

    def states() -> dict[str, str]:
        result = run(instance, "2026-11-21")
        assert result.success, failure(result)
        rows = published(settings)
        assert [row[1] for row in rows["ebird_staging.notable_reports"]] == ["O1", "O2", "O3"]
        return {row[1]: row[8] for row in rows["ebird.rarity_alerts"]}

    poll("2026-11-21T06:00", ("O1", "cangoo"), ("O2", "amecro"), ("O3", "amerob"))
    assert set(states().values()) == {"unconfirmed"}
    poll("2026-11-22T06:00", ("O1", "cangoo"), ("O3", "amerob"))
    assert states() == {"amecro": "withdrawn", "amerob": "unconfirmed", "cangoo": "unconfirmed"}

    # an empty poll withdraws the others, and one that reaches back to none of them changes nothing
    poll("2026-11-23T06:00")
    assert set(states().values()) == {"withdrawn"}
    poll("2026-12-25T06:00")
    assert set(states().values()) == {"withdrawn"}
