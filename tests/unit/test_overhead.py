"""Overheads: pairs of one block, their ratio and interval, and where building afterwards pays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.measure.overhead import with_overheads
from monitor.measure.rebuild import break_evens
from monitor.model import Case, CaseResult, IndexBuild, Sample
from monitor.suite.extras import rebuilt
from monitor.suite.shapes import orders
from tests.builders import case, result, run, sample

PLAIN = case()
INDEXED = case(shape="orders_customer_idx")


def rounds(*seconds: float, server: float | None = 0.03) -> list[Sample]:
    return [
        sample(n, insert_seconds=wall, server_seconds=server) for n, wall in enumerate(seconds, 1)
    ]


def of(results: tuple[CaseResult, ...], which: Case = INDEXED) -> CaseResult:
    (found,) = (each for each in results if each.case.key == which.key)
    return found


def test_the_overhead_is_the_median_of_the_blocks_quotients_minus_1() -> None:
    """A block that is slow as a whole is so in both of its rounds, and cancels out."""
    plain = result(PLAIN, *rounds(0.10, 0.20, 0.40, 0.10, 0.10))
    indexed = result(INDEXED, *rounds(0.12, 0.25, 0.52, 0.11, 0.13, server=0.045))
    found = of(with_overheads([plain, indexed])).overhead
    assert found
    assert (found.name, found.kind, found.pairs) == ("customer_idx", "index", 5)
    assert found.wall.median == pytest.approx(0.25)
    assert (found.wall.low, found.wall.high) == pytest.approx((0.1, 0.3))
    assert found.wall.coverage == 0.9375
    assert found.server
    assert found.server.median == pytest.approx(0.5)


def test_only_blocks_count_in_which_both_rounds_do() -> None:
    plain = rounds(0.1, 0.1, 0.1, 0.1, 0.1)
    plain[0] = replace(plain[0], insert_seconds=9.0, disturbed=("checkpoint",))
    indexed = rounds(0.2, 0.12, 0.12, 0.12)
    results = with_overheads([result(PLAIN, *plain), result(INDEXED, *indexed)])
    found = of(results).overhead
    assert found
    assert found.pairs == 3
    assert found.wall.median == pytest.approx(0.2)


def test_the_plain_case_must_do_the_same_work() -> None:
    indexed = result(INDEXED, *rounds(0.12))
    for other in (
        case("orm_bulk"),
        case(batch_size=1000),
        case(transaction="batch", batch_size=1000),
        case(shape_parameters={"customers": 3}),
        case(prefill=10),
        case(shape="orders_wide"),
    ):
        results = with_overheads([result(other, *rounds(0.1)), indexed])
        assert of(results).overhead is None, other.key
    assert of(with_overheads([result(PLAIN, *rounds(0.1)), indexed])).overhead


def test_without_server_clocks_the_wall_is_still_compared() -> None:
    plain = result(PLAIN, *rounds(0.1, server=None))
    indexed = result(INDEXED, *rounds(0.15, server=None))
    found = of(with_overheads([plain, indexed])).overhead
    assert found
    assert found.server is None
    assert found.wall.median == pytest.approx(0.5)


def test_a_foreign_key_is_told_from_an_index() -> None:
    referring = case(shape="orders_customer_fk")
    results = [result(PLAIN, *rounds(0.1)), result(referring, *rounds(0.28))]
    found = of(with_overheads(results), referring).overhead
    assert found
    assert (found.kind, found.name) == ("foreign_key", "customer_fk")


# --- building afterwards -------------------------------------------------------------------------

EXTRA = orders.extras[0]


def compared(
    rows: int, with_it: float, without: float, build: float, how: IndexBuild = "plain"
) -> list[CaseResult]:
    """Both ways at a row count, three equal rounds each."""
    before = replace(case(shape="orders_customer_idx"), rows=rows, batch_size=rows)
    after = replace(
        before, shape=rebuilt(orders, EXTRA), build=how, variant=f"build={how},rows={rows}"
    )
    built = [replace(each, index_build_seconds=build) for each in rounds(*[without] * 3)]
    return [result(before, *rounds(*[with_it] * 3)), result(after, *built)]


def test_the_break_even_lies_between_the_last_that_loses_and_the_first_that_wins() -> None:
    results = [
        *compared(1_000, 0.010, 0.008, 0.004),
        *compared(10_000, 0.100, 0.080, 0.030),
        *compared(100_000, 1.000, 0.700, 0.200),
    ]
    (found,) = break_evens(run(*results))
    assert (found.strategy, found.extra, found.build) == ("asyncpg_copy", "customer_idx", "plain")
    assert [each.rows for each in found.comparisons] == [1_000, 10_000, 100_000]
    assert [each.saved.median for each in found.comparisons] == pytest.approx([0.2, 0.1, -0.1])
    assert (found.above, found.upto) == (10_000, 100_000)
    assert found.rows == 32_000  # half-way by the logarithm, to two figures


def test_a_win_below_a_loss_does_not_count() -> None:
    results = [*compared(1_000, 0.01, 0.008, 0.001), *compared(10_000, 0.1, 0.1, 0.1)]
    (found,) = break_evens(run(*results))
    assert (found.rows, found.above, found.upto) == (None, 10_000, None)


def test_where_it_always_pays_there_is_no_break_even_to_name() -> None:
    (found,) = break_evens(run(*compared(1_000, 0.01, 0.004, 0.001)))
    assert (found.rows, found.above, found.upto) == (None, None, 1_000)


def test_both_ways_to_build_are_told_apart() -> None:
    results = [
        *compared(1_000, 0.01, 0.004, 0.001),
        compared(1_000, 0.01, 0.004, 0.02, "concurrently")[1],
    ]
    plain, concurrently = break_evens(run(*results))
    assert (plain.build, plain.upto) == ("plain", 1_000)
    assert (concurrently.build, concurrently.upto) == ("concurrently", None)
    assert concurrently.comparisons[0].build_seconds == 0.02


def test_rounds_that_build_are_no_overhead() -> None:
    results = [result(PLAIN, *rounds(0.1)), *compared(20_000, 0.12, 0.1, 0.02)]
    after = with_overheads(results)[-1]
    assert after.case.build == "plain"
    assert after.overhead is None
