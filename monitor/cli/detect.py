"""ingest-canary detect: the daemon's detector on anybody's series."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import pairwise
from math import expm1, isfinite, log
from statistics import median
from typing import IO

import click
from rich import box
from rich.table import Table

from monitor.cli.table import console
from monitor.detect.detector import update
from monitor.detect.parameters import Parameters
from monitor.detect.series import Event, Observation, SeriesState
from monitor.errors import ConfigurationError

TIMESTAMP = "timestamp"

#: Of the usual step between rows; a longer one is a gap.
_GAP = 3.0

#: Learning runs below which level and scale are guesses.
_LEAST_LEARNING = 8

#: Of an effect's logarithm: beyond it a ratio is no number that can be printed in per cent.
_MOST = log(1e300)

_DEFAULTS = Parameters()


def _ratio(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    """A ratio above 0 and below 1, written 0.05 or 5%."""
    try:
        ratio = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        ratio = 0.0
    if not 0 < ratio < 1:
        raise click.BadParameter(f"'{text}' is no ratio between 0 and 1; write 0.05 or 5%.")
    return ratio


@click.command()
@click.argument(
    "path", metavar="FILE.csv", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@click.option("--higher-is-better/--lower-is-better", default=True, show_default=True,
              help="Which way is worse.")  # fmt: skip
@click.option("--floor", metavar="RATIO", callback=_ratio, default=f"{_DEFAULTS.floor:.0%}",
              show_default=True,
              help="Smallest effect that alarms: 0.05 or 5%.")  # fmt: skip
@click.option("--learning", type=click.IntRange(min=_LEAST_LEARNING), default=_DEFAULTS.learning,
              show_default=True, help="Rows to learn from before the first verdict.")  # fmt: skip
@click.option("--threshold", type=click.FloatRange(min=0, min_open=True),
              default=_DEFAULTS.threshold, show_default=True,
              help="Of the statistic; higher is quieter and slower.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print a list, one object a change.")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
def detect(
    path: str,
    higher_is_better: bool,
    floor: float,
    learning: int,
    threshold: float,
    as_json: bool,
    debug: bool,
) -> int:
    """Find where the numeric columns of FILE.csv changed their level ("-" reads stdin).

    A header row is required; a column "timestamp" (ISO or epoch) is optional, every other numeric
    column is a series. Rows are taken in order as if they arrived one by one.
    """
    rules = Parameters(floor=floor, learning=learning, threshold=threshold)
    name = "standard input" if path == "-" else path
    table = _Input([], [], -1 if higher_is_better else 1, rules)
    try:
        with click.open_file(path, encoding="utf-8-sig") as file:
            _read(file, name, table)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{name} is not a CSV file in UTF-8: {error}") from None
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {error.strerror}") from None
    for note in table.notes():
        click.echo(f"note: {' '.join(note.split())}", err=True)
    found = [change for column in table.series() for change in column.changes]
    if as_json:
        click.echo(json.dumps([asdict(change) for change in found], ensure_ascii=False, indent=1))
    else:
        _print(found, table)
    return 0


@dataclass(slots=True)
class _Change:
    """A change as it is printed; indexes count data rows from 0."""

    series: str
    direction: str
    start_index: int
    start_low: int
    start_high: int
    alarm_index: int
    effect_ratio: float
    recovered_index: int | None = None


@dataclass(slots=True)
class _Column:
    """A column on its way through the detector, and what was odd about its cells."""

    name: str
    state: SeriesState = field(default_factory=SeriesState)
    changes: list[_Change] = field(default_factory=list)
    odd: Counter[str] = field(default_factory=Counter)
    numeric: int = 0
    text: int = 0
    least: float = float("inf")
    most: float = float("-inf")

    def take(self, index: int, cell: str, sign: int, rules: Parameters) -> None:
        """Judge a cell; a gap if it holds no number above zero."""
        value = self._number(cell)
        if value is None:
            return
        self.least, self.most = min(self.least, value), max(self.most, value)
        self.state, verdict = update(self.state, Observation(index, sign * log(value)), rules)
        for event in verdict.events:
            self._note(event, sign)

    def _number(self, cell: str) -> float | None:
        try:
            value = float(cell)
        except ValueError:
            self.text += bool(cell.strip())
            self.odd["empty or not a number"] += 1
            return None
        self.numeric += 1
        if not isfinite(value):
            self.odd["not a finite number"] += 1
            return None
        if value <= 0:
            self.odd["zero or below, which has no ratio to others"] += 1
            return None
        return value

    def _note(self, event: Event, sign: int) -> None:
        change = event.change
        if event.what == "opened" and change.kind != "drift":
            self.changes.append(
                _Change(
                    series=self.name,
                    direction=change.kind,
                    start_index=change.start,
                    start_low=change.low,
                    start_high=change.high,
                    alarm_index=change.alarm,
                    effect_ratio=expm1(min(sign * change.effect, _MOST)),
                )
            )
        elif event.what == "recovered":
            for found in self.changes:
                if found.alarm_index == change.alarm:
                    found.recovered_index = event.number

    def notes(self, rules: Parameters) -> Iterator[str]:
        for what, count in self.odd.items():
            yield f"series '{self.name}': {count} cells left out: {what}."
        if self.state.seen <= rules.learning:
            yield (
                f"series '{self.name}': {self.state.seen} usable values, and {rules.learning} are"
                " for learning: nothing was judged."
            )
        elif self.least == self.most:
            yield f"series '{self.name}': constant."
        elif self.state.baseline is None:
            yield f"series '{self.name}': its level kept changing, it never ended learning."


@dataclass(slots=True)
class _Input:
    """The file as it is read: its columns, its times, how rows are to be taken."""

    columns: list[_Column | None]
    times: list[tuple[int, float, str]]
    sign: int
    rules: Parameters
    rows: int = 0
    ragged: int = 0
    bad_times: int = 0

    def series(self) -> list[_Column]:
        """Columns that hold numbers: more of them than other text."""
        columns = [column for column in self.columns if column is not None]
        return [column for column in columns if column.numeric > column.text]

    def notes(self) -> Iterator[str]:
        named = [column for column in self.columns if column is not None]
        for column in named:
            if column.text and column.numeric <= column.text:
                yield f"column '{column.name}' is not numeric: left out."
            elif not column.numeric:
                yield f"column '{column.name}' holds no number: left out."
        if self.ragged:
            yield f"{self.ragged} rows have more or fewer cells than the header."
        yield from self._time_notes()
        for column in self.series():
            yield from column.notes(self.rules)

    def _time_notes(self) -> Iterator[str]:
        if self.bad_times:
            yield f"{self.bad_times} timestamps are neither ISO nor epoch: left out."
        steps = [later[1] - earlier[1] for earlier, later in pairwise(self.times)]
        if any(step < 0 for step in steps):
            yield "timestamps are not in order; rows were taken in the order of the file."
        usual = median(steps) if steps else 0.0
        gaps = [step for step in steps if step > _GAP * usual > 0]
        if gaps:
            yield (
                f"{len(gaps)} gaps in time, the longest {max(gaps) / usual:.0f} usual steps;"
                " series go on across them."
            )


def _read(file: IO[str], name: str, table: _Input) -> None:
    """Take every row in order. Raises ConfigurationError if there is no usable header."""
    reader = csv.reader(file)
    header = [cell.strip() for cell in next(reader, [])]
    _check_header(header, name)
    stamps = [index for index, cell in enumerate(header) if cell.lower() == TIMESTAMP]
    table.columns = [None if i in stamps else _Column(cell) for i, cell in enumerate(header)]
    for cells in reader:
        if not cells:
            continue
        table.ragged += len(cells) != len(header)
        for index in stamps:
            _take_time(cells[index] if index < len(cells) else "", table)
        for index, column in enumerate(table.columns):
            if column is not None:
                cell = cells[index] if index < len(cells) else ""
                column.take(table.rows, cell, table.sign, table.rules)
        table.rows += 1
    if table.rows and not table.series():
        raise ConfigurationError(f"{name} has no numeric column besides the timestamp.")


def _check_header(header: list[str], name: str) -> None:
    if not any(header):
        raise ConfigurationError(f"{name} is empty; a header row is needed.")
    twice = [column for column, count in Counter(header).items() if count > 1]
    if twice:
        raise ConfigurationError(f"{name}: column '{twice[0]}' is there twice.")
    if all(_is_number(column) for column in header):
        raise ConfigurationError(f"{name} begins with numbers; a header row is needed.")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise ConfigurationError(f"{name}: columns must be separated by commas.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _take_time(cell: str, table: _Input) -> None:
    cell = cell.strip()
    try:
        seconds = float(cell) if _is_number(cell) else datetime.fromisoformat(cell).timestamp()
    except (ValueError, OverflowError):
        table.bad_times += 1
        return
    table.times.append((table.rows, seconds, cell))


def _print(found: list[_Change], table: _Input) -> None:
    """A short table for people."""
    if not found:
        count = len(table.series())
        click.echo(f"No change of {table.rules.floor:.1%} or more in {count} series,"
                   f" {table.rows} rows.")  # fmt: skip
        return
    times = {index: cell for index, _, cell in table.times}
    output = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("series", "direction", "effect", "since", "between", "told", "recovered"):
        output.add_column(name, justify="left" if name in ("series", "direction") else "right")
    for each in found:
        output.add_row(
            each.series,
            each.direction,
            f"{each.effect_ratio:+.1%}",
            times.get(each.start_index, f"row {each.start_index}"),
            f"{each.start_low}–{each.start_high}",
            f"row {each.alarm_index}",
            "" if each.recovered_index is None else f"row {each.recovered_index}",
        )
    console().print(output)
