"""How much WAL a run has written, and when that is too much."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.canary.connection import Session
from monitor.canary.counters import Snapshot, StatementCounters, activity, wal_position
from monitor.errors import BudgetExceeded, TargetError


@dataclass(frozen=True, slots=True)
class WalMeter:
    """WAL since its start, in bytes, against what the run may write.

    That of our own statements where the server counts them all; else that of the whole server
    meanwhile, which is never less.
    """

    session: Session
    counters: StatementCounters | None
    allowance: int
    position: int
    statements: Snapshot | None

    async def written(self) -> int:
        if self.counters and self.statements is not None:
            now = await self.counters.snapshot()
            return (await self.counters.work_between(self.statements, now)).wal_bytes
        return (await activity(self.session, ())).wal_position - self.position

    async def final(self) -> int | None:
        """What was written when the run is over; None where the server cannot be asked.

        Where our session is lost, that of the whole server, asked on a new connection.
        """
        try:
            if self.session.alive:
                return await self.written()
            return max(0, await wal_position(self.session.target) - self.position)
        except TargetError:
            return None

    async def refuse_forecast(self, blocks: int) -> None:
        """Raise BudgetExceeded if ``blocks`` more like what was written so far are too much."""
        written = await self.written()
        if written * (blocks + 1) > self.allowance:
            raise BudgetExceeded(
                f"it would write some {written * (blocks + 1) / 1e9:.1f} GB of WAL, and"
                f" max_wal_bytes_per_day leaves {max(0, self.allowance) / 1e9:.1f} GB: lower rows"
                " or rounds, measure fewer cases, or raise the limit"
            )

    async def refuse_excess(self) -> None:
        """Raise BudgetExceeded if the run has used up its allowance."""
        written = await self.written()
        if written >= self.allowance:
            raise BudgetExceeded(
                f"the run wrote {written:,} bytes of WAL; max_wal_bytes_per_day leaves it"
                f" {max(0, self.allowance):,}"
            )


async def start_meter(
    session: Session, counters: StatementCounters | None, allowance: int
) -> WalMeter:
    """A meter that starts now. Raises BudgetExceeded if nothing is left to write."""
    if allowance <= 0:
        raise BudgetExceeded(
            "what our runs wrote in the last 24 hours leaves too little of max_wal_bytes_per_day"
            " for another; lengthen the interval, shrink the suite or raise the limit"
        )
    usable = counters if counters and counters.complete else None
    statements = await usable.snapshot() if usable else None
    position = (await activity(session, ())).wal_position
    return WalMeter(session, usable, allowance, position, statements)
