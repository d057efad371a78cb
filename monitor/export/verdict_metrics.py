"""Where the values of the metrics of judgement come from.

What stands, stands: a regression is shown until it has ended, though its run be old. What was said
of the last run is left out like the run's own values once it is too old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from operator import attrgetter
from typing import get_args

from monitor.detect.outlook import alarms_alone
from monitor.detect.signals import Scope
from monitor.detect.story import telling_rank
from monitor.export.labels import Labels, Values, case_labels
from monitor.export.snapshot import Snapshot, TargetSnapshot
from monitor.judgement import NONE_RECORDED, SIGNALS, STATES, Change, Place, State, Verdict
from monitor.model import CaseKey


def of_signals(value: Callable[[Verdict], float | None]) -> Callable[[Snapshot], Values]:
    """A figure of every signal of every case, left out where it is not known."""

    def values(snapshot: Snapshot) -> Values:
        for target in snapshot.targets:
            for verdict in _fresh(snapshot, target):
                figure = value(verdict)
                if figure is not None:
                    yield _signal_labels(target, verdict.place), figure

    return values


def baseline_rates(snapshot: Snapshot) -> Values:
    """Rows per second at the frozen baseline of the wall time."""
    for target in snapshot.targets:
        for verdict in _fresh(snapshot, target):
            if verdict.place.signal == "throughput" and verdict.baseline:
                yield case_labels(target.name, verdict.place.case), 1 / verdict.baseline


def change_points(snapshot: Snapshot) -> Values:
    """Since when the newest open change of a signal stands."""
    for target in snapshot.targets:
        newest: dict[Place, datetime] = {}
        for change in _of_cases(target):
            newest[change.place] = max(change.since, newest.get(change.place, change.since))
        for place, since in newest.items():
            yield _signal_labels(target, place), since.timestamp()


def regressed(snapshot: Snapshot) -> Values:
    """Whether a signal stands in a regression: 0 or 1 for each that has been judged."""
    for target in snapshot.targets:
        standing = {change.place for change in _of_cases(target) if change.alarming}
        judged = {
            verdict.place
            for verdict in (target.judgement.verdicts if target.judgement else ())
            if verdict.place.case in target.planned and verdict.place.signal in SIGNALS
        }
        for place in sorted(standing | judged, key=_order):
            yield _signal_labels(target, place), float(place in standing)


def verdicts(snapshot: Snapshot) -> Values:
    """The state of each case as a whole: 1 for its state, 0 for all others."""
    for target in snapshot.targets:
        for case, state in sorted(case_states(snapshot, target).items()):
            for each in STATES:
                yield (*case_labels(target.name, case), each), float(each == state)


def case_states(snapshot: Snapshot, target: TargetSnapshot) -> Mapping[CaseKey, State]:
    """The state of each case of the suite; stale where the last run is too old to tell."""
    if target.judgement is None:
        return {}
    planned = {c: s for c, s in target.judgement.cases.items() if c in target.planned}
    if snapshot.fresh_run(target):
        return planned
    standing = {change.place.case for change in target.changes if change.alarming}
    return {case: "regressed" if case in standing else "stale" for case in planned}


def targets_regressed(snapshot: Snapshot) -> Values:
    """Whether a target as a whole got slower, by what it is put down to."""
    for target in snapshot.targets:
        scopes = {c.where for c in target.changes if c.alarming and c.place.case is None}
        if target.judgement is not None or scopes:
            for scope in get_args(Scope):
                yield (target.name, scope), float(scope in scopes)


def regressions(snapshot: Snapshot) -> Values:
    """One per case, or target as a whole, that stands in a regression."""
    for target in snapshot.targets:
        found: dict[CaseKey | None, list[Change]] = {}
        for change in _of_plan(target):
            if change.alarming:
                found.setdefault(change.place.case, []).append(change)
        for case, changes in found.items():
            first = min(changes, key=lambda change: telling_rank(change.place.signal))
            causes = [change.cause for change in changes if change.explained]
            cause = causes[0] if causes else NONE_RECORDED
            yield (*case_labels(target.name, case), first.component, cause), 1.0


def false_alarms(snapshot: Snapshot) -> Values:
    """Expected a month of each series of the suite that alarms by itself."""
    for target in snapshot.targets:
        for place, count in target.false_alarms.items():
            if place.case in target.planned and alarms_alone(place):
                yield _signal_labels(target, place), count


def all_false_alarms(snapshot: Snapshot) -> Values:
    """Expected a month of all of a target's series together."""
    for target in snapshot.targets:
        if target.false_alarms:
            yield (target.name,), sum(target.false_alarms.values())


def thresholds(snapshot: Snapshot) -> Values:
    """The settings that rules compare with."""
    for name, value in snapshot.thresholds.items():
        yield (name,), value


def _fresh(snapshot: Snapshot, target: TargetSnapshot) -> Iterator[Verdict]:
    if target.judgement is not None and snapshot.fresh_run(target):
        for verdict in target.judgement.verdicts:
            if verdict.place.case in target.planned:
                yield verdict


def _of_plan(target: TargetSnapshot) -> Iterator[Change]:
    """Open changes of the target as a whole and of the cases of the suite."""
    for change in sorted(target.changes, key=attrgetter("told_at", "id")):
        if change.place.case is None or change.place.case in target.planned:
            yield change


def _of_cases(target: TargetSnapshot) -> Iterator[Change]:
    return (change for change in _of_plan(target) if change.place.case is not None)


def _signal_labels(target: TargetSnapshot, place: Place) -> Labels:
    return (*case_labels(target.name, place.case), place.signal)


def _order(place: Place) -> tuple[str, str]:
    return str(place.case), place.signal
