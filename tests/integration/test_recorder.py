"""The recorder in front of stores and disks that fail: what ``append`` took is kept, once."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from collections.abc import Iterator
from dataclasses import replace

import pytest

from monitor.model import Run
from monitor.store.codec import encode
from monitor.store.database import Location
from monitor.store.records import record_of
from tests.acceptance.writer import settle
from tests.conftest import Database as CanaryDatabase
from tests.contents import assert_exactly, contents_of
from tests.faults import down, locked
from tests.recording import (
    SAMPLES,
    assert_found,
    engine,
    impatient,
    place,
    recorder_at,
    recording,
    rejected,
    spool_of,
    spooled,
)
from tests.records import run
from tests.stores import location_fixture

assert impatient
assert engine
assert place
assert location_fixture


# --- a store that is down ------------------------------------------------------------------------


async def _down_at_start(place: Location, engine: CanaryDatabase | None, runs: list[Run]) -> None:
    with down(place, engine):
        recorder = recorder_at(place)
        assert not await recorder.start()
        for each in runs:
            await recorder.append(each)
        health = recorder.health()
        assert (health.samples, health.dropped_samples) == (0, 0)
        assert health.spooled_samples == len(runs) * SAMPLES
        assert health.errors > 0
        assert health.write_seconds is None
        assert len(spooled(place)) == len(runs)
        await recorder.flush()
        assert recorder.waiting
    await settle(recorder)
    health = recorder.health()
    assert health.samples == len(runs) * SAMPLES
    assert (health.spooled_samples, health.dropped_samples) == (0, 0)
    assert health.write_seconds is not None
    assert not recorder.waiting
    await recorder.close()
    assert spooled(place) == []


@pytest.mark.slow
def test_down_at_start_runs_wait_on_disk_and_arrive_once(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(120)]  # more than one transaction brings in
    asyncio.run(_down_at_start(place, engine, runs))
    assert_found(place, runs)


async def _up_and_down(place: Location, engine: CanaryDatabase | None, runs: list[Run]) -> None:
    left = iter(runs)
    async with recording(place) as recorder:
        for _ in range(3):
            for _ in range(4):
                await recorder.append(next(left))
            with down(place, engine):
                for _ in range(4):
                    await recorder.append(next(left))
        await settle(recorder)
        assert recorder.health().samples == len(runs) * SAMPLES
        assert recorder.health().dropped_samples == 0


def test_down_and_back_again_and_again_nothing_is_lost(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(24)]
    asyncio.run(_up_and_down(place, engine, runs))
    assert_found(place, runs)


async def _killed(place: Location, engine: CanaryDatabase | None, runs: list[Run]) -> None:
    with down(place, engine):
        recorder = recorder_at(place)
        await recorder.start()
        for each in runs[:5]:
            await recorder.append(each)
        await recorder.database.dispose()  # and nothing else is told that it ends
    async with recording(place) as recorder:
        assert recorder.health().spooled_samples == 5 * SAMPLES
        await recorder.append(runs[5])
        await settle(recorder)


def test_what_a_process_left_in_the_spool_the_next_one_brings_in(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(6)]
    asyncio.run(_killed(place, engine, runs))
    assert_found(place, runs)


async def _stored_already(place: Location, runs: list[Run]) -> None:
    """As after a kill between commit and the file's removal."""
    async with recording(place) as recorder:
        for each in runs:
            await recorder.append(each)
        for each in runs[:3]:
            spool_of(place).put(record_of(each))
        await settle(recorder)
        assert recorder.health().samples == len(runs) * SAMPLES


def test_a_spooled_run_that_is_in_the_store_already_only_goes(place: Location) -> None:
    runs = [run(number) for number in range(5)]
    asyncio.run(_stored_already(place, runs))
    assert_found(place, runs)
    assert spooled(place) == []


async def _two_of_one_spool(place: Location, engine: CanaryDatabase | None, runs: list[Run]) -> int:
    with down(place, engine):
        recorders = [recorder_at(place) for _ in range(2)]
        for number, recorder in enumerate(recorders):
            await recorder.start()
            for each in runs[number::2]:
                await recorder.append(each)
    await asyncio.gather(*(settle(recorder) for recorder in recorders))
    healths = [recorder.health() for recorder in recorders]
    for recorder in recorders:
        await recorder.close()
    assert [health.dropped_samples for health in healths] == [0, 0]
    return sum(health.samples for health in healths)


@pytest.mark.slow
def test_two_processes_that_share_a_spool_bring_every_run_in_once(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(120)]
    assert asyncio.run(_two_of_one_spool(place, engine, runs)) == len(runs) * SAMPLES
    assert_found(place, runs)
    assert rejected(place) == []


# --- bounds --------------------------------------------------------------------------------------


async def _beyond_the_bound(
    place: Location, engine: CanaryDatabase | None, runs: list[Run]
) -> None:
    size = max(len(encode(record_of(each))) for each in runs)
    with down(place, engine):
        recorder = recorder_at(place, spool_bytes=int(5.5 * size))
        await recorder.start()
        for each in runs:
            await recorder.append(each)
        health = recorder.health()
        assert health.dropped_samples == (len(runs) - 5) * SAMPLES
        assert health.spooled_samples == 5 * SAMPLES
    await settle(recorder)
    await recorder.close()


def test_beyond_the_spools_bound_the_oldest_go_and_are_counted(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(12)]
    asyncio.run(_beyond_the_bound(place, engine, runs))
    assert_found(place, runs[-5:])


# --- runs that are not taken ---------------------------------------------------------------------


def unstorable(number: int) -> Run:
    """A run with a round twice its size of what any column holds."""
    whole = run(number)
    case = whole.cases[-1]
    wide = replace(case.samples[-1], wal_bytes=2**63)
    cases = (*whole.cases[:-1], replace(case, samples=(*case.samples[:-1], wide)))
    return replace(whole, cases=cases)


async def _not_taken(place: Location, engine: CanaryDatabase | None, runs: list[Run]) -> None:
    async with recording(place) as recorder:
        await recorder.append(runs[0])
        await recorder.append(unstorable(100))
        assert recorder.health().dropped_samples == SAMPLES
        assert recorder.health().spooled_samples == 0
        await recorder.append(runs[1])
        assert recorder.health().samples == 2 * SAMPLES
        with down(place, engine):
            for each in (runs[2], unstorable(101), runs[3]):
                await recorder.append(each)
        await settle(recorder)
        health = recorder.health()
        assert (health.samples, health.dropped_samples) == (4 * SAMPLES, 2 * SAMPLES)


def test_what_the_store_never_takes_is_put_aside_and_stops_no_other(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(4)]
    asyncio.run(_not_taken(place, engine, runs))
    assert_found(place, runs)
    assert [f"-{100:032x}-" in rejected(place)[0], f"-{101:032x}-" in rejected(place)[1]] == [
        True
    ] * 2


async def _damaged(place: Location, engine: CanaryDatabase | None, runs: list[Run]) -> None:
    with down(place, engine):
        recorder = recorder_at(place)
        await recorder.start()
        for each in runs:
            await recorder.append(each)
        directory = spool_of(place).directory
        names = spooled(place)
        (directory / names[1]).write_bytes(b"")
        damaged = bytearray((directory / names[3]).read_bytes())
        damaged[len(damaged) // 2] ^= 0xFF
        (directory / names[3]).write_bytes(damaged)
    await settle(recorder)
    health = recorder.health()
    assert (health.samples, health.dropped_samples) == (4 * SAMPLES, 2 * SAMPLES)
    assert rejected(place) == [names[1], names[3]]
    await recorder.close()


def test_damaged_files_are_put_aside_and_stop_no_other(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(6)]
    asyncio.run(_damaged(place, engine, runs))
    assert_found(place, [runs[0], runs[2], runs[4], runs[5]])


async def _unreadable(place: Location, runs: list[Run]) -> None:
    """Something in a run's place that cannot be read now; it may be readable later."""
    spool = spool_of(place)
    for each in runs:
        spool.put(record_of(each))
    path = spool.directory / spooled(place)[0]
    kept = path.read_bytes()
    path.unlink()
    path.mkdir()
    async with recording(place) as recorder:
        await recorder.flush()
        health = recorder.health()
        assert (health.samples, health.spooled_samples) == (2 * SAMPLES, SAMPLES)
        path.rmdir()
        path.write_bytes(kept)
        await settle(recorder)
        assert recorder.health().dropped_samples == 0


def test_a_file_that_cannot_be_read_now_waits_and_stops_no_other(place: Location) -> None:
    runs = [run(number) for number in range(3)]
    asyncio.run(_unreadable(place, runs))
    assert_found(place, runs)


async def _fault_of_ours(place: Location, runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    async with recording(place) as recorder:
        with monkeypatch.context() as patched:

            async def fail(*_: object, **__: object) -> None:
                raise RuntimeError("a bug")

            patched.setattr(recorder._appender, "append", fail)
            for each in runs:
                await recorder.append(each)
            await recorder.flush()
            assert recorder.health().spooled_samples == len(runs) * SAMPLES
        await settle(recorder)


def test_a_fault_of_ours_costs_no_run_and_does_not_end_the_daemon(
    place: Location, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [run(number) for number in range(3)]
    asyncio.run(_fault_of_ours(place, runs, monkeypatch))
    assert_found(place, runs)
    assert "RuntimeError: a bug" in caplog.text


# --- cancelled -----------------------------------------------------------------------------------


async def _cancelled(place: Location, runs: list[Run], rng: random.Random) -> None:
    async with recording(place) as recorder:
        await recorder.append(runs[0])
        for each in runs[1:]:
            task = asyncio.create_task(recorder.append(each))
            for _ in range(rng.randrange(60)):  # into any of its steps
                await asyncio.sleep(0)
            if rng.random() < 0.3:
                await asyncio.sleep(rng.random() * 0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await settle(recorder)


@pytest.fixture
def sockets_collected() -> Iterator[None]:
    """Cancelled while it connects, asyncpg leaves its socket to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.slow
@pytest.mark.usefixtures("sockets_collected")
@pytest.mark.parametrize("seed", [1, 2])
def test_a_cancelled_append_keeps_its_run(place: Location, seed: int) -> None:
    """The first step of a task is its own; before it, nothing was handed over."""
    runs = [run(number) for number in range(60)]
    asyncio.run(_cancelled(place, runs, random.Random(seed)))
    found = contents_of(place)
    begun = [record_of(each) for each in runs if f"{int(each.id, 16):032x}" in found.samples]
    assert_exactly(found, begun)
    assert len(begun) > 50


async def _cancelled_in_line(
    place: Location, engine: CanaryDatabase | None, runs: list[Run]
) -> None:
    """One append waits for the store, another for the first; both are cancelled."""
    recorder = recorder_at(replace(place, timeout_seconds=2))
    await recorder.start()
    with locked(place, engine):
        tasks = [asyncio.create_task(recorder.append(each)) for each in runs]
        await asyncio.sleep(0.05)  # both wait for what does not come; when does not matter
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
        assert len(spooled(place)) == 2
    await settle(recorder)
    await recorder.close()


@pytest.mark.slow
@pytest.mark.usefixtures("sockets_collected")
def test_an_append_that_is_cancelled_while_it_waits_keeps_its_run(
    place: Location, engine: CanaryDatabase | None
) -> None:
    runs = [run(number) for number in range(2)]
    asyncio.run(_cancelled_in_line(place, engine, runs))
    assert_found(place, runs)
