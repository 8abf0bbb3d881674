"""The catalogue: current, whole, and true about where a column comes from."""

from __future__ import annotations

from databox_shared.contracts import RAW, contract
from transform_location.catalogue import FILE, catalogue_file, page, raw_sources
from transform_location.manifest import (
    ColumnSource,
    Manifest,
    Model,
    current_manifest,
)


def test_the_page_in_the_repository_is_of_the_models_beside_it() -> None:
    assert catalogue_file().read_text(encoding="utf-8") == page(current_manifest()), (
        f"run `python -m transform_location.lint --fix` and commit {FILE}"
    )


def test_every_model_and_every_column_is_on_the_page() -> None:
    text = page(current_manifest())
    for model in current_manifest().models:
        section = text.partition(f"### {model.full_name}\n")[2].partition("\n### ")[0]
        for column in contract(model.schema).tables[model.table].columns:
            assert f"| `{column.name}` | " in section, f"{model.full_name}.{column.name}"


def test_a_column_is_followed_over_all_models_to_the_raw_columns() -> None:
    count = ColumnSource("ebird", "species_daily", "birds_counted")
    assert ColumnSource(RAW, "observations", "how_many_str") in raw_sources(
        count, current_manifest()
    )


def test_a_column_that_is_computed_from_itself_ends() -> None:
    # a model that keeps what it had reads its own columns
    own = ColumnSource("ebird", "kept", "name")
    raw = ColumnSource(RAW, "taxa", "com_name")
    model = Model("ebird", "kept", "kept.sql", "FULL", "1", [], [], {"name": [own, raw]})
    assert raw_sources(own, Manifest("", [model])) == [raw]


def test_what_comes_from_a_raw_table_names_columns_that_its_contract_has() -> None:
    manifest = current_manifest()
    for model in manifest.models:
        for column in contract(model.schema).tables[model.table].columns:
            for raw in raw_sources(ColumnSource(model.schema, model.table, column.name), manifest):
                names = {known.name for known in contract(RAW).tables[raw.table].columns}
                assert raw.column in names, f"{model.full_name}.{column.name}"
