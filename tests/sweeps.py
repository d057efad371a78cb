"""Made-up sweeps, through the functions by which the command makes its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from monitor.cli.sweep_text import sweep_as_json
from monitor.config.suite import SuiteSettings
from monitor.measure.sweep import curves
from monitor.model import Run
from monitor.store.explorations import Exploration
from monitor.suite import catalog
from monitor.suite.exploration import Conditions, Sweep, sweep
from tests.builders import AT, environment, result, run, sample

#: Rows per second on the plateau, and the batch size at which half of it is reached.
LEVELS = {
    "orm_add_all": (43_000, 60),
    "orm_bulk": (135_000, 90),
    "core_executemany": (167_000, 110),
    "core_insertmanyvalues": (177_000, 160),
    "asyncpg_unnest": (300_000, 420),
    "asyncpg_copy": (546_000, 900),
}


def swept(
    *strategies: str, number: int = 1, at: datetime = AT, level: float = 1.0,
    over: str = "batch_size", fingerprint: str = "0123456789ab",
) -> Exploration:  # fmt: skip
    """What the store holds of a sweep of these strategies (default: all) that was made ``at``."""
    chosen = strategies or tuple(LEVELS)
    plan = sweep(over, (), Conditions(chosen), SuiteSettings(), catalog.load())
    made = _run(plan, number, at, level)
    made = replace(made, environment=environment(fingerprint))
    found = curves(made, plan.value_of, plan.trend)
    return Exploration(
        made.id, "main", at, "sweep", plan.subject, made.environment,
        sweep_as_json(made, plan, found),
    )  # fmt: skip


def _run(plan: Sweep, number: int, at: datetime, level: float) -> Run:
    rng, results = random.Random(number), []
    for case in plan.plan.cases:
        value = plan.value_of[case.key]
        most, half = LEVELS[case.strategy.name]
        shape = value / (value + half) if plan.trend == "rising" else 900 / (value + 900)
        rate = level * most * shape
        seconds = (100_000 / rate * (1 + abs(rng.gauss(0, 0.03))) for _ in range(5))
        late = 1.4 if value == plan.values[0] and case.strategy.name == "asyncpg_copy" else 1.0
        rounds = [
            sample(n, rows=100_000, insert_seconds=each, late_batch_ratio=late)
            for n, each in enumerate(seconds, 1)
        ]
        results.append(result(case, *rounds))
    return run(*results, id=f"{number:032x}", started_at=at, trigger="manual")


def several() -> Sequence[Exploration]:
    """Newest first: batch sizes twice, a week apart, and row widths once."""
    week = timedelta(days=7)
    return (
        swept(number=3, level=0.88),
        swept(number=2, at=AT - week / 2, over="width"),
        swept(number=1, at=AT - week, fingerprint="ffffffffffff"),
    )
