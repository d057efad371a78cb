"""A run as a table, and its progress as a bar, for people at a terminal."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from monitor.measure.runner import Progress as ReportProgress
from monitor.measure.runner import no_progress
from monitor.measure.summary import wall_shares
from monitor.model import Case, CaseResult, Run

#: Columns that the table takes.
_WIDTH = 100


def console(least: int = _WIDTH) -> Console:
    """Standard output, at least as wide as the table; what users named is no markup."""
    width = max(least, shutil.get_terminal_size().columns)
    return Console(width=width, highlight=False, markup=False, emoji=False)


@contextmanager
def progress_bar() -> Iterator[ReportProgress]:
    """A bar on stderr that is drawn between rounds only: a thread would disturb them."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    columns = (
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
    task = bar.add_task("", total=None)

    def report(done: int, total: int, what: str) -> None:
        if not bar.live.is_started:
            bar.reset(task)
            bar.start()
        bar.update(task, completed=done, total=total, description=what)
        bar.refresh()
        if done >= total:
            bar.stop()

    try:
        yield report
    finally:
        bar.stop()


def print_run(run: Run, to: Console) -> None:
    """The strategies' table, then what failed, was disturbed or should be known."""
    measured = [result for result in run.cases if result.summary]
    if measured:
        to.print(_table(run, measured))
    for line in (*_overheads(run), *remarks(run)):
        to.print(line, soft_wrap=True, markup=False)


def _table(run: Run, results: list[CaseResult]) -> Table:
    rounds = max(len(result.samples) for result in results)
    rows = max(result.case.rows for result in results)
    server = run.environment.server_version if run.environment else "?"
    table = Table(
        title=f"{run.target}: PostgreSQL {server}, {rows:,} rows × {rounds} rounds,"
        f" {run.duration_seconds:.1f} s",
        caption="client (CPU), server (execution), commit and rest (network, waits; below zero"
        " where client and server overlap) in µs per row and as shares of the wall time; interval:"
        " see README",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0),
    )
    table.add_column("strategy", no_wrap=True)
    for name in ("rows/s", "interval", "client", "server", "commit", "rest", "rows/call"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in sorted(results, key=_rate):
        table.add_row(*_row(result))
    return table


def _rate(result: CaseResult) -> float:
    return result.summary.rows_per_second.median if result.summary else 0.0


def _row(result: CaseResult) -> Iterator[str]:
    summary = result.summary
    if summary is None:
        return
    rate = summary.rows_per_second
    yield case_name(result.case)
    yield f"{rate.median:,.0f}"
    yield f"{short_rate(rate.low)}–{short_rate(rate.high)}"
    shares = wall_shares(result.counted)
    for part, seconds in summary.seconds_per_row.items():
        yield f"{_microseconds(seconds)} {_share(getattr(shares, part))}"
    yield "–" if summary.rows_per_call is None else f"{summary.rows_per_call:,.0f}"


def case_name(case: Case) -> str:
    """Strategy, and whatever sets the case apart from the plain one."""
    parts = [case.strategy.name]
    plain = case.shape.plain or case.shape.name
    if plain != "orders":
        parts.append(plain)
    if case.shape.extra:
        parts.append(f"+ {case.shape.extra.name}")
    if case.batch_size != case.rows:
        per = "commit" if case.transaction == "batch" else "call"
        parts.append(f"{case.batch_size:,}/{per}")
    parts += [word for word in case.variant.split(",") if word and word != "transaction=batch"]
    return " ".join(parts)


def short_rate(rate: float) -> str:
    """Rows per second in few characters: thousands from 10,000 up."""
    return f"{rate / 1000:,.0f}k" if rate >= 10_000 else f"{rate:,.0f}"


def _share(share: float | None) -> str:
    """As wide whatever its value, so that the figures before it stand below each other."""
    return f"{share:>4.0%}" if share is not None else "    "


def _microseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1e6:.2f}"


def _overheads(run: Run) -> Iterator[str]:
    for result in run.cases:
        if result.overhead:
            kind, wall = result.overhead.kind.replace("_", " "), result.overhead.wall
            yield (
                f"{kind} {result.overhead.name} costs {result.case.strategy.name}"
                f" {wall.median:+.0%} of its time ({wall.low * 100:+.0f} to"
                f" {wall.high * 100:+.0f}, {result.overhead.pairs} pairs of rounds)"
            )


def remarks(run: Run) -> Iterator[str]:
    """What failed, was disturbed or should be known."""
    if run.failure:
        where = f" in round {run.failure.round} of {run.failure.case}" if run.failure.case else ""
        yield f"run {run.outcome} ({run.failure.reason}){where}: {run.failure.message}"
    for result in run.cases:
        reasons = Counter((failure.reason, failure.message) for failure in result.failures)
        for (reason, message), count in reasons.items():
            yield f"{result.case.key}: {count} failed ({reason}): {message}"
        if result.contended:
            yield f"{result.case.key}: contended, fewer than three undisturbed rounds"
    disturbed = Counter(
        reason for result in run.cases for sample in result.samples for reason in sample.disturbed
    )
    if disturbed:
        counts = ", ".join(f"{reason} {count}" for reason, count in sorted(disturbed.items()))
        yield f"disturbed rounds: {counts}"
    for notice in run.notices:
        yield str(notice)
