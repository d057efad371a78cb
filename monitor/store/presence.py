"""Which replicas live: each holds an advisory lock of its own in the store while it does.

The lock goes with its session: at once when the process ends, and when the process is stopped or
cut off as soon as the server misses the signs of life that keep the session from timing out.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from hashlib import blake2b

import asyncpg

from monitor.config.dsn import for_asyncpg
from monitor.store.database import Database, Location

log = logging.getLogger(__name__)

#: Seconds between two signs of life, and without one until the server ends the session.
_BEAT_SECONDS = 5.0
_TIMEOUT_SECONDS = 20
#: The session is lost; by the last, just now: the server has ended one whose process was stopped.
_LOST = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
    asyncpg.InternalClientError,
)
_LOCKS = """
SELECT count(*) FROM pg_catalog.pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND classid::pg_catalog.int8 = {high} AND objid::pg_catalog.int8 = {low}
"""


async def stay_present(location: Location, name: str) -> None:
    """Show until cancelled that a replica lives. A store that is down is tried again."""
    assert location.url is not None  # noqa: S101 - for mypy; SQLite has no replicas
    while True:
        with suppress(*_LOST):
            driver = await asyncpg.connect(
                for_asyncpg(location.url),
                timeout=location.timeout_seconds,
                command_timeout=location.timeout_seconds,
                statement_cache_size=0,
                server_settings={"application_name": "ingest-canary replica"},
            )
            try:
                await _hold(driver, _key(location.schema, name))
            finally:
                driver.terminate()
        await asyncio.sleep(_BEAT_SECONDS)


async def _hold(driver: asyncpg.Connection[asyncpg.Record], key: int) -> None:
    with suppress(asyncpg.UndefinedObjectError):  # before PostgreSQL 14
        await driver.execute(f"SET idle_session_timeout = '{_TIMEOUT_SECONDS}s'")
    # Shared: two replicas of one name are a mistake, but one that waits here would be another.
    await driver.execute("SELECT pg_catalog.pg_advisory_lock_shared($1)", key)
    while True:
        await asyncio.sleep(_BEAT_SECONDS)
        await driver.execute("SELECT 1")


async def is_present(database: Database, name: str) -> bool:
    """Whether a replica lives, as the store sees it. Raises StoreUnavailable."""
    key = _key(database.location.schema, name)
    statement = _LOCKS.format(high=(key >> 32) & 0xFFFFFFFF, low=key & 0xFFFFFFFF)
    async with database.reading() as connection:
        return bool((await connection.exec_driver_sql(statement)).scalar())


def _key(schema: str, name: str) -> int:
    digest = blake2b(f"ingest-canary replica:{schema}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
