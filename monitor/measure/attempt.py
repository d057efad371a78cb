"""One attempt at a run on a target, from the guard to the lock to a clean schema."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

from monitor.canary import tables
from monitor.canary.connection import Canary
from monitor.canary.guard import admit
from monitor.canary.lock import exclusive
from monitor.errors import LockHeld, TargetError
from monitor.measure.runner import Runner, failure_of
from monitor.model import Run, Trigger

#: Seconds that cleaning up after a cancelled run may take.
CLEAN_SECONDS = 2.0


async def _always() -> bool:
    return True


async def _nothing(_run: Run) -> None:
    pass


@dataclass(frozen=True, slots=True)
class UnderLock:
    """What is done while the target's lock is held, besides the run: ``ours`` says whether it is
    still to be made, ``keep`` takes it, so that whoever gets the lock next finds it kept.

    A run that never came to the lock is given to ``keep`` too.
    """

    ours: Callable[[], Awaitable[bool]] = _always
    keep: Callable[[Run], Awaitable[None]] = _nothing


async def attempt(
    canary: Canary,
    runner: Runner,
    trigger: Trigger,
    *,
    wal_allowance: int,
    wait_seconds: float = 0.0,
    under_lock: UnderLock = UnderLock(),
) -> Run:
    """Measure the target once, or return a failed run that says why not.

    Raises only LockHeld: that another run goes on, or that the lock says the run is not ours to
    make, is a reason to skip, not a failure. Cancelled, it empties our tables before it ends.
    """
    started_at = runner.clock.now()
    try:
        admission = await admit(canary.target)
        async with canary.session() as session, exclusive(session, wait_seconds):
            if not await under_lock.ours():
                raise LockHeld("another replica has just measured the target.")
            run = await runner.run(session, trigger, wal_allowance)
            run = replace(run, notices=admission.notices + run.notices)
            await under_lock.keep(run)
        return run
    except LockHeld:
        raise
    except asyncio.CancelledError:
        await leave_clean(canary, CLEAN_SECONDS)
        raise
    except TargetError as error:
        run = Run(
            id=uuid4().hex,
            target=canary.target.name,
            trigger=trigger,
            started_at=started_at,
            finished_at=runner.clock.now(),
            outcome="failed",
            environment=None,
            cases=(),
            probes={},
            failure=failure_of(error, runner.clock.now()),
        )
        await under_lock.keep(run)
        return run


async def leave_clean(canary: Canary, seconds: float) -> bool:
    """Empty our tables after an abandoned run, within ``seconds``; whether that was possible.

    If it was not, the next run's start does it.
    """
    with suppress(TargetError, TimeoutError):
        async with asyncio.timeout(seconds):
            await admit(canary.target)
            async with canary.session() as session, exclusive(session, wait_seconds=seconds):
                await tables.remove_passing(session)
                await tables.empty_all(session)
                return True
    return False
