"""The daemon: startup, main loop, shutdown.

Ticks come in, runs go out, and after each the newest snapshot is rendered and published. Each
target is a failure domain of its own: what hangs there holds up no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from time import monotonic, time

from monitor.config.settings import Settings
from monitor.daemon.assembly import recorder, targets, wal_ledger
from monitor.daemon.measuring import Measuring
from monitor.daemon.post import Post, man
from monitor.daemon.publishing import Publisher
from monitor.daemon.remembering import remember
from monitor.daemon.replicas import replica
from monitor.daemon.restore import last_runs
from monitor.daemon.turns import Turns
from monitor.daemon.watchdog import Watchdog, clock_set_by
from monitor.daemon.watching import Watching
from monitor.errors import StoreError
from monitor.export.web import Published, WebServer
from monitor.measure.clocks import SteadyClock
from monitor.measure.runner import Progress
from monitor.model import Run, Target
from monitor.schedule.schedule import Schedule, Skipped
from monitor.schedule.timetable import first_due, staggered

log = logging.getLogger(__name__)

#: Seconds that an abandoned run, its cleaning included, may take at shutdown.
ABANDON_SECONDS = 3.0
#: Seconds between two signs of life.
BEAT_SECONDS = 1.0

Report = Callable[[Run], None]


class Daemon:
    """Measures every target on schedule until ``stop`` is called.

    ``report`` is called with every finished run, ``progress`` during one.
    """

    def __init__(self, settings: Settings, report: Report, progress: Progress) -> None:
        self._settings = settings
        self._report = report
        self._progress = progress
        self._published = Published()
        self._ledger = wal_ledger(settings)
        self._clock = SteadyClock()
        self._recorder = recorder(settings)
        self._replica = replica(settings, self._recorder)
        self._turns = Turns(settings.runs_at_once)
        self._watchdog = Watchdog(settings.watchdog)
        self._stopping = asyncio.Event()
        self._drain_seconds = 0.0
        self._posts: dict[str, Post] = {}
        self._working: dict[asyncio.Task[None], Post] = {}
        self._publisher = Publisher(
            settings, self._published, self._posts, self._clock, self._recorder, self._replica,
            self._turns,
        )  # fmt: skip

    def stop(self, drain_seconds: float = 0.0) -> None:
        """Ask for the end; ``run`` returns soon after the run that goes on, or when it has had so
        many seconds more."""
        self._drain_seconds = drain_seconds
        self._stopping.set()

    async def run(self) -> None:
        """Start, serve until stopped, and leave nothing behind.

        Raises ConfigurationError, EmbeddedServerError, PortInUse or StoreRefused before anything is
        measured; later nothing ends it but ``stop``.
        """
        place = self._settings.web
        web = WebServer(self._published, place.host, place.port, place.config_file)
        web.start()
        log.info("serving %s/metrics", web.url)
        try:
            async with AsyncExitStack() as stack:
                stack.push_async_callback(self._recorder.close)
                if await self._recorder.start():
                    await self._recorder.flush()  # the last run may have waited for the store
                for target in await stack.enter_async_context(targets(self._settings)):
                    await self._add(target, stack)
                last = {post.name: await self._restore(post) for post in self._posts.values()}
                for name, post in self._posts.items():
                    await post.judge.restore(name)
                    if self._replica is not None:
                        await self._replica.last(name)  # to tell whose turn is next
                self._publisher.publish()
                await self._serve(self._schedule_of(last))
        finally:
            web.stop()

    async def _add(self, target: Target, stack: AsyncExitStack) -> None:
        self._posts[target.name] = await man(
            target,
            self._settings,
            self._recorder,
            self._clock,
            self._progress_of(target.name),
            stack,
        )

    async def _restore(self, post: Post) -> datetime | None:
        """Show what was measured before a restart; returns when the last run began."""
        try:
            runs = await last_runs(self._recorder.database, post.name, post.plan)
        except StoreError as error:
            log.warning("%s: its last runs are not to be had: %s", post.name, error)
            last = self._ledger.last_run_at(post.name, self._clock.now())
            if last is not None:
                self._clock.not_before(last)
            return last
        for run, judgement in runs:
            post.tally.make_last(run, judgement)
            self._clock.not_before(run.finished_at)
            post.confirmations.note(post.name, run)
        return runs[-1][0].started_at if runs else None

    def _schedule_of(self, last: dict[str, datetime | None]) -> Schedule:
        now = datetime.now(UTC)
        intervals = {name: post.interval for name, post in self._posts.items()}
        due = {name: first_due(at, intervals[name], now) for name, at in last.items()}
        windows = {name: self._settings.windows_of(name) for name in intervals}
        return Schedule(staggered(intervals, windows, due), due)

    async def _serve(self, schedule: Schedule) -> None:
        self._publisher.schedule = schedule
        measuring = Measuring(
            self._settings,
            self._recorder,
            self._ledger,
            self._clock,
            self._turns,
            self._replica,
            schedule,
            len(self._posts),
            self._publisher,
            self._report,
        )
        watching = Watching(measuring)
        tallies = {name: post.tally for name, post in self._posts.items()}
        schedule.start()
        self._publisher.publish()  # when the next runs are due
        self._watchdog.start()
        loops = {
            asyncio.create_task(self._handle_events(schedule, measuring)),
            asyncio.create_task(self._live(schedule)),
            asyncio.create_task(watching.keep_store()),
            asyncio.create_task(remember(self._recorder.database, tallies, self._turns.quiet)),
            *(asyncio.create_task(watching.watch(post)) for post in self._posts.values()),
        }
        if self._replica is not None:
            loops.add(asyncio.create_task(self._replica.stay_present()))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({stopping, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # a loop ends by a bug only; show it
        finally:
            self._watchdog.stop()
            schedule.stop()
            stopping.cancel()
            measuring.ending = True
            await self._end(loops)

    async def _end(self, loops: set[asyncio.Task[None]]) -> None:
        """End what goes on: nothing new begins, a run that has begun is waited for, then given up.
        One that is given up cleans up after itself."""
        working = dict(self._working)
        waiting = {task for task, post in working.items() if post.turn is None}
        for task in loops | waiting:
            task.cancel()
        going = working.keys() - waiting
        if going and self._drain_seconds > 0:
            log.info("the run that goes on has %g s to end", self._drain_seconds)
            await asyncio.wait(going, timeout=self._drain_seconds)
        for task in going:
            task.cancel()
        await asyncio.wait({*loops, *working}, timeout=ABANDON_SECONDS)

    async def _handle_events(self, schedule: Schedule, measuring: Measuring) -> None:
        async for event in schedule.events():
            post = self._posts[event.target]
            if isinstance(event, Skipped):
                measuring.skip(post, event, event.reason, event.count)
                continue
            task = asyncio.create_task(measuring.on_tick(post, event))
            self._working[task] = post
            task.add_done_callback(self._working.pop)

    async def _live(self, schedule: Schedule) -> None:
        """Show the watchdog that ticks are issued, keep them where they are when the system's clock
        is set, and publish what had to wait for the end of a run."""
        before = monotonic(), time()
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._publisher.catch_up()
            now = monotonic(), time()
            by, before = clock_set_by(before, now), now
            if by is not None:
                log.warning("the system's clock was set by %.0f s", by.total_seconds())
                schedule.clock_was_set(by)
            if schedule.overdue(datetime.now(UTC)).total_seconds() < self._settings.watchdog:
                self._watchdog.beat()

    def _progress_of(self, name: str) -> Progress:
        def on_progress(done: int, total: int, what: str) -> None:
            post = self._posts[name]
            if post.turn is not None:
                self._turns.progress(post.turn)
            if not post.tally.lock_held:
                post.tally.lock_held = True  # progress is made under the lock only
                self._publisher.publish_between_rounds()
            self._progress(done, total, what)

        return on_progress
