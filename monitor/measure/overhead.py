"""What indexes and foreign keys cost: rounds with them against rounds without, block by block."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from monitor.measure.summary import median_interval
from monitor.model import Case, CaseResult, Estimate, Overhead, Sample


def with_overheads(results: Iterable[CaseResult]) -> tuple[CaseResult, ...]:
    """The results, each whose shape has an extra with what that costs, where it was measured."""
    known = tuple(results)
    plain = {_work(each.case, each.case.shape.name): each for each in known}
    return tuple(
        replace(each, overhead=overhead(each, plain[_work(each.case, each.case.shape.plain)]))
        if each.case.build is None and _work(each.case, each.case.shape.plain) in plain
        else each
        for each in known
    )


def overhead(with_it: CaseResult, without: CaseResult) -> Overhead | None:
    """Cost of a case's extra; None where no block has a round of both that counts."""
    extra, pairs = with_it.case.shape.extra, paired(with_it, without)
    if extra is None or not pairs:
        return None
    known = [
        (one.server_seconds, other.server_seconds)
        for one, other in pairs
        if one.server_seconds and other.server_seconds
    ]
    return Overhead(
        name=extra.name,
        kind=extra.kind,
        wall=ratio([(one.insert_seconds, other.insert_seconds) for one, other in pairs]),
        server=ratio(known) if known else None,
        pairs=len(pairs),
    )


def paired(one: CaseResult, other: CaseResult) -> list[tuple[Sample, Sample]]:
    """The counted rounds of both cases that lie in the same block."""
    others = {sample.round: sample for sample in other.counted}
    return [(sample, others[sample.round]) for sample in one.counted if sample.round in others]


def ratio(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """Median of the quotients of pairs, minus 1, with its interval.

    What slows a whole block stands in both numbers of a pair and cancels out. The interval is the
    distribution-free one of ``median_interval`` (order statistics of the quotients; David and
    Nagaraja, Order Statistics, section 7.1): 95 % from six pairs up; five give their whole range,
    which covers 93.75 %.
    """
    found = median_interval([one / other for one, other in pairs])
    return Estimate(found.median - 1, found.low - 1, found.high - 1, found.coverage)


def _work(case: Case, shape: str | None) -> tuple[object, ...]:
    """What is the same in two cases that differ by the shape's extra alone."""
    parameters = sorted(case.parameters.items()), sorted(case.shape_parameters.items())
    numbers = (case.rows, case.batch_size, case.transaction, case.prefill, case.build)
    return (case.strategy.name, shape, *map(tuple, parameters), *numbers)
