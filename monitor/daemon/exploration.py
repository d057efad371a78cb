"""What is measured by hand, beside the schedule: target, lock, WAL ledger, a run, and the store."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from monitor.config.settings import Settings
from monitor.daemon.assembly import station, stored, targets, wal_ledger
from monitor.daemon.ledger import Entry
from monitor.errors import StoreError
from monitor.measure.attempt import attempt
from monitor.measure.clocks import SteadyClock
from monitor.measure.runner import Progress
from monitor.model import Plan, Run, Target
from monitor.store.explorations import Exploration, Kind, keep, newest

log = logging.getLogger(__name__)


async def explore(
    settings: Settings,
    plan: Plan,
    target: str | None,
    wait_seconds: float,
    progress: Progress,
) -> list[Run]:
    """Measure a plan once on the target, or on each; tables that it lacked are gone afterwards.

    Raises ConfigurationError for an unknown target, LockHeld where another run goes on.
    """
    async with targets(settings, target) as chosen:
        return [
            await measure_by_hand(settings, plan, each, wait_seconds, progress, exploring=True)
            for each in chosen
        ]


async def measure_by_hand(
    settings: Settings,
    plan: Plan,
    target: Target,
    wait_seconds: float,
    progress: Progress,
    *,
    exploring: bool = False,
) -> Run:
    """Measure a plan once on a target, within its WAL budget; ``exploring`` as the runner has it.

    Raises LockHeld where another run does not end in ``wait_seconds``.
    """
    ledger, limit = wal_ledger(settings), settings.limits.max_wal_bytes_per_day
    clock = SteadyClock()
    async with station(target, plan, settings, progress, clock, exploring=exploring) as place:
        run = await attempt(
            place.canary,
            place.runner,
            "manual",
            wal_allowance=ledger.allowance(target.name, limit, datetime.now(UTC)),
            wait_seconds=wait_seconds,
        )
    if run.wal_bytes is not None:
        ledger.add(Entry(run.started_at, target.name, run.wal_bytes))
    return run


async def remember(settings: Settings, found: Sequence[Exploration]) -> None:
    """Keep findings in the store, making it if need be; where that fails, say so in the log."""
    try:
        async with stored(settings, create=True) as database:
            await keep(database, found)
    except StoreError as error:
        log.warning("not kept: %s", error)


async def recall(
    settings: Settings,
    kind: Kind,
    target: str | None = None,
    subject: str | None = None,
    limit: int | None = None,
) -> list[Exploration]:
    """Stored findings, the newest first; none where there is no store to ask."""
    try:
        async with stored(settings) as database:
            return await newest(database, kind, target=target, subject=subject, limit=limit)
    except StoreError as error:
        log.info("nothing to compare with: %s", error)
        return []
