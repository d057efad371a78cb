"""A sweep as a drawing that needs no script: rate over value, a line for each strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import ceil, floor, log10

from monitor.export.documents import SweepCurve, SweepDocument

#: In pixels; names of the strategies stand to the right of the lines.
WIDTH, HEIGHT = 760, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 560, 12, 300
#: Between two names, and between two values, at least.
_NAME_HEIGHT, _VALUE_WIDTH = 17, 46
#: Room above and below the rates, as a factor.
_ROOM = 1.15

Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Dot:
    """A value of a strategy: where it lies and how far its interval reaches."""

    x: float
    y: float
    low: float
    high: float
    value: int
    rows_per_second: float
    elbow: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A strategy; ``number`` chooses the colour, its name stands at ``name_y``."""

    strategy: str
    number: int
    dots: tuple[Dot, ...]
    name_y: float

    @property
    def points(self) -> str:
        """The polyline's points."""
        return " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in self.dots)


@dataclass(frozen=True, slots=True)
class Drawing:
    """All that the template draws; ticks are places and the values there."""

    lines: tuple[Line, ...]
    values: tuple[tuple[float, int], ...]
    rates: tuple[tuple[float, float], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM


def drawing(sweep: SweepDocument) -> Drawing | None:
    """The drawing of a sweep; None where nothing was measured."""
    points = [point for curve in sweep.curves for point in curve.points]
    lows = [point.rows_per_second_low for point in points if point.rows_per_second_low]
    highs = [point.rows_per_second_high for point in points if point.rows_per_second_high]
    if not lows or not highs:
        return None
    least, most = min(lows) / _ROOM, max(highs) * _ROOM
    x = _scale(min(sweep.values), max(sweep.values), _LEFT + 10, _RIGHT - 14)
    y = _scale(least, most, _BOTTOM, _TOP)
    dots = {curve.strategy: tuple(_dots(curve, x, y)) for curve in sweep.curves}
    ends = {name: found[-1].y for name, found in dots.items() if found}
    places = _apart(ends)
    lines = tuple(
        Line(curve.strategy, number % 6 + 1, dots[curve.strategy], places[curve.strategy])
        for number, curve in enumerate(sweep.curves)
        if curve.strategy in ends
    )
    return Drawing(
        lines,
        tuple(_roomy((x(value), value) for value in sweep.values)),
        tuple((y(rate), rate) for rate in round_numbers(least, most)),
    )


def _scale(least: float, most: float, begin: float, end: float) -> Scale:
    """From values to pixels, by their logarithm."""
    span = log10(most / least) or 1.0
    return lambda value: begin + (end - begin) * log10(value / least) / span


def _dots(curve: SweepCurve, x: Scale, y: Scale) -> Iterable[Dot]:
    for point in curve.points:
        rate, low, high = (
            point.rows_per_second,
            point.rows_per_second_low,
            point.rows_per_second_high,
        )
        if rate and low and high:
            elbow = point.value == curve.elbow
            yield Dot(x(point.value), y(rate), y(low), y(high), point.value, rate, elbow)


def _apart(ends: dict[str, float]) -> dict[str, float]:
    """Where names stand: at the ends of their lines, moved so that none covers another."""
    places: dict[str, float] = {}
    last = -float("inf")
    for name, place in sorted(ends.items(), key=lambda each: each[1]):
        last = places[name] = max(place, last + _NAME_HEIGHT)
    over = max(0.0, last - _BOTTOM)
    return {name: place - over for name, place in places.items()}


def _roomy(ticks: Iterable[tuple[float, int]]) -> Iterable[tuple[float, int]]:
    """The ticks that have room for their text."""
    last = -float("inf")
    for place, value in ticks:
        if place - last >= _VALUE_WIDTH:
            yield place, value
            last = place


def round_numbers(least: float, most: float) -> list[float]:
    """1, 2 and 5 times powers of ten between two numbers; where that is one at most, more."""
    powers = range(floor(log10(least)), ceil(log10(most)) + 1)

    def inside(*steps: float) -> list[float]:
        found = (step * 10.0**power for power in powers for step in steps)
        return [each for each in found if least <= each <= most]

    coarse = inside(1, 2, 5)
    return coarse if len(coarse) > 1 else inside(1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
