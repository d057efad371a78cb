"""What a rollup says of some rounds, against figures worked out by hand."""

from __future__ import annotations

import pytest

from monitor.model import MIN_CLEAN_ROUNDS
from monitor.store.rollups import Round, figures_of

CHECKPOINT, AUTOVACUUM, EVICTED, SESSIONS, STEAL, PRESSURE = (1 << n for n in range(6))


def rounds(run: int, *insert_ns: int, disturbed: dict[int, int] | None = None) -> list[Round]:
    """Rounds of one run; the others of their values are those of ``insert_ns`` or told by it."""
    bits = disturbed or {}
    return [Round(run, bits.get(ns, 0), ns, ns + 1, ns + 2, ns + 3, ns + 4, ns + 5)
            for ns in insert_ns]  # fmt: skip


def test_medians_and_quartiles_of_each_clock_and_medians_of_the_counters() -> None:
    figures = figures_of(rounds(1, 50, 10, 30, 20, 40))
    assert figures == {
        "runs": 1, "samples": 5, "fast_ns": 10,
        "insert_ns": 30, "insert_ns_low": 20, "insert_ns_high": 40,
        "commit_ns": 31, "commit_ns_low": 21, "commit_ns_high": 41,
        "client_ns": 32, "client_ns_low": 22, "client_ns_high": 42,
        "server_ns": 33, "server_ns_low": 23, "server_ns_high": 43,
        "wal_bytes": 34, "calls": 35,
    }  # fmt: skip


def test_quartiles_lie_between_values_and_are_rounded() -> None:
    figures = figures_of(rounds(1, 1, 2, 4, 9))
    assert [figures[f"insert_ns{end}"] for end in ("_low", "", "_high")] == [2, 3, 5]


def test_one_round_is_all_there_is() -> None:
    figures = figures_of(rounds(1, 7))
    assert [figures[f"insert_ns{end}"] for end in ("_low", "", "_high")] == [7, 7, 7]
    assert (figures["fast_ns"], figures["calls"]) == (7, 12)


def test_the_fast_end_is_that_of_each_run() -> None:
    """The median of 10, 200 and 300, though the fastest rounds of all are of one run."""
    found = rounds(1, 10, 11, 12) + rounds(2, 900, 300, 800) + rounds(3, 200, 950, 960)
    figures = figures_of(found)
    assert (figures["fast_ns"], figures["runs"], figures["samples"]) == (200, 3, 9)


@pytest.mark.parametrize("bit", [CHECKPOINT, AUTOVACUUM, EVICTED, EVICTED | STEAL])
def test_a_disturbed_round_does_not_count(bit: int) -> None:
    figures = figures_of(rounds(1, 10, 20, 30, 40, disturbed={10: bit}))
    assert (figures["fast_ns"], figures["insert_ns"], figures["samples"]) == (20, 30, 4)
    assert (figures["wal_bytes"], figures["commit_ns_low"]) == (34, 26)


@pytest.mark.parametrize("bit", [SESSIONS, STEAL, PRESSURE, SESSIONS | STEAL | PRESSURE])
def test_what_is_recorded_only_leaves_a_round_in(bit: int) -> None:
    assert figures_of(rounds(1, 10, 20, 30, 40, disturbed={10: bit}))["fast_ns"] == 10


def test_with_too_few_clean_rounds_all_of_the_run_count() -> None:
    clean = MIN_CLEAN_ROUNDS - 1
    contended = rounds(1, 10, *range(20, 20 + clean), disturbed={10: CHECKPOINT})
    assert figures_of(contended)["fast_ns"] == 10
    enough = rounds(1, 10, *range(20, 21 + clean), disturbed={10: CHECKPOINT})
    assert figures_of(enough)["fast_ns"] == 20


def test_rounds_are_chosen_run_by_run() -> None:
    """A contended run keeps its rounds beside one that can spare its disturbed ones."""
    contended = rounds(1, 10, 12, disturbed={10: EVICTED, 12: EVICTED})
    spared = rounds(2, 20, 30, 40, 50, disturbed={20: EVICTED})
    figures = figures_of(contended + spared)
    assert (figures["fast_ns"], figures["insert_ns"]) == (20, 30)  # of 10, 30; of 10 12 30 40 50


def test_what_is_not_known_is_left_out_and_stays_unknown_where_nothing_is_known() -> None:
    unknown = {"server_ns": None, "wal_bytes": None, "calls": None}
    some = [each._replace(**unknown) if each.insert_ns == 30 else each
            for each in rounds(1, 10, 20, 30)]  # fmt: skip
    figures = figures_of(some)
    assert (figures["server_ns"], figures["wal_bytes"], figures["calls"]) == (18, 19, 20)
    none = figures_of([each._replace(**unknown) for each in some])
    names = ("server_ns", "server_ns_low", "server_ns_high", "wal_bytes", "calls")
    assert [none[name] for name in names] == [None] * 5
    assert none["insert_ns"] == 20
