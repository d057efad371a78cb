"""The points of one case's charts, each encoded once: a request only joins them.

In memory rather than asked from the store, so that a page costs the store and a round nothing.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median
from typing import NamedTuple

#: Points that are joined for good; and seconds for which every run has a point of its own, before
#: which an hour has one.
_CHUNK = 100
RAW_SECONDS = 7 * 86_400.0
_HOUR = 3600.0


class Point(NamedTuple):
    """A run, or an hour of runs by their medians. None is not known.

    The rates are the median of the rounds with its interval, and the fast end; the seconds those
    of the fast end of each clock, which is what its baseline is compared with. ``rest`` is the
    median of what is left of the wall time, below zero where client and server overlap.
    """

    at_seconds: float
    runs: float
    rows_per_second: float | None = None
    rows_per_second_low: float | None = None
    rows_per_second_high: float | None = None
    rows_per_second_fast: float | None = None
    baseline_rows_per_second: float | None = None
    client_seconds_per_row: float | None = None
    server_seconds_per_row: float | None = None
    commit_seconds_per_row: float | None = None
    rest_seconds_per_row: float | None = None
    client_baseline_seconds_per_row: float | None = None
    server_baseline_seconds_per_row: float | None = None
    commit_baseline_seconds_per_row: float | None = None


class _Chunk(NamedTuple):
    last_seconds: float
    length: int
    hourly: bool
    text: bytes


class Curve:
    """At most ``limit`` points in order of time; what is older than ``RAW_SECONDS`` by hours."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._closed: deque[_Chunk] = deque()
        self._open: list[Point] = []
        self._first_seconds: float | None = None

    @property
    def first_seconds(self) -> float | None:
        """When the oldest point is."""
        return self._first_seconds

    def __len__(self) -> int:
        return sum(chunk.length for chunk in self._closed) + len(self._open)

    def add(self, point: Point) -> None:
        """A newer point than all."""
        if self._first_seconds is None:
            self._first_seconds = point.at_seconds
        self._open.append(point)
        if len(self._open) >= _CHUNK:
            self._closed.append(_chunk(self._open))
            self._open = []
            self._age(point.at_seconds)

    def add_older(self, points: Sequence[Point]) -> None:
        """Points before all others, in order of time; those that are not are left out."""
        first = self._first_seconds
        older = [point for point in points if first is None or point.at_seconds < first]
        older = older[-max(0, self._limit - len(self)) :] if len(self) < self._limit else []
        if not older:
            return
        self._first_seconds = older[0].at_seconds
        chunks = [_chunk(older[n : n + _CHUNK]) for n in range(0, len(older), _CHUNK)]
        self._closed.extendleft(reversed(chunks))

    def parts(self) -> tuple[bytes, ...]:
        """The points as JSON texts, each of one or more of them, without what separates them."""
        closed = tuple(chunk.text for chunk in self._closed)
        return (*closed, _text(self._open)) if self._open else closed

    def _age(self, now_seconds: float) -> None:
        """Make hours of old chunks, and let go of what is too much."""
        for number, chunk in enumerate(self._closed):
            if chunk.last_seconds > now_seconds - RAW_SECONDS:
                break
            if not chunk.hourly:
                hours = by_hour(_points(chunk.text))
                self._closed[number] = _chunk(hours)._replace(hourly=True)
        while len(self) > self._limit and len(self._closed) > 1:
            self._closed.popleft()
            texts = self.parts()
            self._first_seconds = _points(texts[0])[0].at_seconds if texts else None


def by_hour(points: Iterable[Point]) -> list[Point]:
    """One point for each hour: the medians of what is known, at the hour's beginning."""
    hours = groupby(points, lambda point: point.at_seconds // _HOUR)
    return [_hour(number * _HOUR, list(those)) for number, those in hours]


def _hour(at_seconds: float, points: Sequence[Point]) -> Point:
    columns = list(zip(*points, strict=True))[2:]
    known = [[value for value in column if value is not None] for column in columns]
    medians = [median(values) if values else None for values in known]
    return Point(at_seconds, sum(point.runs for point in points), *medians)


def _chunk(points: Sequence[Point]) -> _Chunk:
    return _Chunk(points[-1].at_seconds, len(points), hourly=False, text=_text(points))


def _text(points: Iterable[Point]) -> bytes:
    return ",".join(map(_encoded, points)).encode()


def _encoded(point: Point) -> str:
    """To the second, else to six digits."""
    values = ["null" if value is None else f"{value:.6g}" for value in point[1:]]
    return f"[{point.at_seconds:.0f},{','.join(values)}]"


def _points(text: bytes) -> list[Point]:
    return [Point(*values) for values in json.loads(b"[" + text + b"]")]
