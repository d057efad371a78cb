"""Whether a statement of the user's stays within our schema: asked of the server, never executed.

The statement is made the body of an SQL function in a transaction that is rolled back. So the
server parses it and writes down everything it stands on, as it does for a view.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import asyncpg

from monitor.canary import sql
from monitor.canary.connection import Session, translated
from monitor.canary.identifiers import qualified
from monitor.errors import TargetRefused

_PROBE = "statement on trial"


class _Undo(Exception):
    """Rolls a transaction back."""


async def refuse_foreign_statement(
    session: Session, statement: str, title: str, measured: Collection[str]
) -> None:
    """Raise TargetRefused unless the statement reads and writes in our schema only.

    Nor may it write to a ``measured`` table, or call a volatile function besides a few that only
    give a value. ``title`` is how the user calls the statement.
    """
    driver, schema = session.driver, session.target.schema
    reason = ""
    with translated(session.target):
        try:
            async with driver.transaction():
                await driver.execute("SET LOCAL search_path = pg_catalog")
                reason = await _reason(session, statement, measured)
                raise _Undo
        except _Undo:
            pass
        except asyncpg.PostgresError as error:
            if not (error.sqlstate or "").startswith(("42", "0A", "22", "26")):
                raise
            reason = str(error).splitlines()[0]
            if error.sqlstate == "0A000":
                reason = "it is no SELECT, INSERT, UPDATE, DELETE or MERGE"
    if reason:
        raise TargetRefused(
            f"{title}: {reason}; it may use tables of schema {schema} only, named {{table}} and"
            " {load}."
        )


async def _reason(session: Session, statement: str, measured: Collection[str]) -> str:
    driver, schema = session.driver, session.target.schema
    # Through the extended protocol, which takes one command: nothing can stand after END.
    probe = qualified(schema, _PROBE)
    await driver.fetch(
        f"CREATE FUNCTION {probe}() RETURNS void LANGUAGE sql BEGIN ATOMIC {statement}; END"
    )
    rows = await driver.fetch(sql.load("statement_needs"), schema, _PROBE)
    if rows:
        return f"it uses {rows[0]['description']}"
    plan = await driver.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}")
    for node in _nodes(json.loads(plan) if isinstance(plan, str) else plan):
        written = node.get("Relation Name") if node.get("Node Type") == "ModifyTable" else None
        if written in measured:
            return f"it writes to {written}, which is measured"
    return ""


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, list):
        for item in tree:
            yield from _nodes(item)
    elif isinstance(tree, dict):
        yield tree
        for item in tree.values():
            yield from _nodes(item)
