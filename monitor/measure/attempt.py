"""One attempt at a run on a target, from the guard to the lock to a clean schema."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
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


async def attempt(
    canary: Canary,
    runner: Runner,
    trigger: Trigger,
    *,
    wal_allowance: int,
    wait_seconds: float = 0.0,
) -> Run:
    """Measure the target once, or return a failed run that says why not.

    Raises only LockHeld: that another run goes on is a reason to skip, not a failure. Cancelled, it
    empties our tables before it ends.
    """
    started_at = runner.clock.now()
    try:
        admission = await admit(canary.target)
        async with canary.session() as session, exclusive(session, wait_seconds):
            run = await runner.run(session, trigger, wal_allowance)
        return replace(run, notices=admission.notices + run.notices)
    except LockHeld:
        raise
    except asyncio.CancelledError:
        await leave_clean(canary, CLEAN_SECONDS)
        raise
    except TargetError as error:
        return Run(
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
