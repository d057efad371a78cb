"""The same server by two ways, block by block in turn, and what the second way adds.

A block by one way is a run of its own: admitted, locked and bounded like any other. The order
within a pair of blocks changes from pair to pair, so that a drift of the server cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from monitor.canary.connection import Canary
from monitor.measure.attempt import attempt
from monitor.measure.overhead import with_overheads
from monitor.measure.runner import Runner
from monitor.measure.summary import median_interval, summarise
from monitor.model import MIN_CLEAN_ROUNDS, Case, CaseResult, Estimate, Run, Sample

#: A part of a round's time in seconds; None where it is not known.
_PARTS: Mapping[str, Callable[[Sample], float | None]] = {
    "wall": lambda sample: sample.insert_seconds,
    "client": lambda sample: sample.client_seconds,
    "server": lambda sample: sample.server_seconds,
    "commit": lambda sample: sample.commit_seconds,
    "rest": lambda sample: sample.rest_seconds,
}


@dataclass(frozen=True, slots=True)
class Side:
    """One way: its canary, and a runner whose plan has a single round."""

    canary: Canary
    runner: Runner


@dataclass(frozen=True, slots=True)
class CaseDifference:
    """What the second way adds to a case: medians of paired differences with their intervals.

    ``seconds_per_row`` has an entry for ``wall client server commit rest``, None where it is not
    known; ``wall_ratio`` is the second way's wall time over the first's. ``fast_seconds_per_row``
    is the difference of the fast ends in wall time: noise only ever adds time, so on a busy machine
    it is the steadier one.
    """

    case: Case
    pairs: int
    seconds_per_row: Mapping[str, Estimate | None]
    wall_ratio: Estimate
    fast_seconds_per_row: float


async def attempt_both(
    sides: tuple[Side, Side],
    blocks: int,
    *,
    allowance: Callable[[], int],
    made: Callable[[Run], None],
    wait_seconds: float,
) -> tuple[Run, Run]:
    """Measure ``blocks`` pairs of blocks; ``made`` hears of each. Raises LockHeld.

    ``allowance`` is asked before each what it may still write. Ends early when a block fails as a
    whole.
    """
    runs: tuple[list[Run], list[Run]] = ([], [])
    for number in range(blocks):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            side = sides[which]
            run = await attempt(
                side.canary,
                side.runner,
                "manual",
                wal_allowance=allowance(),
                wait_seconds=wait_seconds,
            )
            made(run)
            runs[which].append(run)
        if any(each[-1].failure for each in runs):
            break
    return merged(runs[0], blocks), merged(runs[1], blocks)


def merged(runs: Sequence[Run], rounds: int) -> Run:
    """One run of ``rounds`` planned rounds, from runs of one round each."""
    cases = [
        _merged_case([run.cases[at] for run in runs if run.cases], rounds)
        for at in range(max(len(run.cases) for run in runs))
    ]
    known = [run.wal_bytes for run in runs if run.wal_bytes is not None]
    failure = next((run.failure for run in runs if run.failure), None)
    failed = failure is not None or any(case.failures for case in cases)
    measured = any(case.samples for case in cases)
    return replace(
        runs[0],
        finished_at=runs[-1].finished_at,
        outcome="failed" if not measured else "partial" if failed else "ok",
        environment=next((run.environment for run in runs if run.environment), None),
        cases=with_overheads(cases),
        probes={
            name: tuple(value for run in runs for value in run.probes.get(name, ()))
            for name in runs[0].probes
        },
        rounds=rounds,
        wal_bytes=sum(known) if known else None,
        failure=failure,
        notices=tuple(dict.fromkeys(notice for run in runs for notice in run.notices)),
    )


def _merged_case(results: Sequence[CaseResult], rounds: int) -> CaseResult:
    samples = [
        replace(sample, round=number)
        for number, result in enumerate(results, start=1)
        for sample in result.samples
    ]
    failures = [
        replace(failure, round=number)
        for number, result in enumerate(results, start=1)
        for failure in result.failures
    ]
    whole = CaseResult(results[0].case, tuple(samples), tuple(failures))
    return replace(whole, summary=summarise(whole.counted, rounds))


def differences(one: Run, other: Run) -> tuple[CaseDifference, ...]:
    """What the other run's way adds to each case that both measured."""
    found = []
    for first in one.cases:
        second = next((each for each in other.cases if each.case.key == first.case.key), None)
        pairs = _pairs(first, second) if second else []
        if pairs:
            found.append(_difference(first.case, pairs))
    return tuple(found)


def _pairs(first: CaseResult, second: CaseResult) -> list[tuple[Sample, Sample]]:
    """Rounds of the same block pair; undisturbed ones, unless too few are."""
    others = {sample.round: sample for sample in second.samples}
    pairs = [(sample, others[sample.round]) for sample in first.samples if sample.round in others]
    clean = [(a, b) for a, b in pairs if a.clean and b.clean]
    return clean if len(clean) >= min(MIN_CLEAN_ROUNDS, len(pairs)) else pairs


def _difference(case: Case, pairs: Sequence[tuple[Sample, Sample]]) -> CaseDifference:
    return CaseDifference(
        case=case,
        pairs=len(pairs),
        seconds_per_row={name: _paired(part, pairs) for name, part in _PARTS.items()},
        wall_ratio=median_interval([b.insert_seconds / a.insert_seconds for a, b in pairs]),
        fast_seconds_per_row=min(b.insert_seconds / b.rows for _, b in pairs)
        - min(a.insert_seconds / a.rows for a, _ in pairs),
    )


def _paired(
    part: Callable[[Sample], float | None], pairs: Sequence[tuple[Sample, Sample]]
) -> Estimate | None:
    values = [(part(a), part(b), a.rows) for a, b in pairs]
    known = [(b - a) / rows for a, b, rows in values if a is not None and b is not None]
    return median_interval(known) if known else None
