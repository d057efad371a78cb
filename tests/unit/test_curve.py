"""Points of charts: in order, bounded, thinned to hours when old, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from monitor.export.curve import RAW_SECONDS, Curve, Point, by_hour

HOUR = 3600.0


def curve(limit: int = 10_000, points: Iterable[Point] = ()) -> Curve:
    made = Curve(limit)
    for point in points:
        made.add(point)
    return made


def every(step: float, count: int, first: float = 0.0) -> list[Point]:
    return [Point(first + step * n, 1, rows_per_second=float(n)) for n in range(count)]


def read(of: Curve) -> list[Point]:
    return [Point(*values) for values in json.loads(b"[" + b",".join(of.parts()) + b"]")]


def moments(of: Curve) -> list[float]:
    return [point.at_seconds for point in read(of)]


def test_points_come_back_to_the_second_and_to_six_digits() -> None:
    point = Point(1_795_356_600.0, 1, 194174.757, 0.0, 1e7, None, -1.5, 1.23456789e-6)
    (found,) = read(curve(points=[point]))
    assert found.at_seconds == 1_795_356_600
    assert found[2:8] == (194175.0, 0.0, 1e7, None, -1.5, 1.23457e-6)
    assert set(found[8:]) == {None}


@given(st.integers(0, 350), st.integers(0, 350), st.integers(1, 400))
def test_newer_and_older_points_stand_in_order_and_within_the_limit(
    newer: int, older: int, limit: int
) -> None:
    found = curve(limit, every(60, newer, first=60 * older))
    found.add_older(every(60, older))
    assert moments(found) == sorted(set(moments(found)))
    assert len(found) == len(read(found))
    assert len(found) <= max(limit, 99) + 100
    assert found.first_seconds == next(iter(moments(found)), None)
    assert moments(found)[-1:] == [60.0 * (older + newer - 1)] * bool(older + newer)


def test_of_older_points_the_newest_fill_what_is_left() -> None:
    found = curve(50, every(60, 20, first=6000))
    found.add_older(every(60, 100))
    assert moments(found) == [60.0 * n for n in range(70, 120)]
    found.add_older(every(60, 10))
    assert len(found) == 50


def test_older_points_that_are_not_older_are_left_out() -> None:
    found = curve(points=every(60, 5, first=600))
    found.add_older(every(60, 12))
    assert moments(found) == [60.0 * n for n in range(15)]


def test_points_older_than_a_week_become_hours() -> None:
    found = curve(points=every(600, 2000))
    raw = [at for at in moments(found) if at >= 600 * 1999 - RAW_SECONDS]
    old = [point for point in read(found) if point.at_seconds < raw[0] - 100 * 600]
    assert raw == [600.0 * n for n in range(2000 - len(raw), 2000)]
    assert all(point.at_seconds % HOUR == 0 for point in old)
    assert sum(point.runs for point in read(found)) == 2000


def test_an_hour_has_the_medians_of_what_is_known() -> None:
    points = [Point(HOUR + n, 1, rate, rows_per_second_fast=fast)
              for n, (rate, fast) in enumerate([(1.0, None), (5.0, 7.0), (3.0, 9.0)])]  # fmt: skip
    first, second = by_hour([*points, Point(2 * HOUR, 1)])
    assert first == Point(HOUR, 3, 3.0, rows_per_second_fast=8.0)
    assert second == Point(2 * HOUR, 1)
