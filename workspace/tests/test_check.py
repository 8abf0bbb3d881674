"""The workspace check on a workspace of two small locations that are wrong in every way at once."""

from pathlib import Path

import pytest

from databox_shared.edges import Edge
from databox_workspace.check import check_workspace

PRODUCER = """
import dagster as dg

days = dg.DailyPartitionsDefinition("2026-01-01")


@dg.asset(partitions_def=days)
def checklists(): ...


@dg.asset
def taxa(): ...


defs = dg.Definitions(assets=[checklists, taxa])
"""

CONSUMER = """
import dagster as dg

hours = dg.HourlyPartitionsDefinition("2026-01-01-00:00")


@dg.asset(deps=["checklist"])
def misspelt(): ...


@dg.asset(deps=["checklists"], partitions_def=hours)
def hourly(): ...


@dg.asset
def taxa(): ...


@dg.asset_check(asset="nowhere")
def lost():
    return dg.AssetCheckResult(passed=True)


defs = dg.Definitions(assets=[misspelt, hourly, taxa], asset_checks=[lost])
"""

SOUND = """
import dagster as dg

days = dg.DailyPartitionsDefinition("2026-01-01")


@dg.asset(deps=["checklists"], partitions_def=days)
def observations(): ...


defs = dg.Definitions(assets=[observations])
"""


def workspace(folder: Path, **locations: str) -> Path:
    entries: list[str] = []
    for name, code in locations.items():
        (folder / f"{name}.py").write_text(code)
        entries.append(f"  - python_file: {{relative_path: {name}.py, location_name: {name}}}")
    file = folder / "workspace.yaml"
    file.write_text("\n".join(["load_from:", *entries, ""]))
    return file


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = workspace(tmp_path_factory.mktemp("wrong"), producer=PRODUCER, consumer=CONSUMER)
    edge = Edge("raw", "producer", "consumer", ("ebird_raw",))
    return "\n".join(check_workspace(file, edges=[edge]))


@pytest.mark.parametrize(
    "sentence",
    [
        "asset checklist is in no location, but consumer names it as upstream of misspelt",
        "asset taxa is materialized by consumer and producer",
        "check lost of consumer is on nowhere, which no location defines",
        "hourly and its upstream checklists have different partitions",
        "ebird_raw/checklists is in a contract of producer, which does not materialize it",
        "consumer has no sensor raw: nothing answers producer",
    ],
)
def test_what_dagster_does_not_see_is_said(errors: str, sentence: str) -> None:
    assert sentence in errors


def test_a_sound_workspace_has_no_errors(tmp_path: Path) -> None:
    assert check_workspace(workspace(tmp_path, producer=PRODUCER, sound=SOUND), edges=[]) == []


def test_a_location_that_does_not_load_is_named_with_its_error(tmp_path: Path) -> None:
    file = workspace(tmp_path, producer=PRODUCER, broken="import no_such_library")
    (error,) = check_workspace(file, edges=[])
    assert error.startswith("location broken does not load: ")
    assert "no_such_library" in error
