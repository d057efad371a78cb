"""What a target's series would show between now and next month if nothing changed."""

from __future__ import annotations

from monitor.detect.calibrate import BLOCK, false_alarms_per_month
from monitor.detect.detector import baseline_points
from monitor.detect.parameters import Parameters
from monitor.detect.series import SeriesState, corrected
from monitor.detect.signals import DECIDING, Place, rules_for
from monitor.detect.target import TargetState


def expected_false_alarms(state: TargetState, rules: Parameters) -> float:
    """False alarms per month over all series of a target that can alarm by themselves.

    Throughput and rest need the support of others and are left out, as are series that learn. Some
    60 ms of computing a series: once a day is enough.
    """
    return sum(
        _of_series(series, rules_for(place, rules))
        for place, series in state.series.items()
        if place.case is None or place.signal in (*DECIDING, "spread")
    )


def false_alarms_of(state: TargetState, place: Place, rules: Parameters) -> float:
    """False alarms per month of one series; 0 while it learns."""
    series = state.series.get(place)
    return _of_series(series, rules_for(place, rules)) if series else 0.0


def _of_series(series: SeriesState, rules: Parameters) -> float:
    points = baseline_points(series, rules)
    if series.baseline is None or len(points) < 2 * BLOCK:
        return 0.0
    return false_alarms_per_month(corrected(points, series.beta), series.baseline, rules)
