"""Takes every run and loses none: into the store, else onto disk, else into memory.

What ``append`` was given when it returned is kept: committed, or synced to the spool, or, with the
disk full or gone too, in memory up to a bound. What waits is brought in when the store is back,
once each: the store knows a run by its id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import RLock
from time import monotonic
from typing import TypeVar

from sqlalchemy import select

from monitor.errors import StoreError, StoreRejected, StoreUnavailable
from monitor.judgement import Judgement
from monitor.model import Run
from monitor.store.append import Appender
from monitor.store.control import Request, acceptances, last_pause
from monitor.store.database import Database, Kind
from monitor.store.read import state_after
from monitor.store.records import RunRecord, record_of
from monitor.store.retention import Policy, prune
from monitor.store.schema import open_store
from monitor.store.size import size_bytes
from monitor.store.spool import Spool, Waiting

log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

#: Seconds between two attempts at a store that is down: doubled from the first to the last.
_RETRY_SECONDS = (2.0, 60.0)
#: Runs that are brought in by one transaction.
_BATCH = 50
#: The store's own timeouts times this bound what one attempt may take.
_PATIENCE = 3.0


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How the store fares; counts are since the process started, None is not known yet."""

    samples: int
    errors: int
    dropped_samples: int
    spooled_samples: int
    size_bytes: int | None
    write_seconds: float | None


class Recorder:
    """The way into one store for one process. ``start`` it first, ``close`` it at the end."""

    def __init__(
        self, database: Database, spool: Spool, policy: Policy, memory_max_runs: int
    ) -> None:
        self.database = database
        self._spool = spool
        self._policy = policy
        self._memory: deque[RunRecord] = deque()
        self._memory_max_runs = memory_max_runs
        self._appender = Appender(database)
        self._kind: Kind | None = None
        self._writing = asyncio.Lock()
        #: Held by threads: one whose task was cancelled still keeps its run.
        self._keeping = RLock()
        #: Spooled runs that are in the store, or put aside, and could not be removed.
        self._done: set[Waiting] = set()
        self._retry_at = 0.0
        self._retry_seconds = _RETRY_SECONDS[0]
        self._samples = self._errors = self._dropped = self._spooled = 0
        self._size: int | None = None
        self._write_seconds: float | None = None

    async def start(self) -> bool:
        """Open the store, creating it where there is none; False if it is down for now.

        Raises StoreRefused for what is not ours or not our version.
        """
        self._spooled = await asyncio.to_thread(self._waiting_samples)
        try:
            async with self._patience():
                self._kind = await open_store(self.database)
        except (StoreUnavailable, TimeoutError) as error:
            self._failed(error)
            return False
        return True

    @property
    def waiting(self) -> bool:
        """Whether there is something to bring in."""
        return self._spooled > 0 or bool(self._memory)

    async def append(
        self, run: Run, judgement: Judgement | None = None, state: bytes | None = None
    ) -> None:
        """Keep a run, what was said of it and the detector's state after it. Nothing but
        cancellation leaves it."""
        record = record_of(run, judgement, state)
        try:
            async with self._writing:
                await self._take(record)
        except asyncio.CancelledError:
            self._keep(record)  # in the store already or not: that knows it by its id
            raise

    async def flush(self) -> None:
        """Bring in what waits, if the store is back; else try again later."""
        async with self._writing:
            if self._memory:
                await asyncio.to_thread(self._memory_to_disk)
            await self._flush()
            self._spooled = await asyncio.to_thread(self._waiting_samples)

    async def paused(self, target: str) -> bool | None:
        """Whether people paused a target; None while the store cannot be asked."""

        async def ask() -> bool:
            return await last_pause(self.database, target) is not None

        return await self._asked(ask)

    async def state_after(self, target: str, after: datetime | None) -> bytes | None:
        """The detector's state of a target that another process stored for a run begun after that;
        None if there is none, or the store cannot be asked now."""
        return await self._asked(lambda: state_after(self.database, target, after))

    async def acceptances(self, subjects: Sequence[str]) -> list[Request]:
        """Acceptances of these changes or stories; none while the store cannot be asked."""
        return await self._asked(lambda: acceptances(self.database, subjects)) or []

    async def _asked(self, ask: Callable[[], Awaitable[_Answer]]) -> _Answer | None:
        """What the store answers; None while it cannot be asked."""
        if monotonic() < self._retry_at:
            return None
        try:
            async with self._patience():
                return await ask()
        except (StoreError, TimeoutError) as error:
            self._failed(error)
            return None

    async def reachable(self) -> bool:
        """Whether the store answers; asked beside rounds, where bringing in runs would disturb."""
        if monotonic() < self._retry_at:
            return False
        try:
            async with self._patience(), self.database.reading() as connection:
                await connection.execute(select(1))
        except (StoreError, TimeoutError) as error:
            self._failed(error)
            return False
        return True

    async def maintain(self, now: datetime) -> None:
        """Make rollups and partitions, and prune. What fails is counted and tried next time."""
        if self._kind is None or monotonic() < self._retry_at:
            return
        async with self._writing:
            try:
                await self._appender.make_ahead(now, partitioned=self._partitioned)
                pruned = await prune(
                    self.database,
                    self._policy,
                    now,
                    partitioned=self._partitioned,
                    timescale=self._kind == "timescaledb",
                )
                self._size = await size_bytes(self.database)
            except StoreError as error:
                self._failed(error)
            else:
                log.debug("store pruned: %s", pruned)

    def health(self) -> StoreHealth:
        """How the store fares now."""
        return StoreHealth(
            samples=self._samples,
            errors=self._errors,
            dropped_samples=self._dropped,
            spooled_samples=self._spooled,
            size_bytes=self._size,
            write_seconds=self._write_seconds,
        )

    async def close(self) -> None:
        """Close the store; what is in memory only gets a last chance on disk."""
        self._memory_to_disk()
        for record in self._memory:
            log.error("run %s is lost: neither store nor disk take it", record.id)
        await self.database.dispose()

    # --- into the store ----------------------------------------------------------------------

    @property
    def _partitioned(self) -> bool:
        return self._kind == "postgresql"

    def _patience(self) -> asyncio.Timeout:
        return asyncio.timeout(self.database.location.timeout_seconds * _PATIENCE)

    async def _take(self, record: RunRecord) -> None:
        try:
            kept = await self._written([record])
        except StoreRejected as error:
            log.error("run %s is not taken by the store and is put aside: %s", record.id, error)
            await asyncio.to_thread(self._put_aside, record)
            return
        if not kept:
            await asyncio.to_thread(self._keep, record)
            self._spooled = await asyncio.to_thread(self._waiting_samples)

    async def _written(self, records: Sequence[RunRecord]) -> bool:
        """Whether the store took the runs; False while it is down. Raises StoreRejected."""
        if monotonic() < self._retry_at:
            return False
        started = monotonic()
        try:
            async with self._patience():
                if self._kind is None:
                    self._kind = await open_store(self.database)
                appended = await self._appender.append(records, partitioned=self._partitioned)
        except StoreRejected:
            raise
        except (StoreError, TimeoutError) as error:
            self._failed(error)
            return False
        except Exception as error:
            log.exception("the store meets a fault of ours; the run waits")
            self._failed(error)
            return False
        self._write_seconds = monotonic() - started
        self._samples += appended.samples
        if self._retry_at:
            log.info("the store is back")
        self._retry_at, self._retry_seconds = 0.0, _RETRY_SECONDS[0]
        return True

    def _failed(self, error: Exception) -> None:
        self._errors += 1
        if not self._retry_at:
            log.warning(
                "runs wait in %s: %s", self._spool.directory, str(error) or "no answer in time"
            )
        self._retry_at = monotonic() + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, _RETRY_SECONDS[1])

    async def _flush(self) -> None:
        await asyncio.to_thread(self._remove, list(self._done))
        waiting = await asyncio.to_thread(self._spool_waiting)
        for first in range(0, len(waiting), _BATCH):
            if not await self._bring_in(waiting[first : first + _BATCH]):
                return
        while self._memory:
            record = self._memory[0]
            try:
                if not await self._written([record]):
                    return
            except StoreRejected as error:
                log.error("run %s is not taken by the store: %s", record.id, error)
                self._errors += 1
                self._drop(record.sample_count)
            if self._memory and self._memory[0] is record:
                self._memory.popleft()

    async def _bring_in(self, waiting: Sequence[Waiting]) -> bool:
        """Whether these spooled runs are in the store, or out of the way, now."""
        found = await asyncio.to_thread(self._read, waiting)
        try:
            written = await self._written(list(found.values())) if found else True
        except StoreRejected as error:
            if len(waiting) > 1:  # one of them; the others shall not wait for it
                for each in waiting:
                    if not await self._bring_in([each]):
                        return False
                return True
            log.error("spooled run %s is put aside: %s", waiting[0].run_id, error)
            self._reject(waiting[0])
            return True
        if written:
            await asyncio.to_thread(self._remove, list(found))
        return written

    def _read(self, waiting: Sequence[Waiting]) -> dict[Waiting, RunRecord]:
        found = {}
        for each in waiting:
            try:
                record = self._spool.get(each)
            except StoreRejected as error:
                log.error("%s is put aside: %s", each.name, error)
                self._reject(each)
                continue
            except OSError as error:
                self._errors += 1
                log.warning("%s cannot be read and waits: %s", each.name, error.strerror)
                continue
            if record is not None:
                found[each] = record
        return found

    # --- beside the store --------------------------------------------------------------------

    def _waiting_samples(self) -> int:
        in_memory = sum(record.sample_count for record in self._memory)
        return in_memory + sum(each.samples for each in self._spool_waiting())

    def _spool_waiting(self) -> list[Waiting]:
        try:
            return [each for each in self._spool.waiting() if each not in self._done]
        except OSError:
            return []

    def _remove(self, done: Iterable[Waiting]) -> None:
        """Out of the spool; what its disk does not let go of now is remembered as done."""
        for each in done:
            try:
                self._spool.remove([each])
            except OSError as error:
                self._errors += 1
                self._done.add(each)
                log.warning("%s cannot be removed: %s", each.name, error.strerror)
            else:
                self._done.discard(each)

    def _keep(self, record: RunRecord) -> None:
        """Onto disk, else into memory, else dropped and counted."""
        with self._keeping:
            self._memory.append(record)
            self._memory_to_disk()
            while len(self._memory) > self._memory_max_runs:
                self._drop(self._memory.popleft().sample_count)

    def _memory_to_disk(self) -> None:
        with self._keeping:
            while self._memory:
                try:
                    self._drop(self._spool.put(self._memory[0]))
                except OSError as error:
                    self._errors += 1
                    log.warning("the spool cannot be written: %s", error.strerror)
                    return
                self._memory.popleft()

    def _put_aside(self, record: RunRecord) -> None:
        try:
            self._drop(self._spool.put(record))
            waiting = next(each for each in self._spool.waiting() if each.run_id == record.id)
        except (OSError, StopIteration):
            self._drop(record.sample_count)
        else:
            self._reject(waiting)

    def _reject(self, waiting: Waiting) -> None:
        self._errors += 1
        self._drop(waiting.samples)
        try:
            self._spool.reject(waiting)
        except OSError:
            self._remove([waiting])

    def _drop(self, samples: int) -> None:
        if samples:
            self._dropped += samples
            log.error("%d samples dropped", samples)
