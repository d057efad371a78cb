"""What a target's series would show between now and next month if nothing changed."""

from __future__ import annotations

from dataclasses import replace

from monitor.detect.calibrate import BLOCK, false_alarms_per_month, smallest_change
from monitor.detect.detector import baseline_points
from monitor.detect.parameters import Parameters
from monitor.detect.series import SeriesState
from monitor.detect.signals import DECIDING, MATTERING, rules_for
from monitor.detect.target import TargetState
from monitor.judgement import Place


def with_outlook(state: TargetState, rules: Parameters) -> TargetState:
    """The state with the false alarms that are expected a month of each series.

    Of those that can alarm by themselves: throughput, rest and some probes need the support of
    others. Series that learn are left out. Some 60 ms of computing a series: once a day is enough.
    """
    found = {
        place: false_alarms
        for place, series in state.series.items()
        if alarms_alone(place)
        and (false_alarms := _of_series(series, rules_for(place, rules))) is not None
    }
    return replace(state, false_alarms=found)


def expected_false_alarms(state: TargetState) -> float | None:
    """Of all of a target's series together, as last estimated; None before that."""
    return sum(state.false_alarms.values()) if state.false_alarms else None


def detectable(state: TargetState, rules: Parameters) -> dict[Place, float]:
    """Of each series that has learned, the smallest rise of cost that 12 runs would tell."""
    return {
        place: smallest_change(series.baseline, rules_for(place, rules))
        for place, series in state.series.items()
        if series.baseline is not None
    }


def alarms_alone(place: Place) -> bool:
    """Whether a change of this series is told as an alarm without the support of others."""
    if place.case is None:
        return place.signal not in MATTERING
    return place.signal in (*DECIDING, "spread")


def _of_series(series: SeriesState, rules: Parameters) -> float | None:
    points = baseline_points(series, rules)
    if series.baseline is None or len(points) < 2 * BLOCK:
        return None
    return false_alarms_per_month(points.corrected(series.beta), series.baseline, rules)
