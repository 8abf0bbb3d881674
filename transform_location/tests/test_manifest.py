"""The manifest: fresh, rebuilt when stale, and refused when models and contracts differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot import exp, parse_one
from sqlmesh.core.model import Model, create_sql_model

from transform_location import manifest as manifest_module
from transform_location.manifest import (
    MANIFEST,
    ManifestError,
    code_fingerprint,
    load_manifest,
    stored_manifest,
    write_manifest,
)
from transform_location.manifest_build import contract_differences
from transform_location.warehouse import load_project

GRAIN = (
    "the grain of the model {} is (region_code) and its contract's key is (obs_date, region_code)"
)


@pytest.fixture(scope="module")
def models() -> list[Model]:
    context = load_project()
    return [model for model in context.models.values() if not model.kind.is_external]


def one(models: list[Model], table: str) -> Model:
    return next(model for model in models if f"{model.schema_name}.{model.view_name}" == table)


def test_the_manifest_in_the_repository_is_of_the_models_beside_it() -> None:
    stored = stored_manifest()
    assert stored is not None
    assert stored.fingerprint == code_fingerprint(), (
        "run `python -m transform_location.lint --fix` and commit manifest.json"
    )


def test_a_stale_manifest_is_rebuilt_when_it_is_loaded(tmp_path: Path) -> None:
    fresh = load_manifest()
    stale = tmp_path / "manifest.json"
    write_manifest(manifest_module.Manifest("of other files", []), stale)

    assert load_manifest(stale) == fresh
    assert stale.read_text() == MANIFEST.read_text()


def test_a_changed_model_changes_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_fingerprint()
    project = tmp_path / "project"
    for file in filter(Path.is_file, manifest_module.PROJECT.rglob("*")):
        copy = project / file.relative_to(manifest_module.PROJECT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    for name in manifest_module.DEPLOYED_CODE:
        (tmp_path / name).write_bytes((MANIFEST.parent / name).read_bytes())
    monkeypatch.setattr(manifest_module, "PROJECT", project)
    assert code_fingerprint() == before

    (project / "tests" / "test_marts.yaml").write_text("{}")
    assert code_fingerprint() == before, "unit tests are not deployed"

    model = project / "models" / "staging" / "taxa.sql"
    model.write_text(model.read_text() + "\n-- changed")
    assert code_fingerprint() != before


def test_a_manifest_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nowhere"):
        load_manifest(tmp_path / "nowhere" / "manifest.json")


def test_models_and_contracts_agree(models: list[Model]) -> None:
    assert list(contract_differences(models)) == []


def test_a_promised_table_without_a_model_is_refused(models: list[Model]) -> None:
    rest = [model for model in models if model.view_name != "species_daily"]
    assert list(contract_differences(rest)) == [
        "the contract promises ebird.species_daily and no model makes it: add a model of that name"
    ]


def test_a_model_without_a_contract_is_refused(models: list[Model]) -> None:
    extra = create_sql_model("ebird.surprise", parse_one("SELECT 1 AS one"), dialect="duckdb")
    assert list(contract_differences([*models, extra])) == [
        "the model ebird.surprise has no table in a contract: add it to the contract of its schema"
    ]


def test_other_columns_types_grain_or_days_than_the_contracts_are_refused(
    models: list[Model],
) -> None:
    rest = [model for model in models if model.view_name != "region_stats"]
    right = one(models, "ebird_staging.region_stats")
    columns = dict(right.columns_to_types or {})
    columns["stats_species"] = exp.DataType.build("DOUBLE")
    columns["surprise"] = exp.DataType.build("INT")
    del columns["is_capped"]
    wrong = right.copy(update={"columns_to_types_": columns, "grains": [exp.column("region_code")]})

    said = list(contract_differences([*rest, wrong]))

    name = "ebird_staging.region_stats"
    assert said == [
        f"{name} has a column surprise that its contract does not describe",
        f"{name} lacks the column is_capped that its contract promises",
        f"{name}.stats_species is DOUBLE in the model and BIGINT in the contract",
        GRAIN.format(name),
    ]


def test_every_model_and_column_is_described_from_its_contract(models: list[Model]) -> None:
    for model in models:
        assert model.description, model.name
        assert set(model.column_descriptions) == set(model.columns_to_types or {}), model.name
