"""Probes as control variates: how much of a series' noise a probe explains."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

from monitor.detect.noise import robust_scale

#: Bounds of the coefficient: below zero is chance, far above one is not the probe's doing.
MOST = 1.2

#: Share of the variance that a correction must remove, else it adds more noise than it takes.
LEAST_GAIN = 0.1

#: Deviations beyond this many scales are pulled in before least squares.
_CLIP = 3.0


def coefficient(values: Sequence[float], probes: Sequence[float]) -> float:
    """The control variate's coefficient, by least squares on clipped deviations; 0 if it is no use.

    Both are logarithms, run by run. Correcting is ``value - coefficient * probe`` (Lavenberg and
    Welch 1981); a fixed coefficient of 1 raised the noise of most real series tried.
    """
    value, probe = _deviations(values), _deviations(probes)
    power = sum(each * each for each in probe)
    if power == 0:
        return 0.0
    slope = sum(a * b for a, b in zip(value, probe, strict=True)) / power
    beta = min(max(slope, 0.0), MOST)
    left = sum((a - beta * b) ** 2 for a, b in zip(value, probe, strict=True))
    return beta if left <= (1 - LEAST_GAIN) * sum(a * a for a in value) else 0.0


def _deviations(values: Sequence[float]) -> list[float]:
    centre = median(values)
    bound = _CLIP * robust_scale(values, centre)
    clipped = [min(max(value - centre, -bound), bound) for value in values]
    mean = fmean(clipped)
    return [value - mean for value in clipped]
