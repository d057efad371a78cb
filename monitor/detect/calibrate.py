"""What a series would show, and how often it would show what is not there."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import exp, expm1, pi, sqrt
from statistics import fmean, stdev

from monitor.detect.glr import curve, peak, scores
from monitor.detect.parameters import Parameters
from monitor.detect.series import Baseline

_EULER = 0.5772156649015329

#: Runs that are kept together when noise is resampled, so that its correlation survives.
BLOCK = 12

DAYS_PER_MONTH = 30.0


def smallest_change(base: Baseline, rules: Parameters, runs: int = 12) -> float:
    """The smallest rise of cost, as a ratio, that ``runs`` runs are expected to tell as an alarm.

    A rise of e beyond the dead zone d adds (e - d) / s a run, so n runs reach the threshold h with
    e = d + h s sqrt(1/n + 1/B); less than the effect floor is never told.
    """
    needed = rules.threshold_for(base.size) * base.scale * sqrt(1 / runs + 1 / base.size)
    return expm1(max(rules.dead_zone + needed, rules.log_floor))


def false_alarms_per_month(
    values: Sequence[float], base: Baseline, rules: Parameters, *, runs: int = 5000, seed: int = 1
) -> float:
    """Alarms per month that noise like this is expected to raise in one direction.

    ``values`` are runs in which nothing changed. They are resampled in blocks of 12; of every
    window's worth of runs the largest statistic is taken, and its tail, of which G² is roughly
    exponential, is followed by a Gumbel distribution fitted by moments (Gumbel 1958) to where the
    threshold lies. An estimate to within a factor of a few, never exact.
    """
    if len(values) < 2 * BLOCK:
        raise ValueError(f"needs at least {2 * BLOCK} runs")
    series = _resampled(values, runs, random.Random(seed))  # noqa: S311
    largest = _largest(series, base, rules)
    spread = stdev(largest) * sqrt(6) / pi
    alarms_per_window = 0.0
    if spread > 0:
        place = fmean(largest) - _EULER * spread
        beyond = (_signed_square(rules.threshold_for(base.size)) - place) / spread
        # Below zero the approximation exp(-y) is no probability any more.
        alarms_per_window = exp(-max(beyond, 0.0))
    return alarms_per_window * rules.runs_per_day * DAYS_PER_MONTH / rules.window


def _resampled(values: Sequence[float], runs: int, choice: random.Random) -> list[float]:
    starts = range(len(values) - BLOCK + 1)
    series: list[float] = []
    while len(series) < runs:
        start = choice.choice(starts)
        series += values[start : start + BLOCK]
    return series


def _largest(series: Sequence[float], base: Baseline, rules: Parameters) -> list[float]:
    """Of every window's worth of runs, the largest statistic, squared with its sign."""
    speaking = scores(
        series, base.level, base.scale, sign=1, dead_zone=rules.dead_zone, clip=rules.clip
    )
    starts = range(rules.window, len(speaking) - rules.window, rules.window)
    return [
        _signed_square(
            max(
                peak(curve(speaking[end - rules.window : end][::-1], base.size)).statistic
                for end in range(start, start + rules.window)
            )
        )
        for start in starts
    ]


def _signed_square(value: float) -> float:
    return value * abs(value)
