"""The concurrent load of a run: started before its warm-up, stopped with it, counted and reported.

Its clients live in a process of their own: in ours they would take the interpreter from rounds, and
their work would be counted as the strategies'. Off, nothing of this runs.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from monitor.canary import tables
from monitor.canary.connection import Session, translated
from monitor.canary.foreign_sql import refuse_foreign_statement
from monitor.canary.identifiers import qualified, quote
from monitor.errors import BudgetExceeded, TargetUnavailable
from monitor.measure.binding import Binding, Bound
from monitor.measure.load_clients import Report, Spec, Statement, serve
from monitor.measure.load_table import LOAD_TABLE
from monitor.model import Case, Limits, Load, Notice, Plan

#: Rows that the load's own table holds at the start, and keys that point reads choose from.
LOAD_ROWS = 10_000
_KEYS = 1_000
#: Seconds that the clients may take to connect, and to end.
_START_SECONDS = 30.0
_STOP_SECONDS = 5.0


@dataclass(slots=True)
class Companions:
    """The load as a run sees it: the backends of its clients, and in the end what they did."""

    pids: Sequence[int] = ()
    notices: list[Notice] = field(default_factory=list)
    running: _Running | None = None

    async def check(self) -> None:
        """Raise where the load has ended by itself, or its table has grown beyond the limit."""
        if self.running is not None:
            await self.running.check()


@dataclass(slots=True)
class _Running:
    load: Load
    session: Session
    limits: Limits
    process: BaseProcess
    pipe: Connection
    has_table: bool

    async def check(self) -> None:
        if not self.process.is_alive():
            raise TargetUnavailable("the clients of the concurrent load ended by themselves")
        size = await tables.table_bytes(self.session, LOAD_TABLE) if self.has_table else 0
        if size > self.limits.table_bytes:
            raise BudgetExceeded(
                f"table {LOAD_TABLE} of the concurrent load grew to {size:,} bytes;"
                f" max_table_bytes is {self.limits.table_bytes:,}"
            )


@asynccontextmanager
async def concurrent_load(
    session: Session, plan: Plan, binding: Binding, limits: Limits
) -> AsyncIterator[Companions]:
    """Other clients' work while the block lasts, if the plan has any.

    Raises TargetRefused for SQL that would leave our schema, TargetError where the clients cannot
    connect.
    """
    if plan.load is None:
        yield Companions()
        return
    statements = await _statements(session, plan, binding)
    has_table = any(table.name == LOAD_TABLE for table in binding.tables)
    if has_table:
        await _fill(session)
    spec = Spec(session.target, plan.load.clients, plan.load.rate, statements, limits.run_seconds)
    process, pipe = _start(spec)
    companions = Companions()
    try:
        companions.pids = await _ready(pipe)
        companions.running = _Running(plan.load, session, limits, process, pipe, has_table)
        yield companions
        report = await _stop(pipe)
        companions.notices.append(_notice(plan.load, report))
    finally:
        pipe.close()
        process.join(0.2)
        if process.is_alive():
            process.kill()
            process.join(1.0)


def _start(spec: Spec) -> tuple[BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(spec, theirs), daemon=True, name="load")
    process.start()
    theirs.close()
    return process, ours


async def _ready(pipe: Connection) -> list[int]:
    answer = await _receive(pipe, _START_SECONDS)
    if not isinstance(answer, list):
        raise TargetUnavailable(f"concurrent load: {answer or 'its clients did not start'}")
    return answer


async def _stop(pipe: Connection) -> Report | None:
    with suppress(OSError):
        pipe.send("stop")
    report = await _receive(pipe, _STOP_SECONDS)
    return report if isinstance(report, Report) else None


async def _receive(pipe: Connection, seconds: float) -> Any:
    """What comes next through the pipe; None where nothing does in time."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pipe.fileno(), ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
        return pipe.recv()
    except (TimeoutError, EOFError, OSError):
        return None
    finally:
        loop.remove_reader(pipe.fileno())


async def _fill(session: Session) -> None:
    table = qualified(session.target.schema, LOAD_TABLE)
    with translated(session.target):
        await session.driver.execute(
            f"INSERT INTO {table} (payload) SELECT 'row ' || n::text"  # noqa: S608
            f" FROM pg_catalog.generate_series(1, {LOAD_ROWS}) AS n"
        )


async def _statements(session: Session, plan: Plan, binding: Binding) -> tuple[Statement, ...]:
    assert plan.load is not None  # noqa: S101 - for mypy; asked before
    schema = session.target.schema
    first = {case.shape.name: case for case in reversed(plan.cases)}
    ready = {name: case for name, case in first.items() if name in binding.shapes}
    if plan.load.sql is None:
        return tuple(
            _point_read(case, binding.shapes[name], schema) for name, case in ready.items()
        )
    measured = {str(binding.shapes[name].table.name) for name in ready}
    found = []
    for name in ready if "{table}" in plan.load.sql else list(ready)[:1]:
        places = {"{table}": qualified(schema, str(binding.shapes[name].table.name)),
                  "{load}": qualified(schema, LOAD_TABLE)}  # fmt: skip
        text = _replaced(plan.load.sql.strip().rstrip(";"), places)
        on_trial = text.replace("{n}", "(0::bigint)")
        await refuse_foreign_statement(session, on_trial, "suite.load.sql", measured)
        drawn = random.Random(0)  # noqa: S311 - the same keys in every run
        numbers = [(drawn.randrange(ready[name].rows),) for _ in range(_KEYS)]
        keys = tuple(numbers) if "{n}" in text else ((),)
        found.append(Statement(text.replace("{n}", "$1::bigint"), keys))
    return tuple(found)


def _replaced(text: str, places: Mapping[str, str]) -> str:
    for place, name in places.items():
        text = text.replace(place, name)
    return text


def _point_read(case: Case, bound: Bound, schema: str) -> Statement:
    """A read of one row by its primary key: one that rows bring, or the one that counts up."""
    table = qualified(schema, str(bound.table.name))
    names = [column.name for column in bound.table.primary_key]
    drawn = random.Random(0)  # noqa: S311 - the same keys in every run
    numbers = [drawn.randrange(case.rows) for _ in range(_KEYS)]
    if set(names) <= set(bound.columns) and not set(names) & set(bound.defaults):
        made = [case.shape.row(n, **case.shape_parameters) for n in numbers]
        keys = tuple(tuple(row[name] for name in names) for row in made)
    else:
        names = [names[0]]
        keys = tuple((n + 1,) for n in numbers)
    where = " AND ".join(f"{quote(name)} = ${n}" for n, name in enumerate(names, start=1))
    return Statement(f"SELECT * FROM {table} WHERE {where}", keys)  # noqa: S608


def _notice(load: Load, report: Report | None) -> Notice:
    if report is None:
        return Notice("load", f"Concurrent load ({load}): its clients did not say what they did.")
    text = (
        f"Concurrent load ({load}): {report.done:,} statements, {report.per_second:,.0f}/s,"
        f" median {report.median_seconds * 1000:.2f} ms, 99 % {report.slow_seconds * 1000:.2f} ms"
    )
    errors = ", ".join(f"{count:,} × {what}" for what, count in report.errors.items())
    lost = f"; {report.lost} of {load.clients} clients lost their session" if report.lost else ""
    return Notice("load", f"{text}{f'; errors: {errors}' if errors else ''}{lost}.")
