"""A process that appends made-up runs as fast as it can and tells each when ``append`` returned.

Run by ``python -m tests.acceptance.writer ORDERS`` with the JSON of ``Orders``; the numbers of runs
go to stdout, a line each. When all are appended it waits until none of them waits any more.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

from monitor.measure.clocks import SteadyClock
from monitor.store import recorder as recorder_module
from monitor.store.database import Database, Location
from monitor.store.recorder import Recorder
from monitor.store.retention import Policy
from monitor.store.spool import Spool
from tests.records import run

#: Seconds between two attempts at a store that is down: what is tested is what happens then.
_RETRY_SECONDS = (0.05, 0.2)
_DEADLINE_SECONDS = 60.0
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Orders:
    """What to write where.

    With ``step_back`` the moments are those of a steady clock over a wall clock that is set back an
    hour before that many runs were made; else they follow from the runs' numbers.
    """

    path: str
    url: str | None
    schema: str
    spool: str
    first: int = 0
    count: int = 100
    timeout: float = 1.0
    spool_bytes: int = 1 << 28
    memory_runs: int = 1000
    rounds: int = 2
    step_back: int | None = None

    @staticmethod
    def of(location: Location, **options: int | float | str | None) -> Orders:
        spool = str(options.pop("spool", location.path.parent / "spool"))
        return Orders(str(location.path), location.url, location.schema, spool, **options)  # type: ignore[arg-type]

    def as_json(self) -> str:
        return json.dumps(asdict(self))

    @property
    def location(self) -> Location:
        return Location(Path(self.path), self.url, self.schema, self.timeout)


def recorder_of(orders: Orders) -> Recorder:
    """The product's recorder, impatient to find the store back."""
    recorder_module._RETRY_SECONDS = _RETRY_SECONDS
    spool = Spool(Path(orders.spool), orders.spool_bytes)
    policy = Policy(raw=timedelta(days=3650), hourly=timedelta(days=3650))
    return Recorder(Database(orders.location), spool, policy, orders.memory_runs)


async def settle(recorder: Recorder, seconds: float = _DEADLINE_SECONDS) -> None:
    """Flush until nothing waits any more."""
    deadline = monotonic() + seconds
    while True:
        await recorder.flush()
        if not recorder.health().spooled_samples:
            return
        if monotonic() > deadline:
            raise TimeoutError(f"still waiting: {recorder.health()}")
        await asyncio.sleep(0.05)


class _Hands:
    """A wall clock that a test sets back; between runs a minute passes."""

    def __init__(self) -> None:
        self.wall, self.elapsed = datetime(2026, 11, 22, 14, tzinfo=UTC), 0.0

    def minute(self) -> None:
        self.wall += timedelta(minutes=1)
        self.elapsed += 60.0


async def write(orders: Orders) -> None:
    """Append all, telling each, and wait until they are in the store."""
    rng = random.Random(orders.first)
    recorder = recorder_of(orders)
    await recorder.start()
    hands = _Hands()
    clock = SteadyClock(lambda: hands.wall, lambda: hands.elapsed)
    for number in range(orders.first, orders.first + orders.count):
        changes = {}
        if orders.step_back is not None:
            hands.minute()
            if number == orders.step_back:
                hands.wall -= _HOUR
            changes["started_at"] = clock.now()
        await recorder.append(run(number, rng, rounds=orders.rounds, **changes))
        print(number, flush=True)
        if number % 7 == 0:
            await recorder.flush()
    await settle(recorder)
    await recorder.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(write(Orders(**json.loads(sys.argv[1]))))
