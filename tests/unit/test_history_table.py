"""What people read of a target's history, wide and narrow."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from monitor.cli.history_table import case_names, print_target, say
from monitor.store.history import FirstFailure, LastRun, SeriesHistory, TargetHistory
from monitor.store.points import Point, Source
from monitor.store.records import SeriesKey

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (100, 80)
UNTIL = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
COPY = SeriesKey("asyncpg_copy", "orders", 20_000, "", 20_000)
COMMITS = SeriesKey("core_executemany", "orders", 1_000, "transaction=batch", 20_000)
PAGES = SeriesKey("core_insertmanyvalues", "orders_customer_idx", 20_000, "page_size=500", 20_000)
BULK = SeriesKey("orm_bulk", "orders", 20_000, "", 20_000)
LARGER = BULK._replace(rows=50_000, batch_size=50_000)


def point(at: datetime, rate: float, source: Source = "run", runs: int = 1) -> Point:
    return Point(
        started_at=at,
        source=source,
        runs=runs,
        rounds=5 * runs,
        disturbed_rounds=0 if source == "run" else None,
        rows_per_second=rate,
        rows_per_second_fast=rate,
        client_seconds_per_row=1e-6,
        server_seconds_per_row=None,
        commit_seconds_per_row=1e-7,
        rows_per_call=None,
        wal_bytes_per_row=None,
    )


def series(key: SeriesKey, points: Iterable[Point], failures: int = 0) -> SeriesHistory:
    return SeriesHistory("main", key, tuple(points), failures)


def moments(begin: datetime = UNTIL - 7 * DAY, end: datetime = UNTIL) -> list[datetime]:
    """Every ten minutes."""
    return [begin + n * 10 * MINUTE for n in range((end - begin) // (10 * MINUTE))]


def noisy(number: int) -> float:
    """Within a percent of 1, the same every time."""
    return 1 + 0.01 * math.sin(number * 1.7)


def week() -> TargetHistory:
    """A steady case, one that lost 20 % two days ago, one with a day's gap, one that began late."""
    steady = [point(at, 194_000 * noisy(n)) for n, at in enumerate(moments())]
    slower = [point(at, 66_000 * noisy(n) * (0.8 if at > UNTIL - 2 * DAY else 1))
              for n, at in enumerate(moments())]  # fmt: skip
    gap = [point(at, 45_000 * noisy(n)) for n, at in enumerate(moments())
           if not 3 * DAY < UNTIL - at < 4 * DAY]  # fmt: skip
    late = [point(at, 40_000 * noisy(n)) for n, at in enumerate(moments(UNTIL - DAY))]
    failed = FirstFailure("timeout", "the round passed its deadline of 60 s", PAGES)
    return TargetHistory(
        name="main",
        begins_at=UNTIL - 7 * DAY,
        series=(series(COPY, steady), series(COMMITS, slower, 12), series(PAGES, gap),
                series(BULK, late), series(LARGER, [], 3)),
        outcomes={"ok": 1000, "partial": 6, "failed": 2},
        run_failures={"unavailable": 2},
        last_run=LastRun(UNTIL - 3 * HOUR, "partial", failed),
    )  # fmt: skip


def printed(history: TargetHistory, width: int = 100, *, explained: bool = True) -> str:
    output = io.StringIO()
    to = Console(file=output, width=width, highlight=False)
    print_target(history, UNTIL, to, explained=explained)
    return "".join(line.rstrip() + "\n" for line in output.getvalue().splitlines())


def line_of(name: str, text: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(name))


def blocks(line: str) -> str:
    """The line over time within a printed line, from its first block to its last."""
    places = [n for n, character in enumerate(line) if "▁" <= character <= "▇"]
    return line[places[0] : places[-1] + 1]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_table_is_the_golden_one(width: int) -> None:
    expected = (GOLDEN / f"history_{width}.txt").read_text()
    assert printed(week(), width) == expected, "rewrite: python -m tests.unit.test_history_table"


@pytest.mark.parametrize("width", [60, 72, 80, 99, 100, 101, 120, 200])
def test_no_line_of_the_table_is_wider_than_the_terminal(width: int) -> None:
    history = week()
    fast = [point(at, 12_345_678.0) for at in moments()]
    history = replace(history, series=(*history.series, series(COPY, fast, 54_321)))
    table = printed(history, width, explained=False).split("failures of whole runs")[0]
    assert max(map(len, table.splitlines()[1:])) <= width
    for name in ("asyncpg_copy", "1,000/commit", "orders_customer_idx", "page_size=500"):
        assert name in table or width < 72
    assert "12,345,678" in table
    assert "…" not in table


@pytest.mark.parametrize(("width", "line"), [(80, 24), (100, 24), (110, 24), (130, 30), (250, 32)])
def test_the_line_over_time_is_24_to_32_wide(width: int, line: int) -> None:
    assert {len(blocks(each)) for each in printed(week(), width).splitlines()
            if "▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄" in each} == {line}  # fmt: skip


def test_a_gap_is_blank_and_of_its_length() -> None:
    drawn = blocks(line_of("core_insertmanyvalues", printed(week(), 160)))
    assert len(drawn) == 32
    assert drawn.count(" ") == round(32 / 7) - 1  # both edges hold some runs


def test_runs_that_come_rarely_leave_no_gaps() -> None:
    """Every six hours, on a line of five hours a character, and never quite in time."""
    begin = UNTIL - 7 * DAY
    rare = [point(begin + n * 6 * HOUR + (n % 3) * 40 * MINUTE, 1000 * noisy(n)) for n in range(28)]
    late = replace(week(), series=(series(BULK, rare),))
    assert " " not in blocks(line_of("orm_bulk", printed(late)))
    one_missing = replace(week(), series=(series(BULK, [*rare[:12], *rare[14:]]),))
    assert " " in blocks(line_of("orm_bulk", printed(one_missing)))


def test_a_run_stands_for_the_time_until_the_next() -> None:
    begin = UNTIL - 80 * MINUTE
    runs = [point(at, 50 if n < 4 else 100) for n, at in enumerate(moments(begin))]
    history = replace(week(), begins_at=begin, series=(series(BULK, runs),))
    assert blocks(line_of("orm_bulk", printed(history))) == "▁" * 16 + "▇" * 16


def test_a_single_hour_stands_for_an_hour() -> None:
    begin = UNTIL - 4 * HOUR
    history = replace(week(), begins_at=begin, series=(series(BULK, [point(begin, 9, "hour", 6)]),))
    assert blocks(line_of("orm_bulk", printed(history))) == "▄" * 8


def test_a_tiny_terminal_gets_a_shorter_line_not_a_broken_one() -> None:
    with_blocks = [line for line in printed(week(), 60).splitlines() if "▄" in line or "▅" in line]
    assert len(with_blocks) == 4


def test_hours_and_days_stand_for_their_time_and_are_named() -> None:
    begin = UNTIL.replace(hour=0, minute=0) - 4 * DAY
    days = [point(begin + n * DAY, 1000, "day", 144) for n in range(2)]
    hours = [point(begin + 2 * DAY + n * HOUR, 1000, "hour", 6) for n in range(24)]
    runs = [point(at, 1000) for at in moments(begin + 3 * DAY)]
    history = replace(week(), begins_at=begin, series=(series(BULK, [*days, *hours, *runs]),))
    text = printed(history)
    assert blocks(line_of("orm_bulk", text)) == "▄" * 32
    assert "Until 2026-11-20 00:00 a point is a whole day, which spreads less.\n" in text
    assert "Until 2026-11-21 00:00 a point is a whole hour, which spreads less.\n" in text
    assert f" {2 * 144 + 24 * 6 + len(runs)} " in line_of("orm_bulk", text)


def test_only_runs_need_no_word_on_rollups() -> None:
    assert "Until" not in printed(week())


def test_a_case_that_only_failed_shows_dashes() -> None:
    line = line_of("orm_bulk 50,000 rows", printed(week()))
    assert line.split() == ["orm_bulk", "50,000", "rows", "–", "–", "–", "0", "3"]


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (LastRun(UNTIL - 59 * MINUTE, "ok"), "last run 2026-11-22 13:11 UTC, 59 min ago"),
        (LastRun(UNTIL, "ok"), "last run 2026-11-22 14:10 UTC, just now"),
        (LastRun(UNTIL - 47 * HOUR, "ok"), "last run 2026-11-20 15:10 UTC, 47 h ago"),
        (LastRun(UNTIL - 49 * HOUR, "skipped"),
         "last run 2026-11-20 13:10 UTC, 2 days ago: skipped"),
        (
            LastRun(UNTIL - HOUR, "failed", FirstFailure("unavailable", "refused", None)),
            "last run 2026-11-22 13:10 UTC, 60 min ago: failed (unavailable): refused",
        ),
        (
            LastRun(UNTIL - HOUR, "partial", FirstFailure("timeout", "too late", COMMITS)),
            "last run 2026-11-22 13:10 UTC, 60 min ago: partial (timeout in core_executemany"
            " 1,000/commit): too late",
        ),
        (
            LastRun(UNTIL - HOUR, "ok", FirstFailure("timeout", "no matter", None)),
            "last run 2026-11-22 13:10 UTC, 60 min ago",
        ),
    ],
)  # fmt: skip
def test_the_last_line_tells_of_the_last_run(last: LastRun, says: str) -> None:
    assert printed(replace(week(), last_run=last)).rstrip("\n").splitlines()[-1] == says


def test_a_span_without_runs_says_so_and_has_no_table() -> None:
    empty = replace(week(), series=(), outcomes={}, run_failures={})
    assert printed(empty) == (
        "main: 2026-11-15 14:10 – 2026-11-22 14:10 UTC, no runs\n"
        "last run 2026-11-22 11:10 UTC, 3 h ago: partial (timeout in core_insertmanyvalues"
        " orders_customer_idx page_size=500): the round passed its deadline of 60 s\n"
        "\n"
    )


def test_runs_that_all_failed_say_why_without_a_table() -> None:
    down = replace(week(), series=(), outcomes={"failed": 1}, run_failures={"unavailable": 1})
    assert printed(down).splitlines()[:2] == [
        "main: 2026-11-15 14:10 – 2026-11-22 14:10 UTC, 1 run (1 failed)",
        "failures of whole runs: unavailable 1",
    ]


def test_names_tell_cases_apart() -> None:
    calls = SeriesKey("orm_bulk", "orders", 500, "page_size=9,transaction=batch", 20_000)
    keys = [COPY, COMMITS, PAGES, BULK, LARGER, calls,
            calls._replace(variant="rows=20000")]  # fmt: skip
    assert case_names(keys) == [
        "asyncpg_copy",
        "core_executemany 1,000/commit",
        "core_insertmanyvalues orders_customer_idx page_size=500",
        "orm_bulk 20,000 rows",
        "orm_bulk 50,000 rows",
        "orm_bulk 500/commit page_size=9",
        "orm_bulk 500/call rows=20000",
    ]


def test_texts_are_folded_at_terminals_only() -> None:
    text = "orders: added CREATE INDEX orders_customer_idx ON orders (customer, created_at)"
    for terminal in (True, False):
        output = io.StringIO()
        say(Console(file=output, width=50, force_terminal=terminal, color_system=None), text, "  ")
        lines = output.getvalue().splitlines()
        assert " ".join(" ".join(lines).split()) == text
        assert [line[:5].rstrip() for line in lines] == (
            ["  ord", "    O"] if terminal else ["  ord"]
        )
        assert all(len(line) <= 50 for line in lines) == terminal


# --- the figures in it ---------------------------------------------------------------------------


def test_spread_is_that_of_a_normal_distribution() -> None:
    values = [100 + 1.4826 * offset for offset in (-3, -1, -1, 0, 1, 1, 5)]
    found = series(BULK, [point(UNTIL, value) for value in values])
    assert found.median == 100
    assert found.spread_ratio == pytest.approx(1.4826 * 1.4826 / 100)


def test_two_runs_have_no_spread() -> None:
    assert series(BULK, [point(UNTIL, 1.0), point(UNTIL, 2.0)]).spread_ratio is None
    assert series(BULK, [point(UNTIL, 1.0)] * 3).spread_ratio == 0


def test_a_rollup_counts_as_often_as_it_has_runs() -> None:
    mixed = series(BULK, [point(UNTIL, 50, "day", 3), *(point(UNTIL, rate) for rate in (90, 91))])
    assert (mixed.median, mixed.runs, mixed.last) == (50, 5, 91)


def test_without_points_nothing_is_known() -> None:
    bare = series(BULK, [], 1)
    assert (bare.last, bare.median, bare.spread_ratio, bare.runs) == (None, None, None, 0)


if __name__ == "__main__":
    for width in WIDTHS:
        (GOLDEN / f"history_{width}.txt").write_text(printed(week(), width))
