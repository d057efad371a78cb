"""Whole runs: which series are judged, what is told of them, and to what it is put down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from monitor.detect.attribution import (
    Moved,
    Transition,
    cause_of,
    component,
    differences_between,
    support,
    where,
)
from monitor.detect.judge import accept, judge
from monitor.detect.outlook import expected_false_alarms, with_outlook
from monitor.detect.parameters import Parameters
from monitor.detect.signals import rules_for
from monitor.detect.target import TargetState, decode_target, encode_target
from monitor.environment import Difference
from monitor.judgement import Change, Judgement, Place
from tests.builders import AT, INDEX, environment, result, run
from tests.quiet_canary import CASES, SECONDS, made, with_index

RULES = Parameters()


@cache
def learned(count: int = 60) -> TargetState:
    state = TargetState()
    for number in range(count):
        state, judgement = judge(state, made(number), RULES)
        assert judgement.changes == ()
    return state


def follow(
    count: int, state: TargetState | None = None, start: int = 60, **how: Any
) -> tuple[TargetState, list[Judgement]]:
    state, judgements = state or learned(), []
    for number in range(start, start + count):
        state, judgement = judge(state, made(number, **how), RULES)
        judgements.append(judgement)
    return state, judgements


def told(judgements: list[Judgement], **wanted: Any) -> list[Change]:
    changes = [change for judgement in judgements for change in judgement.changes]
    return [c for c in changes if all(getattr(c, name) == value for name, value in wanted.items())]


def test_nothing_is_told_of_a_quiet_canary() -> None:
    state, judgements = follow(60)
    assert told(judgements) == []
    assert set(judgements[-1].cases.values()) <= {"ok", "suspect"}
    assert set(judgements[-1].cases) == {each.key for each in CASES}
    assert state.changes == ()
    signals = {v.place.signal for v in judgements[-1].verdicts if v.place.case == CASES[0].key}
    assert signals == {"throughput", "client", "server", "commit", "rest", "spread", "work"}


def test_an_index_is_told_in_two_runs_with_its_cause() -> None:
    _, judgements = follow(3, server=1.33, work=1.4, env=with_index())
    changes = told(judgements[:2])
    places = {(c.place.case.strategy if c.place.case else None, c.place.signal) for c in changes}
    steady = {"orm_add_all", "asyncpg_unnest", "asyncpg_copy"}
    assert {(name, "server") for name in steady} <= places
    assert {(name, "work") for name in SECONDS} <= places
    assert (None, "all:server") in places
    assert {change.cause for change in changes} == {"index"}
    assert {change.where for change in changes} == {"server"}
    assert len({change.group for change in changes}) == 1
    (copy,) = told(judgements, place=Place(CASES[3].key, "server"))
    assert copy.effect_ratio == pytest.approx(0.33, abs=0.03)
    assert copy.rows_per_second_ratio == pytest.approx(-0.18, abs=0.03)
    assert copy.since == AT + timedelta(minutes=600)
    assert (copy.strategies, copy.of, copy.component) == (4, 4, "server")
    assert copy.differences == (Difference("tables", "orders", None, INDEX),)
    (pipelined,) = told(judgements, place=Place(CASES[1].key, "server"))
    assert (pipelined.since, pipelined.told_at) == (
        copy.since,
        copy.told_at + timedelta(minutes=10),
    )
    states = {
        v.place.signal: v.state for v in judgements[-1].verdicts if v.place.case == CASES[3].key
    }
    assert states["server"] == states["work"] == "regressed"
    assert judgements[-1].cases[CASES[3].key] == "regressed"


def test_throughput_follows_with_the_support_of_its_clock() -> None:
    _, judgements = follow(8, server=1.33)
    found = told(judgements, place=Place(CASES[3].key, "throughput"))
    assert [(c.kind, c.component, c.cause) for c in found] == [
        ("regression", "server", "none_recorded")
    ]


def test_throughput_without_support_is_no_alarm() -> None:
    """Another process took the processor: the wall grows, the clocks hardly."""
    _, judgements = follow(12, rest=6.0, only="asyncpg_copy")
    changes = told(judgements)
    assert {change.kind for change in changes} == {"drift"}
    states = {s for j in judgements for s in j.cases.values()}
    assert "regressed" not in states


def test_a_slower_network_is_one() -> None:
    _, judgements = follow(12, rest=6.0, round_trip=4.0, only="asyncpg_copy")
    (wall,) = told(judgements, place=Place(CASES[3].key, "throughput"))
    assert (wall.kind, wall.where, wall.component) == ("host", "network", "rest")
    assert told(judgements, place=Place(None, "round_trip"))[0].where == "network"


def test_one_strategy_is_told_from_all() -> None:
    _, judgements = follow(3, client=1.3, only="orm_add_all")
    (found,) = told(judgements)
    assert found.place == Place(CASES[0].key, "client")
    assert (found.kind, found.where, found.component) == ("regression", "strategy", "client")
    assert (found.strategies, found.of) == (1, 4)


def test_a_slower_host_is_called_by_its_name() -> None:
    """Its runs are contended until the probe has proved that the machine is what it is."""
    _, judgements = follow(14, host=1.3)
    contended = [judgement.contended for judgement in judgements]
    assert contended == sorted(contended, reverse=True)
    assert 3 <= sum(contended) <= 9
    assert told(judgements, place=Place(None, "client_cpu"))[0].kind == "host"
    ours = [change for change in told(judgements) if change.place.case is not None]
    assert {change.where for change in ours} == {"host"}
    assert "regression" not in {change.kind for change in ours}


def test_a_setting_that_slows_the_server_is_found_behind_the_gate() -> None:
    slower = replace(environment(), server={"fsync": "on", "wal_compression": "pglz"})
    _, judgements = follow(9, server=1.3, server_insert=1.3, env=slower)
    (probe,) = told(judgements, place=Place(None, "server_insert"))
    assert (probe.kind, probe.where, probe.cause) == ("server", "server", "setting:wal_compression")
    later = [change for change in told(judgements) if change.place.case is not None]
    assert {change.cause for change in later} <= {"setting:wal_compression"}


def test_contended_runs_are_not_judged_for_long() -> None:
    slow = {"client_cpu": 1.0}
    state = learned()
    judgements = []
    for number in range(60, 80):
        # Another height each time, so that the probe itself settles nowhere.
        slow["client_cpu"] = 1.5 if number % 2 else 0.6
        state, judgement = judge(state, made(number, **slow), RULES)
        judgements.append(judgement)
    assert [judgement.contended for judgement in judgements] == [True] * 12 + [False] * 8
    assert set(judgements[0].cases.values()) == {"contended"}


def test_a_case_with_too_few_clean_rounds_is_not_judged() -> None:
    state, whole = learned(), made(60)
    key = CASES[0].key
    before = state.series[Place(key, "server")]
    disturbed = [
        replace(each, disturbed=("checkpoint",)) if n < 3 else each
        for n, each in enumerate(whole.cases[0].samples)
    ]
    spoilt = replace(whole, cases=(result(CASES[0], *disturbed), *whole.cases[1:]))
    assert spoilt.cases[0].contended
    state, judgement = judge(state, spoilt, RULES)
    assert state.series[Place(key, "server")] == before
    assert judgement.cases[key] == "contended"
    assert judgement.cases[CASES[1].key] == "ok"
    few = replace(whole, cases=(result(CASES[0], *whole.cases[0].samples[:3]), *whole.cases[1:]))
    state, judgement = judge(learned(), few, RULES)
    assert state.series[Place(key, "server")] == before


def test_a_failed_run_leaves_all_stale_and_the_state_alone() -> None:
    state, judgement = judge(learned(), run(outcome="failed"), RULES)
    assert state == replace(learned(), judged=learned().judged + 1)
    assert set(judgement.cases.values()) == {"stale"}


def test_a_case_that_gave_nothing_is_stale() -> None:
    whole = made(60)
    _, judgement = judge(learned(), replace(whole, cases=whole.cases[1:]), RULES)
    assert judgement.cases[CASES[0].key] == "stale"


def test_a_suspicion_asks_for_confirmation() -> None:
    """A rise at the clip in two runs; one may be chance, and what got faster is in no hurry."""
    _, (first, second) = follow(2, client=1.12, only="orm_add_all")
    assert not first.confirm
    assert second.confirm
    assert first.changes == second.changes == ()
    assert {j.cases[CASES[0].key] for j in (first, second)} == {"suspect"}
    assert not any(judgement.confirm for judgement in follow(3)[1])
    assert not any(judgement.confirm for judgement in follow(3, client=0.9)[1])


def test_other_calls_for_the_same_rows_are_told_in_two_runs() -> None:
    _, judgements = follow(3, calls=1000.0, only="asyncpg_unnest")
    assert judgements[0].changes == ()
    (found,) = judgements[1].changes
    assert (found.kind, found.counter, found.cause) == ("work", "calls", "statement")
    assert found.effect_ratio == pytest.approx(999)
    assert found.alarming


def test_work_that_went_back_recovers() -> None:
    state, judgements = follow(4, work=1.1, only="asyncpg_unnest")
    (found,) = told(judgements)
    state, judgements = follow(3, state, 64)
    assert [(c.change_id, c.ending) for j in judgements for c in j.closings] == [
        (found.id, "recovered")
    ]
    assert state.changes == ()


def test_a_little_more_work_is_none() -> None:
    assert told(follow(5, work=1.003)[1]) == []


def test_stalls_of_some_rounds_show_in_the_spread() -> None:
    _, judgements = follow(10, stall=1.5, only="orm_add_all")
    assert {change.place for change in told(judgements)} == {Place(CASES[0].key, "spread")}


def test_accepting_a_change_accepts_its_story() -> None:
    state, judgements = follow(10, server=1.33, work=1.4, env=with_index())
    assert len(state.changes) > 5
    state, closings = accept(state, state.changes[0].id, AT + timedelta(minutes=700), RULES)
    assert {closing.ending for closing in closings} == {"accepted"}
    assert state.changes == ()
    _, judgements = follow(10, state, 70, server=1.33, work=1.4, env=with_index())
    assert told(judgements) == []
    assert set(judgements[-1].cases.values()) == {"accepted"}
    with pytest.raises(KeyError):
        accept(state, "0123456789ab", AT, RULES)


def test_identifiers_and_verdicts_repeat_and_survive_a_restart() -> None:
    """Judged again, and through JSON at every run: the same words."""

    def judged(between: Callable[[TargetState], TargetState]) -> list[Judgement]:
        state, judgements = learned(), []
        for number in range(60, 90):
            how: dict[str, Any] = {"server": 1.33, "env": with_index()} if number > 64 else {}
            state, judgement = judge(between(state), made(number, **how), RULES)
            judgements.append(judgement)
        return judgements

    kept = judged(lambda state: state)
    assert kept == judged(lambda state: decode_target(json.loads(json.dumps(encode_target(state)))))
    assert told(kept)


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version 0"):
        decode_target({"version": 0})


PYTHON = Difference("client", "python", "3.11", "3.12")

# --- attribution by itself -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("differences", "calls", "cause"),
    [
        ([], False, "none_recorded"),
        ([], True, "statement"),
        ([Difference("tables", "orders", None, INDEX)], True, "index"),
        ([Difference("tables", "orders", "CREATE UNIQUE INDEX u", None)], False, "index"),
        ([Difference("tables", "orders", None, "CREATE TRIGGER t")], False, "table"),
        ([Difference("server", "fsync", "on", "off")], False, "setting:fsync"),
        ([Difference("client", "asyncpg", "0.31", "0.32")], False, "version:asyncpg"),
        ([Difference("version", "server", "18.5", "18.6")], False, "version:server"),
        ([PYTHON, Difference("server", "fsync", "on", "off")], False, "setting:fsync"),
        ([PYTHON], True, "version:python"),
        ([Difference("server", "fsync", "on", "off")], True, "statement"),
    ],
)
def test_the_cause_is_one_word(differences: list[Difference], calls: bool, cause: str) -> None:
    assert cause_of(differences, calls) == cause


def test_an_index_that_went_explains_no_rise_and_one_that_came_no_fall() -> None:
    came = Difference("tables", "orders", None, INDEX)
    went = Difference("tables", "orders", INDEX, None)
    other = Difference("tables", "orders", "fillfactor 70", None)
    transitions = [Transition(5, (came, other)), Transition(6, (went,)), Transition(9, (PYTHON,))]
    assert differences_between(transitions, 5, 8, dearer=True) == (came, other)
    assert differences_between(transitions, 5, 8, dearer=False) == (other, went)


def test_the_component_carries_sixty_percent() -> None:
    assert component({"server": 6.0, "client": 1.0, "rest": -2.0}) == "server"
    assert component({"server": 5.0, "client": 5.0}) == "several"
    assert component({}) == "several"


def test_support_is_the_clocks_share_of_the_wall() -> None:
    wall, clock = Moved(1.0, 0.1), Moved(0.5, 0.1)
    assert support([clock], wall) == pytest.approx(0.5)
    assert support([clock], Moved(1.0, 0.0)) == 0.0


def test_where_goes_by_probes_first() -> None:
    assert where("server", 6, ["client_cpu", "server_insert"]) == "host"
    assert where("server", 6, ["server_insert"]) == "server"
    assert where("throughput", 1, ["round_trip"]) == "network"
    assert where("server", 3, []) == "server"
    assert where("client", 6, []) == "strategy"
    assert where("server", 2, []) == "strategy"


def test_pipelined_strategies_are_judged_by_two_runs() -> None:
    executemany, copy = CASES[1].key, CASES[3].key
    assert rules_for(Place(executemany, "server"), RULES).pairs
    assert not rules_for(Place(executemany, "client"), RULES).pairs
    assert not rules_for(Place(copy, "server"), RULES).pairs


def test_few_false_alarms_are_expected_of_a_quiet_canary() -> None:
    state = with_outlook(learned(), RULES)
    supported = {"throughput", "rest", "round_trip"}
    alone = {
        place
        for place in state.series
        if place.signal not in supported and place != Place(None, "commit")
    }
    assert set(state.false_alarms) == alone
    assert 0.0 <= state.false_alarms[Place(CASES[3].key, "server")] < 0.01
    assert expected_false_alarms(state) == pytest.approx(sum(state.false_alarms.values()))
    assert expected_false_alarms(TargetState()) is None
    assert with_outlook(TargetState(), RULES).false_alarms == {}
