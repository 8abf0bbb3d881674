"""What the location shows to Dagster, and when it starts by itself."""

import subprocess
import sys
from datetime import timedelta

import dagster as dg

from databox_shared.contracts import MARTS, RAW, STAGING, contract
from databox_shared.days import DAYS_TAG
from quality_location.definitions import definitions

HEAVY = ("dlt", "sqlmesh", "pandas", "pyarrow", "jinja2", "altair", "ebird_sandbox")


def test_it_loads_as_the_code_server_loads_it() -> None:
    graph = definitions.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["release", "databox"])).group_name == "data_quality"
    for name in contract("data_quality").tables:
        assert graph.get(dg.AssetKey(["data_quality", name])).owners == ["team:quality"]
    assert definitions.resolve_job_def("data_quality_checks")
    sensors = [sensor.name for sensor in definitions.sensors or []]
    assert sensors == ["transform_to_quality", "quality_failed"]


def test_every_table_of_every_contract_is_checked_and_every_check_says_what_it_means() -> None:
    specs = [
        definitions.resolve_asset_graph().get_check_spec(key)
        for key in definitions.resolve_asset_graph().asset_check_keys
    ]
    assert all(spec.description for spec in specs)
    checked = {tuple(spec.asset_key.path): [] for spec in specs}
    for spec in specs:
        checked[tuple(spec.asset_key.path)].append(spec.name)
    for name in (RAW, STAGING, MARTS):
        for table in contract(name).tables:
            assert {"schema", "key", "values"} <= set(checked[name, table])


def test_that_quality_has_stopped_is_seen_by_dagster_itself() -> None:
    graph = definitions.resolve_asset_graph()
    for table in contract("data_quality").tables.values():
        hours = table.freshness_hours
        policy = dg.FreshnessPolicy.time_window(timedelta(hours=hours)) if hours else None
        assert graph.get(table.asset_key).freshness_policy == policy
    assert graph.get(dg.AssetKey(["data_quality", "check_results"])).freshness_policy


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys, quality_location.definitions; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "[]\n"


def test_each_transform_is_answered_by_one_run_for_its_days() -> None:
    instance = dg.DagsterInstance.ephemeral()
    for day in ("2026-11-20", "2026-11-22", "2026-11-21"):
        for table in ("species_daily", "region_daily_totals"):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(["ebird", table], partition=day)
            )
    instance.report_runless_asset_event(dg.AssetMaterialization(["ebird", "hotspot_ranking"]))
    sensor = definitions.get_sensor_def("transform_to_quality")

    asked = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))

    [request] = asked.run_requests or []
    assert request.tags[DAYS_TAG] == "2026-11-20/2026-11-22"
    assert sensor.job_name == "data_quality_checks"


def test_a_raw_load_alone_starts_nothing() -> None:
    instance = dg.DagsterInstance.ephemeral()
    instance.report_runless_asset_event(dg.AssetMaterialization(["ebird_raw", "taxa"]))
    sensor = definitions.get_sensor_def("transform_to_quality")
    asked = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
    assert not asked.run_requests
