"""Runs of a series as columns: a fifth of what the same values take as objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Point(NamedTuple):
    """An observation as it is kept: ``probe`` is its distance from the first one seen."""

    number: int
    value: float
    probe: float
    scheduled: bool


@dataclass(frozen=True, slots=True)
class Points:
    """An immutable sequence of points; nobody may change its columns.

    Slices and sums are new sequences. ``scheduled`` holds a byte a point, 0 or 1.
    """

    numbers: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    probes: array[float] = field(default_factory=lambda: array("d"))
    scheduled: bytes = b""

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Point]:
        return map(Point, self.numbers, self.values, self.probes, map(bool, self.scheduled))

    def __add__(self, other: Points) -> Points:
        return Points(
            self.numbers + other.numbers,
            self.values + other.values,
            self.probes + other.probes,
            self.scheduled + other.scheduled,
        )

    def __getitem__(self, part: slice) -> Points:
        return Points(
            self.numbers[part], self.values[part], self.probes[part], self.scheduled[part]
        )

    def with_point(self, point: Point) -> Points:
        """One more at the end."""
        return self + Points(
            array("q", (point.number,)),
            array("d", (point.value,)),
            array("d", (point.probe,)),
            bytes((point.scheduled,)),
        )

    def moved(self, by: float) -> Points:
        """The same runs, all values higher by ``by``."""
        values = array("d", [value + by for value in self.values])
        return Points(self.numbers, values, self.probes, self.scheduled)

    def corrected(self, beta: float) -> list[float]:
        """Values less what the probe explains."""
        if beta == 0:
            return self.values.tolist()
        return [value - beta * probe for value, probe in zip(self.values, self.probes, strict=True)]
