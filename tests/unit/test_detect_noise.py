"""Figures of noise, the statistic and the calibration, against what is known of them."""

from __future__ import annotations

import random
from math import exp, expm1, log, sqrt
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.detect.calibrate import false_alarms_per_month, smallest_change
from monitor.detect.glr import curve, peak, scores
from monitor.detect.noise import autocorrelation, break_within, inflation, robust_scale, shift
from monitor.detect.parameters import Parameters
from monitor.detect.probes import coefficient
from monitor.detect.series import Baseline

VALUES = st.lists(st.floats(-1, 1), min_size=4, max_size=40)


def normal(count: int, seed: int, deviation: float = 0.01) -> list[float]:
    choice = random.Random(seed)
    return [choice.gauss(0, deviation) for _ in range(count)]


def test_the_scale_of_normal_noise_is_its_standard_deviation() -> None:
    scales = [robust_scale(normal(192, seed), 0.0) for seed in range(50)]
    assert median(scales) == pytest.approx(0.01, rel=0.1)


def test_a_tenth_of_outliers_does_not_move_the_scale() -> None:
    values = normal(190, 1)
    spoilt = [*values, *([5.0] * 10)]
    assert robust_scale(spoilt, 0.0) == pytest.approx(robust_scale(values, 0.0), rel=0.25)


def test_the_rarer_of_two_levels_counts_for_the_scale() -> None:
    values = [0.1 if n % 5 == 0 else 0.0 for n in range(100)]
    assert robust_scale(values, 0.0) > 0.03


def test_autocorrelation_of_a_first_order_process() -> None:
    choice, value, values = random.Random(2), 0.0, []
    for _ in range(4000):
        value = 0.5 * value + choice.gauss(0, 0.01)
        values.append(value)
    scale = robust_scale(values, 0.0)
    assert autocorrelation(values, 0.0, scale) == pytest.approx(0.5, abs=0.05)
    assert inflation(0.5) == pytest.approx(sqrt(3))


def test_autocorrelation_is_bounded() -> None:
    assert autocorrelation([1.0, -1.0] * 20, 0.0, 1.0) == 0.0
    assert autocorrelation([1.0] * 20 + [-1.0] * 20, 0.0, 1.0) == 0.8
    assert autocorrelation([0.0] * 20, 0.0, 0.004) == 0.0


@given(VALUES, VALUES, st.floats(-1, 1))
def test_the_shift_moves_with_the_values(
    after: list[float], before: list[float], by: float
) -> None:
    moved = shift([value + by for value in after], before)
    assert moved == pytest.approx(shift(after, before) + by, abs=1e-9)


def test_a_break_is_found_where_it_is() -> None:
    values = [*normal(14, 3), *(0.2 + value for value in normal(10, 4))]
    assert break_within(values, 0.004, 0.05) == 14


@pytest.mark.parametrize("seed", range(20))
def test_noise_has_no_break(seed: int) -> None:
    assert break_within(normal(24, seed), 0.004, 0.0) is None


def test_a_break_below_the_effect_is_none() -> None:
    values = [*normal(12, 3, 0.001), *(0.04 + value for value in normal(12, 4, 0.001))]
    assert break_within(values, 0.004, 0.05) is None


def test_scores_are_clipped_and_have_a_dead_zone() -> None:
    def up(value: float) -> float:
        return scores([value], 1.0, 0.01, sign=1, dead_zone=0.02, clip=3.0)[0]

    assert up(1.02) == pytest.approx(0.0)
    assert up(1.04) == pytest.approx(2.0)
    assert up(9.0) == pytest.approx(3.0)
    assert up(0.0) == pytest.approx(-3.0)
    assert scores([0.96], 1.0, 0.01, sign=-1, dead_zone=0.02, clip=3.0)[0] == pytest.approx(2.0)


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=48), st.integers(8, 192))
def test_the_curve_is_the_formula(newest: list[float], size: int) -> None:
    found = curve(newest, size)
    wanted = [sum(newest[:n]) / sqrt(n * (1 + n / size)) for n in range(1, len(newest) + 1)]
    assert found == pytest.approx(wanted, abs=1e-9)
    top = peak(found)
    assert top.statistic == max(found)
    assert found[top.runs - 1] == top.statistic
    fewest, most = top.interval()
    assert fewest <= top.runs <= most


def test_four_runs_at_the_clip_reach_the_threshold_and_three_do_not() -> None:
    rules = Parameters()
    four, three = curve([3.0] * 4, 48), curve([3.0] * 3, 192)
    assert peak(four).statistic > rules.threshold_for(48) > peak(three).statistic


def test_a_coefficient_is_estimated_and_bounded() -> None:
    probe = normal(192, 5, 0.02)
    noise = normal(192, 6, 0.005)
    together = [0.7 * p + n for p, n in zip(probe, noise, strict=True)]
    assert coefficient(together, probe) == pytest.approx(0.7, abs=0.05)
    assert coefficient([3 * p for p in probe], probe) == 1.2
    assert coefficient([-p for p in probe], probe) == 0.0
    assert coefficient(normal(192, 7), probe) == 0.0
    assert coefficient(together, [0.0] * 192) == 0.0


def test_the_smallest_change_is_what_its_formula_says() -> None:
    rules = Parameters(floor=0.015)
    base = Baseline(level=0.0, scale=0.016, size=192, calm=True)
    needed = 5.75 * 0.016 * sqrt(1 / 12 + 1 / 192)
    assert smallest_change(base, rules) == pytest.approx(expm1(log(1.015) / 2 + needed))
    quiet = Baseline(level=0.0, scale=0.004, size=192, calm=True)
    assert smallest_change(quiet, Parameters()) == pytest.approx(0.05)


def test_expected_false_alarms_grow_with_noise_and_fall_with_the_threshold() -> None:
    values = normal(192, 8, 0.02)
    base = Baseline(level=0.0, scale=0.02, size=192, calm=True)
    narrow = Baseline(level=0.0, scale=0.01, size=192, calm=True)
    rules = Parameters(floor=0.015)
    usual = false_alarms_per_month(values, base, rules)
    assert usual < false_alarms_per_month(values, narrow, rules)
    assert usual > false_alarms_per_month(values, base, Parameters(floor=0.015, threshold=7.0))
    assert false_alarms_per_month([0.0] * 192, base, rules) == 0.0
    assert usual == false_alarms_per_month(values, base, rules)


def test_too_few_runs_are_refused() -> None:
    base = Baseline(level=0.0, scale=0.02, size=24, calm=True)
    with pytest.raises(ValueError, match="at least 24"):
        false_alarms_per_month([0.0] * 20, base, Parameters())


def test_floors_are_logarithms() -> None:
    assert exp(Parameters(floor=0.05).log_floor) == pytest.approx(1.05)
