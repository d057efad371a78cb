"""What our runs bring to a target: from the store if it holds any, else estimated from the plan."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.canary.checks.facts import Workload
from monitor.config.settings import Settings
from monitor.daemon.assembly import stored
from monitor.daemon.restore import run_of
from monitor.errors import StoreError
from monitor.model import Plan, Run
from monitor.store.read import newest_runs

#: Runs that the doctor looks back at: a few hours, so that what was mended soon drops out.
LOOK_BACK = 20
#: WAL of a row of the built-in shapes, and of a block's probes, in bytes (measured: facts.md).
_ROW_WAL_BYTES = 150
_PROBE_WAL_BYTES = 800_000
#: A row with its index entry on disk, in bytes.
_ROW_BYTES = 100


async def last_runs_of(settings: Settings, target: str) -> list[Run]:
    """The target's last runs in the store, oldest first; none where there is no store to read."""
    try:
        async with stored(settings) as database:
            records = await newest_runs(database, target, LOOK_BACK)
    except StoreError:
        return []
    return [run_of(record) for record in records]


def workload_of(settings: Settings, target: str, plan: Plan, runs: Sequence[Run]) -> Workload:
    """The last whole run's WAL, or an estimate, with what the settings say."""
    known = [run.wal_bytes for run in runs if run.outcome == "ok" and run.wal_bytes]
    limits = settings.limits
    return Workload(
        run_wal_bytes=known[-1] if known else _estimate(plan),
        measured=bool(known),
        interval_seconds=settings.interval_of(target),
        round_seconds=limits.round_timeout,
        wal_bytes_per_day_limit=limits.max_wal_bytes_per_day,
        round_bytes=max(case.rows for case in plan.cases) * _ROW_BYTES,
    )


def _estimate(plan: Plan) -> int:
    rows = sum(case.rows for case in plan.cases) * plan.rounds
    return rows * _ROW_WAL_BYTES + 2 * plan.rounds * _PROBE_WAL_BYTES
