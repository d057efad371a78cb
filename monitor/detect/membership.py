"""Which cases a target's memory is of: what is measured no more, or otherwise, is forgotten."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeVar

from monitor.detect.parameters import Parameters
from monitor.detect.target import TargetState, time_of
from monitor.judgement import Closing, Place
from monitor.model import CaseKey, CaseResult

_Value = TypeVar("_Value")


def admitted(
    state: TargetState,
    results: Collection[CaseResult],
    moved: Collection[CaseKey],
    rules: Parameters,
) -> tuple[TargetState, tuple[Closing, ...]]:
    """The state ready for the results of its newest run, and the ends of changes of what is gone.

    A case that gave no sample for ``rules.settle`` runs in a row is forgotten; one whose rounds
    have another number of rows is another series and learns anew, as do those in ``moved``.
    """
    rows = {each.case.key: each.case.rows for each in results if each.samples}
    silent = {case: 0 if case in rows else runs + 1 for case, runs in state.silent.items()}
    gone = {case for case, runs in silent.items() if runs >= rules.settle}
    gone |= {case for case, count in rows.items() if state.rows.get(case, count) != count}
    gone |= {case for case in moved if case in state.rows}
    closings: tuple[Closing, ...] = ()
    if gone:
        state, closings = _forgotten(state, gone)
        silent = _without(silent, gone)
    return (
        replace(state, rows={**state.rows, **rows}, silent={**silent, **dict.fromkeys(rows, 0)}),
        closings,
    )


def _forgotten(
    state: TargetState, gone: Collection[CaseKey]
) -> tuple[TargetState, tuple[Closing, ...]]:
    at = time_of(state.numbers[-1])
    left = tuple(change for change in state.changes if change.place.case not in gone)
    closings = tuple(
        Closing(change.id, "retired", at) for change in state.changes if change.place.case in gone
    )
    state = replace(
        state,
        series=_without_places(state.series, gone),
        firsts=_without_places(state.firsts, gone),
        false_alarms=_without_places(state.false_alarms, gone),
        work=_without(state.work, gone),
        walls=_without(state.walls, gone),
        rows=_without(state.rows, gone),
        changes=left,
    )
    return state, closings


def _without(of: Mapping[CaseKey, _Value], gone: Collection[CaseKey]) -> dict[CaseKey, _Value]:
    return {case: value for case, value in of.items() if case not in gone}


def _without_places(of: Mapping[Place, _Value], gone: Collection[CaseKey]) -> dict[Place, _Value]:
    return {place: value for place, value in of.items() if place.case not in gone}
