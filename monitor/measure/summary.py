"""From rounds to the figures that are reported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

from monitor.model import CaseSummary, Estimate, Sample

CONFIDENCE = 0.95
#: Share of a run's rounds that must be valid for its fast end to be judged: 4 of 5.
MIN_VALID_SHARE = 0.8


def median_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Median with the distribution-free interval between two order statistics.

    The k-th smallest and k-th largest of n values enclose the population's median with probability
    1 - 2 P(Binomial(n, 1/2) < k), whatever the distribution (David and Nagaraja, Order Statistics,
    section 7.1). The largest k that reaches ``confidence`` is taken; below six values none reaches
    0.95 and the whole range stands, with its true coverage (five values: 0.9375).
    """
    ordered = sorted(values)
    n = len(ordered)
    depth = max((k for k in range(1, n // 2 + 1) if _coverage(n, k) >= confidence), default=1)
    return Estimate(median(ordered), ordered[depth - 1], ordered[-depth], _coverage(n, depth))


def _coverage(n: int, k: int) -> float:
    outside: float = sum(comb(n, i) for i in range(k)) / 2.0**n
    return max(0.0, 1 - 2 * outside)


def summarise(samples: Sequence[Sample], planned_rounds: int) -> CaseSummary | None:
    """The figures of a case from the rounds that count; None if there are none."""
    if not samples:
        return None
    rates = [sample.rows_per_second for sample in samples]
    judged = len(samples) >= MIN_VALID_SHARE * planned_rounds
    known = [sample for sample in samples if sample.wal_bytes is not None]
    fewest = min(known or samples, key=lambda sample: sample.wal_fpi or 0)
    return CaseSummary(
        rows_per_second=median_interval(rates),
        rows_per_second_fast=max(rates) if judged else None,
        mean_exec_time_seconds=_median_of(samples, _mean_exec_time),
        rows_per_call=_median_of(samples, lambda sample: sample.rows_per_call),
        client_seconds_per_row=median(s.client_seconds / s.rows for s in samples),
        server_seconds_per_row=_median_of(samples, lambda s: _per_row(s.server_seconds, s)),
        commit_seconds_per_row=median(s.commit_seconds / s.rows for s in samples),
        rest_seconds_per_row=_median_of(samples, lambda s: _per_row(s.rest_seconds, s)),
        wal_bytes_per_row=_per_row(fewest.wal_bytes, fewest),
    )


@dataclass(frozen=True, slots=True)
class WallShares:
    """Median shares of the wall time of a case's rounds: client CPU, server execution, commit, and
    the rest (network, waits; below zero where client and server overlap). None: not known."""

    client: float
    server: float | None
    commit: float
    rest: float | None


def wall_shares(samples: Sequence[Sample]) -> WallShares | None:
    """Where the wall time of the rounds went; None without rounds."""
    if not samples:
        return None

    def share(part: Callable[[Sample], float | None]) -> float | None:
        return _median_of(samples, lambda s: _share(part(s), s.insert_seconds))

    return WallShares(
        client=median(s.client_seconds / s.insert_seconds for s in samples),
        server=share(lambda s: s.server_seconds),
        commit=median(s.commit_seconds / s.insert_seconds for s in samples),
        rest=share(lambda s: s.rest_seconds),
    )


def _share(value: float | None, whole: float) -> float | None:
    return None if value is None else value / whole


def _mean_exec_time(sample: Sample) -> float | None:
    if sample.server_seconds is None or not sample.calls:
        return None
    return sample.server_seconds / sample.calls


def _per_row(value: float | None, sample: Sample) -> float | None:
    return None if value is None else value / sample.rows


def _median_of(samples: Sequence[Sample], value: Callable[[Sample], float | None]) -> float | None:
    known = [found for found in map(value, samples) if found is not None]
    return median(known) if known else None
