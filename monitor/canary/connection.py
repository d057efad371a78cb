"""Sessions on a canary: opened bounded, closed bounded, their errors translated.

``Canary`` holds what lives as long as the process (SQLAlchemy's engine with its compiled
statements); a ``Session`` is one connection, seen through SQLAlchemy and through asyncpg.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm.exc import FlushError
from sqlalchemy.pool import NullPool

from monitor.canary.identifiers import PRODUCT
from monitor.config.dsn import for_asyncpg, secrets_of
from monitor.errors import (
    AuthenticationFailed,
    RoundTimeout,
    RowsMissing,
    ServerError,
    TargetError,
    TargetUnavailable,
)
from monitor.model import Target

Driver: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

#: Seconds that closing a session may take before its socket is dropped: asyncpg's close can hang.
CLOSE_SECONDS = 2.0

#: Seconds after which the server ends a session of ours that does nothing, and with it its lock.
_IDLE_SECONDS = 60
#: The server ends a session of ours that was left behind: by a dead client, a stopped one, or one
#: behind a dead network. Milliseconds where no unit stands. Set after the connection is made,
#: since poolers refuse most settings in the start-up message.
BOUNDS: Mapping[str, str] = {
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": f"{_IDLE_SECONDS}s",
    "idle_session_timeout": f"{_IDLE_SECONDS}s",
    "client_connection_check_interval": "1s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30s",
}

_AUTHENTICATION = (
    asyncpg.InvalidPasswordError,
    asyncpg.InvalidAuthorizationSpecificationError,
)
#: What asyncpg raises on a connection that is lost, or is being lost just now: the last is what a
#: session meets whose end the server has told, to a process that was stopped, say.
LOST = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InterfaceError,
)


@dataclass(frozen=True, slots=True)
class Session:
    """One connection to a target, in two views of the same backend."""

    target: Target
    connection: AsyncConnection
    driver: Driver

    @property
    def version(self) -> int:
        """The server's major version."""
        return self.driver.get_server_version().major

    @property
    def alive(self) -> bool:
        return not self.driver.is_closed()


@dataclass(frozen=True, slots=True)
class _Kept:
    """A session that waits for the next run, until the loop's clock says so."""

    session: Session
    until: float


class Canary:
    """A target as the process knows it; ``dispose`` it at the end."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._kept: _Kept | None = None
        self._engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://", creator=self._create, poolclass=NullPool
        )

    def _create(self) -> Any:
        """What ``async_creator`` does, which takes no size for SQLAlchemy's statement cache."""
        return self._engine.sync_engine.dialect.dbapi.connect(  # type: ignore[union-attr]
            async_creator_fn=self._connect,
            prepared_statement_cache_size=self.target.connect.prepared_statement_cache_size,
        )

    async def _connect(self) -> Driver:
        return await connect(self.target)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Open a bounded session; however it ends, the backend is gone or told to go soon after.

        Where the target keeps its session, one that ended well waits for the next run instead.
        Raises TargetUnavailable or AuthenticationFailed when it cannot be opened.
        """
        session = await self._take_kept() or await self._open()
        keep = False
        try:
            yield session
            keep = self.target.connect.keep
        finally:
            if not (keep and await self._lay_by(session)):
                await _close(session.connection, session.driver)

    async def _open(self) -> Session:
        with translated(self.target):
            connection = await self._engine.connect()
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None  # noqa: S101 - for mypy; a fresh connection has one
        try:
            with translated(self.target):
                await apply_bounds(driver)
                if self.target.connect.keep:
                    await _outlast(driver, self.target.connect.recycle_seconds)
        except BaseException:
            await _close(connection, driver)
            raise
        return Session(self.target, connection, driver)

    async def _take_kept(self) -> Session | None:
        """The session of the run before, if it is young enough and still answers."""
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        young = asyncio.get_running_loop().time() < kept.until
        if young and kept.session.alive and await _answers(kept.session.driver, "SELECT 1"):
            return kept.session
        await _close(kept.session.connection, kept.session.driver)
        return None

    async def _lay_by(self, session: Session) -> bool:
        """Keep the session for the next run; no, if it may still hold a transaction or a lock."""
        if not session.alive or session.connection.in_transaction():
            return False
        if not await _answers(session.driver, "SELECT pg_catalog.pg_advisory_unlock_all()"):
            return False
        seconds = self.target.connect.recycle_seconds
        self._kept = _Kept(session, asyncio.get_running_loop().time() + seconds)
        return True

    async def dispose(self) -> None:
        """Forget the engine and what is kept; other sessions are closed by their own blocks."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await _close(kept.session.connection, kept.session.driver)
        await self._engine.dispose()


async def _answers(driver: Driver, statement: str) -> bool:
    """Whether a statement comes back within a moment and without an error."""
    with suppress(*LOST):
        async with asyncio.timeout(CLOSE_SECONDS):
            await driver.execute(statement)
            return True
    return False


async def _outlast(driver: Driver, seconds: float) -> None:
    """Let the server end the session when it was idle for as long as it may be kept."""
    await driver.execute(
        "SELECT pg_catalog.set_config('idle_session_timeout', $1, false)", f"{seconds * 1000:.0f}"
    )


async def connect(target: Target, *, statement_cache: bool = True) -> Driver:
    """A bare asyncpg connection named ``ingest-canary``, opened as the target's settings say.

    ``command_timeout`` is unset or longer than a round may take: a shorter one would end long
    inserts. Without a statement cache nothing is left behind in a pooled backend.
    """
    like = target.connect
    driver: Driver = await asyncpg.connect(
        for_asyncpg(target.dsn),
        timeout=target.connect_seconds,
        command_timeout=like.command_seconds,
        statement_cache_size=like.statement_cache_size if statement_cache else 0,
        server_settings={**dict(like.server_settings), "application_name": PRODUCT},
    )
    _keep_alive(driver)
    return driver


async def apply_bounds(driver: Driver) -> None:
    """Set the session bounds; one that this server's platform cannot do is left out."""
    for name, value in BOUNDS.items():
        with suppress(asyncpg.InvalidParameterValueError, asyncpg.UndefinedObjectError):
            await driver.execute("SELECT pg_catalog.set_config($1, $2, false)", name, value)
    # Nobody's functions shadow the server's; types of extensions are still found, for plug-ins.
    path = await driver.fetchval("SELECT pg_catalog.current_setting('search_path')")
    pinned = f"pg_catalog, {path}" if path else "pg_catalog"
    await driver.execute("SELECT pg_catalog.set_config('search_path', $1, false)", pinned)


async def bound_statements(session: Session, seconds: float) -> None:
    """Let the server end every statement of the session that takes longer.

    Who gives a round more time also makes more rows between two statements: so long the server
    keeps a session that does nothing.
    """
    bounds = {"statement_timeout": seconds}
    if seconds > _IDLE_SECONDS and not session.target.connect.keep:
        bounds["idle_session_timeout"] = seconds
    with translated(session.target):
        for name, value in bounds.items():
            await session.driver.execute(
                "SELECT pg_catalog.set_config($1, $2, false)", name, f"{value * 1000:.0f}"
            )


def _keep_alive(driver: Driver) -> None:
    """Our own end of the same: a black-holed connection is noticed, not waited on for hours."""
    transport = driver._transport  # type: ignore[attr-defined]  # asyncpg offers no public way
    peer = transport.get_extra_info("socket")
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", 15),
        ("TCP_KEEPINTVL", 5),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 30_000),
    ):
        if hasattr(socket, option):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


async def _close(connection: AsyncConnection, driver: Driver) -> None:
    """Close politely for a moment, then drop the socket; the server ends the backend by itself.

    Not through SQLAlchemy, which logs a traceback where the network is dead: it hears afterwards.
    """
    closing = asyncio.ensure_future(_close_politely(driver))
    try:
        await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    finally:
        closing.cancel()
        if not driver.is_closed():
            driver.terminate()
        with suppress(Exception):
            await connection.invalidate()
            await connection.close()


async def _close_politely(driver: Driver) -> None:
    with suppress(Exception):
        await driver.close()


async def round_trips(target: Target, count: int = 5) -> float:
    """Seconds of the fastest of ``count`` SELECT 1 on a short connection of its own."""
    with translated(target):
        async with asyncio.timeout(target.connect_seconds):
            driver = await connect(target)
            try:
                return min([await _round_trip(driver) for _ in range(count)])
            finally:
                driver.terminate()


async def _round_trip(driver: Driver) -> float:
    clock = asyncio.get_running_loop().time
    started = clock()
    await driver.execute("SELECT 1")
    return clock() - started


@contextmanager
def translated(target: Target) -> Iterator[None]:
    """Turn what asyncpg, SQLAlchemy and the system raise into a ``TargetError`` for the target."""
    try:
        yield
    except Exception as error:
        known = translate(error, target)
        if known is None or known is error:
            raise
        raise known from error


def translate(error: Exception, target: Target) -> TargetError | None:
    """The domain's word for an error, or None for a bug of ours, which should be seen as one."""
    if isinstance(error, TargetError):
        return error
    if isinstance(error, DBAPIError) and error.orig is not None:
        cause = error.orig.__cause__
        error = cause if isinstance(cause, Exception) else error
    text = _sentence(error, target)
    if isinstance(error, _AUTHENTICATION):
        return AuthenticationFailed(text)
    if isinstance(error, asyncpg.QueryCanceledError):
        return RoundTimeout(text)
    if isinstance(error, _UNAVAILABLE):
        return TargetUnavailable(text)
    if isinstance(error, FlushError):  # the unit of work counts the rows that came back
        return RowsMissing(text)
    if isinstance(error, asyncpg.PostgresError | DBAPIError | asyncpg.InternalClientError):
        return ServerError(text)
    return None


def _patience(target: Target) -> str:
    command = target.connect.command_seconds
    connect_seconds = f"{target.connect_seconds:g} s"
    return (
        connect_seconds if command is None else f"{connect_seconds} (or {command:g} s, a command)"
    )


def _sentence(error: Exception, target: Target) -> str:
    text = (str(error).splitlines() or [""])[0] or type(error).__name__
    if isinstance(error, TimeoutError):
        text = f"no answer within {_patience(target)}"
    for secret in secrets_of(target.dsn):
        text = text.replace(secret, "***")
    code = getattr(error, "sqlstate", None)
    return f"{text} (SQLSTATE {code})" if code else text
