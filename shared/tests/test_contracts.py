import pytest

from databox_shared.contracts import ContractError, contract, contract_names, parse_contract
from databox_shared.edges import EDGES

MINIMAL = """
name: birds
version: 2.1.0
team: {{name: "team:birds"}}
schema:
  - name: nests
    description: Nests.
    dataGranularityDescription: one row per nest
    properties:
      - {{name: nest_id, physicalType: VARCHAR, description: Key.{key}}}
"""


@pytest.mark.parametrize("name", contract_names())
def test_every_contract_of_the_project_is_whole(name: str) -> None:
    found = contract(name)
    assert found.name == name
    for table in found.tables.values():
        columns = {column.name for column in table.columns}
        assert set(table.key) <= columns
        assert len(columns) == len(table.columns)
        for column in table.columns:
            assert column.description.endswith("."), f"{table.full_name}.{column.name}"
            if column.references:
                assert column.references[0] in found.tables


def test_every_contract_has_one_location_that_hands_it_over_and_looks_after_it() -> None:
    for edge in EDGES:
        for name in edge.contracts:
            assert contract(name).owner == f"team:{edge.upstream}", f"{name} on {edge.name}"


def test_a_table_without_a_key_is_refused() -> None:
    with pytest.raises(ContractError, match=r"birds\.nests has no primary key"):
        parse_contract(MINIMAL.format(key=""))


@pytest.mark.parametrize("version", ["1.2.3.4", "v1.2.3", "1.2.3-beta", "one"])
def test_a_version_that_cannot_be_compared_is_refused(version: str) -> None:
    text = MINIMAL.format(key=", primaryKey: true").replace("2.1.0", version)
    with pytest.raises(ContractError, match=r"write major\.minor\.patch"):
        parse_contract(text)


def test_another_major_version_is_refused_with_what_to_do_and_a_minor_one_is_read() -> None:
    birds = parse_contract(MINIMAL.format(key=", primaryKey: true"))
    birds.check_readable("2.0.0", source="snapshot 7")
    for version in ("1.9.0", "3.0.0", None):
        with pytest.raises(ContractError, match=r"snapshot 7 .* deploy the location"):
            birds.check_readable(version, source="snapshot 7")


def test_a_freshness_may_name_the_column_that_tells_it() -> None:
    sla = "\nslaProperties: [{{property: freshness, element: nests{column}, value: 36, unit: h}}]"
    text = MINIMAL + sla
    whole, by_column = (
        parse_contract(text.format(key=", primaryKey: true", column=column)).tables["nests"]
        for column in ("", ".nest_id")
    )
    assert (whole.freshness_hours, whole.freshness_column) == (36, None)
    assert (by_column.freshness_hours, by_column.freshness_column) == (36, "nest_id")
    with pytest.raises(ContractError, match=r"a freshness by egg_id, which is none"):
        parse_contract(text.format(key=", primaryKey: true", column=".egg_id"))
