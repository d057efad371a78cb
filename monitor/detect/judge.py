"""A whole run: (state, run) -> (state, judgement). Nothing else is needed to know a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import exp
from statistics import median

from monitor.detect import detector
from monitor.detect.attribution import Transition
from monitor.detect.calibrate import smallest_change
from monitor.detect.changes import Report, closing, rounded_ratio
from monitor.detect.cores import levels
from monitor.detect.membership import admitted
from monitor.detect.parameters import Parameters
from monitor.detect.series import Event, Observation, SeriesState, SeriesVerdict
from monitor.detect.signals import (
    DECIDING,
    GATING,
    LEVELLED,
    TOGETHER,
    judgeable,
    probe_of,
    probe_values,
    rules_for,
    values,
)
from monitor.detect.target import TargetState
from monitor.detect.work import WorkState, accept_work, counters, judge_work
from monitor.judgement import Change, Closing, Judgement, Place, State, Verdict, in_order, worst
from monitor.model import CaseKey, Run

#: Deviations of a probe from its level at which a run is contended, and the least scale: the
#: probes' own 0.5 % is too tight.
_GATE = 4.0
_GATE_SCALE = 0.02

#: Contended runs in a row that are not judged; then the machine is what it is.
_MOST_GATED = 12

#: Numbers of runs and transitions that are kept: more than the longest window with gaps.
_KEPT_RUNS = 160

#: Signals of all cases together, and the cases it takes.
_TOGETHER_SIGNALS = ("server", "client")
_LEAST_TOGETHER = 3

#: Signals whose suspicion is worth an extra run.
_CONFIRMABLE = frozenset(DECIDING)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What each series, and each case's work, said of a run."""

    series: Mapping[Place, SeriesVerdict]
    work: Mapping[CaseKey, tuple[SeriesVerdict, Mapping[str, tuple[Event, ...]]]]


def judge(state: TargetState, run: Run, rules: Parameters) -> tuple[TargetState, Judgement]:
    """The state and the judgement after a run.

    A run without any sample changes nothing but says that every case is stale.
    """
    state = replace(state, judged=state.judged + 1)
    if not any(result.samples for result in run.cases):
        return state, _silent(state, rules)
    # In one order, so that a run read back from the store says the same as it did.
    run = replace(run, cases=tuple(sorted(run.cases, key=lambda result: result.case.key)))
    probes = probe_values(run)
    measured = [result.case.key for result in run.cases if result.samples]
    at = levels(state.cores, measured, probes.get("round_trip"), rules)
    state, retired = admitted(_begun(state, run), run.cases, at.settled, rules)
    state = replace(state, cores=at.cores)
    number = state.numbers[-1]
    gated = _gated(state, probes, rules)
    state = replace(state, gated=state.gated + 1 if gated else 0)
    judged = not gated or state.gated > _MOST_GATED
    found = dict(_observations(state, run, probes, judged, at.away))
    state = _with_firsts(state, found)
    found.update(_together(state, found, number, run.trigger == "scheduled"))
    state, heard = _updated(state, run, found, number, judged, rules)
    state, changes, closings = _told(state, run.target, heard, rules)
    verdicts = in_order(_verdicts(state, run, heard, judged, at.away, rules))
    judgement = Judgement(
        number=state.judged,
        detector=rules.detector,
        verdicts=verdicts,
        cases=_case_states(state, run, verdicts),
        changes=changes,
        closings=retired + closings,
        contended=not judged,
        confirm=judged and any(_worth_confirming(verdict, rules) for verdict in verdicts),
    )
    return state, judgement


def accept(
    state: TargetState, change_id: str, at: datetime, rules: Parameters
) -> tuple[TargetState, tuple[Closing, ...]]:
    """Make the present level of a change, and of all of its group, the baseline.

    Raises KeyError for a change that is not open.
    """
    groups = [change.group for change in state.changes if change.id == change_id]
    if not groups:
        raise KeyError(change_id)
    places = {change.place for change in state.changes if change.group == groups[0]}
    number, target = int(at.timestamp()), state.changes[0].target
    series, work = dict(state.series), dict(state.work)
    closings: list[Closing] = []
    for place in sorted(places, key=repr):
        if place.case is not None and place.signal == "work":
            work[place.case], events = accept_work(work[place.case], number)
            closings += [closing(target, place, e, name) for name in events for e in events[name]]
        else:
            own = rules_for(place, rules)
            series[place], ended = detector.accept(series[place], number, own)
            closings += [closing(target, place, event) for event in ended]
    return _closed(replace(state, series=series, work=work), closings)


# --- the run -------------------------------------------------------------------------------------


def _begun(state: TargetState, run: Run) -> TargetState:
    """With the run's number and what is otherwise in its environment."""
    number = int(run.started_at.timestamp())
    if state.numbers:
        number = max(number, state.numbers[-1] + 1)
    numbers = (*state.numbers, number)[-_KEPT_RUNS:]
    transitions = state.transitions
    if state.environment is not None and run.environment is not None:
        differences = state.environment.differences(run.environment)
        if differences:
            transitions = (*transitions, Transition(number, differences))
    return replace(
        state,
        numbers=numbers,
        environment=run.environment or state.environment,
        transitions=tuple(each for each in transitions if each.number >= numbers[0]),
    )


def _gated(state: TargetState, probes: Mapping[str, float], rules: Parameters) -> bool:
    """Whether a probe stands so far off its level that the machine was busy with something else."""
    for name in GATING:
        series = state.series.get(Place(None, name))
        if name not in probes or series is None or series.baseline is None:
            continue
        scale = max(series.baseline.scale, _GATE_SCALE)
        if abs(probes[name] - (series.level or 0.0)) > _GATE * scale:
            return True
    return False


def _observations(
    state: TargetState,
    run: Run,
    probes: Mapping[str, float],
    judged: bool,
    away: Collection[CaseKey],
) -> Iterator[tuple[Place, Observation]]:
    """Every series' observation; of a contended run only the probes', of a case that is away from
    its level only what does not depend on it."""
    number, scheduled = state.numbers[-1], run.trigger == "scheduled"
    for name, value in probes.items():
        yield Place(None, name), Observation(number, value, None, scheduled)
    for result in run.cases if judged else ():
        key = result.case.key
        if judgeable(result):
            for signal, value in values(result, state.walls.get(key)):
                if key in away and signal in LEVELLED:
                    continue
                probe = probe_of(signal, probes)
                yield Place(key, signal), Observation(number, value, probe, scheduled)


def _with_firsts(state: TargetState, found: Mapping[Place, Observation]) -> TargetState:
    new = {
        place: observation.value
        for place, observation in found.items()
        if place.case is not None
        and place.signal in _TOGETHER_SIGNALS
        and place not in state.firsts
    }
    return replace(state, firsts={**state.firsts, **new}) if new else state


def _together(
    state: TargetState, found: Mapping[Place, Observation], number: int, scheduled: bool
) -> Iterator[tuple[Place, Observation]]:
    """All cases' signals, uncorrected: the median of how far each is from its first value."""
    for signal in _TOGETHER_SIGNALS:
        distances = [
            observation.value - state.firsts[place]
            for place, observation in found.items()
            if place.case is not None and place.signal == signal
        ]
        if len(distances) >= _LEAST_TOGETHER:
            place = Place(None, f"{TOGETHER}{signal}")
            yield place, Observation(number, median(distances), None, scheduled)


def _updated(
    state: TargetState,
    run: Run,
    found: Mapping[Place, Observation],
    number: int,
    judged: bool,
    rules: Parameters,
) -> tuple[TargetState, _Heard]:
    """Every series and counter after the run."""
    series, said = dict(state.series), {}
    for place, observation in found.items():
        before = series.get(place, SeriesState())
        series[place], said[place] = detector.update(before, observation, rules_for(place, rules))
    work: dict[CaseKey, WorkState] = dict(state.work)
    counted = {}
    for result in run.cases if judged else ():
        key = result.case.key
        if judgeable(result):
            work[key], verdict, events = judge_work(
                work.get(key, {}), number, counters(result), rules
            )
            counted[key] = (verdict, events)
    walls = dict(state.walls)
    for place, each in series.items():
        if place.case is not None and place.signal == "throughput" and each.baseline is not None:
            walls.setdefault(place.case, exp(each.baseline.level))
    return replace(state, series=series, work=work, walls=walls), _Heard(said, counted)


# --- what is told --------------------------------------------------------------------------------


def _told(
    state: TargetState, target: str, heard: _Heard, rules: Parameters
) -> tuple[TargetState, tuple[Change, ...], tuple[Closing, ...]]:
    """Changes and ends from all events; the state knows the open ones."""
    told: list[Change] = []
    closings: list[Closing] = []
    for place, counter, event in _events(heard):
        if event.what != "opened":
            closings.append(closing(target, place, event, counter))
            continue
        if counter and any(change.place == place for change in told):
            # One story: an index writes more WAL in more records; the first counter tells it.
            continue
        change = Report(target, state, rules).opened(place, event, counter)
        told.append(change)
        state = replace(state, changes=(*state.changes, change))
        if change.explained and counter is None:
            series = {**state.series, place: detector.explained(state.series[place])}
            state = replace(state, series=series)
    state, ended = _closed(state, closings)
    return state, tuple(told), ended


def _closed(state: TargetState, closings: list[Closing]) -> tuple[TargetState, tuple[Closing, ...]]:
    """Without the changes that ended, and the ends of those that were told."""
    known = {change.id for change in state.changes}
    ended = tuple(each for each in closings if each.change_id in known)
    gone = {each.change_id for each in ended}
    left = tuple(change for change in state.changes if change.id not in gone)
    return replace(state, changes=left), ended


def _events(heard: _Heard) -> Iterator[tuple[Place, str | None, Event]]:
    for key, (_, events) in heard.work.items():
        for name, those in events.items():
            for event in those:
                yield Place(key, "work"), name, event
    for place, verdict in heard.series.items():
        for event in verdict.events:
            yield place, None, event


def _verdicts(
    state: TargetState,
    run: Run,
    heard: _Heard,
    judged: bool,
    away: Collection[CaseKey],
    rules: Parameters,
) -> Iterator[Verdict]:
    for place in state.series:
        said = heard.series.get(place)
        other = place.case in away and place.signal in LEVELLED
        unheard: State = "contended" if other else _unheard(place, run, judged)
        yield _verdict(state, place, said, unheard, rules)
    for key in state.work:
        place = Place(key, "work")
        verdict = heard.work[key][0] if key in heard.work else None
        label = verdict.state if verdict else _unheard(place, run, judged)
        if any(change.place == place and change.alarming for change in state.changes):
            label = "regressed"
        yield Verdict(
            place=place,
            state=label,
            effect_ratio=rounded_ratio(verdict.effect) if verdict else None,
            since=_since(state, place),
        )


def _verdict(
    state: TargetState, place: Place, said: SeriesVerdict | None, unheard: State, rules: Parameters
) -> Verdict:
    series = state.series[place]
    alarming = any(change.place == place and change.alarming for change in state.changes)
    label: State = said.state if said else unheard
    if alarming:
        label = "regressed"
    elif label == "regressed":
        # It moved, but nothing that decides moved with it: told as drift.
        label = "ok"
    base, share = series.baseline, place.signal == "rest"
    return Verdict(
        place=place,
        state=label,
        effect_ratio=rounded_ratio(said.effect, share=share) if said else None,
        baseline=_baseline(base.level if share else exp(base.level)) if base else None,
        detectable_ratio=round(smallest_change(base, rules_for(place, rules)), 6) if base else None,
        statistic=round(said.statistic, 3) if said else 0.0,
        since=_since(state, place),
    )


def _baseline(level: float) -> float:
    """To nine digits: what is told shall be the same wherever it is kept."""
    return float(f"{level:.9g}")


def _since(state: TargetState, place: Place) -> datetime | None:
    """Since when the newest open change of a series stands."""
    return max((change.since for change in state.changes if change.place == place), default=None)


def _unheard(place: Place, run: Run, judged: bool) -> State:
    """Why a series was not judged: its run or its case was contended, or it gave nothing."""
    results = [result for result in run.cases if result.case.key == place.case]
    if not judged or any(result.samples and not judgeable(result) for result in results):
        return "contended"
    return "stale"


def _case_states(
    state: TargetState, run: Run, verdicts: tuple[Verdict, ...]
) -> Mapping[CaseKey, State]:
    """The worst of each case's signals. One that was not given, such as the server clock without
    its extension, or the rest before there is a wall to share, says nothing of the case."""
    measured = {result.case.key for result in run.cases if result.samples}
    found: dict[CaseKey, list[State]] = {}
    for verdict in verdicts:
        key = verdict.place.case
        if key is None or (verdict.place.signal == "rest" and verdict.state == "learning"):
            continue
        said = found.setdefault(key, [])
        if verdict.state != "stale" or key not in measured:
            said.append(verdict.state)
    return {key: worst(states) for key, states in found.items()}


def _worth_confirming(verdict: Verdict, rules: Parameters) -> bool:
    rises = verdict.effect_ratio is not None and verdict.effect_ratio > 0
    if verdict.state != "suspect" or verdict.statistic <= rules.confirmation or not rises:
        return False
    return verdict.place.case is None or verdict.place.signal in _CONFIRMABLE


def _silent(state: TargetState, rules: Parameters) -> Judgement:
    """Of a run that measured nothing: what stands, stands; all else is stale."""
    alarming = {change.place for change in state.changes if change.alarming}
    places = [*state.series, *(Place(key, "work") for key in state.work)]
    verdicts = in_order(
        Verdict(place, "regressed" if place in alarming else "stale", since=_since(state, place))
        for place in places
    )
    cases: dict[CaseKey, list[State]] = {}
    for verdict in verdicts:
        if verdict.place.case is not None:
            cases.setdefault(verdict.place.case, []).append(verdict.state)
    states = {key: worst(states) for key, states in cases.items()}
    return Judgement(state.judged, rules.detector, verdicts, states)
