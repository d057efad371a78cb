"""A target's own say on whether to measure now: one read-only query with a scalar answer."""

from __future__ import annotations

from monitor.canary.connection import connect, translated
from monitor.model import Target

#: Seconds that the condition may take; a slow one must not hold up the schedule.
CONDITION_SECONDS = 5


async def skip_condition(target: Target) -> bool:
    """Whether the target's ``skip_while`` query answers with anything but null, false, 0 or no row.

    It runs in a READ ONLY transaction under a statement timeout. Raises TargetError if it fails.
    """
    if target.skip_while is None:
        return False
    with translated(target):
        driver = await connect(target)
        try:
            async with driver.transaction(readonly=True):
                await driver.execute(f"SET LOCAL statement_timeout = '{CONDITION_SECONDS}s'")
                return bool(await driver.fetchval(target.skip_while))
        finally:
            driver.terminate()
