"""From a tick to a run that is judged, shown and kept, or to a reason why there is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from monitor.canary.condition import skip_condition
from monitor.config.settings import Settings
from monitor.daemon.confirming import CONFIRMATION_SECONDS
from monitor.daemon.evidence import keep_evidence
from monitor.daemon.ledger import Entry, WalLedger
from monitor.daemon.post import Post
from monitor.daemon.publishing import Publisher
from monitor.daemon.replicas import Replica, retry_at
from monitor.daemon.restore import last_runs
from monitor.daemon.telling import tell
from monitor.daemon.turns import Turn, Turns
from monitor.errors import LockHeld, StoreError, TargetError
from monitor.judgement import Judgement
from monitor.measure.attempt import UnderLock, attempt
from monitor.measure.clocks import SteadyClock
from monitor.model import Notice, Run, SkipReason
from monitor.schedule.schedule import Schedule, Skipped, Tick
from monitor.store.recorder import Recorder

log = logging.getLogger(__name__)

#: Runs of other replicas that are looked at, at most, to show the newest.
_FOLLOWED = 5


@dataclass(slots=True)
class Measuring:
    """Handles ticks; ``publisher`` shows what changed, ``report`` hears of every run. When
    ``ending`` nothing begins after a run."""

    settings: Settings
    recorder: Recorder
    ledger: WalLedger
    clock: SteadyClock
    turns: Turns
    replica: Replica | None
    schedule: Schedule
    slots: int
    publisher: Publisher
    report: Callable[[Run], None]
    ending: bool = False

    async def on_tick(self, post: Post, tick: Tick) -> None:
        """Measure a target, if nothing speaks against it; nothing but cancellation leaves it."""
        try:
            reason = await self._reason_to_skip(post)
            if reason:
                if self.replica is not None:
                    self.replica.not_now(post.name)
                self.skip(post, tick, reason)
                return
            async with self._turn_of(post) as turn:
                post.turn = turn
                try:
                    if await self._is_ours(post, tick):
                        await self._measure(post, tick, turn)
                finally:
                    post.turn = None
            await self._explain(post)
        except Exception:
            # A bug of ours; the next tick tries again rather than the process ending over it.
            log.exception("run on %s ended by an unexpected error", post.name)
        finally:
            tick.done()

    def skip(self, post: Post, what: Tick | Skipped, reason: SkipReason, count: int = 1) -> None:
        """Count ticks that lead to no run."""
        log.info("%s: run skipped: %s", post.name, reason)
        trigger = what.trigger if isinstance(what, Tick) else "scheduled"
        post.tally.add_skip(reason, self.clock.now(), trigger, count)
        self.publisher.publish()

    async def is_paused(self, post: Post) -> bool:
        """Whether settings, a file or people in the store pause the target."""
        if post.held or (self.settings.data_dir / "pause").exists():
            return True
        paused = await self.recorder.paused(post.name)
        if paused is not None:
            post.paused = paused
        return post.paused  # as the store last said

    async def follow(self, post: Post) -> None:
        """Show what another replica has measured since."""
        if self.replica is None:
            return
        last, shown = await self.replica.last(post.name), post.tally.last_run
        if last is None or last.holder in (None, self.replica.holder):
            return
        if shown is not None and shown.started_at >= last.started_at:
            return
        try:
            runs = await last_runs(self.recorder.database, post.name, post.plan, _FOLLOWED)
        except StoreError:
            return
        for run, judgement in runs:
            if shown is None or run.started_at > shown.started_at:
                post.tally.make_last(run, judgement)
                post.confirmations.note(post.name, run)
                self.clock.not_before(run.finished_at)
        await post.judge.restore(post.name)
        self.publisher.publish()

    def _turn_of(self, post: Post) -> AbstractAsyncContextManager[Turn]:
        return self.turns.turn(post.name, post.interval.total_seconds() / self.slots)

    # --- before a run ----------------------------------------------------------------------------

    async def _reason_to_skip(self, post: Post) -> SkipReason | None:
        post.tally.paused = await self.is_paused(post)
        if post.tally.paused:
            return "paused"
        if not self.schedule.is_open(post.name, datetime.now(UTC)):
            return "window"
        try:
            return "condition" if await skip_condition(post.station.target) else None
        except TargetError as error:
            log.warning("%s: its condition cannot be asked: %s", post.name, error)
            return None  # the run meets the same trouble and records it

    async def _is_ours(self, post: Post, tick: Tick) -> bool:
        """Whether no other replica measures the target now; else the tick is put off."""
        until = await self._put_off_until(post)
        if until is None:
            return True
        if tick.trigger == "scheduled":
            self._put_off(post, until)
        await self.follow(post)
        self.publisher.publish_between_rounds()
        return False

    async def _put_off_until(self, post: Post) -> datetime | None:
        if self.replica is None:
            return None
        return await self.replica.put_off_until(post.name, post.interval, self.clock.now())

    def _put_off(self, post: Post, until: datetime) -> None:
        """Runs are dated by our own clock, ticks by the system's, which may have been set."""
        self.schedule.put_off(post.name, datetime.now(UTC) + (until - self.clock.now()))

    # --- the run ---------------------------------------------------------------------------------

    async def _measure(self, post: Post, tick: Tick, turn: Turn) -> None:
        limit = self.settings.limits.max_wal_bytes_per_day
        allowance = self.ledger.allowance(post.name, limit, datetime.now(UTC))

        async def ours() -> bool:
            return await self._put_off_until(post) is None

        async def keep(run: Run) -> None:
            await self._keep(post, run, turn)

        place = post.station
        try:
            await attempt(
                place.canary,
                place.runner,
                tick.trigger,
                wal_allowance=allowance,
                under_lock=UnderLock(ours, keep),
            )
        except LockHeld as error:
            self._locked(post, tick, error)
        finally:
            post.tally.lock_held = False
            self.publisher.publish_between_rounds()

    def _locked(self, post: Post, tick: Tick, error: LockHeld) -> None:
        log.info("%s: %s", post.name, error)
        if self.replica is not None and tick.trigger == "scheduled":
            # Another replica's, perhaps one that was stopped: the server ends its session soon.
            self._put_off(post, retry_at(post.interval, self.clock.now()))
        self.skip(post, tick, "locked")

    async def _keep(self, post: Post, run: Run, turn: Turn) -> None:
        if turn.beside:
            run = replace(run, notices=(*run.notices, _beside(turn)))
        if run.wal_bytes is not None:
            self.ledger.add(Entry(run.started_at, post.name, run.wal_bytes))
        post.tally.up = _reached(run)
        if await self._is_overtaken(post, run):
            await self._keep_only(post, run)
        else:
            await self._judge(post, run)

    async def _judge(self, post: Post, run: Run) -> None:
        if self.replica is not None:
            self.replica.measured(run)
        standing = post.judge.state(run.target).changes
        judgement, state = await post.judge.judge(run)
        await self.recorder.append(run, judgement, state)  # first: what is told outlives a kill
        post.tally.add_run(run, judgement)
        self.publisher.publish_between_rounds()
        self.report(run)
        post.confirmations.note(run.target, run)
        if judgement is not None:
            tell(run.target, standing, judgement)
            self._confirm(post, run, judgement)
        if run.outcome != "failed" and run.trigger == "scheduled":
            post.unexplained = run.environment

    def _confirm(self, post: Post, run: Run, judgement: Judgement) -> None:
        """Ask for extra runs where they would tell whether a suspicion is true."""
        count = post.confirmations.granted(run, judgement, self.clock.now())
        if count:
            log.info("%s: something may have changed; %d extra runs", run.target, count)
            self.schedule.confirm(run.target, count, CONFIRMATION_SECONDS)

    async def _is_overtaken(self, post: Post, run: Run) -> bool:
        """Whether another replica has measured since the run began: we stood still in it."""
        last = await self.replica.last(post.name) if self.replica is not None else None
        return last is not None and last.run_id != run.id and last.started_at > run.started_at

    async def _keep_only(self, post: Post, run: Run) -> None:
        """Count and keep a run that comes too late to be judged: later ones have been."""
        log.warning("%s: another replica has measured since; this run is not judged", post.name)
        await self.recorder.append(run)
        post.tally.count(run)
        self.report(run)
        await self.follow(post)

    # --- after a run -----------------------------------------------------------------------------

    async def _explain(self, post: Post) -> None:
        """Keep a new environment's statements. In a turn of its own, as it would disturb other
        targets' runs: whoever waits for one goes first, and one that hangs is passed over."""
        environment, post.unexplained = post.unexplained, None
        if environment is None or environment.fingerprint == post.explained or self.ending:
            return
        if not await self.recorder.reachable():
            return  # it could not be kept; the next run asks again
        async with self._turn_of(post):
            if await self._reason_to_skip(post):
                return
            try:
                async with asyncio.timeout(self.settings.limits.run_timeout):
                    done = await keep_evidence(
                        self.settings, post.evidence, post.station.canary, environment
                    )
            except TimeoutError:
                log.warning("%s: its statements could not be explained in time", post.name)
                return
        if done:
            post.explained = environment.fingerprint


def _beside(turn: Turn) -> Notice:
    others = ", ".join(sorted(turn.beside))
    return Notice(
        "beside",
        f"runs on {others} went on at the same time: they disturb each other.",
        "Set runs_at_once to 1, or spread the targets over several clients.",
    )


def _reached(run: Run) -> bool:
    """Whether the target answered to the run's end."""
    down = ("unavailable", "authentication")
    return run.failure is None or run.failure.reason not in down
