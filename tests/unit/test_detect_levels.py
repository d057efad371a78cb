"""Cases of two levels, cases that come and go, and what a probe of network or disk is worth."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest

from monitor.detect.cores import NETWORK_SECONDS, Core, levels
from monitor.detect.judge import judge
from monitor.detect.parameters import Parameters
from monitor.detect.signals import LEVELLED, two_levelled
from monitor.judgement import Place
from monitor.model import CaseKey
from tests.builders import case, result
from tests.quiet_canary import CASES, made
from tests.unit.test_detect_judge import follow, learned, told

RULES = Parameters()
PIPELINED = CASES[1].key
AWAKE, ASLEEP = log(20e-6), log(100e-6)


def learned_core(round_trip: float = ASLEEP) -> dict[CaseKey, Core]:
    return {PIPELINED: Core((round_trip,) * RULES.learning)}


@pytest.mark.parametrize(
    ("settings", "two"),
    [
        ({"strategy": "core_executemany"}, True),
        ({"strategy": "orm_bulk"}, True),
        ({"strategy": "asyncpg_copy"}, False),
        ({"strategy": "asyncpg_copy", "batch_size": 1000, "transaction": "batch"}, True),
        ({"strategy": "asyncpg_copy", "batch_size": 1000}, False),
    ],
)
def test_which_cases_have_two_levels(settings: dict[str, object], two: bool) -> None:
    assert two_levelled(case(**settings).key) is two  # type: ignore[arg-type]


def test_a_round_trip_of_the_other_level_is_seen() -> None:
    found = levels(learned_core(), [PIPELINED], AWAKE, RULES)
    assert found.away == {PIPELINED}
    assert found.cores[PIPELINED].away == 1


def test_a_slower_network_is_no_other_level() -> None:
    slow = log(100e-6 + 1.01 * NETWORK_SECONDS)
    assert levels(learned_core(), [PIPELINED], slow, RULES).away == set()


def test_while_it_learns_every_level_is_its_own() -> None:
    young = {PIPELINED: Core((ASLEEP,) * (RULES.learning - 1))}
    assert levels(young, [PIPELINED], AWAKE, RULES).away == set()


def test_cases_of_one_level_and_runs_without_the_probe_are_left_alone() -> None:
    copy = CASES[3].key
    assert levels({}, [copy], AWAKE, RULES).cores == {}
    assert levels(learned_core(), [PIPELINED], None, RULES).away == set()


def test_a_level_that_lasts_becomes_its_own() -> None:
    cores, settled = learned_core(), []
    for _ in range(RULES.window):
        found = levels(cores, [PIPELINED], AWAKE, RULES)
        cores, settled = dict(found.cores), [*settled, found.settled]
    assert settled[-1] == {PIPELINED}
    assert not any(settled[:-1])
    assert cores[PIPELINED] == Core((AWAKE,))


def test_the_second_core_is_no_regression_and_is_told_from_one() -> None:
    """Loopback answers four times as fast, and what pipelines takes a quarter longer."""
    state, judgements = follow(20, server=1.3, only="core_executemany", round_trip=0.25)
    assert [change for change in told(judgements) if change.alarming] == []
    last = {v.place.signal: v.state for v in judgements[-1].verdicts if v.place.case == PIPELINED}
    assert {last[signal] for signal in LEVELLED} == {"contended"}
    assert last["client"] != "contended"
    _, judgements = follow(4, state, 80)
    assert judgements[-1].cases[PIPELINED] in ("ok", "suspect")
    _, judgements = follow(12, server=1.3, only="core_executemany")
    (found,) = [c for c in told(judgements) if c.place == Place(PIPELINED, "server")]
    assert found.kind == "regression"


# --- probes of network and disk ------------------------------------------------------------------


def test_a_slower_disk_that_no_insert_waits_for_is_drift() -> None:
    assert kinds_with_slower_probe("commit", 3.0) == {"drift"}


def kinds_with_slower_probe(name: str, factor: float) -> set[str]:
    """Kinds of what is told when a probe alone is slower for twelve runs."""
    state, kinds = learned(), set()
    for number in range(60, 72):
        run = made(number)
        slower = {n: [s * (factor if n == name else 1) for s in v] for n, v in run.probes.items()}
        state, judgement = judge(state, replace(run, probes=slower), RULES)
        kinds |= {change.kind for change in judgement.changes}
    return kinds


def test_a_round_trip_that_gains_little_is_no_network() -> None:
    assert kinds_with_slower_probe("round_trip", 3.0) <= {"drift"}


# --- cases that come and go ----------------------------------------------------------------------


def test_a_case_that_is_measured_no_more_is_forgotten_with_its_changes() -> None:
    state, judgements = follow(4, calls=100.0, only="asyncpg_unnest")
    (change,) = told(judgements)
    gone, ended = CASES[2].key, []
    for number in range(64, 64 + RULES.settle):
        whole = made(number)
        left = tuple(each for each in whole.cases if each.case.key != gone)
        state, judgement = judge(state, replace(whole, cases=left), RULES)
        ended += [(end.change_id, end.ending) for end in judgement.closings]
        assert (gone in judgement.cases) is (number < 63 + RULES.settle)
    assert ended == [(change.id, "retired")]
    assert all(place.case != gone for place in state.series)
    assert gone not in state.work


def test_other_rows_make_another_series() -> None:
    """A tenth of the rows costs more each: no regression, and nothing learned is compared."""
    state = learned()
    smaller = replace(CASES[3], rows=2000)
    for number in range(60, 64):
        whole = made(number)
        rows = [replace(s, rows=2000) for s in whole.cases[3].samples]
        cases = (*whole.cases[:3], result(smaller, *rows))
        state, judgement = judge(state, replace(whole, cases=cases), RULES)
        assert judgement.changes == ()
    assert judgement.cases[CASES[3].key] == "learning"
    assert judgement.cases[CASES[0].key] in ("ok", "suspect")
