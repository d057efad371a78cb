"""What runs say of the target they were made on: findings from their rounds, pure.

One run by hand, or the last ones from the store: checkpoints and autovacuum in rounds, noise,
throughput that sags, batching that is not active, blocks that came from disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from monitor.canary.checks.finding import (
    Finding,
    counted,
    error,
    info,
    listed,
    ok,
    warning,
    worst_first,
)
from monitor.model import CaseResult, Disturbance, Run, Sample

#: Share of rounds from which something that happened to them deserves a warning.
_OFTEN = 0.05
_NOISY = 0.2
#: The last quarter of a round's batches against the first.
_SAG = 1.25
#: Share of blocks that came from disk although the round was warmed up.
_COLD = 0.01
#: One row per statement is how these two work.
_SINGLE_ROWS = ("core_executemany", "orm_bulk")


def check_runs(runs: Sequence[Run]) -> tuple[Finding, ...]:
    """Findings from one run or several of a target, the worst first."""
    found: list[Finding] = []
    if not _samples(runs):
        return tuple(_failures(runs)) if any(run.failures for run in runs) else ()
    for check in (_failures, _checkpoints, _autovacuum, _evictions, _noise, _sagging, _batching,
                  _cold_blocks):  # fmt: skip
        found += check(runs)
    return worst_first(found)


def _results(runs: Sequence[Run]) -> list[CaseResult]:
    return [result for run in runs for result in run.cases]


def _samples(runs: Sequence[Run]) -> list[Sample]:
    return [sample for result in _results(runs) for sample in result.samples]


def _hit(runs: Sequence[Run], reason: Disturbance) -> tuple[int, int, str]:
    """Rounds that it disturbed, rounds in all, and both as words."""
    samples = _samples(runs)
    hit = sum(reason in sample.disturbed for sample in samples)
    of = f"the last {counted(len(runs), 'run')}" if len(runs) > 1 else "this run"
    return hit, len(samples), f"{hit:,} of {counted(len(samples), 'round')} of {of}"


def _failures(runs: Sequence[Run]) -> Iterator[Finding]:
    failures = [failure for run in runs for failure in run.failures]
    if not failures:
        yield ok("rounds", f"{counted(len(_samples(runs)), 'round')} measured, none failed")
        return
    last = failures[-1]
    what = "runs or rounds" if len(failures) > 1 else "run or round"
    yield error("rounds", f"{len(failures):,} {what} failed, last ({last.reason}): {last.message}",
                failures=len(failures))  # fmt: skip


def _checkpoints(runs: Sequence[Run]) -> Iterator[Finding]:
    hit, _, text = _hit(runs, "checkpoint")
    if not hit:
        yield ok("checkpoint_in_round", "none began in a round")
        return
    slower = _slowdown(runs, lambda sample: "checkpoint" in sample.disturbed)
    yield warning(
        "checkpoint_in_round",
        f"a checkpoint began in {text}; they are not judged{slower}",
        "raise max_wal_size, and leave checkpoint_completion_target at 0.9: both are the server's,"
        " not a session's; `ingest-canary doctor` names the size",
        rounds=hit,
    )


def _slowdown(runs: Sequence[Run], chosen: Callable[[Sample], bool]) -> str:
    """How much longer such rounds took than the others of their case."""
    ratios = []
    for result in _results(runs):
        usual = [sample.insert_seconds for sample in result.samples if not chosen(sample)]
        ratios += [s.insert_seconds / median(usual) for s in result.samples if chosen(s) and usual]
    return f", and took {median(ratios):.2f} × the others' time" if ratios else ""


def _autovacuum(runs: Sequence[Run]) -> Iterator[Finding]:
    hit, _, text = _hit(runs, "autovacuum")
    if not hit:
        yield ok("autovacuum_in_round", "none worked on our tables in a round")
        return
    yield warning(
        "autovacuum_in_round",
        f"autovacuum worked on our tables in {text}; they are not judged",
        "set autovacuum_enabled = false on our tables, as we make them; never cancel it: a worker"
        " (backend_type 'autovacuum worker') may be there against wraparound",
        rounds=hit,
    )


def _evictions(runs: Sequence[Run]) -> Iterator[Finding]:
    hit, total, text = _hit(runs, "evicted")
    if hit / total >= _OFTEN:
        yield warning("evicted_in_round", f"pg_stat_statements lost entries in {text}; they are not"
                      " judged", "raise pg_stat_statements.max", rounds=hit)  # fmt: skip
    else:
        yield ok("evicted_in_round", f"lost entries in {text}" if hit else "no entry was lost")


def _noise(runs: Sequence[Run]) -> Iterator[Finding]:
    advice: dict[Disturbance, str] = {
        "steal": "an instance with CPUs of its own",
        "pressure": "give the daemon a host, or a CPU, without other work",
        "other_sessions": "a canary of its own, or `skip_while` for the busy times",
    }
    for reason, remedy in advice.items():
        hit, total, text = _hit(runs, reason)
        name = f"{reason}_in_round"
        if hit / total >= _NOISY:
            yield warning(name, f"{reason.replace('_', ' ')} in {text}", remedy, rounds=hit)
        else:
            yield ok(name, text)


def _sagging(runs: Sequence[Run]) -> Iterator[Finding]:
    ratios: dict[str, list[float]] = {}
    for result in _results(runs):
        known = [s.late_batch_ratio for s in result.samples if s.late_batch_ratio is not None]
        ratios.setdefault(str(result.case.key), []).extend(known)
    sagging = {key: median(known) for key, known in ratios.items() if known}
    worst = max(sagging, key=sagging.__getitem__, default=None)
    if worst is None:
        return
    if sagging[worst] < _SAG:
        yield ok("throughput_sags", "later batches are as fast as the first ones")
        return
    began, _, _ = _hit(runs, "checkpoint")
    cause = (
        "checkpoints began in rounds" if began else "no checkpoint was seen: an index or a cache"
    )
    yield warning(
        "throughput_sags",
        f"{worst}: the last quarter of the batches takes {sagging[worst]:.2f} × the first"
        f" ({cause}{' that outgrows memory' if not began else ''})",
        "raise max_wal_size where checkpoints do it, else look at indexes and shared_buffers",
        late_batch_ratio=sagging[worst],
    )


def _batching(runs: Sequence[Run]) -> Iterator[Finding]:
    single = {}
    for result in _results(runs):
        calls = [s.rows_per_call for s in result.counted if s.rows_per_call is not None]
        if calls and median(calls) < 2 and result.case.batch_size > 1:
            single[str(result.case.key)] = result.case.strategy.name
    unexpected = [key for key, name in single.items() if name not in _SINGLE_ROWS]
    if unexpected:
        yield warning(
            "batching",
            f"1 row per statement: {listed(unexpected)}; batching is not active",
            "give the insert a .returning(), so that insertmanyvalues sends many rows per"
            " statement, and a page size above 1; `ingest-canary explain` shows what is sent",
        )
    elif single:
        yield info(
            "batching",
            f"1 row per statement, as these work: {listed(sorted(set(single.values())))}",
            "core_insertmanyvalues sends many rows per statement; asyncpg_copy all in one",
        )
    elif any(s.rows_per_call is not None for s in _samples(runs)):
        yield ok("batching", "every strategy sends many rows per statement")


def _cold_blocks(runs: Sequence[Run]) -> Iterator[Finding]:
    shares = {}
    for result in _results(runs):
        known = [
            s for s in result.counted if s.blocks_hit is not None and s.blocks_read is not None
        ]
        if known:
            read = median((s.blocks_read or 0) / max(1, (s.blocks_hit or 0) + (s.blocks_read or 0))
                          for s in known)  # fmt: skip
            shares[str(result.case.key)] = read
    worst = max(shares, key=shares.__getitem__, default=None)
    if worst is None:
        return
    if shares[worst] < _COLD:
        yield ok("blocks_read", "rounds found their blocks in shared buffers")
        return
    yield warning(
        "blocks_read",
        f"{worst}: {shares[worst]:.1%} of its blocks came from outside shared buffers, after the"
        " warm-up: foreign-key parents or indexes do not fit",
        "raise shared_buffers; `ingest-canary doctor --prewarm` loads parents that do fit",
        blocks_read_ratio=shares[worst],
    )
