"""What a person sees in Dagster: pictures that are well-formed, true to the numbers, and said."""

import re
from base64 import b64decode
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from databox_shared.contracts import RAW, contract
from databox_shared.plots import Bar, columns, rows

from .conftest import DAYS, failed_checks

if TYPE_CHECKING:
    from .conftest import World

SVG = "{http://www.w3.org/2000/svg}"


def drawn(markdown: object) -> tuple[str, ET.Element]:
    """What the picture of a Markdown image says in words, and the picture."""
    image = re.fullmatch(r"!\[([^]]*)\]\(data:image/svg\+xml;base64,([^)]+)\)", str(markdown))
    assert image, markdown
    return image[1], ET.fromstring(b64decode(image[2]))


def bars(picture: ET.Element, side: str) -> list[float]:
    """Lengths of what is drawn on the background, in order."""
    return [float(part.attrib[side]) for part in picture.findall(f"{SVG}rect")[1:]]


def test_bars_are_as_long_as_their_numbers() -> None:
    _, picture = drawn(columns("Days", [Bar("a", 50, of=100), Bar("b", 100, of=100)]))
    whole, half, other_whole, full = bars(picture, "height")
    assert whole == other_whole == full == 2 * half
    _, picture = drawn(rows("Species", [Bar("a", 30), Bar("b", 10)]))
    long, short = bars(picture, "width")
    assert long == pytest.approx(3 * short, rel=0.01)


def test_any_name_leaves_the_picture_whole() -> None:
    for chart in (columns, rows):
        said, picture = drawn(chart("[A] <b>", [Bar('Swinhoe\'s "<Plover>" & [x](y)\n', 1)]))
        assert "Plover" in said
        assert any('"<Plover>" &' in (text.text or "") for text in picture.findall(f"{SVG}text"))
        drawn(chart("Nothing yet", []))


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
