"""A target's history as a table for people at a terminal, wide or narrow."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from monitor.cli.sparkline import Step, sparkline
from monitor.store.history import LastRun, SeriesHistory, TargetHistory
from monitor.store.points import Point, Source
from monitor.store.records import SeriesKey

_COLUMNS = ("last", "median", "spread", "runs", "failed")
#: Characters of the line over time: at most, and at least if the terminal is not tiny.
_LINE = (32, 24)
#: Between two columns, and around all.
_GAP, _EDGES = 2, 2

_LEGEND = """\
rows/s: each run's median; spread: 1.4826 × median absolute deviation, in % of the median.
Line: medians of equal stretches of time, blank where nothing was measured; each case has
its own scale, which reaches at least 10% up and down. failed: rounds without a result."""
_SOURCE_TIME: Mapping[Source, timedelta] = {
    "run": timedelta(0),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
#: Of the usual time between points, how long one stands for, so that one which is merely late
#: leaves no gap.
_LATENESS = 1.5


def minute(at: datetime) -> str:
    """A moment to the minute; UTC as all are."""
    return f"{at:%Y-%m-%d %H:%M}"


def say(to: Console, text: str, indent: str = "") -> None:
    """Print text, at a terminal folded between words; further lines are indented more."""
    for line in text.splitlines() or [""]:
        if to.is_terminal:
            line = textwrap.fill(
                line,
                to.width,
                initial_indent=indent,
                subsequent_indent=2 * indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        else:
            line = indent + line
        to.print(Text(line), soft_wrap=True)


def print_target(
    history: TargetHistory, until: datetime, to: Console, *, explained: bool = True
) -> None:
    """The table of a target's cases, what failed as a whole, and its last run.

    ``until`` is when it was asked; ``explained`` adds what the columns mean.
    """
    say(to, _title(history, until))
    if history.series:
        to.print(_table(history, until, to.width))
        if explained:
            say(to, _LEGEND)
    for line in _remarks(history):
        say(to, line)
    if history.last_run:
        say(to, _last_run(history.last_run, until))
    say(to, "")


def _title(history: TargetHistory, until: datetime) -> str:
    span = f"{history.name}: {minute(history.begins_at)} – {minute(until)} UTC"
    bad = [f"{count} {outcome}" for outcome, count in sorted(history.outcomes.items())
           if outcome != "ok"]  # fmt: skip
    what = f"{history.runs:,} run{'s'[: history.runs != 1]}" if history.runs else "no runs"
    return f"{span}, {what}" + (f" ({', '.join(bad)})" if bad else "")


def _remarks(history: TargetHistory) -> Iterator[str]:
    rolled_up = [p for series in history.series for p in series.points if p.source != "run"]
    for source in ("day", "hour"):
        ends = [p.started_at + _SOURCE_TIME[p.source] for p in rolled_up if p.source == source]
        if ends:
            yield f"Until {minute(max(ends))} a point is a whole {source}, which spreads less."
    if history.run_failures:
        counts = ", ".join(f"{reason} {n}" for reason, n in history.run_failures.items())
        yield f"failures of whole runs: {counts}"


def _last_run(last: LastRun, until: datetime) -> str:
    text = f"last run {minute(last.started_at)} UTC, {_ago(until - last.started_at)}"
    if last.outcome == "ok":
        return text
    if last.failure is None:
        return f"{text}: {last.outcome}"
    reason, message, key = last.failure.reason, last.failure.message, last.failure.key
    where = f" in {_case_name(key)}" if key else ""
    return f"{text}: {last.outcome} ({reason}{where}): {message}"


def _ago(age: timedelta) -> str:
    minutes = int(age / timedelta(minutes=1))
    if minutes < 120:
        return f"{minutes} min ago" if minutes else "just now"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{age.days} days ago"


# --- the table -----------------------------------------------------------------------------------


def _table(history: TargetHistory, until: datetime, width: int) -> Table:
    names = case_names([series.key for series in history.series])
    rows = [list(_figures(series)) for series in history.series]
    figures = sum(max(map(len, column)) + _GAP for column in zip(_COLUMNS, *rows, strict=True))
    beside, characters = _layout(names, width - _EDGES - figures)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("case", overflow="fold")
    if beside:
        table.add_column("rows/s over time", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for name, series, row in zip(names, history.series, rows, strict=True):
        line = _line(series, history.begins_at, until, characters)
        head = (name, line) if beside else (f"{name}\n{line}",)
        table.add_row(*map(Text, (*head, *row)))
    return table


def _layout(names: Sequence[str], room: int) -> tuple[bool, int]:
    """Whether the line over time stands beside the case's name, else below it, and its width.

    Beside it where that leaves room for the names, if need be on several lines.
    """
    most, least = _LINE
    word = max(len(word) for name in names for word in name.split())
    if room - _GAP - least < word:
        return False, min(room, least)
    return True, max(least, min(most, room - _GAP - max(map(len, names))))


def _figures(series: SeriesHistory) -> Iterator[str]:
    for rate in (series.last, series.median):
        yield "–" if rate is None else f"{rate:,.0f}"
    yield "–" if series.spread_ratio is None else f"{series.spread_ratio:.1%}"
    yield f"{series.runs:,}"
    yield f"{series.failures:,}"


def case_names(keys: Sequence[SeriesKey]) -> list[str]:
    """The strategy and what sets the case apart, as in the table of a run.

    With the rows of a round where nothing else tells two cases apart.
    """
    plain = [_case_name(key) for key in keys]
    count = Counter(plain)
    return [
        f"{name} {key.rows:,} rows" if count[name] > 1 else name
        for key, name in zip(keys, plain, strict=True)
    ]


def _case_name(key: SeriesKey) -> str:
    words = [word for word in key.variant.split(",") if word]
    parts = [key.strategy]
    if key.shape != "orders":
        parts.append(key.shape)
    if key.batch_size != key.rows:
        per = "commit" if "transaction=batch" in words else "call"
        parts.append(f"{key.batch_size:,}/{per}")
    return " ".join([*parts, *(word for word in words if word != "transaction=batch")])


def _line(series: SeriesHistory, begin: datetime, end: datetime, width: int) -> str:
    return sparkline(list(_steps(series.points)), begin.timestamp(), end.timestamp(), width)


def _steps(points: Sequence[Point]) -> Iterator[Step]:
    """Each point stands for the time until the next one, or until that is overdue."""
    kinds = {point.source for point in points}
    lasts = {kind: _patience([p for p in points if p.source == kind]) for kind in kinds}
    begins = [point.started_at.timestamp() for point in points]
    followings = [*begins[1:], inf]
    for point, begin, following in zip(points, begins, followings, strict=False):
        end = min(begin + lasts[point.source], following)
        yield Step(begin, end, point.rows_per_second)


def _patience(points: Sequence[Point]) -> float:
    """Seconds after a point's beginning when the next of its kind is overdue."""
    gaps = [(b.started_at - a.started_at).total_seconds() for a, b in pairwise(points)]
    least = _SOURCE_TIME[points[0].source].total_seconds()
    return _LATENESS * median(gaps) if gaps else least
