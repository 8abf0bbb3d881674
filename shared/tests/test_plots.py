"""Plots: pictures that are well-formed, true to the numbers, and said."""

from xml.etree import ElementTree as ET

import pytest
from drawings import SVG, drawn

from databox_shared.plots import Bar, columns, rows


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
