"""Loading with indexes against loading without them and building them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import median

from monitor.measure.overhead import paired, ratio
from monitor.model import CaseResult, Estimate, IndexBuild, Run, Sample


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row count: median seconds of loading with the indexes, of loading without, of building.

    ``saved`` is time without and build ÷ time with, minus 1: below zero building afterwards wins.
    """

    rows: int
    with_seconds: float
    without_seconds: float
    build_seconds: float
    saved: Estimate
    pairs: int


@dataclass(frozen=True, slots=True)
class BreakEven:
    """What the comparisons of one strategy and extra say.

    ``rows``: about where both take as long, between ``above`` (the largest measured count at which
    loading with the indexes is no slower; None: at none) and ``upto`` (the smallest from which on
    building afterwards is faster; None: at none). ``rows`` is None where one of them is.
    """

    strategy: str
    extra: str
    build: IndexBuild
    comparisons: tuple[Comparison, ...]
    rows: int | None
    above: int | None
    upto: int | None


def break_evens(run: Run) -> tuple[BreakEven, ...]:
    """A verdict for each strategy, extra and way to build, in the plan's order."""
    indexed = {
        (each.case.strategy.name, _extra(each), each.case.rows): each
        for each in run.cases
        if each.case.build is None
    }
    found: dict[tuple[str, str, IndexBuild], list[Comparison]] = {}
    for after in run.cases:
        if after.case.build is None:
            continue
        name, extra = after.case.strategy.name, _extra(after)
        comparisons = found.setdefault((name, extra, after.case.build), [])
        pairs = paired(indexed[name, extra, after.case.rows], after)
        if pairs:
            comparisons.append(_comparison(after.case.rows, pairs))
    return tuple(_break_even(*key, comparisons) for key, comparisons in found.items())


def _extra(result: CaseResult) -> str:
    return result.case.shape.extra.name if result.case.shape.extra else ""


def _comparison(rows: int, pairs: Sequence[tuple[Sample, Sample]]) -> Comparison:
    return Comparison(
        rows=rows,
        with_seconds=median(one.insert_seconds for one, _ in pairs),
        without_seconds=median(other.insert_seconds for _, other in pairs),
        build_seconds=median(other.index_build_seconds or 0.0 for _, other in pairs),
        saved=ratio([(_afterwards(other), one.insert_seconds) for one, other in pairs]),
        pairs=len(pairs),
    )


def _afterwards(sample: Sample) -> float:
    return sample.insert_seconds + (sample.index_build_seconds or 0.0)


def _break_even(
    strategy: str, extra: str, build: IndexBuild, comparisons: Sequence[Comparison]
) -> BreakEven:
    """Between the last row count that does not pay and the next, by the logarithm of the rows."""
    ordered = tuple(sorted(comparisons, key=lambda each: each.rows))
    losing = [number for number, each in enumerate(ordered) if each.saved.median >= 0]
    first = losing[-1] + 1 if losing else 0
    above = ordered[first - 1] if first > 0 else None
    upto = ordered[first] if first < len(ordered) else None
    return BreakEven(
        strategy=strategy,
        extra=extra,
        build=build,
        comparisons=ordered,
        rows=_crossing(above, upto) if above and upto else None,
        above=above.rows if above else None,
        upto=upto.rows if upto else None,
    )


def _crossing(above: Comparison, upto: Comparison) -> int:
    share = above.saved.median / (above.saved.median - upto.saved.median)
    rows = exp(log(above.rows) + share * (log(upto.rows) - log(above.rows)))
    # More than two figures would be a pretence.
    return round(float(f"{rows:.2g}"))
