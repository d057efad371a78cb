"""Blocks by two ways: put together, and what the second way adds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.measure.paired import differences, merged
from monitor.model import Failure, Notice, Run
from tests.builders import AT, case, result, run, sample

COPY = case("asyncpg_copy")
NOTICE = Notice("a", "b")


def block(seconds: float, **changes: object) -> Run:
    """A run of one round, 20,000 rows."""
    return run(result(COPY, sample(1, insert_seconds=seconds, **changes)), notices=(NOTICE,))


def test_blocks_become_one_run_with_rounds_in_order() -> None:
    whole = merged([block(0.1), block(0.2), block(0.3)], 3)
    (found,) = whole.cases
    assert [each.round for each in found.samples] == [1, 2, 3]
    assert [each.insert_seconds for each in found.samples] == [0.1, 0.2, 0.3]
    assert found.summary
    assert found.summary.rows_per_second.median == pytest.approx(100_000)
    assert (whole.outcome, whole.rounds, whole.wal_bytes) == ("ok", 3, 3 * 140_000_000)
    assert whole.notices == (NOTICE,)
    assert whole.probes["client_cpu"] == (0.02, 0.03) * 3


def test_a_block_that_failed_makes_the_whole_partial() -> None:
    failure = Failure(AT, "unavailable", "gone")
    failed = run(outcome="failed", failure=failure)
    whole = merged([block(0.1), failed], 2)
    assert (whole.outcome, whole.failure) == ("partial", failure)
    assert merged([failed], 2).outcome == "failed"


def test_differences_are_paired_by_block() -> None:
    """Both ways drift alike; the pairs know nothing of it."""
    drift = [0.10, 0.15, 0.20, 0.25, 0.30]
    one = merged([block(seconds) for seconds in drift], 5)
    other = merged([block(seconds + 0.02, rest_seconds=0.1) for seconds in drift], 5)
    (found,) = differences(one, other)
    wall = found.seconds_per_row["wall"]
    assert wall
    assert found.pairs == 5
    assert (wall.low, wall.median, wall.high) == pytest.approx((1e-6, 1e-6, 1e-6))
    assert found.wall_ratio.median == pytest.approx(1.1)
    assert found.fast_seconds_per_row == pytest.approx(1e-6)
    client = found.seconds_per_row["client"]
    assert client
    assert client.median == 0


def test_what_one_way_does_not_know_is_not_known_of_the_difference() -> None:
    one = merged([block(0.1, server_seconds=None, rest_seconds=None)], 1)
    (found,) = differences(one, merged([block(0.1)], 1))
    assert found.seconds_per_row["server"] is None
    assert found.seconds_per_row["wall"] is not None


def test_disturbed_blocks_are_left_out_while_enough_others_are_there() -> None:
    clean = [block(0.1) for _ in range(4)]
    hit = replace(clean[0], cases=block(9.9, disturbed=("checkpoint",)).cases)
    (found,) = differences(merged([*clean, hit], 5), merged([block(0.2)] * 5, 5))
    assert found.pairs == 4
    (found,) = differences(merged([hit] * 5, 5), merged([block(0.2)] * 5, 5))
    assert found.pairs == 5


def test_without_a_common_case_there_is_nothing_to_say() -> None:
    assert differences(merged([block(0.1)], 1), run(outcome="failed")) == ()
