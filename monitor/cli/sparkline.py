"""A series as a line of block characters: equal stretches of time, blank where nothing was."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from statistics import median
from typing import NamedTuple

#: Seven, so that the middle of the scale is one of them and a steady series a steady line.
BLOCKS = "▁▂▃▄▅▆▇"
BLANK = " "

#: Share of the median that the scale reaches up and down at least, lest noise look like an event.
LEAST_REACH = 0.1


class Step(NamedTuple):
    """A value and the time it stands for, in seconds since whenever; at least its beginning."""

    begin: float
    end: float
    value: float


def sparkline(steps: Sequence[Step], begin: float, end: float, width: int) -> str:
    """The steps between two times, a character for each of ``width`` equal stretches.

    A character shows the median of the steps that begin in its stretch or last through its middle,
    on a scale from the lowest to the highest character, or wider (see ``LEAST_REACH``). Values are
    above zero; no step begins behind ``end``.
    """
    values = _medians(steps, begin, end, width)
    known = [value for value in values if value is not None]
    if not known:
        return BLANK * width
    middle = median(known)
    low = min(*known, middle * (1 - LEAST_REACH))
    high = max(*known, middle * (1 + LEAST_REACH))
    return "".join(BLANK if each is None else _block(each, low, high) for each in values)


def _medians(steps: Sequence[Step], begin: float, end: float, width: int) -> list[float | None]:
    stretch = (end - begin) / width or 1.0
    found: list[list[float]] = [[] for _ in range(width)]
    for step in steps:
        first = min(floor((step.begin - begin) / stretch), width - 1)
        behind = max(ceil((step.end - begin) / stretch - 0.5), first + 1)
        for index in range(max(first, 0), min(behind, width)):
            found[index].append(step.value)
    return [median(values) if values else None for values in found]


def _block(value: float, low: float, high: float) -> str:
    share = (value - low) / (high - low)
    return BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]
