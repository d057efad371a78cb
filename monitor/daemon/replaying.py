"""Recomputing stored verdicts from stored samples: they must come out the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime

from monitor.daemon.judging import unpack
from monitor.daemon.restore import run_of
from monitor.detect.judge import accept, judge
from monitor.detect.parameters import VERSION, Parameters
from monitor.detect.target import TargetState
from monitor.judgement import Change, Closing, Judgement, Verdict
from monitor.store.database import Database
from monitor.store.read import judged_pages, states_of
from monitor.store.records import RunRecord


@dataclass(frozen=True, slots=True)
class Deviation:
    """Something that was told of a run and came out otherwise, or not at all (None)."""

    run_started_at: datetime
    what: str
    stored: str | None
    recomputed: str | None


@dataclass(slots=True)
class Replay:
    """How a target's replay went: how many runs from when to when, and what deviates.

    ``skipped`` runs lie before the first state that can be begun with; ``other_version`` were
    judged by another version of the detector.
    """

    target: str
    runs: int = 0
    skipped: int = 0
    verdicts: int = 0
    other_version: int = 0
    first: datetime | None = None
    last: datetime | None = None
    deviations: tuple[Deviation, ...] = ()


async def replay(database: Database, target: str) -> Replay:
    """Judge a target's stored runs again, each by its own parameters and after its own acceptances.

    Begins with nothing if the first run ever is still stored, else with the oldest state that is.
    Raises StoreUnavailable.
    """
    result = Replay(target)
    deviations: list[Deviation] = []
    state: TargetState | None = None
    states = {s.judged: s for s in map(unpack, await states_of(database, target))}
    async for record in _records(database, target):
        judgement = record.judgement
        if judgement is None:
            continue
        if state is None:
            number = judgement.number
            state = TargetState() if number == 1 else states.get(number - 1)
            if state is None:
                result.skipped += 1
                continue
        state, again = _again(state, record, judgement)
        deviations += _deviations(record.started_at, judgement, again)
        _count(result, record, judgement)
    result.deviations = tuple(deviations)
    return result


async def _records(database: Database, target: str) -> AsyncIterator[RunRecord]:
    async for page in judged_pages(database, target):
        for record in page:
            yield record


def _again(
    state: TargetState, record: RunRecord, judgement: Judgement
) -> tuple[TargetState, Judgement]:
    known = {field.name for field in fields(Parameters)}
    told = judgement.detector.parameters.items()
    rules = Parameters(**{name: value for name, value in told if name in known})  # type: ignore[arg-type]
    closings: list[Closing] = []
    for closing in judgement.closings:
        standing = {change.id for change in state.changes}
        if closing.ending == "accepted" and closing.change_id in standing:
            state, ended = accept(state, closing.change_id, closing.at, rules)
            closings += ended
    state, again = judge(state, run_of(record), rules)
    return state, replace(again, closings=(*closings, *again.closings))


def _count(result: Replay, record: RunRecord, judgement: Judgement) -> None:
    result.runs += 1
    result.verdicts += len(judgement.verdicts)
    result.other_version += judgement.detector.version != VERSION
    result.first = result.first or record.started_at
    result.last = record.started_at


# --- comparing -----------------------------------------------------------------------------------


def _deviations(at: datetime, stored: Judgement, again: Judgement) -> Iterator[Deviation]:
    parts = (
        (_numbers(stored), _numbers(again)),
        (_verdicts(stored.verdicts), _verdicts(again.verdicts)),
        (_changes(stored.changes), _changes(again.changes)),
        (_ends(stored), _ends(again)),
    )
    for before, after in parts:
        for what in sorted({*before, *after}):
            if before.get(what) != after.get(what):
                yield Deviation(at, what, before.get(what), after.get(what))


def _numbers(judgement: Judgement) -> dict[str, str]:
    cases = {f"case {case}": state for case, state in judgement.cases.items()}
    return {"run number": str(judgement.number), "contended": str(judgement.contended), **cases}


def _verdicts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    return {
        f"verdict {each.place.signal} of {each.place.case or 'the target'}": (
            f"{each.state} {each.effect_ratio} {each.baseline} {each.detectable_ratio}"
            f" {each.statistic} {each.since}"
        )
        for each in verdicts
    }


def _changes(changes: Sequence[Change]) -> dict[str, str]:
    return {f"change {each.id}": repr(each) for each in changes}


def _ends(judgement: Judgement) -> dict[str, str]:
    return {f"end of {each.change_id}": f"{each.ending} {each.at}" for each in judgement.closings}
