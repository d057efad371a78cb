"""What one READ ONLY transaction sees of a target: a question at a time, each in a savepoint.

A question that the server does not know or that the role may not ask leaves its fact unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter

import asyncpg

from monitor.canary import sql
from monitor.canary.checks.facts import (
    Checkpoints,
    EventTrigger,
    Identity,
    Replication,
    Role,
    Slot,
    Statements,
    Table,
    Vacuums,
    Wal,
)
from monitor.canary.checks.settings import Setting, Settings
from monitor.canary.connection import Driver, connect
from monitor.canary.guard import logging_reason, refuse_foreign_schema
from monitor.canary.identifiers import is_marked, qualified
from monitor.errors import TargetRefused
from monitor.model import Target

#: Seconds that the whole look may take before the connection is given up.
LOOK_SECONDS = 60.0
_READ_ONLY = (
    "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '2s';"
    " SET LOCAL statement_timeout = '5s'"
)


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[tuple[Driver, float]]:
    """A session that is given up after a while, and how many seconds opening it took."""
    started = perf_counter()
    driver = await connect(target, statement_cache=False)
    seconds = perf_counter() - started
    deadline = asyncio.get_running_loop().call_later(LOOK_SECONDS, driver.terminate)
    try:
        yield driver, seconds
    finally:
        deadline.cancel()
        driver.terminate()


@asynccontextmanager
async def read_only(driver: Driver) -> AsyncIterator[None]:
    """A READ ONLY transaction under timeouts; nothing that others put on the path is called."""
    async with driver.transaction(readonly=True):
        await driver.execute(_READ_ONLY)
        yield


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen, before it is put together with what takes time to see."""

    identity: Identity
    role: Role
    settings: Settings
    roles: Sequence[str]
    aurora: bool
    statements: Statements
    refused_schema: str | None
    read_only: bool
    publications: tuple[str, ...]
    logging: str | None
    extensions: dict[str, str]
    tables: tuple[Table, ...]
    event_triggers: tuple[EventTrigger, ...]
    checkpoints: Checkpoints | None
    wal: Wal | None
    vacuums: Vacuums | None
    replication: Replication


class Looks:
    """Questions inside an open READ ONLY transaction, each in a savepoint of its own."""

    def __init__(self, driver: Driver, target: Target) -> None:
        self._driver = driver
        self._target = target
        self._version = driver.get_server_version().major

    async def _fetch(
        self, question: str, *arguments: object, extension: str | None = None
    ) -> list[asyncpg.Record] | None:
        """The rows, or None where the server does not know or the role may not ask."""
        text = sql.load(question, self._version).replace("{extension_schema}", extension or "")
        return await self._rows(text, *arguments)

    async def _rows(self, text: str, *arguments: object) -> list[asyncpg.Record] | None:
        with suppress(asyncpg.PostgresError):
            async with self._driver.transaction():
                return await self._driver.fetch(text, *arguments)
        return None

    async def server(self) -> Look:
        """Everything that a transaction can see at once."""
        settings = await self.settings()
        extensions = {row["name"]: row for row in await self._fetch("extensions") or []}
        places = {name: str(row["schema"]) for name, row in extensions.items()}
        role = await self._role()
        platform = next(iter(await self._fetch("platform") or ()), None)
        read_only = settings.on("default_transaction_read_only") or False
        publications = await self._fetch("publications", self._target.schema) or []
        triggers = await self._fetch("event_triggers") or []
        return Look(
            identity=await self.identity(),
            role=role,
            settings=settings,
            roles=platform["roles"] if platform else (),
            aurora=bool(platform and platform["aurora"]),
            statements=await self._statements(places.get("pg_stat_statements"), settings),
            refused_schema=await self._refused_schema(role),
            read_only=read_only,
            publications=tuple(row["name"] for row in publications),
            logging=await self._logging(),
            extensions={name: row["version"] for name, row in extensions.items()},
            tables=await self._tables(places.get("pg_buffercache")),
            event_triggers=tuple(EventTrigger(row["name"], row["event"]) for row in triggers),
            checkpoints=await self._checkpoints(),
            wal=await self._wal(),
            vacuums=await self._vacuums(),
            replication=await self._replication(),
        )

    async def _role(self) -> Role:
        rows = await self._fetch("role")
        assert rows  # noqa: S101 - for mypy; a role sees itself
        return Role(**dict(rows[0]))

    async def settings(self) -> Settings:
        """Every setting that the role may see."""
        rows = await self._fetch("all_settings") or []
        return Settings({row["name"]: Setting(**dict(row)) for row in rows})

    async def identity(self) -> Identity:
        """Which server it is."""
        rows = await self._fetch("identity")
        if rows:
            return Identity(**dict(rows[0]))
        version = self._driver.get_server_version()
        return Identity(None, None, "?", f"{version.major}.{version.minor}", in_recovery=False)

    async def _statements(self, schema: str | None, settings: Settings) -> Statements:
        if schema is None:
            return Statements(None, "pg_stat_statements.max" in settings)
        try:
            async with self._driver.transaction():
                await self._driver.fetchval(
                    f"SELECT count(*) FROM {schema}.pg_stat_statements(false)"  # noqa: S608
                )
        except asyncpg.PostgresError:
            return Statements(schema, loaded=False)
        rows = await self._fetch("statement_entries", extension=schema)
        if not rows:
            return Statements(schema, loaded=True)
        return Statements(
            schema, True, rows[0]["entries"], rows[0]["evictions"], rows[0]["seconds"]
        )

    async def _refused_schema(self, role: Role) -> str | None:
        try:
            async with self._driver.transaction():
                await refuse_foreign_schema(
                    self._driver, self._target, role.may_create_schema, role.name
                )
        except TargetRefused as refusal:
            return str(refusal)
        return None

    async def _logging(self) -> str | None:
        rows = await self._fetch("logging") or []
        known = {row["name"]: row["value"] for row in rows if row["value"] is not None}
        return logging_reason(known)

    async def _tables(self, buffercache: str | None) -> tuple[Table, ...]:
        found = []
        for row in await self._fetch("our_tables", self._target.schema) or []:
            fields = dict(row)
            mark, fields["triggers"] = fields.pop("mark"), tuple(fields["triggers"])
            cached = await self._cached(fields, buffercache)
            found.append(Table(ours=is_marked(mark), cached_pages=cached, **fields))
        return tuple(found)

    async def _cached(self, table: dict[str, object], buffercache: str | None) -> int | None:
        if buffercache is None or not table["pages"]:
            return None
        name = qualified(self._target.schema, str(table["name"]))
        rows = await self._fetch("cached_pages", name, extension=buffercache)
        return rows[0]["pages"] if rows else None

    async def _checkpoints(self) -> Checkpoints | None:
        rows = await self._fetch("checkpoints")
        return Checkpoints(**dict(rows[0])) if rows else None

    async def _wal(self) -> Wal | None:
        rows = await self._fetch("wal_written")
        return Wal(**dict(rows[0])) if rows else None

    async def _vacuums(self) -> Vacuums | None:
        rows = await self._fetch("vacuums", self._target.schema)
        return Vacuums(**dict(rows[0])) if rows else None

    async def _replication(self) -> Replication:
        standbys, archiver = await self._fetch("standbys"), await self._fetch("archiver")
        slots = await self._fetch("slots") or []
        return Replication(
            streaming=standbys[0]["streaming"] if standbys else None,
            synchronous=standbys[0]["synchronous"] if standbys else None,
            slots=tuple(Slot(**dict(row)) for row in slots),
            archived=archiver[0]["archived"] if archiver else None,
            archive_failures=archiver[0]["failed"] if archiver else None,
            archive_failing=bool(archiver and archiver[0]["failing"]),
            archive_failed_file=archiver[0]["failed_file"] if archiver else "",
        )
