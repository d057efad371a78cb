"""A sweep as a table, as a chart, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli.chart import bar
from monitor.cli.exploring import estimate_as_json, run_as_json, run_remarks, say
from monitor.cli.table import short_rate
from monitor.measure.sweep import SAG_RATIO, Curve, Point
from monitor.model import Run
from monitor.suite.exploration import TOLERANCE, Sweep

_BAR_WIDTH = 48


def print_sweep(run: Run, sweep: Sweep, curves: Sequence[Curve], to: Console) -> None:
    """Rates by value with each strategy's elbow, bars, and what should be known."""
    if any(point.rate for curve in curves for point in curve.points):
        say(_title(run, sweep), to)
        to.print(_table(sweep, curves))
        say(_caption(sweep), to)
        to.print()
        for curve in curves:
            for line in _chart(sweep, curve):
                to.print(line, soft_wrap=True)
    say(_sagging(sweep, curves), to)
    say(run_remarks(run), to)


def _title(run: Run, sweep: Sweep) -> Iterator[str]:
    server = run.environment.server_version if run.environment else "?"
    rows = "" if sweep.over == "rows" else f"{sweep.rows:,} rows × "
    yield (
        f"{run.target}: PostgreSQL {server}, rows/s over {sweep.over} on {sweep.shape},"
        f" {rows}{sweep.plan.rounds} rounds, {run.duration_seconds:.0f} s"
    )


def _caption(sweep: Sweep) -> Iterator[str]:
    side = "smallest" if sweep.trend == "rising" else "largest"
    yield (
        f"elbow: the {side} value that reaches the plateau to within {TOLERANCE:.0%}, which is the"
        " median of the better half of the values, each by the upper end of its rounds"
    )


def _table(sweep: Sweep, curves: Sequence[Curve]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("strategy", no_wrap=True)
    for value in sweep.values:
        table.add_column(f"{value:,}", justify="right", no_wrap=True)
    table.add_column("elbow", justify="right", no_wrap=True)
    for curve in curves:
        cells = [Text(_rate(point), style=_style(curve, point)) for point in curve.points]
        table.add_row(curve.strategy, *cells, "–" if curve.elbow is None else f"{curve.elbow:,}")
    return table


def _rate(point: Point) -> str:
    return "–" if point.rate is None else short_rate(point.rate.median)


def _style(curve: Curve, point: Point) -> str:
    return "bold" if point.value == curve.elbow else ""


def _chart(sweep: Sweep, curve: Curve) -> Iterator[Text]:
    known = [point.rate for point in curve.points if point.rate]
    if not known:
        return
    most = max(rate.high for rate in known)
    mark = None if curve.plateau is None else curve.plateau * (1 - TOLERANCE)
    width = max(len(f"{value:,}") for value in sweep.values)
    yield Text(f"{curve.strategy}, rows/s by {sweep.over}", style="bold")
    for point in curve.points:
        label = f"  {point.value:>{width},}  "
        if point.rate is None:
            yield Text(f"{label}no valid round")
            continue
        text = f"{label}{bar(point.rate, most, _BAR_WIDTH, mark)}  {point.rate.median:>9,.0f}"
        interval = f"  {short_rate(point.rate.low)}–{short_rate(point.rate.high)}"
        elbow = "  ◀ elbow" if point.value == curve.elbow else ""
        yield Text(f"{text}{interval:<13}{'  sags' if point.sags else ''}{elbow}".rstrip())
    yield Text("")


def _sagging(sweep: Sweep, curves: Sequence[Curve]) -> Iterator[str]:
    for curve in curves:
        for point in curve.points:
            if point.sags and point.late:
                late = point.late
                yield (
                    f"{curve.strategy} at {sweep.over} {point.value:,} sags: the last quarter of"
                    f" its batches takes {late.median:.2f} × the first ({late.low:.2f}–"
                    f"{late.high:.2f}); a checkpoint in mid-run, a growing index or memory"
                )


def sweep_as_json(run: Run, sweep: Sweep, curves: Sequence[Curve]) -> dict[str, Any]:
    """The stable form; unknown is null."""
    return {
        "run": run_as_json(run),
        "over": sweep.over,
        "trend": sweep.trend,
        "values": list(sweep.values),
        "shape": sweep.shape,
        "rows": None if sweep.over == "rows" else sweep.rows,
        "rounds": sweep.plan.rounds,
        "method": {
            "plateau": "median of the better half of the values' fastest rounds",
            "tolerance": TOLERANCE,
            "sag_ratio": SAG_RATIO,
        },
        "curves": [_curve_as_json(run, sweep, curve) for curve in curves],
    }


def _curve_as_json(run: Run, sweep: Sweep, curve: Curve) -> dict[str, Any]:
    return {
        "strategy": curve.strategy,
        "elbow": curve.elbow,
        "plateau_rows_per_second": curve.plateau,
        "points": [
            _point_as_json(point) | {"seconds": _seconds(run, sweep, curve.strategy, point.value)}
            for point in curve.points
        ],
    }


def _point_as_json(point: Point) -> dict[str, Any]:
    summary = point.summary
    return {
        "value": point.value,
        "rounds": point.rounds,
        "failures": point.failures,
        "rows_per_second": estimate_as_json(point.rate),
        "rows_per_second_fast": point.fast,
        "late_batch_ratio": estimate_as_json(point.late),
        "sags": point.sags,
        "rows_per_call": summary.rows_per_call if summary else None,
        "seconds_per_row": summary.seconds_per_row if summary else None,
        "wal_bytes_per_row": summary.wal_bytes_per_row if summary else None,
    }


def _seconds(run: Run, sweep: Sweep, strategy: str, value: int) -> list[float]:
    """Wall seconds of every round that counts, so that others can compute what they like."""
    return [
        sample.insert_seconds
        for result in run.cases
        if result.case.strategy.name == strategy and sweep.value_of[result.case.key] == value
        for sample in result.counted
    ]
