"""Fifty targets with forty cases each: the size that /metrics is meant for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from monitor.detect.outlook import alarms_alone
from monitor.export.snapshot import TargetTally
from monitor.judgement import SIGNALS, Judgement, Place, Verdict, in_order
from monitor.model import Case
from tests import builders
from tests.sites import COSTS, tally

TARGETS, CASES = 50, 40
SHAPES = ("orders", "orders_customer_idx", "orders_wide")
BATCHES = (20_000, 5_000, 1_000)


def suite() -> list[Case]:
    """Forty cases: strategies by shape and batch size."""
    found = [
        builders.case(strategy, shape=shape, batch_size=batch)
        for shape in SHAPES
        for batch in BATCHES
        for strategy in COSTS
    ]
    return found[:CASES]


def crowd(runs: int = 3) -> list[TargetTally]:
    """Targets that were measured a few times, every signal of every case judged."""
    cases = suite()
    tallies = [tally(f"database-{n:02}", runs, None, n, cases) for n in range(TARGETS)]
    for each in tallies:
        each.judgement = judged(each.judgement, cases)
        places = (Place(case.key, signal) for case in cases for signal in SIGNALS)
        each.false_alarms = {place: 0.0123 for place in places if alarms_alone(place)}
    return tallies


def judged(plain: Judgement | None, cases: Sequence[Case]) -> Judgement:
    """The judgement, with a word on every signal."""
    assert plain is not None
    verdicts = (
        Verdict(Place(case.key, signal), "ok", 0.0123, 1.2345e-6, 0.0567, 0.43)
        for case in cases
        for signal in SIGNALS
    )
    return replace(plain, verdicts=in_order(verdicts), cases={c.key: "ok" for c in cases})
