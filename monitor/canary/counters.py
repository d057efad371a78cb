"""What the server counted: work of our statements, and what else went on meanwhile.

Everything is a difference of two snapshots; nothing is ever reset, since counters are shared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import asyncpg

from monitor.canary import sql
from monitor.canary.connection import Driver, Session, connect, translated
from monitor.canary.identifiers import qualified, quote
from monitor.model import Notice, Target

_WAL_POSITION = "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')"
_PRELOAD = "add pg_stat_statements to shared_preload_libraries and restart the server"


@dataclass(frozen=True, slots=True)
class Work:
    """What statements did, summed: calls, rows, execution seconds, WAL and shared blocks."""

    calls: int = 0
    rows: int = 0
    seconds: float = 0.0
    wal_bytes: int = 0
    wal_records: int = 0
    wal_fpi: int = 0
    shared_blks_hit: int = 0
    shared_blks_read: int = 0
    shared_blks_dirtied: int = 0

    def __add__(self, other: Work) -> Work:
        return _combine(self, other, 1)

    def __sub__(self, other: Work) -> Work:
        return _combine(self, other, -1)


def _combine(one: Work, other: Work, sign: int) -> Work:
    return Work(
        *(getattr(one, item.name) + sign * getattr(other, item.name) for item in fields(Work))
    )


Snapshot = Mapping[int, Work]


@dataclass(frozen=True, slots=True)
class Statement:
    """An entry of pg_stat_statements: its text as the server keeps it, and what it did."""

    query_id: int
    text: str
    work: Work


@dataclass(frozen=True, slots=True)
class Extension:
    """Where pg_stat_statements is, and whose entries are ours."""

    schema: str
    role: int
    database: int
    counts_copy: bool


class StatementCounters:
    """pg_stat_statements' entries of our statements, told from others by the table they name.

    Only this session writes to our schema while it holds the lock, so entries of our role that
    insert into our tables are ours.
    """

    def __init__(self, session: Session, extension: Extension) -> None:
        self._session = session
        self._extension = extension
        self._text_of: dict[int, str] = {}

    @property
    def complete(self) -> bool:
        """Whether every way to insert is counted, COPY included."""
        return self._extension.counts_copy

    async def snapshot(self) -> Snapshot:
        """Work so far by query id, of all top-level statements of our role here."""
        rows = await self._fetch("statements")
        return {row["queryid"]: Work(*list(row.values())[1:]) for row in rows}

    async def work_between(self, before: Snapshot, after: Snapshot, *tables: str) -> Work:
        """What statements that write to tables of ours (default: any) did between two snapshots."""
        found = await self.statements_between(before, after, *tables)
        return sum((statement.work for statement in found), Work())

    async def statements_between(
        self, before: Snapshot, after: Snapshot, *tables: str
    ) -> list[Statement]:
        """The statements that wrote to tables of ours (default: any) between two snapshots.

        Counters that went backwards (entry evicted or reset meanwhile) count from zero.
        """
        changed = {
            queryid: _increase(before.get(queryid), work)
            for queryid, work in after.items()
            if work != before.get(queryid)
        }
        texts = await self._texts(list(changed))
        schema = self._session.target.schema
        names = [qualified(schema, table) for table in tables] or [f"{quote(schema)}."]
        return [
            Statement(queryid, texts[queryid], work)
            for queryid, work in changed.items()
            if _writes_to(texts[queryid], names)
        ]

    async def _texts(self, queryids: Sequence[int]) -> Mapping[int, str]:
        unknown = [queryid for queryid in queryids if queryid not in self._text_of]
        if unknown:
            rows = await self._fetch("statement_texts", unknown)
            self._text_of |= {row["queryid"]: row["query"] for row in rows}
        return {queryid: self._text_of.get(queryid, "") for queryid in queryids}

    async def _fetch(self, question: str, *arguments: object) -> list[asyncpg.Record]:
        text = sql.load(question).replace("{extension_schema}", self._extension.schema)
        ids = (self._extension.role, self._extension.database)
        with translated(self._session.target):
            return await self._session.driver.fetch(text, *ids, *arguments)


def _increase(before: Work | None, after: Work) -> Work:
    return after if before is None or after.calls < before.calls else after - before


def _writes_to(text: str, names: Sequence[str]) -> bool:
    writing = text.lstrip()[:6].upper() in ("INSERT", 'COPY "', "UPDATE", "DELETE", "MERGE ")
    return writing and any(name in text for name in names)


async def statement_counters(session: Session) -> tuple[StatementCounters | None, list[Notice]]:
    """The counters of this session's server, or None; and what to tell the user about them."""
    with translated(session.target):
        row = await session.driver.fetchrow(sql.load("statistics_extension"))
        assert row is not None  # noqa: S101 - for mypy; the query always gives a row
        facts = dict(row)
        missing = await _why_missing(session.driver, facts)
    if missing:
        return None, [missing]
    partial = _partial(facts)
    extension = Extension(
        facts["extension_schema"], facts["role_oid"], facts["database_oid"], not partial
    )
    return StatementCounters(session, extension), partial


async def _why_missing(driver: Driver, row: Mapping[str, object]) -> Notice | None:
    subject = "pg_stat_statements"
    consequence = "so server time, calls, WAL and buffers of the inserts are unknown."
    if row["extension_schema"] is None:
        return Notice(
            subject,
            f"pg_stat_statements is not installed in this database, {consequence}",
            f"Remedy: CREATE EXTENSION pg_stat_statements (and {_PRELOAD} if it is not there yet).",
        )
    try:
        await driver.fetchval(
            f"SELECT count(*) FROM {row['extension_schema']}.pg_stat_statements(false)"  # noqa: S608
        )
    except asyncpg.ObjectNotInPrerequisiteStateError:
        return Notice(
            subject,
            f"pg_stat_statements is not preloaded, {consequence}",
            f"Remedy: {_PRELOAD}.",
        )
    if row["track"] == "none" or row["compute_query_id"] == "off":
        return Notice(
            subject,
            f"pg_stat_statements counts nothing here, {consequence}",
            "Remedy: pg_stat_statements.track = top and compute_query_id = auto.",
        )
    return None


def _partial(row: Mapping[str, object]) -> list[Notice]:
    if row["track_utility"] != "off":
        return []
    return [
        Notice(
            "track_utility",
            "pg_stat_statements does not count utility statements, so the server clock of COPY is"
            " unknown.",
            "Remedy: pg_stat_statements.track_utility = on.",
        )
    ]


@dataclass(frozen=True, slots=True)
class Activity:
    """What else the server did, as of one moment; positions are bytes of WAL.

    ``other_sessions`` is None where the role may not see other sessions' states.
    """

    wal_position: int
    redo_position: int
    checkpoints: int
    autovacuums: int
    vacuums_running: int
    other_sessions: int | None


async def activity(
    session: Session, tables: Sequence[int], companions: Sequence[int] = ()
) -> Activity:
    """The server's activity now; ``tables`` are the oids of ours.

    ``companions`` are backends of ours besides the session's, which are no strangers.
    """
    with translated(session.target):
        row = await session.driver.fetchrow(
            sql.load("activity", session.version), list(tables), list(companions)
        )
    assert row is not None  # noqa: S101 - for mypy; the query always gives a row
    return Activity(
        int(row["wal_position"]),
        int(row["redo_position"]),
        row["checkpoints"],
        row["autovacuums"],
        row["vacuums_running"],
        row["other_sessions"],
    )


async def wal_position(target: Target) -> int:
    """The server's position in WAL now, asked on a short connection of its own."""
    with translated(target):
        async with asyncio.timeout(target.connect_seconds):
            driver = await connect(target)
            try:
                return int(await driver.fetchval(_WAL_POSITION))
            finally:
                driver.terminate()


async def table_oids(session: Session, names: Sequence[str]) -> dict[str, int]:
    """Oids of our tables by name; those that are not there are left out."""
    schema = session.target.schema
    with translated(session.target):
        found = {
            name: await session.driver.fetchval(
                "SELECT pg_catalog.to_regclass($1)::oid", qualified(schema, name)
            )
            for name in names
        }
    return {name: oid for name, oid in found.items() if oid is not None}
