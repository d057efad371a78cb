"""What was measured before a restart, as the daemon knows runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from monitor.judgement import Judgement
from monitor.measure.overhead import with_overheads
from monitor.measure.summary import summarise
from monitor.model import Case, CaseResult, Failure, Plan, Run, Trigger
from monitor.store.database import Database
from monitor.store.read import newest_runs
from monitor.store.records import RunRecord, SeriesKey, failure_of, sample_of
from monitor.workload import Shape, Strategy

#: Enough to know when the environment last changed, and how long runs have been failing.
_RUNS = 200

#: Runs that were asked for by hand are another matter than the state of a target.
_TRIGGERS: tuple[Trigger, ...] = ("scheduled", "confirmation")


async def last_runs(
    database: Database, target: str, plan: Plan, count: int = _RUNS
) -> list[tuple[Run, Judgement | None]]:
    """A target's last runs by schedule, oldest first, and what was said of each.

    One that another replica's run overtook is left out, as by who was there: its process stood
    still in it. Raises StoreUnavailable.
    """
    records = await newest_runs(database, target, count, _TRIGGERS)
    cases = {_key(case): case for case in plan.cases}
    return [
        (run_of(record, cases), record.judgement)
        for record, following in zip_longest(records, records[1:])
        if following is None or record.finished_at <= following.started_at
    ]


def run_of(record: RunRecord, cases: Mapping[SeriesKey, Case] | None = None) -> Run:
    """The run as it was: of these cases only, or of all that it had.

    The latter have a name and rows, all that judging needs; they cannot be measured.
    """
    if cases is None:
        failed = {row.series for row in record.failures if row.series}
        cases = {key: _named(key) for key in sorted({*record.samples, *failed})}
    own = [failure_of(row) for row in record.failures if row.of_run]
    return Run(
        id=record.id,
        target=record.target,
        trigger=record.trigger,
        started_at=record.started_at,
        finished_at=record.finished_at,
        outcome=record.outcome,
        environment=record.environment,
        cases=with_overheads(
            _result(case, record) for case in cases.values() if _known(case, record)
        ),
        probes=record.probes,
        rounds=record.rounds,
        wal_bytes=record.wal_bytes,
        failure=own[0] if own else None,
        notices=record.notices,
    )


def _named(key: SeriesKey) -> Case:
    strategy = Strategy(key.strategy, key.strategy, "dicts", _gone, {})
    shape = Shape(key.shape, key.shape, _gone, _gone, {})
    return Case(strategy, {}, shape, {}, key.rows, key.batch_size, "round", key.variant)


def _gone(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("a case of the past is not measured")


def _key(case: Case) -> SeriesKey:
    key = case.key
    return SeriesKey(key.strategy, key.shape, key.batch_size, key.variant, case.rows)


def _known(case: Case, record: RunRecord) -> bool:
    return _key(case) in record.samples or bool(_failures(case, record))


def _failures(case: Case, record: RunRecord) -> tuple[Failure, ...]:
    rows = (row for row in record.failures if row.series == _key(case) and not row.of_run)
    return tuple(failure_of(row) for row in rows)


def _result(case: Case, record: RunRecord) -> CaseResult:
    key = _key(case)
    samples = tuple(sample_of(row, key, record.started_at) for row in record.samples.get(key, ()))
    result = CaseResult(case, samples, _failures(case, record))
    return replace(result, summary=summarise(result.counted, record.rounds))
