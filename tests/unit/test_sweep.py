"""Curves: how high the plateau is, where it begins, what sags; and that noise moves it little."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from monitor.cli.chart import bar
from monitor.cli.sweep_text import print_sweep, sweep_as_json
from monitor.config.suite import SuiteSettings
from monitor.measure.sweep import Curve, curves, elbow, plateau
from monitor.model import Estimate, Failure, Run
from monitor.suite import catalog
from monitor.suite.exploration import Conditions, Sweep, Trend, sweep
from tests.builders import AT, result, run, sample

VALUES = (100, 500, 1_000, 2_000, 5_000, 10_000, 25_000)


def planned(strategy: str = "asyncpg_copy", trend: Trend = "rising") -> Sweep:
    found = sweep("batch_size", VALUES, Conditions((strategy,)), SuiteSettings(), catalog.load())
    return replace(found, trend=trend)


def measured(plan: Sweep, rates: Sequence[Sequence[float]], late: float | None = None) -> Run:
    """A run with these rates of the rounds of each value."""
    return run(
        *(
            result(
                case,
                *(
                    sample(n, rows=100_000, insert_seconds=100_000 / rate, late_batch_ratio=late)
                    for n, rate in enumerate(of_value, 1)
                ),
            )
            for case, of_value in zip(plan.plan.cases, rates, strict=True)
        )
    )


def curve(plan: Sweep, rates: Sequence[Sequence[float]]) -> Curve:
    (found,) = curves(measured(plan, rates), plan.value_of, plan.trend)
    return found


def test_the_plateau_is_the_median_of_the_better_half() -> None:
    assert plateau([100.0, 200.0, 300.0, 290.0, 310.0]) == 300.0
    assert plateau([1.0, 2.0]) == 2.0
    assert plateau([1.0]) is None


def test_the_elbow_is_the_smallest_value_that_reaches_the_plateau() -> None:
    reached = {100: 50.0, 500: 89.9, 1_000: 90.0, 2_000: 101.0, 5_000: 80.0}
    assert elbow(reached, 100.0, "rising") == 1_000


def test_where_throughput_falls_it_is_the_largest_value_before_it_leaves_the_plateau() -> None:
    reached = {20: 101.0, 50: 99.0, 100: 92.0, 200: 85.0, 500: 96.0, 1_000: 40.0}
    assert elbow(reached, 100.0, "falling") == 100
    assert elbow({20: 10.0, 50: 99.0}, 100.0, "falling") is None


def test_a_slow_round_moves_neither_plateau_nor_elbow() -> None:
    rates = [[100.0] * 5, [170.0] * 5, [199.0] * 5, *[[200.0] * 5] * 4]
    steady = curve(planned(), rates)
    stalled = curve(planned(), [[50.0, *of_value[1:]] for of_value in rates])
    assert (steady.plateau, steady.elbow) == (stalled.plateau, stalled.elbow) == (200.0, 1_000)


def test_three_noisy_sweeps_in_a_row_name_values_one_step_apart_at_most() -> None:
    """Rates as facts.md has them; rounds that are slower by half-normal noise of 8 %."""
    true = (120_000, 165_000, 174_000, 178_000, 181_000, 180_000, 174_000)
    plan, order = planned(), random.Random(7)
    apart = []
    for _ in range(200):
        found = []
        for _ in range(3):
            rates = [[rate / (1 + abs(order.gauss(0, 0.08))) for _ in range(5)] for rate in true]
            found.append(VALUES.index(curve(plan, rates).elbow or 0))
        apart.append(max(found) - min(found))
    assert sum(each > 1 for each in apart) <= 4  # in 200 threes of sweeps


def test_values_without_a_valid_round_are_left_out() -> None:
    plan = planned()
    bare = measured(plan, [[100.0] * 5] * 7)
    failed = result(plan.plan.cases[6], failures=(Failure(AT, "timeout", "late"),))
    (found,) = curves(replace(bare, cases=(*bare.cases[:6], failed)), plan.value_of, plan.trend)
    assert found.points[6].rate is None
    assert found.points[6].failures == 1
    assert found.elbow == 100
    assert "no valid round" in printed(plan, replace(bare, cases=(*bare.cases[:6], failed)))


def printed(plan: Sweep, measured_run: Run) -> str:
    output = io.StringIO()
    found = curves(measured_run, plan.value_of, plan.trend)
    print_sweep(measured_run, plan, found, Console(file=output, width=120, highlight=False))
    return output.getvalue()


def test_late_batches_that_sag_are_said() -> None:
    plan = planned()
    text = printed(plan, measured(plan, [[100.0] * 5] * 7, late=1.25))
    assert "asyncpg_copy at batch_size 100 sags: the last quarter of its batches takes 1.25 ×" in (
        text
    )
    assert "sags" not in printed(plan, measured(plan, [[100.0] * 5] * 7, late=1.05))


def test_table_chart_and_json_name_the_same_elbow() -> None:
    plan = planned()
    found = measured(plan, [[100.0] * 5, [170.0] * 5, *[[200.0] * 5] * 5])
    text = printed(plan, found)
    (marked,) = [line for line in text.splitlines() if "◀ elbow" in line]
    assert marked.split()[0] == "1,000"
    (row,) = [line for line in text.splitlines() if line.startswith(" asyncpg_copy  ")]
    assert row.split()[-1] == "1,000"
    whole = sweep_as_json(found, plan, curves(found, plan.value_of, plan.trend))
    (one,) = whole["curves"]
    assert (one["elbow"], one["plateau_rows_per_second"]) == (1_000, pytest.approx(200.0))
    assert [point["value"] for point in one["points"]] == list(VALUES)
    assert one["points"][0]["rows_per_second"]["coverage"] == 0.9375
    assert len(one["points"][0]["seconds"]) == 5


def test_a_bar_is_as_wide_as_asked_and_shows_the_interval() -> None:
    drawn = bar(Estimate(50.0, 40.0, 80.0, 0.95), 100.0, 20, mark=90.0)
    assert drawn == "██████████─────┤  ┊ "
    assert bar(Estimate(100.0, 90.0, 100.0, 0.95), 100.0, 10) == "█" * 10
    assert len(bar(Estimate(0.0, 0.0, 0.0, 0.95), 0.0, 7)) == 7
