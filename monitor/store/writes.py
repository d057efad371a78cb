"""Write transactions that others hardly notice: short, timed, and apart from each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.store.database import Database


class ShortWrites:
    """The write transactions of one piece of upkeep, the longest of which is remembered.

    ``longest_seconds`` is how long that one was open: the longest wait it can cause a writer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.longest_seconds = 0.0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is committed at the block's end. Raises StoreUnavailable."""
        async with self._database.writing() as connection:
            started = perf_counter()
            yield connection
        await self.ended(started)

    async def ended(self, started: float) -> None:
        """Time a write that began at ``started`` by ``perf_counter``, and make room for others."""
        seconds = perf_counter() - started
        self.longest_seconds = max(self.longest_seconds, seconds)
        if self._database.schema is None:
            # Who waits for SQLite's write lock asks for it now and then instead of queueing for
            # it, and must find it free every other time.
            await asyncio.sleep(seconds)
