"""The statistic: a window-limited generalised likelihood ratio on clipped robust scores.

G = max over n of (sum of the last n scores) / sqrt(n (1 + n / B)), where B is the size of the
baseline that level and scale come from (Willsky and Jones 1976; Lai 1995 for the limited window;
the factor 1 + n / B pays for the error of the baseline's own level).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import sqrt
from operator import mul

#: How far below its maximum G²/2, the log-likelihood, may lie and still belong to the interval of
#: the change's start: 2 is what two standard deviations cost.
INTERVAL_DEPTH = 2.0


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest statistic, how many of the newest runs it is over, and the whole curve."""

    statistic: float
    runs: int
    curve: Sequence[float]

    def interval(self) -> tuple[int, int]:
        """The fewest and the most runs that are almost as likely."""
        least = self.statistic * self.statistic - 2 * INTERVAL_DEPTH
        near = [n for n, found in enumerate(self.curve, 1) if found > 0 and found**2 >= least]
        return min(near, default=self.runs), max(near, default=self.runs)


def scores(
    values: Sequence[float],
    level: float,
    scale: float,
    *,
    sign: int,
    dead_zone: float,
    clip: float,
) -> list[float]:
    """How far each value speaks for a rise (sign 1) or a fall (sign -1), in clipped scales.

    What lies within the dead zone around the level speaks against both.
    """
    nothing = level + sign * dead_zone
    least, most = nothing - clip * scale, nothing + clip * scale
    factor = sign / scale
    return [
        ((least if value < least else most if value > most else value) - nothing) * factor
        for value in values
    ]


def curve(newest_first: Sequence[float], size: int) -> list[float]:
    """The statistic over the newest 1, 2, 3 … scores, against a baseline of ``size`` runs."""
    return list(map(mul, accumulate(newest_first), _weights(size, len(newest_first))))


def peak(statistics: Sequence[float]) -> Peak:
    """The maximum of a curve."""
    top = max(statistics)
    return Peak(top, statistics.index(top) + 1, statistics)


@lru_cache(maxsize=1024)
def _weights(size: int, count: int) -> tuple[float, ...]:
    return tuple(1 / sqrt(n * (1 + n / size)) for n in range(1, count + 1))
