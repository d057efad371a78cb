"""Loading with indexes against building them afterwards, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from monitor.cli.exploring import estimate_as_json, run_as_json, run_remarks, say
from monitor.cli.overhead_text import figures
from monitor.measure.rebuild import BreakEven, Comparison, break_evens
from monitor.model import Run


def print_rebuild(run: Run, to: Console) -> None:
    """A line for each row count, and a sentence for each strategy and index."""
    found = break_evens(run)
    if any(each.comparisons for each in found):
        say(_title(run), to)
        to.print(_table(found))
        say(_caption(), to)
    say((_verdict(each) for each in found if each.comparisons), to)
    prefill = max((result.case.prefill for result in run.cases), default=0)
    if prefill:
        say(iter([f"the index is built over the {prefill:,} rows before as well"]), to)
    say(run_remarks(run), to)


def _title(run: Run) -> Iterator[str]:
    server = run.environment.server_version if run.environment else "?"
    yield (
        f"{run.target}: PostgreSQL {server}, loading with the index or building it afterwards,"
        f" {run.rounds} blocks, {run.duration_seconds:.0f} s"
    )


def _caption() -> Iterator[str]:
    yield (
        "seconds, medians; afterwards: time without plus build ÷ time with in the same block,"
        " minus 1, below zero where building afterwards wins"
    )


def _table(found: tuple[BreakEven, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("index", "strategy", "how"):
        table.add_column(name, no_wrap=True)
    for name in ("rows", "with", "without", "build", "afterwards", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        names = (each.extra, each.strategy, each.build)
        for number, comparison in enumerate(each.comparisons):
            table.add_row(*(names if number == 0 else ("", "", "")), *_cells(comparison))
    return table


def _cells(comparison: Comparison) -> Iterator[str]:
    yield f"{comparison.rows:,}"
    for seconds in (
        comparison.with_seconds,
        comparison.without_seconds,
        comparison.build_seconds,
    ):
        yield f"{seconds:.3f}"
    yield from figures(comparison.saved)


def _verdict(each: BreakEven) -> str:
    how = "CREATE INDEX" + (" CONCURRENTLY" if each.build == "concurrently" else "")
    subject = f"{each.extra} with {each.strategy}: {how} afterwards"
    counts = [comparison.rows for comparison in each.comparisons]
    if each.upto is None:
        return f"{subject} does not pay, up to {max(counts):,} rows"
    if each.above is None:
        return f"{subject} is faster at every row count measured, from {min(counts):,} on"
    return (
        f"{subject} breaks even at about {each.rows:,} rows"
        f" (between {each.above:,} and {each.upto:,})"
    )


def rebuild_as_json(run: Run) -> dict[str, Any]:
    """The stable form; seconds are medians, the ratio is of pairs."""
    return {
        "run": run_as_json(run),
        "prefill": max((result.case.prefill for result in run.cases), default=0),
        "break_evens": [
            {
                "strategy": each.strategy,
                "index": each.extra,
                "build": each.build,
                "break_even_rows": each.rows,
                "not_faster_at_rows": each.above,
                "faster_from_rows": each.upto,
                "comparisons": [
                    {
                        "rows": comparison.rows,
                        "pairs": comparison.pairs,
                        "with_seconds": comparison.with_seconds,
                        "without_seconds": comparison.without_seconds,
                        "build_seconds": comparison.build_seconds,
                        "afterwards_ratio": estimate_as_json(comparison.saved),
                    }
                    for comparison in each.comparisons
                ],
            }
            for each in break_evens(run)
        ],
    }
