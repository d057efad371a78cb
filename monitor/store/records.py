"""Runs as the store keeps them: plain values, no functions, exact in both directions.

A ``RunRecord`` is what is appended, spooled, exported and read back; ``SampleRow`` names the
columns of ``tables.sample`` in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, get_args

from monitor.environment import Environment
from monitor.judgement import Judgement
from monitor.model import (
    CaseKey,
    Disturbance,
    Failure,
    Notice,
    Run,
    RunOutcome,
    Sample,
    Trigger,
    rest_of,
)

_DISTURBANCES: tuple[Disturbance, ...] = get_args(Disturbance)
_MICROSECOND = timedelta(microseconds=1)
_NANO = 1_000_000_000
_MILLION = 1_000_000
_LARGEST = 2**31 - 1


class SeriesKey(NamedTuple):
    """A case as it is kept apart from others of its target: its key, and the rows of a round."""

    strategy: str
    shape: str
    batch_size: int
    variant: str
    rows: int

    @property
    def case(self) -> CaseKey:
        return CaseKey(self.strategy, self.shape, self.batch_size, self.variant)

    def __str__(self) -> str:
        return f"{self.case}, {self.rows:,} rows"


class SampleRow(NamedTuple):
    """A round in integers; see ``tables.sample``. ``counted_rows`` is set where it is not all.

    ``offset_us``, ``round_trip_ns`` and ratios end at what four bytes hold: 35 minutes, 2 seconds
    and 2,147.
    """

    round: int
    other_sessions: int | None
    disturbed: int
    insert_ns: int
    commit_ns: int
    client_ns: int
    server_ns: int | None
    wal_bytes: int | None
    blocks_hit: int | None
    offset_us: int
    round_trip_ns: int
    calls: int | None
    counted_rows: int | None
    wal_records: int | None
    wal_fpi: int | None
    blocks_read: int | None
    blocks_dirtied: int | None
    late_batch_ppm: int | None
    steal_ppm: int | None
    pressure_ppm: int | None


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A failure; without series it is of the run, and with ``of_run`` it ended it."""

    at: datetime
    reason: str
    message: str
    series: SeriesKey | None
    round: int | None
    of_run: bool


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it is kept, with what was said of it if it was judged. ``state`` is the detector's
    after it, as bytes it alone understands."""

    id: str
    target: str
    trigger: Trigger
    started_at: datetime
    finished_at: datetime
    outcome: RunOutcome
    rounds: int
    wal_bytes: int | None
    environment: Environment | None
    probes: Mapping[str, Sequence[float]]
    notices: tuple[Notice, ...]
    failures: tuple[FailureRow, ...]
    samples: Mapping[SeriesKey, tuple[SampleRow, ...]]
    judgement: Judgement | None = None
    state: bytes | None = None

    @property
    def sample_count(self) -> int:
        return sum(len(rows) for rows in self.samples.values())


# --- there ---------------------------------------------------------------------------------------


def record_of(
    run: Run, judgement: Judgement | None = None, state: bytes | None = None
) -> RunRecord:
    """What is kept of a run."""
    samples, failures = {}, []
    if run.failure:
        failures.append(_failure_row(run.failure, _series_of_failure(run), of_run=True))
    for result in run.cases:
        key = SeriesKey(*_case_values(result.case.key), result.case.rows)
        if result.samples:
            samples[key] = tuple(_sample_row(each, run.started_at) for each in result.samples)
        failures += [_failure_row(each, key, of_run=False) for each in result.failures]
    return RunRecord(
        id=run.id,
        target=run.target,
        trigger=run.trigger,
        started_at=run.started_at,
        finished_at=run.finished_at,
        outcome=run.outcome,
        rounds=run.rounds,
        wal_bytes=run.wal_bytes,
        environment=run.environment,
        probes={name: tuple(values) for name, values in run.probes.items()},
        notices=run.notices,
        failures=tuple(failures),
        samples=samples,
        judgement=judgement,
        state=state,
    )


def at(record: RunRecord, started_at: datetime) -> RunRecord:
    """The same run begun at another moment, as a key that is taken makes necessary."""
    return replace(record, started_at=started_at)


def _case_values(key: CaseKey) -> tuple[str, str, int, str]:
    return key.strategy, key.shape, key.batch_size, key.variant


def _series_of_failure(run: Run) -> SeriesKey | None:
    case = run.failure.case if run.failure else None
    rows = next((result.case.rows for result in run.cases if result.case.key == case), None)
    return None if case is None or rows is None else SeriesKey(*_case_values(case), rows)


def _failure_row(failure: Failure, series: SeriesKey | None, *, of_run: bool) -> FailureRow:
    return FailureRow(failure.at, failure.reason, failure.message, series, failure.round, of_run)


def _sample_row(sample: Sample, run_started_at: datetime) -> SampleRow:
    return SampleRow(
        round=sample.round,
        other_sessions=sample.other_sessions,
        disturbed=_bits(sample.disturbed),
        insert_ns=round(sample.insert_seconds * _NANO),
        commit_ns=round(sample.commit_seconds * _NANO),
        client_ns=round(sample.client_seconds * _NANO),
        server_ns=_whole(sample.server_seconds, _NANO),
        wal_bytes=sample.wal_bytes,
        blocks_hit=sample.blocks_hit,
        offset_us=_small((sample.started_at - run_started_at) // _MICROSECOND),
        round_trip_ns=_small(round(sample.round_trip_seconds * _NANO)),
        calls=sample.calls,
        counted_rows=_counted_rows(sample),
        wal_records=sample.wal_records,
        wal_fpi=sample.wal_fpi,
        blocks_read=sample.blocks_read,
        blocks_dirtied=sample.blocks_dirtied,
        late_batch_ppm=_ppm(sample.late_batch_ratio),
        steal_ppm=_ppm(sample.steal_ratio),
        pressure_ppm=_ppm(sample.pressure_ratio),
    )


def _small(value: int) -> int:
    return max(-_LARGEST, min(value, _LARGEST))


def _whole(value: float | None, unit: int) -> int | None:
    return None if value is None else round(value * unit)


def _ppm(ratio: float | None) -> int | None:
    return None if ratio is None else _small(round(ratio * _MILLION))


def _counted_rows(sample: Sample) -> int | None:
    if sample.calls is None or sample.rows_per_call is None:
        return None
    counted = round(sample.rows_per_call * sample.calls)
    return None if counted == sample.rows else counted


def _bits(disturbed: Iterable[Disturbance]) -> int:
    return sum(1 << _DISTURBANCES.index(each) for each in disturbed)


# --- and back ------------------------------------------------------------------------------------


def sample_of(row: SampleRow, series: SeriesKey, run_started_at: datetime) -> Sample:
    """The round as the domain knows it."""
    insert, commit, client = (
        nanoseconds / _NANO for nanoseconds in (row.insert_ns, row.commit_ns, row.client_ns)
    )
    server = _part(row.server_ns, _NANO)
    counted = series.rows if row.counted_rows is None else row.counted_rows
    return Sample(
        round=row.round,
        started_at=run_started_at + row.offset_us * _MICROSECOND,
        rows=series.rows,
        insert_seconds=insert,
        commit_seconds=commit,
        client_seconds=client,
        server_seconds=server,
        rest_seconds=None if server is None else rest_of(insert, commit, client, server),
        calls=row.calls,
        rows_per_call=counted / row.calls if row.calls else None,
        wal_bytes=row.wal_bytes,
        wal_records=row.wal_records,
        wal_fpi=row.wal_fpi,
        blocks_hit=row.blocks_hit,
        blocks_read=row.blocks_read,
        blocks_dirtied=row.blocks_dirtied,
        round_trip_seconds=row.round_trip_ns / _NANO,
        late_batch_ratio=_part(row.late_batch_ppm, _MILLION),
        other_sessions=row.other_sessions,
        steal_ratio=_part(row.steal_ppm, _MILLION),
        pressure_ratio=_part(row.pressure_ppm, _MILLION),
        disturbed=disturbances_of(row.disturbed),
    )


def failure_of(row: FailureRow) -> Failure:
    """The failure as the domain knows it."""
    case = row.series.case if row.series else None
    return Failure(row.at, row.reason, row.message, case, row.round)  # type: ignore[arg-type]


def disturbances_of(bits: int) -> tuple[Disturbance, ...]:
    """What disturbed a round, from the bits it is kept as."""
    return tuple(each for n, each in enumerate(_DISTURBANCES) if bits >> n & 1)


def _part(value: int | None, unit: int) -> float | None:
    return None if value is None else value / unit
