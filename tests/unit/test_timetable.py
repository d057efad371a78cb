"""When ticks come: windows, staggering and restarts, from moments that the tests choose."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.windows import closing, next_opening, parse_window
from monitor.schedule.timetable import Timetable, first_due, staggered

WEDNESDAY = datetime(2026, 11, 25, 14, 0, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "ends"),
    [
        ("01:00-05:00", at(25, 1), at(25, 5)),
        ("01:00-05:00 UTC", at(25, 4, 59), at(25, 5)),
        ("01:00-05:00", at(25, 5), None),
        ("22:00-04:00", at(25, 3), at(25, 4)),
        ("fri 22:00-04:00", at(28, 3), at(28, 4)),
        ("fri 22:00-04:00", at(27, 3), None),
        ("Sat,Sun 00:00-24:00", at(28, 12), at(30, 0)),
        ("sat-mon 00:00-24:00", at(30, 12), at(30, 12) + timedelta(hours=12)),
        ("mon-fri 9:00-17:00", at(29, 12), None),
    ],
)
def test_windows(text: str, moment: datetime, ends: datetime | None) -> None:
    window = parse_window(text)
    found = closing((window,), moment)
    assert found == ends


def test_windows_that_touch_are_one() -> None:
    windows = tuple(map(parse_window, ("sat,sun 00:00-24:00", "mon-fri 22:00-04:00")))
    assert closing(windows, at(28, 1)) == at(30, 0)
    assert next_opening(windows, at(25, 3)) == at(25, 22)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no window"),
        ("1-5", "no window"),
        ("01:00-25:00", "there is no 25:00"),
        ("01:60-02:00", "there is no 01:60"),
        ("01:00-01:00", "empty"),
        ("24:00-01:00", "empty"),
        ("someday 01:00-02:00", "no day of the week"),
    ],
)
def test_what_is_no_window_is_refused_in_a_sentence(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        parse_window(text)


def test_without_windows_ticks_come_at_the_interval_for_ever() -> None:
    table = Timetable(timedelta(minutes=10), WEDNESDAY)
    tick = table.after(WEDNESDAY - timedelta(days=3))
    for number in range(1000):
        assert tick == WEDNESDAY + number * timedelta(minutes=10)
        tick = table.after(tick)


def test_a_window_without_a_tick_gets_one_at_its_opening() -> None:
    table = Timetable(DAY, WEDNESDAY, (parse_window("01:00-05:00"),))
    ticks = [table.after(WEDNESDAY)]
    for _ in range(3):
        ticks.append(table.after(ticks[-1]))
    assert ticks == [at(26, 1), WEDNESDAY + DAY, at(27, 1), WEDNESDAY + 2 * DAY]
    assert [table.is_open(tick) for tick in ticks] == [True, False, True, False]
    assert table.run_from(ticks[1]) == at(27, 1)


def test_the_next_run_is_the_first_tick_in_a_window() -> None:
    table = Timetable(timedelta(minutes=10), WEDNESDAY, (parse_window("01:00-05:00"),))
    assert table.run_from(WEDNESDAY) == at(26, 1) + timedelta(seconds=3)
    assert table.after(at(26, 0, 59)) == at(26, 1) + timedelta(seconds=3)


@given(
    hours=st.floats(0.01, 100),
    begin=st.integers(0, 23),
    length=st.integers(1, 23),
    later=st.integers(0, 10**6),
)
def test_every_window_of_a_fortnight_is_met(
    hours: float, begin: int, length: int, later: int
) -> None:
    window = parse_window(f"{begin:02}:00-{(begin + length) % 24:02}:00")
    table = Timetable(timedelta(hours=hours), WEDNESDAY + timedelta(seconds=later), (window,))
    moment = WEDNESDAY
    for _ in range(14):
        opening = next_opening((window,), moment)
        run = table.run_from(table.after(opening - timedelta.resolution))
        assert opening <= run < opening + timedelta(hours=length)
        moment = opening


@given(count=st.integers(1, 60), seconds=st.floats(1, 10**5), number=st.integers(0, 59))
def test_targets_are_spread_over_the_interval(count: int, seconds: float, number: int) -> None:
    interval = timedelta(seconds=seconds)
    names = [f"t{each}" for each in range(count)]
    first = dict.fromkeys(names, WEDNESDAY)
    tables = staggered(dict.fromkeys(names, interval), {}, first)
    places = sorted((table.anchor - WEDNESDAY) % interval for table in tables.values())
    slots = [interval * each / count for each in range(count)]
    assert all(abs(a - b) < timedelta(milliseconds=1) for a, b in zip(places, slots, strict=True))
    name = names[number % count]
    gap = tables[name].anchor - first[name]
    assert interval / 2 <= gap + timedelta.resolution
    assert gap <= 1.5 * interval + timedelta.resolution


def test_a_restart_keeps_everybodys_place() -> None:
    interval = timedelta(minutes=10)
    names = ["a", "b", "c"]
    first = {name: WEDNESDAY + number * interval / 3 for number, name in enumerate(names)}
    tables = staggered(dict.fromkeys(names, interval), {}, first)
    assert {name: table.anchor - first[name] for name, table in tables.items()} == dict.fromkeys(
        names, interval
    )


def test_the_first_run_after_a_restart_is_due_an_interval_after_the_last() -> None:
    assert first_due(None, HOUR, WEDNESDAY) == WEDNESDAY
    assert first_due(WEDNESDAY - HOUR / 4, HOUR, WEDNESDAY) == WEDNESDAY + HOUR * 3 / 4
    assert first_due(WEDNESDAY - 3 * HOUR, HOUR, WEDNESDAY) == WEDNESDAY
    assert first_due(WEDNESDAY + 30 * HOUR, HOUR, WEDNESDAY) == WEDNESDAY + HOUR


def test_ticks_between_two_are_counted_as_they_are_spread() -> None:
    table = Timetable(HOUR, WEDNESDAY + HOUR)
    assert table.ticks_between(WEDNESDAY, WEDNESDAY + HOUR, 9) == 0
    assert table.ticks_between(WEDNESDAY, WEDNESDAY + 4 * HOUR, 9) == 3
    assert table.ticks_between(WEDNESDAY, WEDNESDAY + 4 * HOUR, 2) == 2
