"""Ours and others, each as a function from a series to the runs in which it spoke of a slowdown.

All but the last see a series run by run; the one in hindsight sees it whole and says where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from math import exp, log1p, sqrt
from statistics import fmean, median, variance
from typing import Any

from monitor.detect.detector import update
from monitor.detect.parameters import Parameters
from monitor.detect.series import Observation, SeriesState

#: For each alarm, the run that told it.
Detector = Callable[[Sequence[float]], list[int]]

#: Runs that Otava is shown, and how near a change point must be to one already told.
_OTAVA_RUNS, _SAME = 150, 3


def ours(values: Sequence[float], rules: Parameters) -> list[int]:
    """The daemon's detector."""
    state, told = SeriesState(), []
    for number, value in enumerate(values):
        state, verdict = update(state, Observation(number, value), rules)
        told += [
            event.number
            for event in verdict.events
            if event.what == "opened" and event.change.kind == "regression"
        ]
    return told


def t_test(values: Sequence[float], threshold: float = 7.0, floor: float = 0.02) -> list[int]:
    """As Perfherder: 24 runs before against 12 after, t above 7, at least 2 %."""
    back, forward = 24, 12
    high = []
    for now in range(back + forward, len(values) + 1):
        before, after = values[now - back - forward : now - forward], values[now - forward : now]
        shift = fmean(after) - fmean(before)
        spread = sqrt(variance(before) / back + variance(after) / forward)
        high.append(shift >= log1p(floor) and shift > threshold * spread)
    return list(_risen(high, back + forward - 1))


def moving_window(values: Sequence[float], drop: float = 0.05, day: int = 144) -> list[int]:
    """As a Prometheus rule: the mean of three runs below 0.95 of the mean of the last day."""
    high = [
        fmean(values[now - 3 : now]) - fmean(values[max(0, now - day) : now]) > -log1p(-drop)
        for now in range(24, len(values) + 1)
    ]
    return list(_risen(high, 23))


def _risen(high: Sequence[bool], offset: int) -> Iterator[int]:
    """Where a condition begins to hold."""
    for index, holds in enumerate(high):
        if holds and not (index and high[index - 1]):
            yield index + offset


def otava(values: Sequence[float], analyse: Any, p_value: float, magnitude: float) -> list[int]:
    """Apache Otava, run again after every run; a change point is told when first seen."""
    told: list[int] = []
    seen: list[int] = []
    costs = [exp(value - values[0]) for value in values]  # its magnitude is relative to the mean
    for now in range(24, len(values) + 1):
        first = max(0, now - _OTAVA_RUNS)
        points, _ = analyse(costs[first:now], 50, p_value, magnitude)
        for point in points:
            start = first + point.index
            if point.stats.mean_2 > point.stats.mean_1 and all(
                abs(start - s) > _SAME for s in seen
            ):
                seen.append(start)
                told.append(now - 1)
    return told


def in_hindsight(values: Sequence[float], library: Any, floor: float = 0.015) -> list[int]:
    """Kernel change point detection over the whole series: the starts of rises."""
    steps = [abs(later - earlier) for earlier, later in pairwise(values)]
    scale = max(median(steps) / 0.954, 1e-6)
    search = library.KernelCPD(kernel="linear", min_size=4)
    scaled = import_module("numpy").array([[value / scale] for value in values])
    ends = search.fit(scaled).predict(pen=6 * log1p(len(values)))
    parts = list(zip([0, *ends[:-1]], ends, strict=True))
    levels = [median(values[start:end]) for start, end in parts]
    return [parts[n][0] for n in range(1, len(parts)) if levels[n] - levels[n - 1] >= log1p(floor)]


def streaming(pairs: bool = False) -> dict[str, Detector]:
    """Every detector that sees a series run by run, Otava where it is installed.

    ``pairs`` as ours judges strategies that switch between two levels.
    """
    found: dict[str, Detector] = {
        "ours, floor 5 %": partial(ours, rules=Parameters(pairs=pairs)),
        "ours, floor 1.5 %": partial(ours, rules=Parameters(floor=0.015, pairs=pairs)),
        "t-test 24/12, t > 7": t_test,
        "moving window, 5 %": moving_window,
    }
    if find_spec("otava"):
        compute_change_points = import_module("otava.analysis").compute_change_points
        found["Otava, default"] = partial(
            otava, analyse=compute_change_points, p_value=0.001, magnitude=0.0
        )
        found["Otava, p 1e-5, 3 %"] = partial(
            otava, analyse=compute_change_points, p_value=1e-5, magnitude=0.03
        )
    return found


def hindsight() -> Detector | None:
    """Ruptures' kernel detection, where it is installed."""
    if not find_spec("ruptures"):
        return None
    return partial(in_hindsight, library=import_module("ruptures"))
