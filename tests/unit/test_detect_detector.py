"""One series through the detector: every state, every rule, and what must hold for any series."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from math import inf, log
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detect.codec import decode, encode
from monitor.detect.detector import accept, explained, update
from monitor.detect.parameters import Parameters
from monitor.detect.series import Event, Observation, SeriesState, SeriesVerdict
from monitor.judgement import STATES

RULES = Parameters()
SENSITIVE = Parameters(floor=0.015)


def noise(count: int, seed: int = 1, deviation: float = 0.012) -> list[float]:
    choice = random.Random(seed)
    return [choice.gauss(0, deviation) for _ in range(count)]


def stepped(before: int, after: int, ratio: float, seed: int = 1, **kwargs: float) -> list[float]:
    values = noise(before + after, seed, **kwargs)
    return [value + (log(ratio) if n >= before else 0.0) for n, value in enumerate(values)]


def run(
    values: Iterable[float], rules: Parameters = RULES, state: SeriesState | None = None
) -> tuple[SeriesState, list[SeriesVerdict]]:
    state, verdicts = state or SeriesState(), []
    for number, value in enumerate(values, state.seen):
        state, verdict = update(state, Observation(number, value), rules)
        verdicts.append(verdict)
    return state, verdicts


def events(verdicts: Iterable[SeriesVerdict], what: str | None = None) -> list[Event]:
    return [e for verdict in verdicts for e in verdict.events if what in (None, e.what)]


# --- states --------------------------------------------------------------------------------------


def test_it_learns_and_then_it_is_ok() -> None:
    _, verdicts = run(noise(300))
    assert [verdict.state for verdict in verdicts[:23]] == ["learning"] * 23
    assert {verdict.state for verdict in verdicts[23:]} <= {"ok", "suspect"}
    assert events(verdicts) == []


def test_a_regression_is_found_dated_and_measured() -> None:
    state, verdicts = run(stepped(200, 20, 1.10))
    (found,) = events(verdicts)
    assert found.what == "opened"
    assert found.change.kind == "regression"
    assert found.number <= 203
    assert found.change.low <= 200 <= found.change.high
    assert found.change.effect == pytest.approx(log(1.10), abs=0.02)
    assert verdicts[-1].state == "regressed"
    assert state.effect == pytest.approx(log(1.10), abs=0.01)


def test_two_scheduled_runs_tell_a_large_rise() -> None:
    _, verdicts = run(stepped(200, 5, 1.30))
    (found,) = events(verdicts)
    assert (found.number, found.change.fast) == (201, True)
    assert (found.change.low, found.change.high) == (200, 200)


def test_without_the_fast_lane_it_takes_four() -> None:
    _, verdicts = run(stepped(200, 5, 1.30), Parameters(fast_floor=inf))
    (found,) = events(verdicts)
    assert (found.number, found.change.fast) == (203, False)


def test_a_rise_below_the_fast_floor_takes_four() -> None:
    _, verdicts = run(stepped(200, 5, 1.13))
    (found,) = events(verdicts)
    assert (found.number, found.change.fast) == (203, False)


def test_a_fall_is_an_improvement_and_becomes_the_baseline() -> None:
    state, verdicts = run(stepped(200, 60, 0.8))
    opened, absorbed = events(verdicts)
    assert (opened.change.kind, opened.number) == ("improvement", 203)
    assert (absorbed.what, absorbed.number) == ("absorbed", 223)
    assert verdicts[210].state == "improved"
    assert verdicts[-1].state == "ok"
    assert state.baseline is not None
    assert state.baseline.level == pytest.approx(log(0.8), abs=0.01)


def test_after_an_improvement_the_old_level_is_a_regression() -> None:
    values = stepped(200, 60, 0.8) + noise(10, 2)
    found = events(run(values)[1], "opened")
    assert [event.change.kind for event in found] == ["improvement", "regression"]
    assert found[1].change.start == 260


def test_a_regression_stands_until_it_ends() -> None:
    state, verdicts = run(stepped(200, 400, 1.10))
    assert {verdict.state for verdict in verdicts[210:]} == {"regressed"}
    assert len(events(verdicts)) == 1
    assert state.baseline is not None
    assert state.baseline.level == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(("ratio", "runs"), [(1.111, 2), (1.053, 3), (1.031, 8)])
def test_it_recovers(ratio: float, runs: int) -> None:
    values = stepped(200, 60, ratio) + noise(40, 2)
    _, verdicts = run(values, SENSITIVE)
    opened, recovered = events(verdicts)
    assert (opened.what, recovered.what) == ("opened", "recovered")
    assert 260 < recovered.number < 260 + runs
    after = [verdict.state for verdict in verdicts[recovered.number :]]
    assert set(after[:24]) <= {"recovered", "suspect"}
    assert set(after[24:]) <= {"ok", "suspect"}


def test_a_further_change_is_found_by_itself() -> None:
    values = stepped(200, 60, 1.08) + [value + log(1.08 * 1.2) for value in noise(20, 2)]
    opened = events(run(values)[1], "opened")
    assert [event.change.start for event in opened] == [200, 260]
    assert opened[1].number <= 265
    assert opened[1].change.before == pytest.approx(log(1.08), abs=0.02)
    assert opened[1].change.effect == pytest.approx(log(1.2), abs=0.02)


def test_a_large_change_within_drift_takes_two_runs() -> None:
    values = stepped(200, 40, 1.03, deviation=0.008)
    values += [value + log(1.03 * 1.3) for value in noise(6, 2, 0.008)]
    drift, regression = events(run(values)[1], "opened")
    assert drift.change.kind == "drift"
    assert (regression.change.kind, regression.number) == ("regression", 241)


def test_what_ends_the_older_change_ends_the_further_one() -> None:
    values = stepped(200, 60, 1.08) + [value + log(1.08 * 1.2) for value in noise(20, 2)]
    state, verdicts = run(values + noise(10, 3))
    ended = events(verdicts, "recovered")
    assert [event.change.start for event in ended] == [260, 200]
    assert state.changes == ()


def test_back_to_the_first_level_ends_only_the_further_change() -> None:
    values = stepped(200, 60, 1.10) + [value + log(1.10 * 1.2) for value in noise(30, 2)]
    values += [value + log(1.10) for value in noise(20, 3)]
    state, verdicts = run(values)
    (ended,) = events(verdicts, "recovered")
    assert ended.change.start == 260
    assert [change.start for change in state.changes] == [200]
    assert verdicts[-1].state == "regressed"


def test_half_way_back_is_an_improvement_of_an_open_regression() -> None:
    values = stepped(200, 120, 1.40) + [value + log(1.28) for value in noise(60, 2)]
    state, verdicts = run(values)
    kinds = [(event.what, event.change.kind) for event in events(verdicts)]
    assert kinds == [
        ("opened", "regression"),
        ("opened", "improvement"),
        ("absorbed", "improvement"),
    ]
    assert verdicts[-1].state == "regressed"
    assert state.effect == pytest.approx(log(1.28), abs=0.02)


def test_accepting_makes_the_level_the_baseline() -> None:
    state, _ = run(stepped(200, 20, 1.2))
    state, ended = accept(state, 220, RULES)
    assert [(event.what, event.change.start) for event in ended] == [("accepted", 200)]
    assert state.baseline is not None
    assert state.baseline.level == pytest.approx(log(1.2), abs=0.01)
    assert state.baseline.scale == pytest.approx(0.012, rel=0.4)
    state, verdicts = run([value + log(1.2) for value in noise(60, 2)], state=state)
    assert [verdict.state for verdict in verdicts[:23]] == ["accepted"] * 23
    assert verdicts[-1].state == "ok"
    assert events(verdicts) == []


def test_nothing_to_accept_changes_nothing() -> None:
    state, _ = run(noise(100))
    assert accept(state, 100, RULES) == (state, ())
    assert accept(SeriesState(), 1, RULES) == (SeriesState(), ())


def test_a_small_shift_is_drift_and_no_alarm() -> None:
    state, verdicts = run(stepped(200, 80, 1.03, deviation=0.008))
    opened, absorbed = events(verdicts)
    assert (opened.change.kind, absorbed.what) == ("drift", "absorbed")
    assert "regressed" not in {verdict.state for verdict in verdicts}
    assert state.baseline is not None
    assert state.baseline.level == pytest.approx(log(1.03), abs=0.005)


def test_drift_takes_its_time_however_clear_it_is() -> None:
    (opened,) = events(run(stepped(200, 20, 1.045, deviation=0.004))[1])
    assert (opened.change.kind, opened.number) == ("drift", 211)


def test_slow_drift_is_told_once_a_week() -> None:
    rules = Parameters(runs_per_day=24)
    values = [value + 0.00025 * n for n, value in enumerate(noise(500, 1, 0.01))]
    _, verdicts = run(values, rules)
    told = events(verdicts, "opened")
    assert {event.change.kind for event in told} == {"drift"}
    assert 191 in [event.number for event in told]
    _, still = run(noise(500, 1, 0.01), rules)
    assert events(still) == []


def test_a_learning_window_with_a_change_is_cut_there() -> None:
    values = stepped(14, 200, 1.3)
    state, verdicts = run(values)
    assert events(verdicts) == []
    assert [verdict.state for verdict in verdicts[:37]] == ["learning"] * 37
    assert verdicts[37].state == "ok"
    assert state.history.numbers[0] >= 14


def test_a_series_that_keeps_moving_ends_learning() -> None:
    _, verdicts = run([0.1 * n for n in range(72)])
    assert verdicts[-2].state == "learning"
    assert verdicts[-1].state != "learning"


# --- rules ---------------------------------------------------------------------------------------


@given(
    size=st.floats(-20, 20),
    at=st.integers(24, 119),
    seed=st.integers(0, 50),
    pairs=st.booleans(),
    deviation=st.sampled_from([0.0, 0.001, 0.012, 0.05]),
)
@settings(deadline=None, max_examples=60)
def test_one_run_never_alarms(
    size: float, at: int, seed: int, pairs: bool, deviation: float
) -> None:
    values = noise(120, seed, deviation)
    rules = Parameters(pairs=pairs)
    if events(run(values, rules)[1]):
        return
    values[at] += size
    assert events(run(values, rules)[1]) == []


def test_three_runs_below_the_fast_floor_do_not_alarm() -> None:
    values = noise(240)
    for at in (200, 201, 202):
        values[at] += log(1.14)
    assert events(run(values)[1]) == []


def test_confirmation_runs_alone_do_not_alarm() -> None:
    state, _ = run(noise(200))
    for number in range(200, 212):
        scheduled = number == 200
        observation = Observation(number, log(1.4), scheduled=scheduled)
        state, verdict = update(state, observation, RULES)
        assert verdict.events == ()
        assert verdict.state == "suspect"
    state, verdict = update(state, Observation(212, log(1.4)), RULES)
    assert [event.change.start for event in verdict.events] == [200]


def test_the_fast_lane_asks_the_runs_in_between_too() -> None:
    state, _ = run(noise(200))
    rows = [(log(1.4), True), (0.0, False), (log(1.4), True)]
    for number, (value, scheduled) in enumerate(rows, 200):
        state, verdict = update(state, Observation(number, value, scheduled=scheduled), RULES)
    assert verdict.events == ()


def test_pairs_of_high_runs_close_the_fast_lane() -> None:
    values = noise(240)
    for at in (100, 101):
        values[at] += log(1.25)
    restless = values[100:102]
    state, _ = run([*values[:20], *restless, *values[20:60]])
    assert state.baseline is not None
    assert not state.baseline.calm
    _, verdicts = run([log(1.3)] * 2, state=state)
    assert events(verdicts) == []
    quiet, _ = run(values[:62])
    _, verdicts = run([log(1.3)] * 2, state=quiet)
    assert [event.change.fast for event in events(verdicts)] == [True]


def test_episodes_that_repeat_are_what_the_series_does() -> None:
    """Every 90 runs six at +12 %: told at first, then only what outlasts them."""
    values = [
        value + (log(1.12) if n >= 180 and n % 90 < 6 else 0.0)
        for n, value in enumerate(noise(600))
    ]
    _, verdicts = run(values)
    assert len(events(verdicts, "opened")) == RULES.tolerance
    lasting = values[:450] + [value + log(1.12) for value in noise(40, 2)]
    opened = events(run(lasting)[1], "opened")
    assert len(opened) == RULES.tolerance + 1
    assert 456 < opened[-1].number < 462
    larger = values[:450] + [value + log(1.3) for value in noise(10, 2)]
    assert events(run(larger)[1], "opened")[-1].number == 451


def test_explained_changes_are_no_episodes() -> None:
    state, _ = run(noise(200))
    for _ in range(3):
        state, _ = run([log(1.3)] * 4, state=state)
        assert state.changes
        state = explained(state)
        state, verdicts = run(noise(30), state=state)
        assert len(events(verdicts, "recovered")) == 1
    assert state.episodes == ()


def test_two_levels_are_judged_by_the_smaller_of_two_runs() -> None:
    """Alternating between two levels 30 % apart: flat, and still a real shift is found."""
    values = [value + (log(1.3) if n % 2 else 0.0) for n, value in enumerate(noise(300))]
    rules = Parameters(pairs=True)
    state, verdicts = run(values, rules)
    assert events(verdicts) == []
    assert state.baseline is not None
    assert state.baseline.scale < 0.03
    shifted = [value + (log(1.1) if n >= 250 else 0.0) for n, value in enumerate(values)]
    (found,) = events(run(shifted, rules)[1])
    assert found.number <= 256


def test_a_probe_takes_its_noise_out() -> None:
    probes, own = noise(400, 1, 0.03), noise(400, 2, 0.005)
    state = SeriesState()
    for number, (probe, value) in enumerate(zip(probes, own, strict=True)):
        observation = Observation(number, value + 0.8 * probe, 5.0 + probe)
        state, _ = update(state, observation, RULES)
    assert state.beta == pytest.approx(0.8, abs=0.05)
    assert state.baseline is not None
    assert state.baseline.scale < 0.01


def test_an_effect_that_its_probe_shares_does_not_alarm() -> None:
    """The probe fell by 30 % while the cost rose by 10 %: the correction alone would alarm."""
    state = SeriesState()
    for number, value in enumerate(noise(200)):
        state, _ = update(state, Observation(number, value, 0.0), RULES)
    for number in range(200, 230):
        state, verdict = update(state, Observation(number, log(1.1), -0.3), RULES)
        assert verdict.events == ()


# --- any series ----------------------------------------------------------------------------------

SERIES = st.lists(st.floats(-0.3, 0.3), min_size=1, max_size=40).map(
    lambda steps: [
        value + steps[n * len(steps) // 160] for n, value in enumerate(noise(160, len(steps)))
    ]
)


@given(SERIES, st.booleans())
@settings(deadline=None, max_examples=25)
def test_a_restart_at_any_run_changes_no_verdict(values: Sequence[float], pairs: bool) -> None:
    rules = Parameters(pairs=pairs)
    kept = restarted = SeriesState()
    for number, value in enumerate(values):
        observation = Observation(number, value, value / 3, scheduled=number % 5 > 0)
        restarted = decode(json.loads(json.dumps(encode(restarted))))
        kept, said = update(kept, observation, rules)
        restarted, again = update(restarted, observation, rules)
        assert said == again
        assert kept == restarted


@given(SERIES, st.sampled_from([-8.0, 0.5, 16.0]))
@settings(deadline=None, max_examples=25)
def test_the_unit_does_not_matter(values: Sequence[float], by: float) -> None:
    def told(series: Sequence[float]) -> list[tuple[str, str, int, int]]:
        found = events(run(series)[1])
        return [(e.what, e.change.kind, e.number, e.change.start) for e in found]

    assert told([value + by for value in values]) == told(values)


@given(SERIES)
@settings(deadline=None, max_examples=25)
def test_a_mirrored_series_gives_the_mirrored_first_change(values: Sequence[float]) -> None:
    """The first only: regressions stand, improvements become the baseline."""
    rules = Parameters(fast_floor=inf)
    mirror = {"regression": "improvement", "improvement": "regression", "drift": "drift"}
    ours = events(run(values, rules)[1], "opened")[:1]
    theirs = events(run([-value for value in values], rules)[1], "opened")[:1]
    assert [(mirror[e.change.kind], e.number, e.change.start) for e in ours] == [
        (e.change.kind, e.number, e.change.start) for e in theirs
    ]


@given(SERIES)
@settings(deadline=None, max_examples=25)
def test_states_and_events_agree(values: Sequence[float]) -> None:
    """What is opened ends once at most, states follow what is open, dates are in order."""
    opened: dict[tuple[int, str], bool] = {}
    state = SeriesState()
    for number, value in enumerate(values):
        state, verdict = update(state, Observation(number, value), RULES)
        assert verdict.state in STATES
        for event in verdict.events:
            change = event.change
            assert event.number == number
            key = (change.alarm, change.kind)
            if event.what == "opened":
                assert key not in opened
                assert change.low <= change.start <= change.high <= change.alarm == number
                assert change.age <= RULES.window
                opened[key] = True
            else:
                assert opened[key]
                opened[key] = False
        standing = {change.kind for change in state.changes}
        assert (verdict.state == "regressed") == ("regression" in standing)
        assert len(state.changes) == sum(opened.values())


# --- what it costs -------------------------------------------------------------------------------


def test_a_state_stays_small_and_an_update_is_cheap() -> None:
    state, probes = SeriesState(), noise(700, 3, 0.02)
    values = [v + 0.7 * p for v, p in zip(stepped(500, 200, 1.2), probes, strict=True)]
    started = perf_counter()
    for number, (value, probe) in enumerate(zip(values, probes, strict=True)):
        state, _ = update(state, Observation(1_790_000_000 + number, value, probe), RULES)
    seconds = (perf_counter() - started) / len(values)
    assert len(json.dumps(encode(state))) <= 20_000
    # The figure is 50 µs; ten times that is a mistake on any machine that tests run on.
    assert seconds < 500e-6
