"""A finding: what was looked at, how bad it is, what was found, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from monitor.workload import Value

Severity = Literal["error", "warning", "info", "ok"]

#: Worst first.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info", "ok")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    An error: do not trust what is measured here, or do not measure. A warning: figures will be
    worse or wander more than they need to. Info: good to know when reading them. ``remedy`` is one
    line, empty where there is nothing to do; ``figures`` are the numbers, units in their names.
    """

    check: str
    severity: Severity
    evidence: str
    remedy: str = ""
    figures: Mapping[str, Value] = field(default_factory=dict)


def error(check: str, evidence: str, remedy: str = "", **figures: Value) -> Finding:
    """A finding that makes the target untrustworthy."""
    return Finding(check, "error", evidence, remedy, figures)


def warning(check: str, evidence: str, remedy: str = "", **figures: Value) -> Finding:
    """A finding that makes figures worse or wander."""
    return Finding(check, "warning", evidence, remedy, figures)


def info(check: str, evidence: str, remedy: str = "", **figures: Value) -> Finding:
    """A finding that is good to know."""
    return Finding(check, "info", evidence, remedy, figures)


def ok(check: str, evidence: str, **figures: Value) -> Finding:
    """Nothing to do."""
    return Finding(check, "ok", evidence, "", figures)


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity; within one, in the order that the checks came in."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def size(count: float) -> str:
    """Bytes as PostgreSQL writes them, in powers of 1024."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1024:
            return (
                f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.3g} {unit}"
            )
        count /= 1024
    return f"{count:,.3g} TB" if count < 1000 else f"{count:,.0f} TB"


def duration(seconds: float) -> str:
    """A time for people, in the unit that fits."""
    if seconds < 1e-6:
        return f"{seconds * 1e9:.3g} ns"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def listed(names: Iterable[str], at_most: int = 5) -> str:
    """Names in a row, the rest counted."""
    known = list(names)
    more = f" and {len(known) - at_most} more" if len(known) > at_most else ""
    return ", ".join(known[:at_most]) + more


def counted(count: int, noun: str) -> str:
    """A number and its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
