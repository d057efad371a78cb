"""The clients of a concurrent load, in a process of their own.

They end when told to, when the process that started them is gone, whatever its end, and at the
latest when a run must have ended. Their sessions are named and bounded like all of ours.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import asyncpg

from monitor.canary.connection import Driver, apply_bounds, connect, translated
from monitor.errors import TargetError
from monitor.model import Target

#: Seconds that a statement may take, and that its end is waited for when the load stops.
STATEMENT_SECONDS = 30
_END_SECONDS = 1.0
#: Seconds behind its schedule from which on a client leaves out what it missed.
_LATE_SECONDS = 1.0
_SAMPLES = 20_000
#: What asyncpg raises on a session that is gone; the last where it is about to notice that itself.
_LOST = (asyncpg.InterfaceError, OSError, asyncpg.InternalClientError)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement and the sets of arguments to choose from."""

    text: str
    keys: Sequence[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Spec:
    """What to do: so many clients on a target, at a rate in all, for so many seconds at most."""

    target: Target
    clients: int
    rate: float | None
    statements: Sequence[Statement]
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """What the clients did: statements, their times in seconds, errors by text, sessions lost."""

    done: int
    per_second: float
    median_seconds: float
    slow_seconds: float
    errors: Mapping[str, int]
    lost: int


@dataclass(slots=True)
class _Tally:
    stopping: bool = False
    done: int = 0
    lost: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def ended(self) -> bool:
        """Whether the load is over; what happens then is counted no more."""
        return self.stopping

    def add(self, seconds: float) -> None:
        """Every time at first, later every so many: enough for a median and a 99th percentile."""
        self.done += 1
        if len(self.seconds) < _SAMPLES:
            self.seconds.append(seconds)
        else:
            self.seconds[self.done % _SAMPLES] = seconds


def serve(spec: Spec, pipe: Connection) -> None:
    """Be the clients until the pipe says so or closes; the process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for our parent
    asyncio.run(_serve(spec, pipe))


async def _serve(spec: Spec, pipe: Connection) -> None:
    drivers: list[Driver] = []
    try:
        try:
            for _ in range(spec.clients):
                drivers.append(await _open(spec.target))  # noqa: PERF401 - kept for closing
        except TargetError as error:
            pipe.send(str(error))
            return
        # Asked, since a pooler would have told another one when the session began.
        pipe.send([await d.fetchval("SELECT pg_catalog.pg_backend_pid()") for d in drivers])
        report = await _work(spec, drivers, pipe)
        with suppress(OSError):
            pipe.send(report)
    finally:
        for driver in drivers:
            driver.terminate()


async def _open(target: Target) -> Driver:
    with translated(target):
        driver = await connect(target)
        await apply_bounds(driver)
        await driver.execute(
            f"SET statement_timeout = '{STATEMENT_SECONDS}s'; SET search_path = pg_catalog"
        )
        return driver


async def _work(spec: Spec, drivers: Sequence[Driver], pipe: Connection) -> Report:
    loop, told, tally = asyncio.get_running_loop(), asyncio.Event(), _Tally()
    loop.add_reader(pipe.fileno(), told.set)
    started = perf_counter()
    tasks = {
        asyncio.create_task(_client(spec, driver, number, tally))
        for number, driver in enumerate(drivers)
    }
    with suppress(TimeoutError):
        async with asyncio.timeout(spec.seconds):
            await told.wait()
    loop.remove_reader(pipe.fileno())
    tally.stopping = True
    elapsed = perf_counter() - started
    # Cancelled politely, a statement would need another connection; the socket is dropped instead.
    _, late = await asyncio.wait(tasks, timeout=_END_SECONDS)
    for driver in drivers if late else ():
        driver.terminate()
    await asyncio.wait(tasks, timeout=_END_SECONDS)
    return _report(tally, elapsed)


async def _client(spec: Spec, driver: Driver, number: int, tally: _Tally) -> None:
    drawn, loop = random.Random(number), asyncio.get_running_loop()  # noqa: S311
    interval = spec.clients / spec.rate if spec.rate else 0.0
    due = loop.time() + interval * number / spec.clients
    while not tally.ended():
        if interval:
            if due < loop.time() - _LATE_SECONDS:
                due = loop.time()
            await asyncio.sleep(due - loop.time())
            due += interval
        statement = drawn.choice(spec.statements)
        started = perf_counter()
        try:
            await driver.fetch(statement.text, *drawn.choice(statement.keys))
        except (asyncpg.PostgresError, *_LOST) as error:
            lost = driver.is_closed() or isinstance(error, _LOST)
            if not tally.ended():
                tally.errors[_brief(error)] += 1
                tally.lost += lost
            if lost:
                return
        else:
            tally.add(perf_counter() - started)


def _brief(error: Exception) -> str:
    code = getattr(error, "sqlstate", None)
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return f"{text} (SQLSTATE {code})" if code else text


def _report(tally: _Tally, elapsed: float) -> Report:
    times = sorted(tally.seconds) or [0.0]
    return Report(
        done=tally.done,
        per_second=tally.done / elapsed if elapsed else 0.0,
        median_seconds=times[len(times) // 2],
        slow_seconds=times[min(len(times) - 1, len(times) * 99 // 100)],
        errors=dict(tally.errors.most_common(5)),
        lost=tally.lost,
    )
