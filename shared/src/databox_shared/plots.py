"""Plots that a person sees in Dagster: bar charts as SVG, within a Markdown image.

Drawn by hand because Vega needs a browser, and Dagster shows a picture only from a `data:` URI.
The picture brings its own background: it cannot know whether the UI is dark. Pure.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _ROW = 640, 180, 22
_LEFT, _TOP, _BASE = 44, 30, 20
_INK, _LINE, _LEAF, _WARN = "#1f2a24", "#d5ddd8", "#2f7d4f", "#c2571a"


@dataclass(frozen=True)
class Bar:
    """One bar. `of` is what the value is a part of, drawn behind it; `bad` gives it a colour."""

    label: str
    value: float
    of: float = 0
    bad: bool = False


def columns(title: str, bars: Sequence[Bar]) -> str:
    """Upright bars side by side, in the order given, as a Markdown image."""
    top = _highest(bars)
    step = (_WIDTH - _LEFT - 8) / max(len(bars), 1)
    room = _HEIGHT - _TOP - _BASE

    def _parts() -> Iterator[str]:
        yield _text(_LEFT - 6, _TOP + 8, f"{top:,.0f}", anchor="end")
        yield _text(_LEFT - 6, _HEIGHT - _BASE, "0", anchor="end")
        for number, bar in enumerate(bars):
            x, width = _LEFT + number * step, step * 0.84
            for value, colour in ((bar.of, _LINE), (bar.value, _WARN if bar.bad else _LEAF)):
                height = room * value / top
                yield _rect(x, _HEIGHT - _BASE - height, width, height, colour)
        if bars:
            yield _text(_LEFT, _HEIGHT - 6, bars[0].label)
            yield _text(_WIDTH - 8, _HEIGHT - 6, bars[-1].label, anchor="end")

    return _image(title, bars, _HEIGHT, "".join(_parts()))


def rows(title: str, bars: Sequence[Bar]) -> str:
    """Bars below each other, in the order given, each with its name, as a Markdown image."""
    top = _highest(bars)
    left, room = 220, _WIDTH - 220 - 70

    def _parts() -> Iterator[str]:
        for number, bar in enumerate(bars):
            y, width = _TOP + number * _ROW, room * bar.value / top
            yield _text(left - 8, y + 14, bar.label, anchor="end")
            yield _rect(left, y + 3, width, _ROW - 6, _WARN if bar.bad else _LEAF)
            yield _text(left + width + 6, y + 14, f"{bar.value:,.0f}")

    return _image(title, bars, _TOP + len(bars) * _ROW + 8, "".join(_parts()))


def _image(title: str, bars: Sequence[Bar], height: int, content: str) -> str:
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12" '
        f'fill="{_INK}"><rect width="100%" height="100%" rx="6" fill="#ffffff"/>'
        f"{_text(8, 18, title)}{content}</svg>"
    )
    words = "; ".join(f"{bar.label}: {bar.value:,.0f}" for bar in bars)
    # brackets would end the image's description
    said = f"{title}. {words}".translate({ord(c): " " for c in "[]\\\n"})
    return f"![{said}](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"


def _highest(bars: Sequence[Bar]) -> float:
    return max((max(bar.value, bar.of) for bar in bars), default=0) or 1


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
