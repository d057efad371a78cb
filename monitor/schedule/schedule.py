"""When to measure: APScheduler, with every tick that does not lead to a run accounted for.

APScheduler's own defaults would lose runs silently (a misfire grace of 1 s) and its first run comes
an interval late; both are set here. Jitter is not used: it is added to the previous fire time and
drifts. What comes when is the timetables' matter, which its trigger only asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from time import monotonic

from apscheduler.events import (
    EVENT_JOB_ERROR,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_SUBMITTED,
    JobEvent,
)
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.date import DateTrigger

from monitor.model import SkipReason, Trigger
from monitor.schedule.timetable import Timetable

#: In the names of extra jobs, which no target's name has for its blanks.
_CONFIRMATION = "confirmation"


@dataclass(frozen=True, slots=True)
class Tick:
    """It is time to measure a target. Call ``done`` when the run has ended."""

    target: str
    trigger: Trigger
    at: datetime
    _ended: asyncio.Event = field(default_factory=asyncio.Event, repr=False, compare=False)

    def done(self) -> None:
        self._ended.set()

    async def ended(self) -> None:
        await self._ended.wait()


@dataclass(frozen=True, slots=True)
class Skipped:
    """``count`` ticks of a target led to no run."""

    target: str
    reason: SkipReason
    count: int = 1


class _Ticks(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """APScheduler's view of a target's timetable, whichever is in force when it asks."""

    def __init__(self, tables: Mapping[str, Timetable], target: str) -> None:
        self._tables = tables
        self._target = target

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return self._tables[self._target].after(previous or now)


class Schedule:
    """Ticks for targets by their timetables, the first at once or at the moment in ``first``.

    A target whose run is still going on when the next is due skips it ("overlapping"); ticks that
    passed while the process stood still are run once and the others counted ("missed").
    """

    def __init__(
        self, tables: Mapping[str, Timetable], first: Mapping[str, datetime] | None = None
    ) -> None:
        self._tables = dict(tables)
        self._events: asyncio.Queue[Tick | Skipped] = asyncio.Queue()
        #: Of each target the last tick, and when it came by the monotonic clock.
        self._last_slot: dict[str, tuple[datetime, float]] = {}
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._scheduler.add_listener(
            self._listen, EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR
        )
        now = datetime.now(UTC)
        for target in self._tables:
            self._scheduler.add_job(
                self._tick,
                _Ticks(self._tables, target),
                args=[target],
                id=target,
                next_run_time=max(now, (first or {}).get(target, now)),
            )

    def start(self) -> None:
        self._scheduler.start()

    def confirm(self, target: str, count: int, seconds: float) -> None:
        """Issue ``count`` extra ticks of a target, ``seconds`` apart, beside those at the interval.

        Where some are still to come, these take their place.
        """
        now = datetime.now(UTC)
        for number in range(1, count + 1):
            self._scheduler.add_job(
                self._tick,
                DateTrigger(now + timedelta(seconds=number * seconds), timezone=UTC),
                args=[target, "confirmation"],
                id=f"{target} {_CONFIRMATION} {number}",
                replace_existing=True,
            )

    def put_off(self, target: str, until: datetime) -> None:
        """Issue a target's next tick then, and the others by its interval from there on."""
        table = self._tables[target]
        self._tables[target] = replace(table, anchor=until + table.interval)
        self._last_slot.pop(target, None)
        if self._scheduler.get_job(target):
            self._scheduler.modify_job(target, next_run_time=until)

    def clock_was_set(self, by: timedelta) -> None:
        """Keep the true distances to all ticks when the system's clock was set, a moment ago.

        What was planned since then is by the new time already.
        """
        now = datetime.now(UTC)
        for job in self._scheduler.get_jobs():
            due, table = job.next_run_time, self._tables[job.id.split(" ")[0]]
            near = now, now + 2 * table.interval  # as far ahead as a run is ever put off
            if not near[0] <= due <= near[1] or near[0] <= due + by <= near[1]:
                self._scheduler.modify_job(job.id, next_run_time=due + by)
        for target, table in self._tables.items():
            self._tables[target] = table.moved(by)
        self._last_slot = {
            target: (slot + by, since) for target, (slot, since) in self._last_slot.items()
        }

    def overdue(self, now: datetime) -> timedelta:
        """How late the scheduler is with the tick that is due first; zero if it is not."""
        due = min((job.next_run_time for job in self._scheduler.get_jobs()), default=now)
        return max(now - due, timedelta(0))

    def stop(self) -> None:
        """Issue no more ticks; whoever handles one drains it himself."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def events(self) -> AsyncIterator[Tick | Skipped]:
        """Ticks and skips as they come, for ever."""
        while True:
            yield await self._events.get()

    def next_run_at(self, target: str) -> datetime | None:
        """When the next run of a target is due."""
        job = self._scheduler.get_job(target)
        return self._tables[target].run_from(job.next_run_time) if job else None

    def in_window(self, target: str, moment: datetime) -> datetime:
        """The moment itself if a target's run may begin then, else when it may."""
        return self._tables[target].run_from(moment)

    def is_open(self, target: str, now: datetime) -> bool:
        """Whether a target's windows let a run begin now."""
        return self._tables[target].is_open(now)

    async def _tick(self, target: str, trigger: Trigger = "scheduled") -> None:
        # The job lasts as long as the run, so that APScheduler itself sees overlaps.
        tick = Tick(target, trigger, datetime.now(UTC))
        self._events.put_nowait(tick)
        # stop() cancels jobs, and APScheduler would log that as an error.
        with suppress(asyncio.CancelledError):
            await tick.ended()

    def _listen(self, event: JobEvent) -> None:
        if event.code == EVENT_JOB_ERROR:
            return  # cancelled by stop(); a run's own errors never leave the run
        if event.job_id not in self._tables:
            return  # an extra run, which has no next one
        slot = event.scheduled_run_times[-1]
        self._count_missed(event.job_id, slot)
        if event.code == EVENT_JOB_MAX_INSTANCES:
            self._events.put_nowait(Skipped(event.job_id, "overlapping"))

    def _count_missed(self, target: str, slot: datetime) -> None:
        """Ticks between this one and the last: no more than the time that has truly passed holds,
        whatever the system's clock was set to meanwhile."""
        now, table = monotonic(), self._tables[target]
        last, since = self._last_slot.get(target, (slot, now))
        at_most = int((now - since) / table.interval.total_seconds())
        missed = table.ticks_between(last, slot, at_most) if slot > last else 0
        if missed:
            self._events.put_nowait(Skipped(target, "missed", missed))
        self._last_slot[target] = slot, now
