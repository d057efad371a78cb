"""Lines, bands, bars and cells as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10
from typing import Any, NamedTuple

from tests.pictures.units import text_of

#: Grafana's classic palette.
PALETTE = (
    "#73BF69", "#F2CC0C", "#5794F2", "#FF9830", "#F2495C", "#B877D9", "#8AB8FF", "#FF7383",
    "#37872D", "#FADE2A", "#1F60C4", "#FA6400",
)  # fmt: skip
COLORS = {
    "green": "#73BF69", "red": "#F2495C", "orange": "#FF9830", "yellow": "#FADE2A",
    "blue": "#5794F2", "purple": "#B877D9", "text": "#CCCCDC", "light-green": "#96D98D",
    "super-light-green": "#C8F2C2", "transparent": "transparent",
}  # fmt: skip
LEFT, BOTTOM = 84, 18


class Line(NamedTuple):
    """A series: its name, and times with values."""

    name: str
    points: Sequence[tuple[float, float]]
    dashed: bool = False


def lines(
    found: Sequence[Line],
    span: tuple[float, float],
    size: tuple[int, int],
    unit: str,
    log: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """A chart of lines over time, with marks for annotations."""
    width, height = size[0] - LEFT - 8, size[1] - BOTTOM - 4
    values = [value for line in found for _, value in line.points if value == value]
    if not values:
        return _nothing(size)
    low, high = _bounds(values, log)

    def x(at: float) -> float:
        return LEFT + (at - span[0]) / (span[1] - span[0]) * width

    def y(value: float) -> float:
        if log:
            share = (log10(max(value, low)) - log10(low)) / (log10(high) - log10(low))
        else:
            share = (value - low) / (high - low)
        return 4 + (1 - share) * height

    parts = [_grid(low, high, size, unit, log, y)]
    for at, color in marks:
        if span[0] <= at <= span[1]:
            ends = f'x1="{x(at):.1f}" x2="{x(at):.1f}" y1="4" y2="{4 + height}"'
            parts.append(f'<line {ends} stroke="{color}" stroke-dasharray="4 3"/>')
    for number, line in enumerate(found):
        path = " ".join(
            f"{'L' if place else 'M'}{x(at):.1f},{y(value):.1f}"
            for place, (at, value) in enumerate(p for p in line.points if p[1] == p[1])
        )
        dash = ' stroke-dasharray="6 5"' if line.dashed else ""
        color = PALETTE[number % len(PALETTE)]
        parts.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.3"{dash}/>')
    return _svg(size, parts)


def _bounds(values: Sequence[float], log: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if log:
        positive = [value for value in values if value > 0] or [0.1]
        return 10 ** floor(log10(min(positive))), 10 ** (floor(log10(max(positive))) + 1)
    if low == high:
        low, high = low - abs(low or 1) * 0.1, high + abs(high or 1) * 0.1
    margin = (high - low) * 0.06
    return (0 if 0 <= low < (high - low) * 0.6 else low - margin), high + margin


def _grid(low: float, high: float, size: tuple[int, int], unit: str, log: bool, y: Any) -> str:
    if log:
        ticks = [10.0**e for e in range(round(log10(low)), round(log10(high)) + 1)]
    else:
        ticks = [low + (high - low) * n / 4 for n in range(5)]
    return "".join(
        f'<line x1="{LEFT}" x2="{size[0] - 8}" y1="{y(t):.1f}" y2="{y(t):.1f}" stroke="#2c2f36"/>'
        f'<text x="{LEFT - 6}" y="{y(t) + 4:.1f}" text-anchor="end">'
        f"{escape(text_of(t, unit, 0 if unit == 'percentunit' else None))}</text>"
        for t in ticks
    )


def bands(
    found: Sequence[tuple[str, Sequence[tuple[float, float, str, str]]]],
    span: tuple[float, float],
    size: tuple[int, int],
) -> str:
    """A row per series, each of (from, to, text, color)."""
    if not found:
        return _nothing(size)
    left = 250 if size[0] > 700 else 170
    wide = (size[0] - left - 8) / (span[1] - span[0])
    step = min(44, (size[1] - BOTTOM) / len(found))
    parts = []
    for place, (name, states) in enumerate(found):
        top = 4 + place * step
        parts.append(_text(left - 8, top + step / 2, name[:44], "end"))
        for begin, end, text, color in states:
            one, length = left + (begin - span[0]) * wide, max((end - begin) * wide, 1)
            parts.append(_box(one, top, length, step * 0.8, color, 0.7))
            if length > 7 * len(text):
                parts.append(_text(one + 6, top + step * 0.4, text))
    return _svg(size, parts)


def gauge(found: Sequence[tuple[str, float]], size: tuple[int, int], unit: str) -> str:
    """Horizontal bars."""
    most = max((value for _, value in found), default=1)
    step = size[1] / max(len(found), 1)
    parts = []
    for place, (name, value) in enumerate(found):
        length, middle = (size[0] - 380) * value / most, (place + 0.5) * step
        parts.append(_text(232, middle, name, "end"))
        parts.append(_box(240, place * step + 3, length, step - 6, PALETTE[2]))
        parts.append(_text(248 + length, middle, text_of(value, unit)))
    return _svg(size, parts)


def bars(table: dict[str, dict[str, float]], size: tuple[int, int], unit: str) -> str:
    """Groups of bars: group, then series."""
    series = sorted({name for row in table.values() for name in row})
    values = [value for row in table.values() for value in row.values()]
    if not values:
        return _nothing(size)
    low, high = min(0, *values), max(values) * 1.05
    height = size[1] - BOTTOM - 42

    def y(value: float) -> float:
        return 4 + (1 - (value - low) / (high - low)) * height

    group_width = (size[0] - LEFT - 8) / len(table)
    wide = group_width * 0.8 / len(series)
    parts = [_grid(low, high, size, unit, False, y)]
    for place, (group, row) in enumerate(table.items()):
        left = LEFT + (place + 0.1) * group_width
        for number, name in enumerate(series):
            if name in row:
                top, bottom = sorted((y(row[name]), y(0)))
                one = left + number * wide
                parts.append(_box(one, top, wide * 0.94, bottom - top, PALETTE[number]))
        for line, word in enumerate(group.split()):
            parts.append(_text(left + group_width * 0.4, height + 12 + 12 * line, word, "middle"))
    for number, name in enumerate(series):
        parts.append(_box(LEFT + number * 150, size[1] - 12, 9, 9, PALETTE[number]))
        parts.append(_text(LEFT + 14 + number * 150, size[1] - 8, name))
    return _svg(size, parts)


def cells(
    table: Sequence[tuple[str, Sequence[tuple[float, float]]]],
    span: tuple[float, float],
    size: tuple[int, int],
    step: float,
) -> str:
    """A heat map: a row per bucket, from the lowest up."""
    most = max((value for _, row in table for _, value in row), default=0) or 1
    high = (size[1] - BOTTOM) / max(len(table), 1)
    wide = (size[0] - LEFT - 8) / (span[1] - span[0])
    parts = []
    for place, (name, row) in enumerate(table):
        top = size[1] - BOTTOM - (place + 1) * high
        parts.append(_text(LEFT - 6, top + high / 2, name, "end"))
        for at, value in row:
            if value > 0.01 * most:
                one = LEFT + (at - span[0]) * wide
                parts.append(_box(one, top, step * wide, high - 1, PALETTE[3], value / most))
    return _svg(size, parts)


def _text(x: float, middle: float, text: str, anchor: str = "start") -> str:
    place = f'x="{x:.1f}" y="{middle + 4:.1f}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(text)}</text>"


def _box(x: float, y: float, width: float, height: float, color: str, opacity: float = 1) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} fill="{color}" fill-opacity="{opacity:.2f}"/>'


def _svg(size: tuple[int, int], parts: Sequence[str]) -> str:
    return f'<svg width="{size[0]}" height="{size[1]}">{"".join(parts)}</svg>'


def _nothing(size: tuple[int, int]) -> str:
    return f'<svg width="{size[0]}" height="{size[1]}"><text x="20" y="30">No data</text></svg>'
