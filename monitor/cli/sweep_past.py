"""Sweeps that are stored: a list of them, and the last one beside a new one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from monitor.cli.exploring import say
from monitor.cli.table import short_rate
from monitor.environment import Environment
from monitor.store.explorations import Exploration
from monitor.suite.exploration import PLATEAU_NOISE

#: Differences of the environment that are listed; the rest are counted.
_DIFFERENCES = 5


def print_stored(found: Sequence[Exploration], to: Console) -> None:
    """A line for each stored sweep and strategy."""
    if not found:
        to.print("no sweep is stored")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("when (UTC)", "target", "sweep over", "strategy"):
        table.add_column(name, no_wrap=True)
    for name in ("elbow", "plateau rows/s", "environment"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        fingerprint = each.environment.fingerprint if each.environment else "?"
        first = (f"{each.started_at:%Y-%m-%d %H:%M}", each.target, each.subject)
        for number, curve in enumerate(each.result["curves"]):
            own = first if number == 0 else ("", "", "")
            table.add_row(
                *own,
                curve["strategy"],
                _count(curve["elbow"]),
                _rate(curve["plateau_rows_per_second"]),
                fingerprint if number == 0 else "",
            )
    to.print(table)


def print_comparison(
    earlier: Exploration, result: Mapping[str, Any], now: Environment | None, to: Console
) -> None:
    """What is otherwise than in an earlier sweep of the same subject."""
    say(_comparison(earlier, result, now), to)


def _comparison(
    earlier: Exploration, result: Mapping[str, Any], now: Environment | None
) -> Iterator[str]:
    before = {curve["strategy"]: curve for curve in earlier.result["curves"]}
    yield f"beside the sweep of {earlier.started_at:%Y-%m-%d %H:%M} UTC:"
    for curve in result["curves"]:
        if curve["strategy"] in before:
            yield f"  {curve['strategy']}: {_change(before[curve['strategy']], curve)}"
    if earlier.environment and now:
        found = earlier.environment.differences(now)
        for difference in found[:_DIFFERENCES]:
            yield f"  changed since: {difference}"
        if len(found) > _DIFFERENCES:
            yield f"  and {len(found) - _DIFFERENCES} more; see history --between"


def _change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    elbows = f"elbow {_count(before['elbow'])} → {_count(now['elbow'])}"
    if before["elbow"] == now["elbow"]:
        elbows = f"elbow still {_count(now['elbow'])}"
    levels = before["plateau_rows_per_second"], now["plateau_rows_per_second"]
    if None in levels:
        return elbows
    change = levels[1] / levels[0] - 1
    word = "" if abs(change) > PLATEAU_NOISE else ", within noise"
    return f"{elbows}, plateau {_rate(levels[0])} → {_rate(levels[1])} ({change:+.0%}{word})"


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _rate(rate: float | None) -> str:
    return "–" if rate is None else short_rate(rate)
