"""Checkpoints against the WAL of a run: one that begins in a round takes the round with it.

PostgreSQL begins a checkpoint when max_wal_size / (1 + checkpoint_completion_target) of WAL was
written since the last one (CalculateCheckpointSegments in xlog.c), or checkpoint_timeout went by.
The completion target spreads a checkpoint's writes; it does not make checkpoints rarer. Neither is
a setting of a session: both hold for the whole server.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, duration, info, ok, size, warning
from monitor.canary.checks.platform import to_set

#: A remedy makes WAL-triggered checkpoints come once in so many runs at most.
_RUNS_BETWEEN = 20
#: From one run in so many on, losing a round now and then is worth a remark.
_RARE = 10
_GIB = 1 << 30


def checkpoints(facts: Facts) -> Iterator[Finding]:
    """How often a checkpoint falls into a run, and how hard it hits."""
    if facts.platform == "aurora":
        yield ok(
            "max_wal_size", "Aurora's storage keeps pages itself: no checkpoint falls into runs"
        )
        return
    yield _volume(facts)
    yield _timeout(facts)
    yield _spread(facts)
    yield _history(facts)


def wal_between_checkpoints(max_wal_bytes: float, completion_target: float) -> float:
    """Bytes of WAL after which the server begins a checkpoint by itself."""
    return max_wal_bytes / (1 + completion_target)


def _volume(facts: Facts) -> Finding:
    limit = facts.settings.size("max_wal_size")
    if not limit:
        return ok("max_wal_size", "unknown")
    target = facts.settings.number("checkpoint_completion_target") or 0.0
    between = wal_between_checkpoints(limit, target)
    work = facts.workload
    runs = between / work.run_wal_bytes
    known = "" if work.measured else " (estimated)"
    text = (
        f"a run writes {size(work.run_wal_bytes)}{known} of WAL, a checkpoint begins every"
        f" {size(between)} (max_wal_size {facts.settings['max_wal_size']})"
    )
    figures = {"run_wal_bytes": work.run_wal_bytes, "wal_bytes_between_checkpoints": int(between)}
    wanted = _whole_gib(work.run_wal_bytes * _RUNS_BETWEEN * (1 + target))
    remedy = to_set(facts.platform, facts.settings, "max_wal_size", f"{wanted}GB", wanted * 1024)
    if runs < 1:
        return warning(
            "max_wal_size",
            f"{text}: every run meets one, and throughput sags in it",
            remedy,
            **figures,
        )
    if runs < _RARE:
        return info("max_wal_size", f"{text}: one of {runs:.0f} runs meets one", remedy, **figures)
    return ok("max_wal_size", text, **figures)


def _whole_gib(count: float) -> int:
    return max(2, -int(-count // _GIB))


def _timeout(facts: Facts) -> Finding:
    seconds = facts.settings.seconds("checkpoint_timeout")
    if seconds is None:
        return ok("checkpoint_timeout", "unknown")
    if seconds < 300:
        return warning(
            "checkpoint_timeout",
            f"a checkpoint begins every {duration(seconds)} by the clock, and after each, pages are"
            " written to WAL in full again",
            to_set(facts.platform, facts.settings, "checkpoint_timeout", "15min", 900),
        )
    return ok("checkpoint_timeout", duration(seconds), checkpoint_timeout_seconds=seconds)


def _spread(facts: Facts) -> Finding:
    name = "checkpoint_completion_target"
    target = facts.settings.number(name)
    if target is None:
        return ok(name, "unknown")
    if target < 0.7:
        return warning(
            name,
            f"{target:g}: a checkpoint writes all its pages in the first {target:.0%} of its"
            " time, beside our rounds",
            to_set(facts.platform, facts.settings, name, "0.9"),
        )
    return ok(name, f"{target:g}")


def _history(facts: Facts) -> Finding:
    found = facts.checkpoints
    total = found.timed + found.requested if found else 0
    if found is None or not found.seconds or total < 10:
        return ok("checkpoint_history", "too few checkpoints to tell")
    share = found.requested / total
    each = duration(found.seconds / total)
    text = f"{total:,} checkpoints, one every {each}, {share:.0%} by volume of WAL or on request"
    figures = {"checkpoints": total, "requested_ratio": share}
    if share > 0.5 and found.seconds / total < 600:
        limit = facts.settings.size("max_wal_size") or _GIB
        wanted = _whole_gib(4 * limit)
        return warning(
            "checkpoint_history",
            f"{text}: the server's own load outruns max_wal_size",
            to_set(facts.platform, facts.settings, "max_wal_size", f"{wanted}GB", wanted * 1024),
            **figures,
        )
    return ok("checkpoint_history", text, **figures)
