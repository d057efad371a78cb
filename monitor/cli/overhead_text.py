"""What indexes and foreign keys cost, as a table with bars and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from monitor.cli.chart import bar
from monitor.cli.exploring import estimate_as_json, run_as_json, run_remarks, say
from monitor.model import CaseResult, Estimate, Overhead, Run

_BAR_WIDTH = 16

#: Said wherever the table was empty before each round.
LOWER_BOUND = (
    "on emptied tables this is a lower bound: an index that outgrows shared_buffers costs more;"
    " --prefill measures that"
)


def print_overheads(run: Run, to: Console) -> None:
    """A line for each index or foreign key and strategy."""
    if any(result.overhead for result in run.cases):
        say(_title(run), to)
        to.print(_table(run))
        say(_caption(), to)
    say(_notes(run), to)
    say(run_remarks(run), to)


def _title(run: Run) -> Iterator[str]:
    case = next(result.case for result in run.cases if result.overhead)
    server = run.environment.server_version if run.environment else "?"
    before = f", {case.prefill:,} rows before" if case.prefill else ""
    yield (
        f"{run.target}: PostgreSQL {server}, overhead on {case.shape.plain}, {case.rows:,} rows ×"
        f" {run.rounds} blocks{before}, {run.duration_seconds:.0f} s"
    )


def _caption() -> Iterator[str]:
    yield (
        "time with ÷ time without in the same block, minus 1: median and interval (95 % from six"
        " blocks up); server: by pg_stat_statements"
    )


def _table(run: Run) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("index", "strategy"):
        table.add_column(name, no_wrap=True)
    for name in ("overhead", "interval", "server", "interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    most = max((each.overhead.wall.high for each in run.cases if each.overhead), default=0.0)
    before_name = ""
    for result in sorted(run.cases, key=_order(run)):
        if result.overhead is None:
            continue
        name = result.overhead.name
        table.add_row(name if name != before_name else "", *_cells(result, result.overhead, most))
        before_name = name
    return table


def _order(run: Run) -> Callable[[CaseResult], tuple[int, int]]:
    """By extra and then by strategy, each as they first come in the plan."""
    extras = list(dict.fromkeys(each.overhead.name for each in run.cases if each.overhead))
    names = list(dict.fromkeys(each.case.strategy.name for each in run.cases))

    def key(result: CaseResult) -> tuple[int, int]:
        name = result.overhead.name if result.overhead else extras[0]
        return extras.index(name), names.index(result.case.strategy.name)

    return key


def _cells(result: CaseResult, overhead: Overhead, most: float) -> Iterator[str]:
    yield result.case.strategy.name
    yield from figures(overhead.wall)
    yield from figures(overhead.server) if overhead.server else ("–", "")
    yield bar(overhead.wall, most, _BAR_WIDTH) if overhead.wall.median > 0 else ""


def figures(ratio: Estimate) -> tuple[str, str]:
    """Median and interval of a share of 1 as signed per cent."""
    return f"{ratio.median * 100:+.1f} %", f"{ratio.low * 100:+.0f} to {ratio.high * 100:+.0f}"


def _notes(run: Run) -> Iterator[str]:
    found = {result.case.shape.extra for result in run.cases if result.overhead}
    labels = {extra.name: extra.label for extra in found if extra}
    for name in dict.fromkeys(each.overhead.name for each in run.cases if each.overhead):
        yield f"{name}: {labels[name]}"
    if found and not any(result.case.prefill for result in run.cases):
        yield LOWER_BOUND


def overhead_as_json(run: Run) -> dict[str, Any]:
    """The stable form; ratios are time with ÷ time without, minus 1."""
    return {
        "run": run_as_json(run),
        "overheads": [
            _overhead_as_json(result, result.overhead) for result in run.cases if result.overhead
        ],
    }


def _overhead_as_json(result: CaseResult, overhead: Overhead) -> dict[str, Any]:
    case = result.case
    return {
        "strategy": case.strategy.name,
        "shape": case.shape.name,
        "without": case.shape.plain,
        overhead.kind: overhead.name,
        "rows": case.rows,
        "batch_size": case.batch_size,
        "prefill": case.prefill,
        "lower_bound": case.prefill == 0,
        "pairs": overhead.pairs,
        "overhead_ratio": estimate_as_json(overhead.wall),
        "server_overhead_ratio": estimate_as_json(overhead.server),
    }
