"""Builds what a blueprint says in our schema, and finds out what its rows satisfy.

All in one transaction: parts and marks, rows of the parents, rows on trial, then every key, index
and check by itself; what the rows do not satisfy is left out and named. At its end the tables are
empty again, as they are between runs; the parents are filled anew for each run.
"""

from __future__ import annotations

import asyncpg

from monitor.canary import tables
from monitor.canary.connection import Driver, Session, translated
from monitor.canary.definition import STORAGE
from monitor.canary.identifiers import (
    definition_in,
    left_out_in,
    likeness_in,
    literal,
    part_mark,
    qualified,
    staging_name,
)
from monitor.errors import TargetRefused
from monitor.model import Notice
from monitor.source import Addition, Blueprint, Part

#: Classes of SQLSTATE that say something of the rows or the statement, not of the server.
_TELLING = ("0A", "21", "22", "23", "42")
#: Rows of one COPY on trial, and of the whole trial; and bytes at which it ends early.
_SLICE = 2_000
_TRIAL_ROWS = 20_000
_TRIAL_BYTES = 100 << 20


async def build(session: Session, blueprint: Blueprint) -> list[Notice]:
    """Build what is missing or was built from another blueprint.

    Call with the lock held, after ``tables.prepare``. Returns what to tell the user about it.
    Raises TargetRefused where rows like the source's cannot be inserted at all.
    """
    with translated(session.target):
        async with session.driver.transaction():
            left_out = await _left_out(session, blueprint)
            if left_out is None:
                left_out = await _build(session, blueprint)
    return _notices(blueprint, left_out)


async def fill(session: Session, blueprint: Blueprint) -> None:
    """Give the stand-ins of parents their rows for a run; at its end they are emptied with all."""
    with translated(session.target):
        await _fill(session.driver, session.target.schema, blueprint)


def names_of(blueprint: Blueprint) -> tuple[str, ...]:
    """The tables of a likeness: its own, its partitions, the stand-ins of its parents."""
    return tuple(part.name for part in blueprint.parts if part.kind == "table")


async def _left_out(session: Session, blueprint: Blueprint) -> tuple[str, ...] | None:
    """What is missing of a likeness that stands as it should; None where it has to be built."""
    found = await _existing(session, blueprint)
    marks = {row["name"]: row["mark"] for row in found}
    wanted = {part.name for part in blueprint.parts if part.kind in ("table", "type")}
    current = all(definition_in(mark) == blueprint.definition for mark in marks.values())
    if current and marks.keys() == wanted:
        return left_out_in(marks[blueprint.table])
    staging = staging_name(blueprint.table)  # its columns may be of types that go
    everything = await tables.marked(session.driver, session.target.schema)
    found += [row for row in everything if row["name"] == staging]
    await tables.drop(session.driver, session.target.schema, found)
    return None


async def _existing(session: Session, blueprint: Blueprint) -> list[asyncpg.Record]:
    """The marked parts of a likeness of this name; sequences belong to their table."""
    rows = await tables.marked(session.driver, session.target.schema)
    return [row for row in rows if likeness_in(row["mark"]) == blueprint.table]


async def _build(session: Session, blueprint: Blueprint) -> tuple[str, ...]:
    driver, schema = session.driver, session.target.schema
    # What a catalogue's words do not qualify is built in: nobody else's is taken for it.
    await driver.execute("SET LOCAL search_path = pg_catalog")
    try:
        for part in blueprint.parts:
            await _one_command(driver, part.statement.replace("{storage}", STORAGE))
            if part.kind != "step":
                mark = part_mark(part.kind, blueprint.definition, blueprint.table)
                await _mark(driver, schema, part, mark)
        await _fill(driver, schema, blueprint)
        await _try_rows(driver, schema, blueprint)
    except asyncpg.PostgresError as error:
        if not _telling(error):
            raise
        reason = str(error).splitlines()[0]
        raise TargetRefused(
            f"from_table {blueprint.table}: not to be made here: {reason}"
        ) from error
    left_out = [e for addition in blueprint.additions if (e := await _add(driver, addition))]
    mark = part_mark("table", blueprint.definition, blueprint.table, tuple(left_out))
    await _mark(driver, schema, Part("table", blueprint.table, ""), mark)
    await tables.empty_together(driver, schema, names_of(blueprint))
    return tuple(left_out)


async def _one_command(driver: Driver, statement: str) -> None:
    """Execute through the extended protocol, which takes one command only.

    Parts of it are another server's words.
    """
    await driver.fetch(statement)


async def _mark(driver: Driver, schema: str, part: Part, mark: str) -> None:
    name = qualified(schema, part.name)
    await driver.execute(f"COMMENT ON {part.kind.upper()} {name} IS {literal(mark)}")


async def _fill(driver: Driver, schema: str, blueprint: Blueprint) -> None:
    """Give the stand-ins of parents the rows that foreign keys will look for."""
    for filling in blueprint.fillings:
        name = qualified(schema, filling.table)
        if not await driver.fetchval(f"SELECT EXISTS (SELECT FROM ONLY {name})"):  # noqa: S608
            await driver.copy_records_to_table(
                filling.table, schema_name=schema, columns=filling.columns, records=filling.rows
            )
            await driver.execute(f"ANALYZE {name}")  # else each check may read all of it


async def _try_rows(driver: Driver, schema: str, blueprint: Blueprint) -> None:
    rows = min(blueprint.rows, _TRIAL_ROWS)
    for first in range(0, rows, _SLICE):
        last = min(first + _SLICE, rows)
        await driver.copy_records_to_table(
            blueprint.table,
            schema_name=schema,
            columns=blueprint.columns,
            records=[blueprint.row(n) for n in range(first, last)],
        )
        if await tables.bytes_of(driver, schema, blueprint.table) > _TRIAL_BYTES:
            return


async def _add(driver: Driver, addition: Addition) -> str:
    """Add a key, an index or a check; returns why it had to be left out, or nothing."""
    try:
        async with driver.transaction():  # a savepoint
            await _one_command(driver, addition.statement)
    except asyncpg.PostgresError as error:
        if not _telling(error):
            raise
        reason = str(error).splitlines()[0]
        violated = (error.sqlstate or "").startswith("23")
        return f"{addition.title} ({'rows made here do not satisfy it' if violated else reason})"
    return ""


def _telling(error: asyncpg.PostgresError) -> bool:
    return (error.sqlstate or "").startswith(_TELLING)


def _notices(blueprint: Blueprint, left_out: tuple[str, ...]) -> list[Notice]:
    notices = []
    missing = (*blueprint.not_copied, *left_out)
    if missing:
        text = f"{blueprint.table} is measured without: {', '.join(missing)}."
        notices.append(Notice("from_table", text))
    if blueprint.remarks:
        notices.append(Notice("from_table", f"{blueprint.table}: {'; '.join(blueprint.remarks)}."))
    if blueprint.guessed:
        notices.append(
            Notice(
                "from_table",
                f"{blueprint.table}: distinct counts, widths and null shares of its columns are"
                " guesses, since the server shows no statistics of it.",
                "Remedy: ANALYZE it; the server shows statistics to roles with SELECT on the table"
                " only, though no row of it is read.",
            )
        )
    return notices
