"""A run: warm-up, then blocks that time every case once, in random order, between probes.

A round that fails becomes a ``Failure`` and the run goes on; a run that cannot go on ends with what
it has. Nothing but cancellation and our own bugs leaves ``Runner.run`` as an exception.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic
from typing import cast
from uuid import uuid4

from monitor.canary import tables
from monitor.canary.connection import Session, bound_statements, round_trips
from monitor.canary.counters import activity, statement_counters, table_oids
from monitor.environment import Environment
from monitor.errors import BudgetExceeded, LockLost, RoundTimeout, TargetError, TargetUnavailable
from monitor.measure.binding import bind
from monitor.measure.clocks import SteadyClock, collector_held_off, exempt_from_collection
from monitor.measure.conditions import furnish, read_conditions
from monitor.measure.disturbance import checkpoint_started
from monitor.measure.load import concurrent_load
from monitor.measure.overhead import with_overheads
from monitor.measure.probes import measure_probes
from monitor.measure.round import (
    GRACE_SECONDS,
    Bench,
    Round,
    batches_of,
    dropped_after,
    insert_batches,
    make_ready,
    measure_round,
)
from monitor.measure.sources import read_sources
from monitor.measure.summary import summarise
from monitor.measure.wal import WalMeter, start_meter
from monitor.model import (
    Case,
    CaseKey,
    CaseResult,
    Failure,
    FailureReason,
    Limits,
    Notice,
    Plan,
    Run,
    RunOutcome,
    Trigger,
)

#: Called with rounds done, rounds in all, and what comes next; for people who wait.
Progress = Callable[[int, int, str], None]


def no_progress(_done: int, _total: int, _next: str) -> None:
    """For callers that show none."""


@dataclass(slots=True)
class _Record:
    """What a run has gathered so far; turned into a frozen ``Run`` at its end."""

    started_at: datetime
    deadline: float
    rounds: dict[CaseKey, list[Round]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[CaseKey, list[Failure]] = field(default_factory=lambda: defaultdict(list))
    probes: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    redo_positions: set[int] = field(default_factory=set)
    given_up: set[CaseKey] = field(default_factory=set)
    prepared: bool = False
    environment: Environment | None = None
    notices: list[Notice] = field(default_factory=list)
    meter: WalMeter | None = None
    wal_bytes: int | None = None
    lost_in: tuple[CaseKey, int] | None = None
    failure: Failure | None = None


class Runner:
    """Executes a plan on sessions of one target; one per target and process.

    ``progress`` hears of every round, ``clock`` dates it all, ``fingerprint_key`` hashes settings
    that are not kept, ``facts`` of the client are added to the fingerprint. ``exploring`` is for a
    plan that is measured once: the tables that it lacked are dropped at its end, and its
    environment knows no others. What is kept between runs are mapped classes and whether the
    process is warm.
    """

    def __init__(
        self,
        plan: Plan,
        limits: Limits,
        schema: str,
        progress: Progress = no_progress,
        *,
        clock: SteadyClock | None = None,
        fingerprint_key: bytes = b"",
        facts: Mapping[str, str] | None = None,
        exploring: bool = False,
    ) -> None:
        self.clock = clock or SteadyClock()
        self._fingerprint_key = fingerprint_key
        self._facts = facts or {}
        self._plan = plan
        self._limits = limits
        self._schema = schema
        self._binding = bind(plan, schema)
        self._progress = progress
        self._exploring = exploring
        self._warm = False

    async def run(self, session: Session, trigger: Trigger, wal_allowance: int) -> Run:
        """Measure the plan; ``session`` must hold the lock and have passed the guard.

        ``wal_allowance`` is what the run may still write, in bytes. Tables are empty afterwards.
        """
        run_id = uuid4()
        record = _Record(self.clock.now(), monotonic() + self._limits.run_seconds)
        # A frozen server or a dead network obeys no timeout of the server's.
        seconds = self._limits.run_seconds + GRACE_SECONDS
        given_up = asyncio.get_running_loop().call_later(seconds, session.driver.terminate)
        try:
            await self._measure(session, record, random.Random(run_id.int), wal_allowance)  # noqa: S311
        except TargetError as error:
            await self._note_end(session, record, error)
        try:
            await _leave(session, record, self._exploring)
        except TargetError as error:
            if record.failure is None:
                await self._note_end(session, record, error)
        finally:
            given_up.cancel()
        return self._finish(run_id.hex, session.target.name, trigger, record)

    async def _note_end(self, session: Session, record: _Record, error: TargetError) -> None:
        """Record why the run ended early."""
        if not session.alive and monotonic() > record.deadline:
            error = self._too_long()
        why = await _abort_reason(session, error)
        record.failure = failure_of(why, self.clock.now(), *(record.lost_in or ()))

    def _too_long(self) -> RoundTimeout:
        return RoundTimeout(f"the run took longer than {self._limits.run_seconds:g} s")

    async def _measure(
        self, session: Session, record: _Record, order: random.Random, wal_allowance: int
    ) -> None:
        if self._plan.unread:
            await self._read_sources(session, record)
        await bound_statements(session, self._limits.round_seconds)
        await tables.prepare(session, self._binding.tables, passing=self._exploring)
        record.prepared = True
        counters, notices = await statement_counters(session)
        record.meter = meter = await start_meter(session, counters, wal_allowance)
        remarks, failed = await furnish(session, self._binding, passing=self._exploring)
        record.notices += [*notices, *remarks]
        self._give_up(record, failed)
        record.environment = await read_conditions(
            session,
            self._fingerprint_key,
            self._binding,
            self._plan.load,
            self._facts,
            alone=self._exploring,
        )
        oids = list((await table_oids(session, self._binding.names)).values())
        cases = tuple(case for case in self._plan.cases if case.key not in record.given_up)
        going_on = replace(self._plan, cases=cases)
        async with concurrent_load(session, going_on, self._binding, self._limits) as load:
            bench = Bench(session, self._limits, counters, oids, self.clock, load.pids)
            await self._warm_up(bench, record)
            if self._exploring:
                await meter.refuse_forecast(self._plan.rounds)
            for number in range(1, self._plan.rounds + 1):
                await self._block(bench, record, order, number, meter)
                await load.check()
        record.notices += load.notices
        record.redo_positions.add((await activity(session, oids)).redo_position)

    async def _read_sources(self, session: Session, record: _Record) -> None:
        """Read the tables that shapes are made like, once per process."""
        reading = await read_sources(self._plan, session.target)
        self._plan = reading.plan
        self._binding = bind(self._plan, self._schema)
        self._give_up(record, reading.failed)

    def _give_up(self, record: _Record, failed: Mapping[str, TargetError]) -> None:
        """Fail the cases of shapes that cannot be had now; the others go on, if there are any."""
        for case in self._plan.cases:
            if case.shape.name in failed:
                error = failed[case.shape.name]
                record.failures[case.key].append(failure_of(error, self.clock.now(), case.key, 0))
                record.given_up.add(case.key)
        if failed and len(record.given_up) == len(self._plan.cases):
            record.failures.clear()
            raise next(iter(failed.values()))

    async def _warm_up(self, bench: Bench, record: _Record) -> None:
        """A few rows of every case, and in a fresh process a whole round; both discarded."""
        if not self._warm:
            exempt_from_collection()
        counts = {self._plan.warm_up_rows} if self._warm else {self._plan.warm_up_rows, 0}
        for case in self._plan.cases:
            if case.key in record.given_up:
                continue
            self._refuse_late(record)
            bound = self._binding.shapes[case.shape.name]
            self._progress(0, self._total, f"warming up {case.key}")
            try:
                for count in sorted(counts, key=lambda rows: rows or case.rows):
                    ready = case if count == 0 else replace(case, prefill=0)
                    await make_ready(bench, ready, bound)
                    with collector_held_off():
                        least = min(count or case.rows, case.rows)
                        batches = batches_of(bench, case, bound, least)
                        await insert_batches(bench, case, bound, batches)
                    await _refuse_large(bench, case, bound.table.name)
                await tables.empty(bench.session, bound.table.name)
            except TargetError as error:
                self._note_failure(bench.session, record, case, 0, error)
                record.given_up.add(case.key)
        self._warm = True

    async def _block(
        self,
        bench: Bench,
        record: _Record,
        order: random.Random,
        number: int,
        meter: WalMeter,
    ) -> None:
        round_trip = await self._probe(bench, record)
        cases = [case for case in self._plan.cases if case.key not in record.given_up]
        for case in order.sample(cases, len(cases)):
            self._refuse_late(record)
            self._progress(self._done(record), self._total, str(case.key))
            await self._round(bench, record, case, number, round_trip)
        await self._probe(bench, record)
        self._progress(self._done(record), self._total, "probes")
        await meter.refuse_excess()

    def _refuse_late(self, record: _Record) -> None:
        if monotonic() > record.deadline:
            raise self._too_long()

    async def _probe(self, bench: Bench, record: _Record) -> float:
        with dropped_after(bench.session, self._patience):
            probes = await measure_probes(bench.session)
        for name, seconds in probes.items():
            record.probes[name].append(seconds)
        return probes["round_trip"]

    async def _round(
        self, bench: Bench, record: _Record, case: Case, number: int, round_trip: float
    ) -> None:
        bound = self._binding.shapes[case.shape.name]
        # Rows that were there before and indexes built afterwards take as long as they take.
        unbounded = case.prefill > 0 or case.build is not None
        seconds = self._limits.run_seconds if unbounded else self._patience
        try:
            with dropped_after(bench.session, seconds):
                result = await measure_round(bench, case, bound, number, round_trip)
        except TargetError as error:
            self._note_failure(bench.session, record, case, number, error)
        else:
            record.rounds[case.key].append(result)
            record.redo_positions |= result.redo_positions

    def _note_failure(
        self, session: Session, record: _Record, case: Case, number: int, error: TargetError
    ) -> None:
        """Record it and go on; where the session is gone, the lock is too, and the run ends."""
        if not session.alive:
            record.lost_in = (case.key, number)
            raise error
        failure = failure_of(error, self.clock.now(), case.key, number)
        record.failures[case.key].append(failure)
        if failure.reason == "budget":
            record.given_up.add(case.key)

    @property
    def _patience(self) -> float:
        """Seconds that a round may take with all that is asked before and after its inserts."""
        return 2 * (self._limits.round_seconds + 2 * GRACE_SECONDS)

    @property
    def _total(self) -> int:
        return len(self._plan.cases) * self._plan.rounds

    def _done(self, record: _Record) -> int:
        measured = sum(len(rounds) for rounds in record.rounds.values())
        return measured + sum(len(failures) for failures in record.failures.values())

    def _finish(self, run_id: str, target: str, trigger: Trigger, record: _Record) -> Run:
        cases = with_overheads(self._case_result(case, record) for case in self._plan.cases)
        return Run(
            id=run_id,
            target=target,
            trigger=trigger,
            started_at=record.started_at,
            finished_at=self.clock.now(),
            outcome=_outcome(cases, record.failure),
            environment=record.environment,
            cases=cases,
            probes={name: tuple(values) for name, values in record.probes.items()},
            rounds=self._plan.rounds,
            wal_bytes=record.wal_bytes,
            failure=record.failure,
            notices=tuple(record.notices),
        )

    def _case_result(self, case: Case, record: _Record) -> CaseResult:
        samples = tuple(
            _with_late_checkpoint(found, record.redo_positions) for found in record.rounds[case.key]
        )
        result = CaseResult(
            case, tuple(s.sample for s in samples), tuple(record.failures[case.key])
        )
        return replace(result, summary=summarise(result.counted, self._plan.rounds))


def _with_late_checkpoint(found: Round, redo_positions: set[int]) -> Round:
    """Add a checkpoint that began in the round but became known only later."""
    sample = found.sample
    if "checkpoint" in sample.disturbed or not checkpoint_started(
        found.wal_before, found.wal_after, redo_positions
    ):
        return found
    return replace(found, sample=replace(sample, disturbed=("checkpoint", *sample.disturbed)))


def _outcome(cases: tuple[CaseResult, ...], failure: Failure | None) -> RunOutcome:
    if not any(case.samples for case in cases):
        return "failed"
    failed = failure is not None or any(case.failures for case in cases)
    return "partial" if failed else "ok"


async def _leave(session: Session, record: _Record, exploring: bool) -> None:
    """Empty the tables if they are known to be ours, and take the run's WAL; drop passing ones.

    What a lost session leaves behind is emptied when the next run starts.
    """
    try:
        if session.alive and record.prepared:
            await tables.empty_all(session)
            if exploring:
                await tables.remove_passing(session)
    finally:
        if record.meter is not None:
            record.wal_bytes = await record.meter.final()


async def _refuse_large(bench: Bench, case: Case, table: str) -> None:
    """Raise BudgetExceeded if the case's rows would fill more than the limit allows."""
    rows = await tables.count_rows(bench.session, table)
    most = case.prefill + case.rows
    expected = await tables.expected_bytes(bench.session, table, most) if rows else 0
    if expected > bench.limits.table_bytes:
        raise BudgetExceeded(
            f"{most:,} rows would take some {expected:,} bytes in table {table};"
            f" max_table_bytes is {bench.limits.table_bytes:,}"
        )


async def _abort_reason(session: Session, error: TargetError) -> TargetError:
    """Why the run ended early: of a lost session, whether the server is still there decides."""
    if session.alive or isinstance(error, RoundTimeout):
        return error
    try:
        await round_trips(session.target, count=1)
    except TargetError as lost:
        return TargetUnavailable(f"connection lost, and no new one: {lost}")
    return LockLost(f"the session that held the lock was ended: {error}")


def failure_of(
    error: TargetError, at: datetime, case: CaseKey | None = None, number: int | None = None
) -> Failure:
    """The record of an error."""
    reason = cast("FailureReason", error.reason)
    return Failure(at, reason, str(error), case, number)
