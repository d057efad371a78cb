"""Between runs: is each target up, is anything waiting for the store, has another one measured?"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

from monitor.canary.connection import round_trips
from monitor.daemon.measuring import Measuring
from monitor.daemon.post import Post
from monitor.errors import TargetError

log = logging.getLogger(__name__)

#: Seconds between two looks at whether a target is up, at most.
PING_SECONDS = 60.0
#: Seconds between two looks at what waits for the store, and between two prunings of it.
FLUSH_SECONDS = 5.0
MAINTENANCE_SECONDS = 3600.0


class Watching:
    """Loops that end only when they are cancelled."""

    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring
        self._recorder = measuring.recorder

    async def watch(self, post: Post) -> None:
        """See between runs whether the target is up; publish, so that what is old expires.

        A ping that hangs holds up nobody: a run may begin beside it.
        """
        while True:
            await asyncio.sleep(min(post.interval.total_seconds(), PING_SECONDS))
            await self._measuring.turns.pause_between()
            await self._ping(post)
            post.tally.paused = await self._measuring.is_paused(post)
            await self._measuring.follow(post)
            self._measuring.publisher.publish()

    async def _ping(self, post: Post) -> None:
        tally = post.tally
        was_up = tally.up
        try:
            tally.round_trip_seconds = await round_trips(post.station.target)
            tally.up = True
        except TargetError as error:
            tally.round_trip_seconds, tally.up = None, False
            if was_up is not False:
                log.warning("%s is down: %s", post.name, error)

    async def keep_store(self) -> None:
        """Between runs, bring in what waits for the store, and hourly make it small."""
        maintenance_at = 0.0
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            due = monotonic() >= maintenance_at
            # Whether it answers is asked while rounds go on: a store that is gone delays no run.
            if not (due or self._recorder.waiting) or not await self._recorder.reachable():
                continue
            async with self._measuring.turns.quiet():
                await self._recorder.flush()
                if due:
                    await self._recorder.maintain(self._measuring.clock.now())
                    maintenance_at = monotonic() + MAINTENANCE_SECONDS
            self._measuring.publisher.publish()
