"""The statements that each case's rows really travel in, what they did, and the server's plan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.canary import tables
from monitor.canary.connection import Canary, Session, bound_statements, translated
from monitor.canary.counters import (
    Snapshot,
    Statement,
    StatementCounters,
    statement_counters,
    table_oids,
)
from monitor.canary.guard import admit
from monitor.canary.lock import exclusive
from monitor.environment import Environment
from monitor.errors import ServerError, TargetError
from monitor.measure.attempt import CLEAN_SECONDS, leave_clean
from monitor.measure.batching import Batching, batching
from monitor.measure.binding import Binding, Bound, bind
from monitor.measure.clocks import SteadyClock
from monitor.measure.conditions import furnish, read_conditions
from monitor.measure.listening import Sent, listening
from monitor.measure.round import Bench, batches_of, insert_batches, make_ready
from monitor.measure.sources import read_sources
from monitor.measure.wal import start_meter
from monitor.model import Case, Limits, Notice, Plan

#: What the server is asked for a plan; the insert is carried out, and then rolled back.
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, WAL)"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One case: what was sent, what the server recorded, and how it carries it out.

    ``plan`` are the lines of EXPLAIN for the first statement, empty for COPY, which cannot be
    explained; ``failure`` says why there is nothing, or no plan.
    """

    case: Case
    sent: tuple[Sent, ...] = ()
    recorded: tuple[Statement, ...] = ()
    batching: Batching | None = None
    plan: tuple[str, ...] = ()
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """All cases on one target, and what they were explained with."""

    target: str
    at: datetime
    environment: Environment
    explanations: tuple[Explanation, ...]
    notices: tuple[Notice, ...]
    wal_bytes: int | None


async def explain(
    canary: Canary,
    plan: Plan,
    limits: Limits,
    *,
    hash_key: bytes,
    wal_allowance: int,
    wait_seconds: float,
    facts: Mapping[str, str] | None = None,
    passing: bool = False,
) -> Explained:
    """Insert every case's rows once and explain what came; tables are empty afterwards.

    ``facts`` of the client belong to the environment. ``passing``: tables that are missing are made
    for this alone. Raises TargetError where the
    target cannot be worked on, LockHeld where a run goes on.
    """
    try:
        admission = await admit(canary.target)
        async with canary.session() as session, exclusive(session, wait_seconds):
            found = await _explain(
                session, plan, limits, hash_key, wal_allowance, facts or {}, passing
            )
    except asyncio.CancelledError:
        await leave_clean(canary, CLEAN_SECONDS)
        raise
    return replace(found, notices=admission.notices + found.notices)


async def _explain(
    session: Session,
    plan: Plan,
    limits: Limits,
    hash_key: bytes,
    wal_allowance: int,
    facts: Mapping[str, str],
    passing: bool,
) -> Explained:
    clock = SteadyClock()
    at, reading = clock.now(), await read_sources(plan, session.target)
    binding = bind(reading.plan, session.target.schema)
    await bound_statements(session, limits.round_seconds)
    await tables.prepare(session, binding.tables, passing=passing)
    try:
        counters, notices = await statement_counters(session)
        meter = await start_meter(session, counters, wal_allowance)
        remarks, failed = await furnish(session, binding, passing=passing)
        failed = {**reading.failed, **failed}
        environment = await read_conditions(
            session, hash_key, binding, plan.load, facts, alone=passing
        )
        oids = list((await table_oids(session, binding.names)).values())
        bench = Bench(session, limits, counters, oids, clock)
        found = []
        for case in reading.plan.cases:
            if case.shape.name in failed:
                found.append(Explanation(case, failure=str(failed[case.shape.name])))
                continue
            found.append(await _case(bench, case, binding))
            await meter.refuse_excess()
        written = await meter.final()
    finally:
        if session.alive:
            await tables.empty_all(session)
            await tables.remove_passing(session)
    name = session.target.name
    return Explained(name, at, environment, tuple(found), (*notices, *remarks), written)


async def _case(bench: Bench, case: Case, binding: Binding) -> Explanation:
    """Insert and explain one case; what goes wrong with it alone is said of it alone."""
    bound = binding.shapes[case.shape.name]
    try:
        return await _insert(bench, case, bound)
    except TargetError as error:
        if not bench.session.alive:
            raise
        return Explanation(case, failure=str(error))


async def _insert(bench: Bench, case: Case, bound: Bound) -> Explanation:
    await make_ready(bench, case, bound)
    batches = batches_of(bench, case, bound, case.rows)
    before = await bench.counters.snapshot() if bench.counters else {}
    with listening(bench.session) as (session, log):
        await insert_batches(replace(bench, session=session), case, bound, batches)
    recorded = await _recorded(bench.counters, before, bound.names)
    sent = tuple(each for each in log.sent.values() if _inserts(each))
    calls = sum(statement.work.calls for statement in recorded)
    rewrites = bool(getattr(bench.session.connection.dialect, "use_insertmanyvalues", False))
    verdict = batching(case, sent, calls or sum(each.executions for each in sent), rewrites)
    await make_ready(bench, case, bound)
    lines, failure = await _plan(bench.session, sent)
    return Explanation(case, sent, tuple(recorded), verdict, lines, failure)


def _inserts(sent: Sent) -> bool:
    """Not what opens the transaction."""
    return not sent.text.startswith("SET LOCAL")


async def _recorded(
    counters: StatementCounters | None, before: Snapshot, names: Sequence[str]
) -> list[Statement]:
    if counters is None:
        return []
    after = await counters.snapshot()
    return await counters.statements_between(before, after, *names)


async def _plan(session: Session, sent: Sequence[Sent]) -> tuple[tuple[str, ...], str | None]:
    """The server's plan of the first statement; carried out and rolled back."""
    first = next((each for each in sent if each.tag is None), None)
    if first is None:
        return (), None
    transaction = session.driver.transaction()
    try:
        with translated(session.target):
            await transaction.start()
            try:
                rows = await session.driver.fetch(f"{EXPLAIN} {first.text}", *first.arguments)
            finally:
                await transaction.rollback()
    except ServerError as error:
        return (), f"no plan: {error}"
    return tuple(row[0] for row in rows), None
