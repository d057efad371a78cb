"""What was measured before a restart, as the daemon knows runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from monitor.measure.overhead import with_overheads
from monitor.measure.summary import summarise
from monitor.model import Case, CaseResult, Failure, Plan, Run, Trigger
from monitor.store.database import Database
from monitor.store.read import newest_runs
from monitor.store.records import RunRecord, SeriesKey, failure_of, sample_of

#: Enough to know when the environment last changed, and how long runs have been failing.
_RUNS = 200

#: Runs that were asked for by hand are another matter than the state of a target.
_TRIGGERS: tuple[Trigger, ...] = ("scheduled", "confirmation")


async def last_runs(database: Database, target: str, plan: Plan) -> list[Run]:
    """A target's last runs by schedule, oldest first. Raises StoreUnavailable."""
    records = await newest_runs(database, target, _RUNS, _TRIGGERS)
    return [run_of(record, plan) for record in records]


def next_due(last: datetime | None, interval: timedelta, now: datetime) -> datetime:
    """When the next run is due after the last; never later than an interval from now."""
    return now if last is None else min(max(now, last + interval), now + interval)


def run_of(record: RunRecord, plan: Plan) -> Run:
    """The run as it was, as far as its cases are still in the plan."""
    own = [failure_of(row) for row in record.failures if row.of_run]
    return Run(
        id=record.id,
        target=record.target,
        trigger=record.trigger,
        started_at=record.started_at,
        finished_at=record.finished_at,
        outcome=record.outcome,
        environment=record.environment,
        cases=with_overheads(_result(case, record) for case in plan.cases if _known(case, record)),
        probes=record.probes,
        rounds=record.rounds,
        wal_bytes=record.wal_bytes,
        failure=own[0] if own else None,
        notices=record.notices,
    )


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
