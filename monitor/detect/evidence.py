"""Do the newest runs of a series stand off its baseline, since when, and by how much?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from monitor.detect.glr import Peak, curve, peak, scores
from monitor.detect.noise import shift
from monitor.detect.parameters import Parameters
from monitor.detect.points import Points
from monitor.detect.series import Baseline, Episode, Kind, Opened

#: A change this many times as large as an episode is not one of its kind.
_ALIKE = 1.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """The statistic, whether it is worth a confirmation run, and the change if it is proved."""

    statistic: float
    suspect: bool
    found: Opened | None


@dataclass(frozen=True, slots=True)
class Tested:
    """The newest runs, newest first, and what they are held against.

    ``reference`` gives the runs of the baseline, for estimates that are needed only at an alarm;
    ``episodes`` are changes that ended by themselves, ``drift`` asks for small changes too.
    """

    points: Points
    beta: float
    baseline: Baseline
    reference: Callable[[], Points]
    episodes: Sequence[Episode]
    drift: bool


def weigh(tested: Tested, rules: Parameters) -> Evidence:
    """All evidence for a change in the direction in which the newest run points.

    A run that speaks against a change cannot raise the statistic for it, so one direction is
    enough.
    """
    if not tested.points:
        return Evidence(0.0, False, None)
    values = tested.points.corrected(tested.beta)
    sign = 1 if values[0] >= tested.baseline.level else -1
    top = _peak(values, tested.baseline, sign, rules.dead_zone, rules)
    distance = sign * (median(values[: top.runs]) - tested.baseline.level)
    suspect = top.statistic > rules.suspicion and distance >= rules.log_drift
    found = (
        _fast(tested, values, rules)
        or _proved(tested, values, sign, top, rules)
        or _drifted(tested, values, sign, rules)
    )
    return Evidence(max(top.statistic, 0.0), suspect, found)


def _peak(
    values: Sequence[float], base: Baseline, sign: int, dead_zone: float, rules: Parameters
) -> Peak:
    speaking = scores(
        values, base.level, base.scale, sign=sign, dead_zone=dead_zone, clip=rules.clip
    )
    return peak(curve(speaking, base.size))


def _fast(tested: Tested, values: Sequence[float], rules: Parameters) -> Opened | None:
    """A large rise that stands in two scheduled runs and in whatever runs lie between them.

    The fast end of a run stands for all of its rounds. Only where the baseline is free of pairs
    of such runs: there they are news.
    """
    base, scheduled = tested.baseline, 0
    if not base.calm:
        return None
    least = base.level + max(rules.log_fast, rules.dead_zone + rules.fast_score * base.scale)
    for runs, (by_schedule, value) in enumerate(
        zip(tested.points.scheduled, values, strict=True), 1
    ):
        if value < least:
            return None
        scheduled += by_schedule
        if scheduled == rules.least_scheduled:
            score = (min(values[:runs]) - base.level) / base.scale
            return _change(tested, values, Peak(score, runs, ()), rules, fast=True)
    return None


def _proved(
    tested: Tested, values: Sequence[float], sign: int, top: Peak, rules: Parameters
) -> Opened | None:
    if top.statistic <= rules.threshold_for(tested.baseline.size):
        return None
    found = _change(tested, values, top, rules)
    if found is None or sign * found.effect < rules.log_floor:
        return None
    return found


def _drifted(
    tested: Tested, values: Sequence[float], sign: int, rules: Parameters
) -> Opened | None:
    base = tested.baseline
    if not tested.drift or sign * (values[0] - base.level) < rules.drift_dead_zone:
        return None
    top = _peak(values, base, sign, rules.drift_dead_zone, rules)
    if top.runs < rules.drift_runs or top.statistic <= rules.threshold_for(base.size):
        return None
    found = _change(tested, values, top, rules)
    if found is None or sign * found.effect < rules.log_drift:
        return None
    return found


def _change(
    tested: Tested, values: Sequence[float], top: Peak, rules: Parameters, fast: bool = False
) -> Opened | None:
    """The change that a peak stands for; None if too few runs, probe or habit speak against it."""
    newest = tested.points[: top.runs]
    if sum(newest.scheduled) < rules.least_scheduled:
        return None
    reference = tested.reference()
    effect = shift(values[: top.runs], reference.corrected(tested.beta))
    probe = median(newest.probes) - median(reference.probes)
    if abs(effect) < rules.probe_share * abs(probe):
        return None
    if top.runs <= _patience(tested.episodes, effect, rules):
        return None
    numbers = tested.points.numbers
    fewest, most = (top.runs, top.runs) if fast else top.interval()
    return Opened(
        kind=_kind(effect, rules),
        start=numbers[top.runs - 1],
        low=numbers[most - 1],
        high=numbers[fewest - 1],
        alarm=numbers[0],
        before=tested.baseline.level,
        after=tested.baseline.level + effect,
        statistic=top.statistic,
        fast=fast,
        age=top.runs,
    )


def _patience(episodes: Sequence[Episode], effect: float, rules: Parameters) -> int:
    """Runs that changes of about this effect were seen to last when nothing was wrong."""
    alike = [e.runs for e in episodes if 0 < effect / e.effect <= _ALIKE]
    # A quarter more, since the next may be somewhat longer.
    return ceil(1.25 * max(alike)) if len(alike) >= rules.tolerance else 0


def _kind(effect: float, rules: Parameters) -> Kind:
    if abs(effect) < rules.log_floor:
        return "drift"
    return "regression" if effect > 0 else "improvement"
