"""The points of a series: each run from its raw samples, before them hours, before those days.

Figures are those of ``measure.summary``, which stands above this layer, from the rounds that count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from statistics import median
from typing import Any, Literal, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model import EXCLUDING, MIN_CLEAN_ROUNDS
from monitor.store import tables
from monitor.store.append import day_of, hour_of
from monitor.store.database import Database
from monitor.store.read import Series
from monitor.store.records import disturbances_of

Source = Literal["run", "hour", "day"]

#: Share of a run's planned rounds that its fast end needs; that of ``measure.summary``.
MIN_VALID_SHARE = 0.8

_NANO = 1_000_000_000
_SOURCES: Mapping[int, Source] = {1: "hour", 24: "day"}
_SAMPLE_COLUMNS = (
    "started_at",
    "disturbed",
    "insert_ns",
    "commit_ns",
    "client_ns",
    "server_ns",
    "calls",
    "counted_rows",
    "wal_bytes",
    "wal_fpi",
)
_ROLLUP_COLUMNS = (
    "hours",
    "started_at",
    "runs",
    "samples",
    "fast_ns",
    "insert_ns",
    "commit_ns",
    "client_ns",
    "server_ns",
    "wal_bytes",
    "calls",
)
#: Bits of ``sample.disturbed`` that take a round out of what counts.
_EXCLUDED = sum(1 << n for n in range(16) if not EXCLUDING.isdisjoint(disturbances_of(1 << n)))


class Point(NamedTuple):
    """A series at one time: a run, or the hour or day that begins then.

    Seconds per row and rows per call are medians of the counted rounds. ``rounds`` are all that
    gave a sample, ``disturbed_rounds`` those that anything disturbed. None: not known, or for
    ``rows_per_second_fast`` too few rounds.
    """

    started_at: datetime
    source: Source
    runs: int
    rounds: int
    disturbed_rounds: int | None
    rows_per_second: float
    rows_per_second_fast: float | None
    client_seconds_per_row: float
    server_seconds_per_row: float | None
    commit_seconds_per_row: float
    rows_per_call: float | None
    wal_bytes_per_row: float | None


async def read_points(
    database: Database,
    connection: AsyncConnection,
    series: Series,
    since: datetime,
    planned: Mapping[datetime, int],
) -> list[Point]:
    """The points of a series from ``since`` on in order of time, never two for the same time.

    ``planned`` holds the rounds that each run was to have, by its beginning. Samples are read as
    one range, and all at once.
    """
    samples = (
        f"SELECT {', '.join(_SAMPLE_COLUMNS)} FROM {database.name_of(tables.sample)}"  # noqa: S608
        " WHERE series_id = $1 AND started_at >= $2 ORDER BY started_at, round"
    )
    rollups = (
        f"SELECT {', '.join(_ROLLUP_COLUMNS)} FROM {database.name_of(tables.rollup)}"  # noqa: S608
        " WHERE series_id = $1 AND hours IN (1, 24) AND started_at >= $2"
        " ORDER BY started_at"
    )
    bounds = series.id, database.driver_time(since)
    rows = await database.fetch(connection, samples, *bounds)
    runs = list(_run_points(rows, series.key.rows, database.moment, planned))
    rows = await database.fetch(connection, rollups, *bounds)
    hours = [_rollup_point(row, series.key.rows, database.moment) for row in rows if row[0] == 1]
    days = [_rollup_point(row, series.key.rows, database.moment) for row in rows if row[0] == 24]
    return _with_coarser(_with_coarser(runs, hours, hour_of), days, day_of)


def _with_coarser(
    fine: list[Point], coarse: Sequence[Point], begin_of: Callable[[datetime], datetime]
) -> list[Point]:
    """The fine points; where a coarse one knows more rounds of its time, that one instead.

    It does where samples, or hours, have been removed: all of its time, or at the boundary a part.
    """
    known: Counter[datetime] = Counter()
    for point in fine:
        known[begin_of(point.started_at)] += point.rounds
    better = [point for point in coarse if point.rounds > known[point.started_at]]
    if not better:
        return fine
    replaced = {point.started_at for point in better}
    kept = [point for point in fine if begin_of(point.started_at) not in replaced]
    return sorted([*kept, *better], key=itemgetter(0))


def _run_points(
    rows: Iterable[Sequence[Any]],
    rows_per_round: int,
    moment: Callable[[Any], datetime],
    planned: Mapping[datetime, int],
) -> Iterator[Point]:
    for started, group in groupby(rows, itemgetter(0)):
        rounds = list(group)
        started_at = moment(started)
        yield _run_point(started_at, rounds, rows_per_round, planned.get(started_at, 0))


def _run_point(
    started_at: datetime, rounds: Sequence[Sequence[Any]], rows: int, planned: int
) -> Point:
    counted = _counted(rounds)
    _, _, insert, commit, client, server, calls, counted_rows, wal_bytes, wal_fpi = zip(
        *counted, strict=True
    )
    rates = [rows / (nanoseconds / _NANO) for nanoseconds in insert]
    return Point(
        started_at=started_at,
        source="run",
        runs=1,
        rounds=len(rounds),
        disturbed_rounds=sum(1 for each in rounds if each[1]),
        rows_per_second=median(rates),
        rows_per_second_fast=max(rates) if len(rates) >= MIN_VALID_SHARE * planned else None,
        client_seconds_per_row=median(client) / _NANO / rows,
        server_seconds_per_row=_per_row(_median_of_known(server), rows, _NANO),
        commit_seconds_per_row=median(commit) / _NANO / rows,
        rows_per_call=_rows_per_call(calls, counted_rows, rows),
        wal_bytes_per_row=_per_row(_least_disturbed(wal_bytes, wal_fpi), rows),
    )


def _counted(rounds: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """The rounds that count, as ``model.CaseResult.counted`` chooses them."""
    clean = [each for each in rounds if not each[1] & _EXCLUDED]
    return clean if len(clean) >= MIN_CLEAN_ROUNDS else rounds


def _rows_per_call(
    calls: Iterable[int | None], counted_rows: Iterable[int | None], rows: int
) -> float | None:
    """``counted_rows`` is what the statistics saw where that is not all."""
    known = [
        (rows if seen is None else seen) / count
        for count, seen in zip(calls, counted_rows, strict=True)
        if count
    ]
    return median(known) if known else None


def _least_disturbed(wal_bytes: Sequence[int | None], wal_fpi: Sequence[int | None]) -> int | None:
    """WAL of the round with the fewest full-page images, which say when a checkpoint was."""
    known = [(fpi or 0, n) for n, fpi in enumerate(wal_fpi) if wal_bytes[n] is not None]
    return wal_bytes[min(known)[1]] if known else None


def _median_of_known(values: Iterable[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _per_row(value: float | None, rows: int, unit: int = 1) -> float | None:
    return None if value is None else value / unit / rows


def _rollup_point(row: Sequence[Any], rows: int, moment: Callable[[Any], datetime]) -> Point:
    hours, started, runs, samples, fast, insert, commit, client, server, wal_bytes, calls = row
    return Point(
        started_at=moment(started),
        source=_SOURCES[hours],
        runs=runs,
        rounds=samples,
        disturbed_rounds=None,
        rows_per_second=rows / (insert / _NANO),
        rows_per_second_fast=rows / (fast / _NANO),
        client_seconds_per_row=client / _NANO / rows,
        server_seconds_per_row=_per_row(server, rows, _NANO),
        commit_seconds_per_row=commit / _NANO / rows,
        rows_per_call=rows / calls if calls else None,
        wal_bytes_per_row=_per_row(wal_bytes, rows),
    )
