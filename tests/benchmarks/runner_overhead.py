"""Does the runner measure what a hand-written loop measures? At least 0.98 of its rows/s."""

from __future__ import annotations

import random
from collections import defaultdict
from statistics import median

from monitor.canary import tables
from monitor.canary.connection import Canary, Session
from monitor.canary.lock import exclusive
from monitor.config.suite import CaseSettings, LimitSettings, SuiteSettings
from monitor.measure.binding import Bound, bind, make_batches
from monitor.measure.clocks import SteadyClock, collector_held_off, exempt_from_collection
from monitor.measure.round import Bench, insert_batches
from monitor.model import Case, Target
from monitor.suite import catalog, plan
from tests.benchmarks.by_hand import LOOPS

GOAL = 0.98


async def compare_runner(dsn: str, rounds: int) -> None:
    """Interleave the runner's rounds with hand-written ones and print the ratios of fast ends."""
    suite = SuiteSettings(cases=tuple(CaseSettings(strategy=name) for name in LOOPS))
    resolved = plan.resolve(suite, catalog.load())
    canary = Canary(Target("bench", dsn))
    ours: dict[str, list[float]] = defaultdict(list)
    by_hand: dict[str, list[float]] = defaultdict(list)
    async with canary.session() as session, exclusive(session):
        binding = bind(resolved, session.target.schema)
        await tables.prepare(session, binding.tables)
        exempt_from_collection()
        bench = Bench(session, LimitSettings().limits(), None, (), SteadyClock())
        for number in range(rounds + 1):
            sides = [(case, side) for case in resolved.cases for side in (_ours, _by_hand)]
            for case, side in random.sample(sides, len(sides)):
                seconds = await side(bench, session, case, binding.shapes[case.shape.name])
                if number:  # the first round warms up
                    rates = ours if side is _ours else by_hand
                    rates[case.strategy.name].append(case.rows / seconds)
        await tables.empty_all(session)
    await canary.dispose()
    _print(ours, by_hand)


async def _ours(bench: Bench, session: Session, case: Case, bound: Bound) -> float:
    await tables.empty(session, bound.table.name)
    with collector_held_off():
        clock = await insert_batches(bench, case, bound, make_batches(case, bound, case.rows))
    return clock.insert_seconds


async def _by_hand(_bench: Bench, session: Session, case: Case, bound: Bound) -> float:
    await tables.empty(session, bound.table.name)
    with collector_held_off():
        rows = list(make_batches(case, bound, case.rows)[0])
        return await LOOPS[case.strategy.name](session.connection, bound, rows)


def _print(ours: dict[str, list[float]], by_hand: dict[str, list[float]]) -> None:
    print("Runner against a hand-written loop, rows/s (fast end, and median), ratio of fast ends")
    print(f"{'strategy':24}{'runner':>20}{'by hand':>20}{'ratio':>8}  goal ≥ {GOAL}")
    for name in ours:
        ratio = max(ours[name]) / max(by_hand[name])
        verdict = "ok" if ratio >= GOAL else "MISSED"
        print(
            f"{name:24}{_rates(ours[name]):>20}{_rates(by_hand[name]):>20}{ratio:8.3f}  {verdict}"
        )


def _rates(rates: list[float]) -> str:
    return f"{max(rates):,.0f} ({median(rates):,.0f})"
