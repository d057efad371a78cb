"""One series: (state, observation) -> (state, verdict).

Learning gives a baseline; while nothing is open it slides along behind the newest runs. A change
that is found is opened and freezes it; then its end, a further change, and, of an improvement or a
drift, the time to make it the baseline are looked for. Open changes are a stack: what ends an older
one ends those on top of it.
"""

from __future__ import annotations

from dataclasses import replace
from math import log1p
from statistics import median

from monitor.detect.evidence import Evidence, Tested, weigh
from monitor.detect.noise import (
    autocorrelation,
    break_within,
    inflation,
    robust_scale,
)
from monitor.detect.parameters import Parameters
from monitor.detect.points import Point, Points
from monitor.detect.probes import coefficient
from monitor.detect.series import (
    Baseline,
    Episode,
    Event,
    Observation,
    Opened,
    SeriesState,
    SeriesVerdict,
)
from monitor.judgement import State

#: Runs between two looks at baseline and coefficient while nothing is open.
_REFRESH_RUNS = 12
_WEIGH_RUNS = 48

#: Runs whose median is "now" where a verdict states the present effect.
_NOW_RUNS = 5

#: Runs that the level of a fresh change is taken from before any are tested against it.
_SETTLED_RUNS = 8

#: Changes that may stand on one another; more is a series gone wild, which is reported already.
_MOST_OPEN = 8

#: Episodes that are remembered.
_MOST_EPISODES = 8


def update(
    state: SeriesState, observation: Observation, rules: Parameters
) -> tuple[SeriesState, SeriesVerdict]:
    """The state and the verdict after one more run."""
    state, point, raw = _take(state, observation, rules)
    if state.baseline is None:
        return _learn(state, point, rules)
    if state.changes:
        return _follow(state, state.baseline, point, raw, rules)
    return _watch(state, state.baseline, point, rules)


def accept(
    state: SeriesState, number: int, rules: Parameters
) -> tuple[SeriesState, tuple[Event, ...]]:
    """Make the present level the baseline; the events close what was open."""
    if state.baseline is None or not state.changes:
        return state, ()
    events = tuple(Event("accepted", number, change) for change in reversed(state.changes))
    level = state.changes[-1].after
    state = _moved(replace(state, changes=()), state.effect, rules)
    return replace(state, anchor=level, mark="accepted", mark_left=rules.settle), events


def explained(state: SeriesState) -> SeriesState:
    """The newest open change has a known cause: its end will be no sign of noise."""
    if not state.changes:
        return state
    newest = replace(state.changes[-1], explained=True)
    return replace(state, changes=(*state.changes[:-1], newest))


def baseline_points(state: SeriesState, rules: Parameters) -> Points:
    """The runs that the next baseline is taken from: all but the newest, at least the first."""
    end = max(rules.learning, len(state.history) - rules.window)
    return state.history[:end][-rules.baseline :]


def _take(
    state: SeriesState, observation: Observation, rules: Parameters
) -> tuple[SeriesState, Point, float]:
    """The observation as a point, and its corrected value before any pairing."""
    first = state.first_probe if state.first_probe is not None else observation.probe
    probe = 0.0 if observation.probe is None or first is None else observation.probe - first
    newest = (observation.value, probe)
    raw = observation.value - state.beta * probe
    chosen = newest
    if rules.pairs and state.previous is not None:
        chosen = min(newest, state.previous, key=lambda pair: pair[0] - state.beta * pair[1])
    state = replace(
        state,
        first_probe=first,
        previous=newest,
        seen=state.seen + 1,
        mark=state.mark if state.mark_left > 1 else None,
        mark_left=max(0, state.mark_left - 1),
    )
    return state, Point(observation.number, *chosen, observation.scheduled), raw


# --- learning and the baseline -------------------------------------------------------------------


def _learn(
    state: SeriesState, point: Point, rules: Parameters
) -> tuple[SeriesState, SeriesVerdict]:
    history = state.history.with_point(point)
    if len(history) >= rules.learning:
        values = history.corrected(state.beta)
        cut = break_within(values, rules.least_scale, rules.log_floor)
        # A series that keeps moving must not learn for ever.
        if cut is None or state.seen >= 3 * rules.learning:
            state = _refreshed(replace(state, history=history), rules)
            level = state.level or 0.0
            return replace(state, anchor=level, compared=state.seen), SeriesVerdict("ok", 0.0)
        history = history[cut:]
    return replace(state, history=history), SeriesVerdict("learning")


def _refreshed(state: SeriesState, rules: Parameters) -> SeriesState:
    """Baseline, and now and then the probe's coefficient, from the history as it is now."""
    points = baseline_points(state, rules)
    beta, weighed = state.beta, state.weighed
    if state.first_probe is not None and state.seen - weighed >= _WEIGH_RUNS:
        beta = coefficient(points.values, points.probes)
        weighed = state.seen
    baseline = _baseline(points.corrected(beta), rules)
    return replace(state, baseline=baseline, beta=beta, weighed=weighed, refreshed=state.seen)


def _baseline(values: list[float], rules: Parameters) -> Baseline:
    level = median(values)
    spread = max(robust_scale(values, level), rules.least_scale)
    scale = spread * inflation(autocorrelation(values, level, spread))
    high = [value - level >= rules.log_fast for value in values]
    calm = not any(map(bool.__and__, high, high[1:]))
    return Baseline(level, scale, len(values), calm)


# --- nothing is open -----------------------------------------------------------------------------


def _watch(
    state: SeriesState, base: Baseline, point: Point, rules: Parameters
) -> tuple[SeriesState, SeriesVerdict]:
    history = _kept(state.history.with_point(point), rules)
    state = replace(state, history=history)
    if state.seen - state.refreshed >= _REFRESH_RUNS:
        state = _refreshed(state, rules)
        base = state.baseline or base
    count = min(rules.window, len(history) - rules.learning)
    newest = history[: -count - 1 : -1]
    tested = Tested(
        points=newest,
        beta=state.beta,
        baseline=base,
        reference=lambda: baseline_points(state, rules),
        episodes=state.episodes,
        drift=True,
    )
    evidence = weigh(tested, rules)
    if evidence.found is not None:
        state = replace(state, history=history[: -evidence.found.age])
        return _open(state, evidence.found, newest[evidence.found.age - 1 :: -1], rules)
    state, events = _slow_drift(state, base, point.number, rules)
    label: State = "suspect" if evidence.suspect else state.mark or "ok"
    return state, SeriesVerdict(label, _now(state, base), evidence.statistic, events)


def _open(
    state: SeriesState, found: Opened, points: Points, rules: Parameters
) -> tuple[SeriesState, SeriesVerdict]:
    """Put a change on top; ``points`` are its runs, oldest first."""
    state = replace(state, changes=(*state.changes, found), segment=points, mark=None, mark_left=0)
    event = Event("opened", found.alarm, found)
    return state, SeriesVerdict(_label(state), state.effect, found.statistic, (event,))


def _slow_drift(
    state: SeriesState, base: Baseline, number: int, rules: Parameters
) -> tuple[SeriesState, tuple[Event, ...]]:
    """Once a week, the last day against the last accepted level: a lagging baseline cannot see it.

    What is found is told and becomes the level that the next week is compared with.
    """
    if state.seen - state.compared < rules.runs_per_week:
        return state, ()
    state = replace(state, compared=state.seen)
    day = median(state.history[-rules.runs_per_day :].corrected(state.beta))
    if abs(day - state.anchor) < log1p(rules.slow_floor):
        return state, ()
    first = state.history.numbers[0]
    found = Opened(
        kind="drift",
        start=first,
        low=first,
        high=number,
        alarm=number,
        before=state.anchor,
        after=day,
        statistic=abs(day - state.anchor) / base.scale,
    )
    events = (Event("opened", number, found), Event("absorbed", number, found))
    return replace(state, anchor=day), events


def _now(state: SeriesState, base: Baseline) -> float:
    """How far the newest runs are from the baseline."""
    return median(state.history[-_NOW_RUNS:].corrected(state.beta)) - base.level


# --- something is open ---------------------------------------------------------------------------


def _follow(
    state: SeriesState, base: Baseline, point: Point, raw: float, rules: Parameters
) -> tuple[SeriesState, SeriesVerdict]:
    segment = state.segment.with_point(point)
    segment = segment[: rules.window] + segment[rules.window :][-rules.window :]
    changes = tuple(_aged(change, raw, base.scale, rules) for change in state.changes)
    state = replace(state, segment=segment, changes=changes)
    for index, change in enumerate(changes):
        if change.recovery > rules.recovery:
            return _recovered(state, index, point.number, rules)
    settled = _settled(segment, rules)
    # Runs on their way back say nothing of where the change went.
    there = segment[: max(1, min(settled, len(segment) - changes[-1].recovering))]
    level = median(there.corrected(state.beta))
    state = replace(state, changes=(*changes[:-1], replace(changes[-1], after=level)))
    fresh = replace(base, level=level, size=settled)
    evidence = _further(state, fresh, settled, rules)
    if evidence.found is not None:
        age = evidence.found.age
        return _open(state, evidence.found, segment[-age:], rules)
    state, events = _absorbed(state, point.number, rules)
    label: State = _label(state)
    if evidence.suspect and label != "regressed":
        label = "suspect"
    return state, SeriesVerdict(label, state.effect, evidence.statistic, events)


def _aged(change: Opened, raw: float, scale: float, rules: Parameters) -> Opened:
    """One run older, with the two-level CUSUM for the old level against the new one (Page 1954)."""
    distance = (change.before + change.after) / 2 - raw
    sign = 1 if change.effect > 0 else -1
    score = min(max(sign * distance / scale, -rules.clip), rules.clip)
    step = score * min(abs(change.effect) / scale, rules.clip)
    recovery = max(0.0, change.recovery + step)
    recovering = change.recovering + 1 if recovery > 0 else 0
    return replace(change, age=change.age + 1, recovery=recovery, recovering=recovering)


def _recovered(
    state: SeriesState, index: int, number: int, rules: Parameters
) -> tuple[SeriesState, SeriesVerdict]:
    """The change at ``index`` has ended, and with it all that stood on it."""
    closed, left = state.changes[index:], state.changes[:index]
    back = state.segment[-closed[0].recovering :]
    if left:
        state = replace(state, changes=left, segment=back)
    else:
        state = replace(
            state, changes=(), segment=Points(), history=_kept(state.history + back, rules)
        )
    state = replace(state, episodes=_episodes(state, closed, rules))
    if any(change.kind == "regression" for change in closed):
        state = replace(state, mark="recovered", mark_left=rules.settle)
    events = tuple(Event("recovered", number, change) for change in reversed(closed))
    return state, SeriesVerdict(_label(state), state.effect, 0.0, events)


def _episodes(
    state: SeriesState, closed: tuple[Opened, ...], rules: Parameters
) -> tuple[Episode, ...]:
    """Those of the last week, with what has just ended of itself and soon."""
    ended = tuple(
        Episode(state.seen, change.age - change.recovering, change.effect)
        for change in closed
        if not change.explained and 0 < change.age - change.recovering <= rules.window
    )
    recent = tuple(e for e in state.episodes if state.seen - e.ended < rules.runs_per_week)
    return (*recent, *ended)[-_MOST_EPISODES:]


def _settled(segment: Points, rules: Parameters) -> int:
    """How many of the first runs of a segment say where it stands; the others are tested."""
    return min(len(segment), max(_SETTLED_RUNS, min(rules.window, len(segment) // 2)))


def _further(state: SeriesState, fresh: Baseline, settled: int, rules: Parameters) -> Evidence:
    """Evidence for a change within the open one, against the level that this one has reached."""
    if len(state.changes) >= _MOST_OPEN:
        return Evidence(0.0, False, None)
    tested = Tested(
        points=state.segment[settled:][::-1],
        beta=state.beta,
        baseline=fresh,
        reference=lambda: state.segment[:settled],
        episodes=state.episodes,
        drift=False,
    )
    return weigh(tested, rules)


def _absorbed(
    state: SeriesState, number: int, rules: Parameters
) -> tuple[SeriesState, tuple[Event, ...]]:
    """Make an improvement or a drift that has stood long enough the baseline beneath it."""
    for index, change in enumerate(state.changes):
        if change.kind == "regression" or change.age < rules.settle:
            continue
        event = Event("absorbed", number, change)
        left = state.changes[:index] + state.changes[index + 1 :]
        if index > 0:
            beneath = replace(left[index - 1], after=change.after)
            return replace(state, changes=(*left[: index - 1], beneath, *left[index:])), (event,)
        if change.kind == "improvement":
            state = replace(state, anchor=state.anchor + change.effect)
        return _moved(replace(state, changes=left), change.effect, rules), (event,)
    return state, ()


def _moved(state: SeriesState, by: float, rules: Parameters) -> SeriesState:
    """Move the history to the level that is the baseline from now on.

    The noise around it stays what it was, so that no learning is needed. With nothing left open,
    the segment continues the history.
    """
    history = state.history.moved(by)
    if state.baseline is not None:
        base = replace(state.baseline, level=state.baseline.level + by)
        state = replace(state, baseline=base)
    if state.changes:
        return replace(state, history=history)
    joined = _kept(history + state.segment, rules)
    return _refreshed(replace(state, history=joined, segment=Points()), rules)


def _kept(history: Points, rules: Parameters) -> Points:
    return history[-rules.window - rules.baseline :]


def _label(state: SeriesState) -> State:
    kinds = {change.kind for change in state.changes}
    if "regression" in kinds:
        return "regressed"
    if state.mark == "recovered":
        return "recovered"
    return "improved" if "improvement" in kinds else state.mark or "ok"
