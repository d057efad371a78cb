"""Three statistics of a column, rounded: an ANALYZE of the same data makes no other rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from monitor.source import Statistics

_NULL_SHARES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
_COUNTS = tuple(m * 10**e for e, m in product(range(13), (1, 2, 5)))
_WIDTHS = tuple(
    int(m * 10**e) for e, m in product(range(1, 6), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8))
)
#: Counts and widths below these are exact.
_SMALL_COUNT = 20
_SMALL_WIDTH = 10


def distinct_values(statistics: Statistics | None, row_count: int) -> int | None:
    """How many different values the source's column has; None where that is not known."""
    if statistics is None or statistics.distinct == 0:
        return None
    count = statistics.distinct
    known = count if count > 0 else -count * max(row_count, 1)
    return int(known + 0.5) if known <= _SMALL_COUNT else int(_nearest(known, _COUNTS))


def null_share(statistics: Statistics | None) -> float:
    """Share of nulls, 0..1."""
    return float(_nearest(statistics.null_share, _NULL_SHARES)) if statistics else 0.0


def width(statistics: Statistics | None) -> int | None:
    """Mean width of a value in bytes, its header included."""
    if statistics is None or statistics.width <= 0:
        return None
    if statistics.width <= _SMALL_WIDTH:
        return statistics.width
    return int(_nearest(statistics.width, _WIDTHS))


def _nearest(value: float, steps: Sequence[float]) -> float:
    return min(steps, key=lambda step: abs(step - value))
