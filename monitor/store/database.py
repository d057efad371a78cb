"""One store on one engine: connections, bulk writes, and its errors in the domain's words.

Both engines are used through SQLAlchemy; samples go in and out by the driver itself, COPY and
prepared fetches on PostgreSQL, ``executemany`` and one fetch on SQLite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import aiosqlite
import asyncpg
from sqlalchemy import Connection, Table, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from monitor.config.dsn import for_asyncpg, secrets_of
from monitor.errors import StoreConflict, StoreError, StoreRejected, StoreUnavailable
from monitor.store.tables import instant, microseconds

Kind = Literal["sqlite", "postgresql", "timescaledb"]

#: "icny": what SQLite keeps in the header of a file that is ours.
APPLICATION_ID = 0x69636E79

#: Execution option of connections that only read: SQLite's write lock is not for them.
_READ_ONLY = "ingest_canary_read_only"

#: A connection older than this is replaced before it is used: asking whether it still lives would
#: cost every read three round trips.
_OLD_SECONDS = 30

#: Errors that say what was sent is wrong, now and for ever.
_REJECTED = (asyncpg.DataError, sqlite3.DataError, OverflowError, UnicodeError)
_CONFLICT = (asyncpg.IntegrityConstraintViolationError, sqlite3.IntegrityError)
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    sqlite3.DatabaseError,
    DBAPIError,
)


@dataclass(frozen=True, slots=True)
class Location:
    """Where the store is: a SQLite file, or with ``url`` a schema of a PostgreSQL database."""

    path: Path
    url: str | None = field(default=None, repr=False)
    schema: str = "ingest_canary_store"
    timeout_seconds: float = 10.0

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        return "sqlite" if self.url is None else "postgresql"

    def __str__(self) -> str:
        return str(self.path) if self.url is None else f"schema {self.schema}"


class Database:
    """A store as one process uses it; ``dispose`` it at the end. Making one does no I/O."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self.dialect = location.dialect
        #: None on SQLite, which has no schemas.
        self.schema = location.schema if location.url else None
        engine = _postgresql(location) if location.url else _sqlite(location)
        self._engine = engine.execution_options(schema_translate_map={None: self.schema})
        options = {"isolation_level": "AUTOCOMMIT"} if location.url else {_READ_ONLY: True}
        self._reader = self._engine.execution_options(**options)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose every statement stands for itself. Raises StoreUnavailable."""
        with self.translated():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the block's end. Raises StoreUnavailable."""
        with self.translated():
            async with self._engine.begin() as connection:
                if self.schema:
                    # Opens the transaction: before a first statement, what goes by the driver
                    # itself would run outside it.
                    await connection.exec_driver_sql("SELECT 1")
                yield connection

    def driver_time(self, at: datetime) -> datetime | int:
        """A moment as the driver takes and gives it."""
        return at if self.schema else microseconds(at)

    def moment(self, value: Any) -> datetime:
        """The moment that a driver's value means."""
        return value if isinstance(value, datetime) else instant(value)

    async def insert(
        self,
        connection: AsyncConnection,
        table: Table,
        rows: Sequence[tuple[Any, ...]],
        columns: Sequence[str] = (),
    ) -> None:
        """Insert many rows by the driver's fastest way; ``columns`` default to all in their order.

        Moments must be as the driver takes them (see ``driver_time``), JSON as text. Only in a
        transaction by ``writing``.
        """
        if not rows:
            return
        driver = await _driver(connection)
        names = columns or [column.name for column in table.columns]
        if isinstance(driver, aiosqlite.Connection):
            listed, marks = ", ".join(map(quoted, names)), ", ".join("?" * len(names))
            await driver.executemany(
                f"INSERT INTO {quoted(table.name)} ({listed}) VALUES ({marks})",  # noqa: S608
                rows,
            )
            return
        await driver.copy_records_to_table(
            table.name, schema_name=self.schema, columns=names, records=rows
        )

    async def execute_many(
        self, connection: AsyncConnection, statement: str, rows: Sequence[tuple[Any, ...]]
    ) -> None:
        """Run a driver's own statement once a row; parameters are ``$1`` … on both engines."""
        driver = await _driver(connection)
        if isinstance(driver, aiosqlite.Connection):
            statement = statement.replace("$", "?")
        if rows:
            await driver.executemany(statement, rows)

    async def fetch(
        self, connection: AsyncConnection, statement: str, *values: Any
    ) -> Sequence[Sequence[Any]]:
        """Rows of a driver's own statement; parameters are ``$1`` … on both engines."""
        driver = await _driver(connection)
        if isinstance(driver, aiosqlite.Connection):
            return list(await driver.execute_fetchall(statement.replace("$", "?"), values))
        return await driver.fetch(statement, *values)  # type: ignore[no-any-return]

    def name_of(self, table: Table | str) -> str:
        """A table's name as SQL text: qualified and quoted."""
        name = table if isinstance(table, str) else table.name
        prefix = f"{quoted(self.schema)}." if self.schema else ""
        return prefix + quoted(name)

    async def dispose(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn what drivers and the system raise into a ``StoreError``; bugs of ours pass."""
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            cause = _cause(error)
            if isinstance(cause, _CONFLICT):
                raise StoreConflict(self._sentence(cause)) from error
            if isinstance(cause, _REJECTED):
                raise StoreRejected(self._sentence(cause)) from error
            if isinstance(cause, _UNAVAILABLE):
                raise StoreUnavailable(self._sentence(cause)) from error
            raise

    def _sentence(self, error: BaseException) -> str:
        text = (str(error).splitlines() or [""])[0] or type(error).__name__
        if isinstance(error, TimeoutError):
            text = f"no answer within {self.location.timeout_seconds:g} s"
        for secret in secrets_of(self.location.url or ""):
            text = text.replace(secret, "***")
        code = getattr(error, "sqlstate", None)
        return f"store ({self.location}): {text}" + (f" (SQLSTATE {code})" if code else "")


def quoted(name: str) -> str:
    """An identifier for SQL text."""
    return '"' + name.replace('"', '""') + '"'


async def _driver(connection: AsyncConnection) -> Any:
    raw = await connection.get_raw_connection()
    return raw.driver_connection


def _cause(error: Exception) -> BaseException:
    """The driver's error below SQLAlchemy's."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


# --- engines -------------------------------------------------------------------------------------


def _sqlite(location: Location) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{location.path}",
        connect_args={"timeout": location.timeout_seconds},
        pool_reset_on_return=None,  # nothing is left open; asking costs a turn of the thread
    )
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_immediately)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # we begin ourselves
    cursor = connection.cursor()
    of_file = (
        "auto_vacuum = INCREMENTAL",  # heeded by a file that has no tables yet
        "journal_mode = WAL",
    )
    for pragma in (
        *(of_file if _may_be_ours(cursor) else ()),
        "synchronous = FULL",  # what was kept stays kept when the power fails
        "foreign_keys = ON",
        "cache_size = -8000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _may_be_ours(cursor: DBAPICursor) -> bool:
    """Whether a file is empty or marked as ours; another's is not changed by opening it."""
    cursor.execute("SELECT a.application_id, count(m.name) FROM pragma_application_id AS a"
                   " LEFT JOIN sqlite_master AS m")  # fmt: skip
    return any(found == APPLICATION_ID or not tables for found, tables in cursor.fetchall())


def _begin_immediately(connection: Connection) -> None:
    """Take SQLite's write lock at once: one that is upgraded later can fail without waiting."""
    read_only = connection.get_execution_options().get(_READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


#: What is committed shall survive the server's crash, whatever is usual there.
_LASTING_COMMITS = (
    "SELECT pg_catalog.set_config('synchronous_commit', 'local', false)"
    " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
)


def _postgresql(location: Location) -> AsyncEngine:
    async def connect() -> Any:
        driver = await asyncpg.connect(
            for_asyncpg(location.url or ""),
            timeout=location.timeout_seconds,
            command_timeout=location.timeout_seconds,
            server_settings={"application_name": "ingest-canary store"},
        )
        # What we leave behind or wait for in vain, the server ends. Not at start-up: poolers
        # refuse most settings there.
        for name in ("lock_timeout", "idle_in_transaction_session_timeout"):
            milliseconds = f"{location.timeout_seconds * 1000:.0f}"
            await driver.execute("SELECT pg_catalog.set_config($1, $2, false)", name, milliseconds)
        await driver.execute(_LASTING_COMMITS)
        return driver

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=2,
        pool_recycle=_OLD_SECONDS,
        pool_reset_on_return=None,  # nothing is left open; asking costs a round trip
    )
