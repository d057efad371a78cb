"""A real canary that is measured and judged in this process, for tests of what is said of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from monitor.canary.connection import Canary
from monitor.detect.judge import judge
from monitor.detect.parameters import Parameters
from monitor.detect.story import Story, stories
from monitor.detect.target import TargetState
from monitor.judgement import Change, Closing, Judgement
from monitor.measure.attempt import attempt
from monitor.measure.runner import Runner, no_progress
from monitor.model import Limits, Plan, Target

LIMITS = Limits(round_seconds=30, run_seconds=120, table_bytes=1 << 30, wal_bytes_per_day=1 << 40)
TABLE = "ingest_canary.orders"


@dataclass
class Bench:
    """One target, its plan, and what the detector remembers and said."""

    canary: Canary
    runner: Runner
    rules: Parameters
    state: TargetState = field(default_factory=TargetState)
    changes: list[Change] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)

    async def run(self, trigger: str = "scheduled") -> Judgement:
        """Measure and judge once; the run must be fine."""
        run = await attempt(self.canary, self.runner, trigger, wal_allowance=1 << 40)  # type: ignore[arg-type]
        assert run.outcome == "ok", run.failures
        self.state, judgement = judge(self.state, run, self.rules)
        self.changes += judgement.changes
        self.closings += judgement.closings
        return judgement

    async def runs(self, count: int) -> list[Judgement]:
        return [await self.run() for _ in range(count)]

    async def until(self, done: Callable[[Bench], bool], most: int) -> int | None:
        """Run until something is so; after how many runs, None if it never was."""
        for number in range(1, most + 1):
            await self.run()
            if done(self):
                return number
        return None

    def forget(self) -> None:
        """What was said so far, not what was learned."""
        self.changes.clear()
        self.closings.clear()

    @property
    def told(self) -> list[Story]:
        return stories(self.changes, self.closings)


@asynccontextmanager
async def bench(dsn: str, plan: Plan, rules: Parameters) -> AsyncIterator[Bench]:
    """A canary of a database."""
    canary = Canary(Target("main", dsn))
    try:
        yield Bench(canary, Runner(plan, LIMITS, "ingest_canary", no_progress), rules)
    finally:
        await canary.dispose()


def causes(found: Sequence[Story]) -> set[str]:
    return {story.cause for story in found}
