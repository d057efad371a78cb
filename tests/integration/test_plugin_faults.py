"""Plug-ins whose code fails while it runs: a failure of their case, whatever they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.measure import round as rounds
from monitor.measure.runner import Runner
from monitor.model import Run
from monitor.suite import catalog, plan
from tests.conftest import Database
from tests.integration.helpers import LIMITS, SCHEMA, all_empty, run_once, sessions_of_ours
from tests.servers import PASSWORD, Server

STRATEGY = """
import asyncio, sys
from monitor.suite.strategies import strategy
@strategy(rows='tuples')
async def odd(into, rows):
    'Odd'
    {}
"""
SHAPE = """
import sys
from sqlalchemy import Column, Integer, MetaData, Table
from monitor.suite.shapes import shape
def table(metadata):
    return Table('odd', metadata, Column('id', Integer, primary_key=True), Column('n', Integer))
@shape(table=table)
def odd(n):
    'Odd'
    if n < 150:
        return {{'n': n}}
    {}
"""


def measured_with(folder: Path, dsn: str, code: str, odd: CaseSettings, **limits: float) -> Run:
    """A run of the odd case and of a good one beside it."""
    plugin = folder / "odd.py"
    plugin.write_text(code)
    suite = SuiteSettings(rows=200, rounds=1, cases=(odd, CaseSettings(strategy="asyncpg_copy")))
    resolved = plan.resolve(suite, catalog.load([plugin]))
    return run_once(dsn, Runner(resolved, replace(LIMITS, **limits), SCHEMA))


def message_of(run: Run, database: Database) -> str:
    """What is said of the odd case; the other one must be fine and nothing left behind."""
    assert run.outcome == "partial"
    (failure,) = run.failures
    assert failure.reason == "server_error"
    assert [len(result.samples) for result in run.cases] == [0, 1]
    assert all_empty(database)
    assert sessions_of_ours(database) == 0
    return failure.message


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("raise SystemExit", "SystemExit: no message"),
        ("sys.exit('enough')", "SystemExit: enough"),
        ("raise BaseException('two\\nlines')", "BaseException: two"),
        ("raise asyncio.CancelledError", "it cancelled itself"),
        ("raise ValueError('\\x1b[31mred')", "ValueError: [31mred"),
    ],
)
def test_whatever_a_strategy_raises_ends_neither_process_nor_run(
    database: Database, tmp_path: Path, line: str, told: str
) -> None:
    code = STRATEGY.format(line)
    run = measured_with(tmp_path, database.dsn, code, CaseSettings(strategy="odd"))
    assert message_of(run, database) == f"odd failed in the client: {told}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("return {'other': n}", "shape odd: row 150 has other keys than row 0 (n, other)."),
        ("return None", "TypeError: 'NoneType' object is not iterable"),
    ],
)
def test_a_row_that_cannot_be_made_is_the_cases_failure(
    database: Database, tmp_path: Path, line: str, told: str
) -> None:
    odd = CaseSettings(strategy="asyncpg_copy", shape="odd")
    run = measured_with(tmp_path, database.dsn, SHAPE.format(line), odd)
    assert message_of(run, database) == f"odd failed in the client: {told}"


def test_a_strategy_that_never_ends_is_ended_by_the_rounds_deadline(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "GRACE_SECONDS", 0.5)
    code = STRATEGY.format("await asyncio.Event().wait()")
    odd = CaseSettings(strategy="odd")
    run = measured_with(tmp_path, database.dsn, code, odd, round_seconds=1.0)
    assert run.outcome == "failed"
    assert run.failure is not None
    assert run.failure.reason == "timeout"
    assert run.failure.message == "no end within 1 s; connection given up"
    assert sessions_of_ours(database) == 0


def test_the_password_in_what_a_plug_in_raises_is_masked(server: Server, tmp_path: Path) -> None:
    name = "plugin_secret"
    server.create_database(name)
    try:
        code = STRATEGY.format(f"raise ValueError('connected with {PASSWORD}')")
        dsn = server.tcp_dsn(name)
        run = measured_with(tmp_path, dsn, code, CaseSettings(strategy="odd"))
        (failure,) = run.failures
        assert failure.message == "odd failed in the client: ValueError: connected with ***"
        assert PASSWORD not in repr(run)
    finally:
        server.sql(f"DROP DATABASE {name} WITH (FORCE)")
