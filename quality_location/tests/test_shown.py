"""What a person sees in Dagster of a release and of a failed check."""

import re
from typing import TYPE_CHECKING

from drawings import SVG, drawn

from databox_shared.contracts import RAW, contract

from .conftest import DAYS, failed_checks

if TYPE_CHECKING:
    from .conftest import World


def test_the_release_shows_its_days_and_its_birds(world: "World") -> None:
    world.run_sql(
        "transform",
        "UPDATE stored.ebird__region_daily_totals SET stats_checklists = 6, completeness = 0.5 "
        f"WHERE obs_date = '{DAYS[1]}'",
    )
    world.publish()
    result = world.check()

    shown = {
        event.asset_key.path[-1]: event.metadata
        for event in result.asset_materializations_for_node("data_quality")
    }
    said, picture = drawn(shown["databox"]["checklists_by_day"].value)
    assert said.endswith(f". {DAYS[0]}: 3; {DAYS[1]}: 3")
    counted, loaded, counted_late, loaded_late = picture.findall(f"{SVG}rect")[1:]
    assert counted.attrib["height"] == loaded.attrib["height"] == loaded_late.attrib["height"]
    assert float(counted_late.attrib["height"]) == 2 * float(loaded_late.attrib["height"])
    assert loaded.attrib["fill"] != loaded_late.attrib["fill"], "it is incomplete"
    said, _ = drawn(shown["databox"]["most_reported_species"].value)
    assert said.endswith("American Robin: 6; Mallard: 6; Northern Cardinal: 6")
    by_owner = str(shown["scorecard"]["scorecard_by_owner"].value)
    number = len(contract(RAW).tables)
    line = rf"^\| team:ingestion \| {number} \| {number} \| \d+ \| \d+ \| 0 \|$"
    assert re.search(line, by_owner, re.MULTILINE)


def test_a_failed_check_shows_its_days(released_world: "World") -> None:
    world = released_world
    world.run_sql("ingestion", "UPDATE stored.ebird_raw__checklists SET latitude = 91")
    world.publish()
    evaluation = failed_checks(world.check())["ebird_raw.checklists:values"]
    said, _ = drawn(evaluation.metadata["failing_by_day_plot"].value)
    assert said == f"Failing rows by day. {DAYS[0]}: 3; {DAYS[1]}: 3"
