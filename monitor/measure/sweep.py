"""From the rounds of a sweep to curves: rate by value, plateau, elbow, and batches that sag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from monitor.measure.summary import median_interval
from monitor.model import CaseKey, CaseResult, CaseSummary, Estimate, Run
from monitor.suite.exploration import TOLERANCE, Trend

#: The last quarter of the batches taking so much longer than the first is called sagging.
SAG_RATIO = 1.1


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a strategy's sweep; no figures where no round of it was valid.

    ``fast`` is the fastest round's rows per second, ``late`` the time of the last quarter of the
    batches over that of the first, absent below four batches.
    """

    value: int
    rounds: int
    failures: int
    rate: Estimate | None
    fast: float | None
    late: Estimate | None
    summary: CaseSummary | None

    @property
    def sags(self) -> bool:
        """Whether throughput falls off after the first batches, beyond what rounds vary."""
        return self.late is not None and self.late.low >= SAG_RATIO


@dataclass(frozen=True, slots=True)
class Curve:
    """A strategy's rate by value; ``elbow`` and ``plateau`` (rows per second) if there is one."""

    strategy: str
    points: tuple[Point, ...]
    plateau: float | None
    elbow: int | None


def curves(run: Run, value_of: Mapping[CaseKey, int], trend: Trend) -> tuple[Curve, ...]:
    """A curve for each strategy of a sweep, in the plan's order."""
    by_strategy: dict[str, list[Point]] = {}
    for result in run.cases:
        points = by_strategy.setdefault(result.case.strategy.name, [])
        points.append(_point(result, value_of[result.case.key]))
    return tuple(_curve(name, points, trend) for name, points in by_strategy.items())


def _point(result: CaseResult, value: int) -> Point:
    counted = result.counted
    rates = [sample.rows_per_second for sample in counted]
    late = [s.late_batch_ratio for s in counted if s.late_batch_ratio is not None]
    return Point(
        value=value,
        rounds=len(counted),
        failures=len(result.failures),
        rate=median_interval(rates) if rates else None,
        fast=max(rates) if rates else None,
        late=median_interval(late) if late else None,
        summary=result.summary,
    )


def _curve(strategy: str, points: Sequence[Point], trend: Trend) -> Curve:
    ordered = tuple(sorted(points, key=lambda point: point.value))
    reached = {point.value: point.fast for point in ordered if point.fast is not None}
    level = plateau(tuple(reached.values()))
    return Curve(strategy, ordered, level, None if level is None else elbow(reached, level, trend))


def plateau(rates: Sequence[float]) -> float | None:
    """How high the plateau is: the median of the better half of the rates; None without two.

    Not the highest, which is the luckiest as well and would move the plateau with every sweep.
    """
    if len(rates) < 2:
        return None
    return median(sorted(rates, reverse=True)[: (len(rates) + 1) // 2])


def elbow(reached: Mapping[int, float], level: float, trend: Trend) -> int | None:
    """Where the plateau begins: the smallest value that reaches it to within ``TOLERANCE``.

    ``reached`` are the upper ends of the values' ranges of rounds, their fast ends: noise only ever
    adds time, so these repeat several times better than medians. Where throughput falls with the
    value, from a plateau at its left, it is the largest value before it first leaves the plateau.
    """
    enough = level * (1 - TOLERANCE)
    if trend == "rising":
        return min((value for value, rate in reached.items() if rate >= enough), default=None)
    last = None
    for value, rate in sorted(reached.items()):
        if rate < enough:
            break
        last = value
    return last
