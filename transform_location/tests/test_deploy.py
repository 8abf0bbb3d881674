"""Deploy and evaluate are two verbs: what a change of the code does, and what it may not do."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from databox_shared.settings import Settings
from transform_location import changes
from transform_location.definitions import defs
from transform_location.deployed import NOTE, deployed_fingerprint, note_deployed
from transform_location.manifest import PROJECT, current_manifest

from .raw_world import RawWorld
from .runs import announced, failure, newest, published, run


def sensor_says(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    sensor = defs.get_repository_def().get_sensor_def("deploy_when_code_changed")
    with dg.build_sensor_context(instance=instance) as context:
        data = sensor.evaluate_tick(context)
    return data.run_requests[0] if data.run_requests else dg.SkipReason(data.skip_message or "")


def test_nothing_is_deployed_by_the_sensor_before_the_first_data(
    bare_settings: Settings, instance: dg.DagsterInstance
) -> None:
    assert isinstance(sensor_says(instance), dg.SkipReason)
    assert not (bare_settings.hidden_dir / "transform").exists()


def test_changed_code_is_deployed_once(settings: Settings, instance: dg.DagsterInstance) -> None:
    assert isinstance(sensor_says(instance), dg.SkipReason)

    note_deployed(settings.hidden_dir / "transform", "older")

    assert deploy_key(instance) == deploy_key(instance)


def deploy_key(instance: dg.DagsterInstance) -> str | None:
    said = sensor_says(instance)
    assert isinstance(said, dg.RunRequest)
    return said.run_key


def test_code_that_was_rolled_back_and_comes_again_is_deployed_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """Dagster starts no second run for a key, however long ago the first was."""
    folder = settings.hidden_dir / "transform"
    note_deployed(folder, "older")
    first = deploy_key(instance)
    note_deployed(folder, current_manifest().fingerprint)
    note_deployed(folder, "older")
    assert deploy_key(instance) != first


def test_a_run_for_some_models_refuses_to_deploy_the_others(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    before = newest(settings)
    folder = settings.hidden_dir / "transform"
    note_deployed(folder, "older")

    refused = run(instance, select=["ebird.hotspot_ranking"])

    assert not refused.success
    assert "run the job deploy_models first" in failure(refused)
    assert newest(settings) == before
    assert deployed_fingerprint(folder) == "older"

    assert run(instance, job="deploy_models").success
    assert deployed_fingerprint(folder) == current_manifest().fingerprint
    assert run(instance, select=["ebird.hotspot_ranking"]).success


def test_a_warehouse_that_was_deleted_is_made_again_in_spite_of_its_old_state(
    settings: Settings, world: RawWorld, instance: dg.DagsterInstance
) -> None:
    world.publish()
    run(instance)
    before = published(settings)
    (settings.hidden_dir / "transform" / "transform.duckdb").unlink()

    again = run(instance, "2026-11-21")

    assert again.success, failure(again)
    assert announced(again)["ebird.species_daily"] == {"2026-11-20", "2026-11-21"}
    assert published(settings) == before


@pytest.fixture
def changed_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the project in which robins are not counted."""
    project = tmp_path / "project"
    for file in filter(Path.is_file, PROJECT.rglob("*")):
        copy = project / file.relative_to(PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    model = project / "models" / "marts" / "species_daily.sql"
    text = model.read_text()
    of_days = "reports.obs_date BETWEEN @start_date AND @end_date"
    changed = text.replace(of_days, f"{of_days} AND reports.species_code <> 'amerob'")
    assert changed != text
    model.write_text(changed)
    for module in ("transform_location.models.PROJECT", "transform_location.warehouse.PROJECT"):
        monkeypatch.setattr(module, project)


@pytest.mark.usefixtures("changed_model")
def test_a_change_is_planned_and_previewed_without_touching_prod(
    settings: Settings,
    world: RawWorld,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as unchanged:
        unchanged.setattr("transform_location.models.PROJECT", PROJECT)
        world.publish()
        run(instance)
    folder = settings.hidden_dir / "transform"
    before = (folder / "transform.duckdb").read_bytes()
    capsys.readouterr()

    assert changes.main(["plan"]) == 0
    planned = capsys.readouterr().out
    assert "ebird.species_daily: breaking; 2 loaded days are rebuilt; contract ebird 1." in planned
    assert "ebird.phenology: indirect breaking" in planned
    assert "ebird_staging" not in planned

    assert changes.main(["preview", "no_robins"]) == 0
    previewed = capsys.readouterr().out
    assert "ebird.species_daily: 4 rows in prod, 2 in no_robins, 2 equal" in previewed

    assert (folder / "transform.duckdb").read_bytes() == before
    assert json.loads((folder / NOTE).read_text())["fingerprint"] == current_manifest().fingerprint


def test_a_change_command_without_a_word_says_what_it_wants(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert changes.main([]) == 2
    assert "preview" in capsys.readouterr().err
