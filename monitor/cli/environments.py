"""A target's environments over time, and how they differ, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from monitor.cli.history_table import minute, say
from monitor.environment import Environment
from monitor.errors import ConfigurationError
from monitor.store.history import Period

#: Digits that a prefix of a fingerprint has at least.
_LEAST_DIGITS = 4
_INDENT = " " * 4


def resolve(prefix: str, stored: Sequence[str]) -> str:
    """The stored fingerprint that begins so. Raises ConfigurationError unless it is one."""
    if len(prefix) < _LEAST_DIGITS:
        raise ConfigurationError(f"'{prefix}': give {_LEAST_DIGITS} digits of a fingerprint.")
    found = [each for each in stored if each.startswith(prefix.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(f"'{prefix}' is ambiguous: {', '.join(found)}.")
    known = f"stored: {', '.join(stored)}" if stored else "none is stored"
    raise ConfigurationError(f"unknown environment '{prefix}'; {known}.")


# --- for people ----------------------------------------------------------------------------------


def print_periods(target: str, periods: Sequence[Period], to: Console) -> None:
    """A line for each period, and above it what changed.

    The differences of the same two environments are told once, in one direction.
    """
    if not periods:
        say(to, f"{target}: no environment is known of this time.")
        say(to, "")
        return
    count = len({period.environment.fingerprint for period in periods})
    say(to, f"{target}: {count} environment{'s'[: count != 1]}; first and last run in UTC")
    say(to, f"{'first run':16}  {'last run':16}  {'runs':>7}  {'fingerprint':12}  server")
    seen: set[str] = set()
    told: set[frozenset[str]] = set()
    before: Environment | None = None
    for period in periods:
        now = period.environment
        if before is not None:
            both = frozenset({before.fingerprint, now.fingerprint})
            if both not in told:
                _print_differences(before, now, to)
            told.add(both)
        say(to, _period_line(period, again=now.fingerprint in seen))
        seen.add(now.fingerprint)
        before = now
    say(to, "")


def print_between(before: Environment, after: Environment, to: Console) -> None:
    """What is otherwise in the second environment than in the first."""
    first, second = (
        f"{each.fingerprint} (server {each.server_version})" for each in (before, after)
    )
    say(to, f"{first} → {second}")
    _print_differences(before, after, to)


def _period_line(period: Period, *, again: bool) -> str:
    now = period.environment
    return (
        f"{minute(period.first_run_at)}  {minute(period.last_run_at)}  {period.runs:7,}"
        f"  {now.fingerprint:12}  {now.server_version}{'  again' if again else ''}"
    )


def _print_differences(before: Environment, after: Environment, to: Console) -> None:
    differences = before.differences(after)
    for each in differences:
        say(to, str(each), _INDENT)
    if not differences:
        say(to, "no difference is recorded", _INDENT)


# --- for programs --------------------------------------------------------------------------------


def periods_as_json(periods: Sequence[Period]) -> Iterator[dict[str, Any]]:
    """Each period with all its differences from the one before, of which the first has none."""
    before: Environment | None = None
    for period in periods:
        now = period.environment
        yield {
            "fingerprint": now.fingerprint,
            "server_version": now.server_version,
            "first_run_at": period.first_run_at.isoformat(),
            "last_run_at": period.last_run_at.isoformat(),
            "runs": period.runs,
            "differences": differences_as_json(before, now) if before else [],
        }
        before = now


def differences_as_json(before: Environment, after: Environment) -> list[dict[str, Any]]:
    """One object per fact that differs; ``text`` says it for people."""
    return [{**asdict(each), "text": str(each)} for each in before.differences(after)]
