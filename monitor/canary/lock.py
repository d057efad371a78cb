"""One run at a time per target: a session advisory lock on the connection that inserts.

Connection lost is lock lost is work lost. A lock on a connection of its own would exclude nothing:
after kill -9 it would be free at once while the dead run's last statement still went on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from monitor.canary import sql
from monitor.canary.connection import LOST, Driver, Session, translated
from monitor.canary.identifiers import PRODUCT
from monitor.errors import LockHeld

#: Seconds between two tries for a lock that somebody else holds.
RETRY_SECONDS = 0.25
#: Seconds that giving the lock back may take.
UNLOCK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that holds a target's lock, as far as the server tells us."""

    pid: int
    role: str
    application: str
    address: str
    since: datetime | None

    def __str__(self) -> str:
        since = f", connected since {self.since:%H:%M:%S} UTC" if self.since else ""
        name = self.application or "a session"
        return f"{name} (backend {self.pid}, role {self.role}, from {self.address}{since})"


def lock_key(schema: str) -> int:
    """The advisory lock's signed 64-bit key: by product and schema, so installations share it."""
    digest = blake2b(f"{PRODUCT}:{schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@asynccontextmanager
async def exclusive(session: Session, wait_seconds: float = 0.0) -> AsyncIterator[None]:
    """Hold the target's lock on this very session.

    Raises LockHeld naming the holder when the lock is not free within ``wait_seconds``.
    """
    key = lock_key(session.target.schema)
    with translated(session.target):
        await _acquire(session.driver, session.target.schema, key, wait_seconds)
    try:
        yield
    finally:
        if session.alive:
            # Closing the session frees the lock too; this only frees it a moment earlier.
            with suppress(*LOST):
                async with asyncio.timeout(UNLOCK_SECONDS):
                    await session.driver.execute("SELECT pg_catalog.pg_advisory_unlock($1)", key)


async def _acquire(driver: Driver, schema: str, key: int, wait_seconds: float) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait_seconds
    while not await driver.fetchval("SELECT pg_catalog.pg_try_advisory_lock($1)", key):
        if clock() >= deadline:
            holder = await find_holder(driver, key)
            raise LockHeld(
                f"another run holds the lock of schema {schema}: {holder or 'it just ended'};"
                " wait for it to end."
            )
        await asyncio.sleep(RETRY_SECONDS)


async def find_holder(driver: Driver, key: int) -> Holder | None:
    """Who holds the lock, or None if nobody does."""
    high, low = (key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF
    row = await driver.fetchrow(sql.load("lock_holder"), high, low)
    if row is None:
        return None
    return Holder(row["pid"], row["role"], row["application"], row["address"], row["backend_start"])
