"""When to measure: real APScheduler, short intervals, conditions with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.schedule.schedule import Schedule, Skipped, Tick
from monitor.schedule.timetable import Timetable

SECONDS = 10


def scheduled(interval: float, work: Callable[[Schedule], Awaitable[Any]]) -> Any:
    """Run a schedule of one target while ``work`` looks at it."""

    async def go() -> Any:
        every = timedelta(seconds=interval)
        schedule = Schedule({"main": Timetable(every, datetime.now(UTC) + every)})
        schedule.start()
        try:
            async with asyncio.timeout(SECONDS):
                return await work(schedule)
        finally:
            schedule.stop()

    return asyncio.run(go())


async def next_event(schedule: Schedule) -> Tick | Skipped:
    return await anext(schedule.events())


def test_the_first_tick_comes_at_once_and_the_next_is_known() -> None:
    async def work(schedule: Schedule) -> None:
        tick = await next_event(schedule)
        assert isinstance(tick, Tick)
        due = schedule.next_run_at("main")
        assert due
        assert 3500 < (due - tick.at).total_seconds() <= 3600

    scheduled(3600, work)


def test_ticks_go_on_when_runs_end() -> None:
    async def work(schedule: Schedule) -> None:
        for _ in range(3):
            event = await next_event(schedule)
            assert isinstance(event, Tick)
            event.done()

    scheduled(0.05, work)


def test_a_tick_during_a_run_is_overlapping_and_not_made_up_for() -> None:
    async def work(schedule: Schedule) -> None:
        first = await next_event(schedule)
        assert isinstance(first, Tick)
        assert await next_event(schedule) == Skipped("main", "overlapping")
        first.done()
        while isinstance(event := await next_event(schedule), Skipped):
            assert event.reason == "overlapping"
        event.done()

    scheduled(0.1, work)


def test_ticks_that_pass_while_the_loop_stands_still_are_one_run_and_counted() -> None:
    async def work(schedule: Schedule) -> None:
        first = await next_event(schedule)
        assert isinstance(first, Tick)
        first.done()
        await asyncio.sleep(0)  # let the job end
        time.sleep(0.55)  # noqa: ASYNC251 - a process that is stopped, not a wait
        events = [await next_event(schedule), await next_event(schedule)]
        (missed,) = [event for event in events if isinstance(event, Skipped)]
        assert missed.reason == "missed"
        assert missed.count >= 3
        assert sum(isinstance(event, Tick) for event in events) == 1

    scheduled(0.1, work)


def test_nothing_comes_after_stop() -> None:
    async def work(schedule: Schedule) -> None:
        event = await next_event(schedule)
        schedule.stop()
        assert isinstance(event, Tick)
        event.done()
        await asyncio.sleep(0.2)  # four intervals
        assert schedule.next_run_at("main") is None or schedule._events.empty()

    scheduled(0.05, work)


def test_extra_ticks_come_tagged_beside_the_scheduled_ones() -> None:
    async def go() -> list[tuple[str, str]]:
        every = timedelta(hours=1)
        schedule = Schedule({"main": Timetable(every, datetime.now(UTC) + every)})
        schedule.start()
        schedule.confirm("main", 2, 0.01)
        schedule.confirm("main", 2, 0.01)  # takes the place of what was still to come
        found = []
        async for event in schedule.events():
            assert isinstance(event, Tick)
            found.append((event.target, event.trigger))
            event.done()
            if len(found) == 3:
                schedule.stop()
                return found
        raise AssertionError("the schedule ended")

    found = asyncio.run(asyncio.wait_for(go(), 10))
    assert sorted(found) == [
        ("main", "confirmation"),
        ("main", "confirmation"),
        ("main", "scheduled"),
    ]


def test_a_tick_that_is_put_off_comes_then_and_the_others_after_it() -> None:
    async def work(schedule: Schedule) -> None:
        first = await next_event(schedule)
        assert isinstance(first, Tick)
        until = datetime.now(UTC) + timedelta(seconds=0.2)
        schedule.put_off("main", until)
        first.done()
        second = await next_event(schedule)
        assert isinstance(second, Tick)
        assert second.at >= until
        assert schedule.next_run_at("main") == until + timedelta(hours=1)

    scheduled(3600, work)


def test_a_clock_that_is_set_moves_no_tick() -> None:
    async def work(schedule: Schedule) -> None:
        first = await next_event(schedule)
        assert isinstance(first, Tick)
        first.done()
        due = schedule.next_run_at("main")
        assert due
        # Set back by all but a moment: by this clock, which was not, the tick is due in a moment.
        back = datetime.now(UTC) + timedelta(seconds=0.1) - due
        schedule.clock_was_set(back)
        assert schedule.next_run_at("main") == due + back
        event = await next_event(schedule)
        assert isinstance(event, Tick)
        assert due + back <= event.at < due
        assert schedule.next_run_at("main") == due + back + timedelta(hours=1)

    scheduled(3600, work)


@pytest.mark.parametrize("hours", [10, -10])
def test_a_tick_planned_since_the_clock_was_set_is_by_the_new_time(hours: int) -> None:
    """Between the setting and its being noticed a tick may come and plan the next one."""

    async def work(schedule: Schedule) -> None:
        await next_event(schedule)
        due = schedule.next_run_at("main")
        schedule.clock_was_set(timedelta(hours=hours))
        assert schedule.next_run_at("main") == due

    scheduled(3600, work)


def test_a_clock_that_is_set_makes_no_tick_missed() -> None:
    async def work(schedule: Schedule) -> None:
        first = await next_event(schedule)
        assert isinstance(first, Tick)
        first.done()
        schedule.clock_was_set(timedelta(hours=-1))  # the last tick seems an hour ago
        second = await next_event(schedule)
        assert isinstance(second, Tick) or second.count <= 1

    scheduled(0.5, work)


def test_a_scheduler_that_stands_still_is_seen() -> None:
    async def work(schedule: Schedule) -> None:
        await next_event(schedule)
        assert schedule.overdue(datetime.now(UTC)) == timedelta(0)
        later = datetime.now(UTC) + timedelta(hours=3)
        assert timedelta(hours=1.9) < schedule.overdue(later) < timedelta(hours=2.1)

    scheduled(3600, work)
