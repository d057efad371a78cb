"""From rounds to figures: medians, intervals, clocks, disturbances."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.canary.counters import Activity
from monitor.measure.clocks import late_batch_ratio
from monitor.measure.disturbance import (
    HostActivity,
    checkpoint_started,
    disturbances,
    other_sessions,
    pressure_ratio,
    steal_ratio,
)
from monitor.measure.summary import median_interval, summarise
from tests.builders import case, result, sample


def test_the_median_of_five_has_their_range_and_its_true_coverage() -> None:
    estimate = median_interval([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (estimate.median, estimate.low, estimate.high) == (3.0, 1.0, 5.0)
    assert estimate.coverage == 0.9375


@pytest.mark.parametrize(
    ("n", "depth"), [(1, 1), (6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (30, 10)]
)
def test_the_intervals_are_those_of_the_sign_test_tables(n: int, depth: int) -> None:
    estimate = median_interval([float(i) for i in range(1, n + 1)])
    assert (estimate.low, estimate.high) == (depth, n + 1 - depth)


@pytest.mark.parametrize("n", [2, 5, 6, 9])
def test_the_coverage_is_exact_by_enumeration(n: int) -> None:
    """Each value lies above or below the true median with probability one half."""
    estimate = median_interval([float(i) for i in range(n)])
    depth = int(estimate.low) + 1
    inside = sum(depth <= sum(signs) <= n - depth for signs in product((0, 1), repeat=n))
    assert estimate.coverage == pytest.approx(inside / 2**n)


@given(st.lists(st.floats(0.001, 1e9), min_size=1, max_size=60))
def test_the_interval_holds_the_median(values: list[float]) -> None:
    estimate = median_interval(values)
    assert min(values) <= estimate.low <= estimate.median <= estimate.high <= max(values)


def test_the_fast_end_is_the_fastest_round_and_needs_four_of_five() -> None:
    rounds = [sample(n) for n in range(1, 6)]
    summary = summarise(rounds[:4], 5)
    assert summary
    assert summary.rows_per_second_fast == rounds[0].rows_per_second
    fewer = summarise(rounds[:3], 5)
    assert fewer
    assert fewer.rows_per_second_fast is None


def test_work_is_that_of_the_round_with_the_fewest_page_images() -> None:
    rounds = [sample(1, wal_fpi=9, wal_bytes=9_000_000), sample(2, wal_fpi=0, wal_bytes=2_000_000)]
    summary = summarise(rounds, 2)
    assert summary
    assert summary.wal_bytes_per_row == 100


def test_what_is_not_known_stays_unknown() -> None:
    unknown = {"server_seconds": None, "rest_seconds": None, "calls": None, "rows_per_call": None,
               "wal_bytes": None, "wal_fpi": None}  # fmt: skip
    summary = summarise([sample(n, **unknown) for n in range(5)], 5)
    assert summary
    assert summary.server_seconds_per_row is summary.rest_seconds_per_row is None
    assert summary.mean_exec_time_seconds is summary.rows_per_call is None
    assert summary.wal_bytes_per_row is None
    assert summarise([], 5) is None


def test_a_disturbed_round_is_kept_but_not_counted_while_three_clean_ones_are_left() -> None:
    dirty = [sample(n, disturbed=("checkpoint",)) for n in (4, 5)]
    clean = [sample(n, disturbed=("steal",)) for n in (1, 2, 3)]
    enough = result(case(), *clean, *dirty)
    assert not enough.contended
    assert enough.counted == tuple(clean)
    too_few = result(case(), *clean[:2], *dirty)
    assert too_few.contended
    assert too_few.counted == too_few.samples


def test_one_planned_round_is_not_contended_by_being_alone() -> None:
    assert not result(case(), sample()).contended


@pytest.mark.parametrize(
    ("seconds", "ratio"),
    [([], None), ([1, 1, 1], None), ([1, 1, 1, 2], 2), ([1, 1, 5, 5, 5, 5, 3, 3], 3)],
)
def test_the_late_batch_ratio_compares_last_and_first_quarter(
    seconds: list[float], ratio: float | None
) -> None:
    assert late_batch_ratio(seconds) == ratio


QUIET = Activity(1000, 500, 7, 3, 0, 0)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (Activity(2000, 500, 8, 3, 0, 0), "checkpoint"),
        (Activity(2000, 500, 7, 4, 0, 0), "autovacuum"),
        (Activity(2000, 500, 7, 3, 1, 0), "autovacuum"),
        (Activity(2000, 500, 7, 3, 0, 2), "other_sessions"),
    ],
)
def test_each_counter_has_its_reason(after: Activity, reason: str) -> None:
    assert disturbances(QUIET, after, evicted=False, steal=None, pressure=None) == (reason,)


def test_nothing_known_is_nothing_disturbed_and_shares_have_thresholds() -> None:
    assert disturbances(QUIET, QUIET, evicted=False, steal=0.019, pressure=0.249) == ()
    found = disturbances(QUIET, QUIET, evicted=True, steal=0.02, pressure=0.25)
    assert found == ("evicted", "steal", "pressure")


def test_hidden_sessions_are_unknown_not_none() -> None:
    hidden = Activity(1, 1, 1, 1, 0, None)
    assert other_sessions(QUIET, hidden) is None
    assert disturbances(hidden, hidden, evicted=False, steal=None, pressure=None) == ()


def test_a_checkpoint_belongs_to_the_round_in_which_its_redo_position_lies() -> None:
    assert checkpoint_started(100, 200, {150})
    assert checkpoint_started(100, 200, {100})
    assert not checkpoint_started(100, 200, {99, 201})


def test_host_shares_are_ratios_or_unknown() -> None:
    before, after = HostActivity(10, 1000, 0), HostActivity(15, 1100, 500_000)
    assert steal_ratio(before, after) == 0.05
    assert pressure_ratio(before, after, 2.0) == 0.25
    nothing = HostActivity(None, None, None)
    assert steal_ratio(nothing, after) is None
    assert pressure_ratio(before, nothing, 1.0) is None
