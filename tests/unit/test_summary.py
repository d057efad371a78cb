"""The median's interval and a case's figures, against independent computations."""

from __future__ import annotations

import random
from fractions import Fraction
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.measure.summary import median_interval, summarise
from tests.builders import sample

SIZES = range(1, 41)


def exact_coverage(n: int, depth: int) -> Fraction:
    """Probability that the depth-th smallest and largest enclose the median: exact fractions."""
    ways = (
        Fraction(factorial(n), factorial(i) * factorial(n - i)) for i in range(depth, n - depth + 1)
    )
    return sum(ways, Fraction()) / 2**n


def depth_of(n: int) -> int:
    """The order statistic at which the interval of the values 1..n begins."""
    estimate = median_interval([float(value) for value in range(1, n + 1)])
    assert estimate.low + estimate.high == n + 1
    return int(estimate.low)


@pytest.mark.parametrize("n", SIZES)
def test_the_interval_is_the_narrowest_that_reaches_the_confidence(n: int) -> None:
    wanted, depth = Fraction(95, 100), depth_of(n)
    reached = [k for k in range(1, n // 2 + 1) if exact_coverage(n, k) >= wanted]
    assert depth == (max(reached) if reached else 1)


@pytest.mark.parametrize("n", SIZES)
def test_the_coverage_told_is_the_true_one(n: int) -> None:
    estimate = median_interval([float(value) for value in range(n)])
    assert estimate.coverage == pytest.approx(float(exact_coverage(n, depth_of(n))), abs=1e-12)
    assert (estimate.coverage >= 0.95) is (n >= 6)


@pytest.mark.parametrize("n", range(1, 6))
def test_fewer_than_six_rounds_have_their_whole_range(n: int) -> None:
    values = [float(value * value) for value in range(n)]
    estimate = median_interval(values)
    assert (estimate.low, estimate.high) == (min(values), max(values))


def test_the_coverage_holds_for_a_skewed_population() -> None:
    """Simulated, with a fixed seed: 4,000 samples of 12 from a log-normal whose median is 1."""
    draw = random.Random(7)
    estimates = [
        median_interval([draw.lognormvariate(0, 1) for _ in range(12)]) for _ in range(4000)
    ]
    share = sum(e.low <= 1.0 <= e.high for e in estimates) / len(estimates)
    assert share == pytest.approx(estimates[0].coverage, abs=0.012)  # four standard errors


@given(st.lists(st.floats(0.001, 1e9), min_size=1, max_size=40), st.randoms())
def test_the_order_of_rounds_does_not_matter(values: list[float], order: random.Random) -> None:
    shuffled = order.sample(values, len(values))
    assert median_interval(shuffled) == median_interval(values)


@pytest.mark.parametrize(
    ("planned", "needed"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (6, 5), (10, 8), (35, 28)]
)
def test_the_fast_end_needs_four_of_five_planned_rounds(planned: int, needed: int) -> None:
    def fast_end(count: int) -> float | None:
        summary = summarise([sample(n) for n in range(1, count + 1)], planned)
        assert summary
        return summary.rows_per_second_fast

    assert fast_end(needed) == sample(1).rows_per_second
    if needed > 1:
        assert fast_end(needed - 1) is None


def test_a_round_without_counters_does_not_hide_the_wal_of_the_others() -> None:
    blind = sample(1, wal_fpi=None, wal_bytes=None)
    summary = summarise([blind, sample(2, wal_fpi=3, wal_bytes=2_000_000)], 2)
    assert summary
    assert summary.wal_bytes_per_row == 100


def test_figures_per_row_are_medians_over_the_rounds_that_know_them() -> None:
    rounds = [
        sample(1, rows=100, client_seconds=1.0, server_seconds=2.0, calls=4),
        sample(2, rows=200, client_seconds=8.0, server_seconds=None, calls=None),
        sample(3, rows=100, client_seconds=3.0, server_seconds=6.0, calls=2),
    ]
    summary = summarise(rounds, 3)
    assert summary
    assert summary.client_seconds_per_row == 0.03
    assert summary.server_seconds_per_row == 0.04
    assert summary.mean_exec_time_seconds == 1.75


def test_no_calls_are_no_mean_execution_time() -> None:
    summary = summarise([sample(1, calls=0)], 1)
    assert summary
    assert summary.mean_exec_time_seconds is None
