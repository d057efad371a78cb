"""The daemon: startup, main loop, shutdown.

Ticks come in, runs go out, and after each the newest snapshot is rendered and published. One run at
a time: two on one client would disturb each other.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from time import monotonic

from monitor import __version__
from monitor.canary.condition import skip_condition
from monitor.canary.connection import round_trips
from monitor.config.settings import Settings
from monitor.daemon.assembly import (
    Station,
    detection_rules,
    recorder,
    resolve_plan,
    station,
    targets,
    thresholds,
    wal_ledger,
)
from monitor.daemon.confirming import CONFIRMATION_SECONDS, Confirmations
from monitor.daemon.judging import Judge
from monitor.daemon.ledger import Entry
from monitor.daemon.remembering import remember
from monitor.daemon.restore import last_runs, next_due
from monitor.daemon.telling import tell
from monitor.errors import LockHeld, StoreError, TargetError
from monitor.export.metrics import render
from monitor.export.site import Site
from monitor.export.snapshot import Snapshot, TargetTally
from monitor.export.web import Published, WebServer
from monitor.judgement import Judgement
from monitor.measure.attempt import attempt
from monitor.measure.clocks import SteadyClock
from monitor.measure.runner import Progress
from monitor.model import Plan, Run, SkipReason, Target
from monitor.schedule import Schedule, Skipped, Tick

log = logging.getLogger(__name__)

#: Seconds between two looks at whether a target is up, at most.
PING_SECONDS = 60.0
#: Seconds between two looks at what waits for the store, and between two prunings of it.
FLUSH_SECONDS = 5.0
MAINTENANCE_SECONDS = 3600.0
#: Seconds that an abandoned run, its cleaning included, may take at shutdown.
ABANDON_SECONDS = 3.0

Report = Callable[[Run], None]


class Daemon:
    """Measures every target on schedule until ``stop`` is called.

    ``report`` is called with every finished run, ``progress`` during one.
    """

    def __init__(self, settings: Settings, report: Report, progress: Progress) -> None:
        self._settings = settings
        self._plan: Plan = resolve_plan(settings)
        self._report = report
        self._progress = progress
        self._published = Published()
        self._site = Site()
        self._ledger = wal_ledger(settings)
        self._clock = SteadyClock()
        self._recorder = recorder(settings)
        self._rules = detection_rules(settings)
        self._judge = Judge(self._rules, self._recorder, settings.data_dir / "detector")
        self._confirmations = Confirmations(settings.interval, settings.detection.confirmation_runs)
        self._one_run = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._stations: dict[str, Station] = {}
        self._tallies: dict[str, TargetTally] = {}
        self._paused: dict[str, bool] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._schedule: Schedule | None = None

    def stop(self) -> None:
        """Ask for the end; ``run`` returns soon after."""
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
                last = {name: await self._restore(name) for name in self._stations}
                for name in self._stations:
                    await self._judge.restore(name)
                self._publish()
                await self._serve(last)
        finally:
            web.stop()

    async def _add(self, target: Target, stack: AsyncExitStack) -> None:
        name, progress = target.name, self._progress_of(target.name)
        self._stations[name] = await stack.enter_async_context(
            station(target, self._plan, self._settings, progress, self._clock)
        )
        planned = frozenset(case.key for case in self._plan.cases)
        self._tallies[name] = TargetTally(name, self._settings.interval, planned)

    async def _restore(self, name: str) -> datetime | None:
        """Show what was measured before a restart; returns when the last run began."""
        try:
            runs = await last_runs(self._recorder.database, name, self._plan)
        except StoreError as error:
            log.warning("%s: its last runs are not to be had: %s", name, error)
            last = self._ledger.last_run_at(name, self._clock.now())
            if last is not None:
                self._clock.not_before(last)
            return last
        for run, judgement in runs:
            self._tallies[name].make_last(run, judgement)
            self._clock.not_before(run.finished_at)
            self._confirmations.note(name, run)
        return runs[-1][0].started_at if runs else None

    async def _serve(self, last: Mapping[str, datetime | None]) -> None:
        interval, now = self._settings.interval, datetime.now(UTC)
        due = {name: next_due(at, timedelta(seconds=interval), now) for name, at in last.items()}
        self._schedule = Schedule(self._stations, interval, due)
        self._schedule.start()
        self._publish()  # when the next runs are due
        loops = {
            asyncio.create_task(self._handle_events(self._schedule)),
            asyncio.create_task(self._keep_store()),
            asyncio.create_task(remember(self._recorder.database, self._tallies, self._one_run)),
            *(asyncio.create_task(self._watch(name)) for name in self._stations),
        }
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            done, _ = await asyncio.wait({stopping, *loops}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # a loop ends by a bug only; show it
        finally:
            self._schedule.stop()
            stopping.cancel()
            await self._abandon(loops)

    async def _abandon(self, loops: set[asyncio.Task[None]]) -> None:
        """End what is going on; a cancelled run cleans up after itself."""
        tasks = loops | self._working
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=ABANDON_SECONDS)

    async def _handle_events(self, schedule: Schedule) -> None:
        async for event in schedule.events():
            if isinstance(event, Skipped):
                self._skip(event, event.reason, event.count)
                continue
            task = asyncio.create_task(self._on_tick(event))
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _on_tick(self, tick: Tick) -> None:
        try:
            async with self._one_run:
                await self._measure(tick)
        except Exception:
            # A bug of ours; the next tick tries again rather than the process ending over it.
            log.exception("run on %s ended by an unexpected error", tick.target)
        finally:
            tick.done()

    async def _measure(self, tick: Tick) -> None:
        place, tally = self._stations[tick.target], self._tallies[tick.target]
        reason = await self._reason_to_skip(place)
        if reason:
            self._skip(tick, reason)
            return
        limit = self._settings.limits.max_wal_bytes_per_day
        allowance = self._ledger.allowance(tick.target, limit, datetime.now(UTC))
        try:
            run = await attempt(place.canary, place.runner, tick.trigger, wal_allowance=allowance)
        except LockHeld as error:
            log.info("%s: %s", tick.target, error)
            self._skip(tick, "locked")
            return
        finally:
            tally.lock_held = False
        if run.wal_bytes is not None:
            self._ledger.add(Entry(run.started_at, tick.target, run.wal_bytes))
        tally.up = _reached(run)
        standing = self._judge.state(run.target).changes
        judgement, state = await self._judge.judge(run)
        tally.add_run(run, judgement)
        self._publish()
        self._report(run)
        if judgement is not None:
            tell(run.target, standing, judgement)
            self._confirm(run, judgement)
        await self._recorder.append(run, judgement, state)
        self._publish()

    def _confirm(self, run: Run, judgement: Judgement) -> None:
        """Ask for extra runs where they would tell whether a suspicion is true."""
        self._confirmations.note(run.target, run)
        count = self._confirmations.granted(run, judgement, self._clock.now())
        if count and self._schedule:
            log.info("%s: something may have changed; %d extra runs", run.target, count)
            self._schedule.confirm(run.target, count, CONFIRMATION_SECONDS)

    async def _reason_to_skip(self, place: Station) -> SkipReason | None:
        tally = self._tallies[place.target.name]
        tally.paused = await self._is_paused(place.target.name)
        if tally.paused:
            return "paused"
        try:
            return "condition" if await skip_condition(place.target) else None
        except TargetError as error:
            log.warning("%s: its condition cannot be asked: %s", place.target.name, error)
            return None  # the run meets the same trouble and records it

    async def _is_paused(self, name: str) -> bool:
        if (self._settings.data_dir / "pause").exists():
            return True
        paused = await self._recorder.paused(name)
        if paused is not None:
            self._paused[name] = paused
        return self._paused.get(name, False)  # as the store last said

    def _skip(self, what: Tick | Skipped, reason: SkipReason, count: int = 1) -> None:
        log.info("%s: run skipped: %s", what.target, reason)
        trigger = what.trigger if isinstance(what, Tick) else "scheduled"
        self._tallies[what.target].add_skip(reason, self._clock.now(), trigger, count)
        self._publish()

    async def _watch(self, name: str) -> None:
        """See between runs whether the target is up; publish, so that what is old expires."""
        place, tally = self._stations[name], self._tallies[name]
        while True:
            await asyncio.sleep(min(self._settings.interval, PING_SECONDS))
            async with self._one_run:
                was_up = tally.up
                try:
                    tally.round_trip_seconds = await round_trips(place.target)
                    tally.up = True
                except TargetError as error:
                    tally.round_trip_seconds, tally.up = None, False
                    if was_up is not False:
                        log.warning("%s is down: %s", name, error)
                tally.paused = await self._is_paused(name)
                self._publish()

    async def _keep_store(self) -> None:
        """Between runs, bring in what waits for the store, and hourly make it small."""
        maintenance_at = 0.0
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            due = monotonic() >= maintenance_at
            # Whether it answers is asked while rounds go on: a store that is gone delays no run.
            if not (due or self._recorder.waiting) or not await self._recorder.reachable():
                continue
            async with self._one_run:
                await self._recorder.flush()
                if due:
                    await self._recorder.maintain(self._clock.now())
                    maintenance_at = monotonic() + MAINTENANCE_SECONDS
                self._publish()

    def _progress_of(self, name: str) -> Progress:
        def on_progress(done: int, total: int, what: str) -> None:
            tally = self._tallies[name]
            if not tally.lock_held:
                tally.lock_held = True  # progress is made under the lock only
                self._publish()
            self._progress(done, total, what)

        return on_progress

    def _publish(self) -> None:
        for name, tally in self._tallies.items():
            tally.next_run_at = self._schedule.next_run_at(name) if self._schedule else None
            tally.changes = self._judge.state(name).changes
            tally.false_alarms = self._judge.state(name).false_alarms
        snapshot = Snapshot(
            at=self._clock.now(),
            version=__version__,
            python=platform.python_version(),
            targets=tuple(tally.snapshot() for tally in self._tallies.values()),
            store=self._recorder.health(),
            thresholds=thresholds(self._settings),
        )
        self._published.contents = self._site.contents(snapshot)
        self._published.metrics = render(snapshot)


def _reached(run: Run) -> bool:
    """Whether the target answered to the run's end."""
    down = ("unavailable", "authentication")
    return run.failure is None or run.failure.reason not in down
