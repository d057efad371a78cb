"""What a person would tell of a change, to the word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.detect.story import Story, percent, sentence, stories, told_difference, when, why
from monitor.environment import Difference
from monitor.judgement import Change, Closing, Place
from tests.builders import AT, INDEX, case, change

MINUTE = timedelta(minutes=1)
NONE = {"cause": "none_recorded", "differences": ()}


def of(strategy: str, signal: str = "server", **changes: object) -> Change:
    key = case(strategy).key
    plain: dict[str, object] = {"id": f"{strategy} {signal}", "place": Place(key, signal)}
    return change(**{**plain, **changes})  # type: ignore[arg-type]


def test_one_line_says_who_what_when_and_why() -> None:
    assert sentence(Story((change(),))) == (
        "main · 5 of 6 strategies · server +31 % (rows/s −14 %) since 2026-11-22 14:10 ± 10 min"
        " · index added on ingest_canary.orders(customer_id)"
    )


def test_all_strategies_are_all() -> None:
    told = Story((replace(change(), strategies=6, of=6),))
    assert "all 6 strategies" in sentence(told)


def test_a_single_case_is_named() -> None:
    told = Story((replace(change(where="strategy", **NONE), strategies=1, of=6),))
    assert sentence(told) == (
        "main · asyncpg_copy on orders, batch 20,000 · server +31 % (rows/s −14 %) since"
        " 2026-11-22 14:10 ± 10 min · no recorded change"
    )


@pytest.mark.parametrize("where", ["host", "network"])
def test_a_host_is_called_by_its_name(where: str) -> None:
    probe = change(kind="host", where=where, place=Place(None, "client_cpu"), strategies=0,
                   rows_per_second_ratio=None, **NONE)  # fmt: skip
    probe = replace(probe, of=0)
    assert sentence(Story((probe,))).startswith(f"main · {where} · client's CPU +31 % since")


def test_small_and_welcome_shifts_say_so() -> None:
    drift = change(kind="drift", effect_ratio=0.021, rows_per_second_ratio=-0.011, fast=False)
    assert "· drift: server +2.1 % (rows/s −1.1 %) since" in sentence(Story((drift,)))
    better = change(kind="improvement", effect_ratio=-0.2, rows_per_second_ratio=0.12)
    assert "· faster: server −20 % (rows/s +12 %) since" in sentence(Story((better,)))


def test_work_tells_its_counter_until_a_clock_moves() -> None:
    work = of("asyncpg_copy", "work", kind="work", counter="wal_records", effect_ratio=0.5)
    assert "wal records +50 %" in sentence(Story((work,)))
    clock = of("asyncpg_copy", "server")
    assert "server +31 %" in sentence(Story((work, clock)))


def test_the_effect_is_the_median_of_the_telling_signal() -> None:
    parts = [of(name, effect_ratio=ratio, rows_per_second_ratio=-ratio / 2) for name, ratio in
             (("asyncpg_copy", 0.1), ("orm_bulk", 0.3), ("orm_add_all", 0.5))]  # fmt: skip
    wall = of("asyncpg_copy", "throughput", effect_ratio=0.9, rows_per_second_ratio=-0.05)
    told = Story((*parts, wall))
    assert told.effect_ratio == 0.3
    assert told.rows_per_second_ratio == -0.15


def test_the_most_exact_change_dates_it() -> None:
    vague = change(since=AT - 60 * MINUTE, since_low=AT - 120 * MINUTE, since_high=AT)
    exact = of("orm_bulk", "work", kind="work", counter="calls", since=AT, since_low=AT - MINUTE)
    assert when(Story((vague, exact))) == " since 2026-11-22 14:10 ± 1 min"
    assert when(Story((vague,))) == " since 2026-11-22 13:10 ± 60 min"
    days = replace(vague, since_low=AT - timedelta(days=3))
    assert when(Story((days,))).endswith("± 3 d")
    hours = replace(vague, since_low=AT - timedelta(hours=7))
    assert when(Story((hours,))).endswith("± 6 h")


def test_ends_are_told_once_all_have_ended() -> None:
    two = (change(), of("orm_bulk"))
    ends = [Closing(each.id, "recovered", AT + n * MINUTE) for n, each in enumerate(two, 30)]
    (half,) = stories(two, ends[:1])
    assert half.ended is None
    assert half.open == two[1:]
    (whole,) = stories(two, ends)
    assert sentence(whole).endswith("· recovered 2026-11-22 14:41")


def test_groups_are_stories_in_the_order_in_which_they_were_told() -> None:
    first, second = change(), of("orm_bulk", group="0123456789ab")
    assert [story.id for story in stories([first, second, of("orm_add_all")])] == [
        first.group,
        second.group,
    ]


def test_a_cause_that_was_found_later_is_the_storys() -> None:
    told = Story((of("orm_bulk", **NONE), change()))
    assert told.cause == "index"
    assert why(told) == "index added on ingest_canary.orders(customer_id)"


TABLE = ("tables", "orders")


@pytest.mark.parametrize(
    ("difference", "text"),
    [
        (Difference(*TABLE, None, INDEX), "index added on ingest_canary.orders(customer_id)"),
        (Difference(*TABLE, INDEX, None), "index removed on ingest_canary.orders(customer_id)"),
        (
            Difference(*TABLE, None, "CREATE UNIQUE INDEX u ON ingest_canary.o USING btree (a, b)"),
            "unique index added on ingest_canary.o(a, b)",
        ),
        (
            Difference(*TABLE, None, "CREATE INDEX g ON ingest_canary.o USING gin (tags)"),
            "index added on ingest_canary.o(tags) by gin",
        ),
        (
            Difference(*TABLE, None, "CREATE TRIGGER t BEFORE INSERT ON ingest_canary.o FOR …"),
            "trigger t added on ingest_canary.o",
        ),
        (
            Difference(*TABLE, None, "CONSTRAINT c CHECK ((n > 0))"),
            "constraint added on orders: CHECK ((n > 0))",
        ),
        (Difference("server", "fsync", "on", "off"), "fsync: on → off"),
        (Difference("client", "asyncpg", "0.31", "0.32"), "asyncpg: 0.31 → 0.32"),
        (Difference(*TABLE, "WITH (a)", "WITH (b)"), "orders: WITH (a) → WITH (b)"),
        (Difference(*TABLE, None, "note text"), "orders: added note text"),
    ],
)  # fmt: skip
def test_differences_read_as_a_person_would_say_them(difference: Difference, text: str) -> None:
    assert told_difference(difference) == text


def test_more_than_three_differences_are_counted() -> None:
    many = tuple(Difference("server", f"s{n}", "a", "b") for n in range(5))
    assert why(Story((change(differences=many),))) == "s0: a → b; s1: a → b; s2: a → b and 2 more"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.31, "+31 %"), (-0.14, "−14 %"), (0.0994, "+9.9 %"), (0.0996, "+10 %"), (9.0, "+900 %")],
)
def test_percentages(ratio: float, text: str) -> None:
    assert percent(ratio) == text
