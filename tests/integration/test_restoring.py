"""What a daemon shows of runs that it did not make itself, or before it was started."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.daemon.restore import last_runs
from monitor.store.database import Location
from tests.integration.helpers import make_plan
from tests.stores import opened, record

AT = datetime(2026, 11, 25, 4, 0, tzinfo=UTC)


def test_a_run_that_another_replica_overtook_is_not_shown(tmp_path: Path) -> None:
    """Nor is it by the one that overtook it, which never saw it: both show the same."""
    minute = timedelta(minutes=1)
    stood_still = record(AT + minute, finished_at=AT + 4 * minute, outcome="failed")

    async def shown() -> list[datetime]:
        async with opened(Location(tmp_path / "store.sqlite")) as store:
            assert await last_runs(store.database, "main", make_plan()) == []
            await store.append(record(AT), stood_still, record(AT + 2 * minute))
            runs = await last_runs(store.database, "main", make_plan())
            return [run.started_at for run, _ in runs]

    assert asyncio.run(shown()) == [AT, AT + 2 * minute]
