"""Robust figures of noise: what a series does when nothing changed.

All take logarithms of cost, so a difference of 0.01 is one percent.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from operator import mul
from statistics import median

#: Of a normal distribution: standard deviations per median absolute deviation, and between the
#: first and the ninth decile.
_SIGMA_PER_MAD = 1.4826
_SIGMAS_BETWEEN_DECILES = 2.563

#: A larger autocorrelation is not believed: it is a trend, and would silence the series.
MOST_AUTOCORRELATION = 0.8

#: Runs on either side of a change within the learning runs, and how many standard errors it takes.
_SHORTEST_PART = 8
_ERRORS_TO_CUT = 6.0


def robust_scale(values: Sequence[float], centre: float) -> float:
    """Standard deviation by the median absolute deviation or the deciles, whichever is larger.

    The first ignores up to half of the values (Hampel 1974), and with them the rarer of two levels
    that a series switches between; the distance of the deciles sees a level held by a tenth.
    """
    ordered = sorted(values)
    tenth = len(ordered) // 10
    spread = _SIGMA_PER_MAD * median([abs(value - centre) for value in ordered])
    # Below twenty values the deciles are the extremes, and one outlier would be the scale.
    if tenth < 2:
        return spread
    return max(spread, (ordered[-1 - tenth] - ordered[tenth]) / _SIGMAS_BETWEEN_DECILES)


def autocorrelation(values: Sequence[float], centre: float, scale: float) -> float:
    """Lag-1 autocorrelation of deviations clipped to three scales, between 0 and 0.8."""
    bound = 3 * scale
    least, most = centre - bound, centre + bound
    deviations = [
        (least if value < least else most if value > most else value) - centre for value in values
    ]
    power: float = sum(map(mul, deviations, deviations))
    products: float = sum(map(mul, deviations, deviations[1:]))
    return min(max(products / power, 0.0), MOST_AUTOCORRELATION) if power else 0.0


def inflation(correlation: float) -> float:
    """By how much the mean of an AR(1) series is less certain than that of independent values."""
    return sqrt((1 + correlation) / (1 - correlation))


def shift(after: Sequence[float], before: Sequence[float]) -> float:
    """Hodges-Lehmann estimate of how far ``after`` lies above ``before``.

    The median of all differences between a value of one and a value of the other (Hodges and
    Lehmann 1963): it bears outliers on either side.
    """
    return median([new - old for new in after for old in before])


def break_within(values: Sequence[float], least_scale: float, least_effect: float) -> int | None:
    """Where a short series falls into two parts at clearly different levels: index of the second.

    Of all splits whose parts' medians differ by six standard errors, with deviations taken from
    each part's own median, the one that leaves the least deviation.
    """
    best, place = inf, None
    for split in range(_SHORTEST_PART, len(values) - _SHORTEST_PART + 1):
        left, right = values[:split], values[split:]
        before, after = median(left), median(right)
        deviations = [v - before for v in left] + [v - after for v in right]
        scale = max(robust_scale(deviations, 0.0), least_scale)
        errors = abs(after - before) / (scale * sqrt(1 / len(left) + 1 / len(right)))
        total = sum(map(abs, deviations))
        if errors > _ERRORS_TO_CUT and abs(after - before) >= least_effect and total < best:
            best, place = total, split
    return place
