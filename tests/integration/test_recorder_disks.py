"""The recorder on disks that fill up or become read-only: memory is the last place, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.model import Run
from monitor.store.database import Location
from monitor.store.recorder import Recorder
from tests.acceptance.writer import settle
from tests.conftest import Database as CanaryDatabase
from tests.contents import contents_of
from tests.faults import Disk, disk, down
from tests.integration.test_recorder import unstorable
from tests.recording import SAMPLES, assert_found, impatient, recorder_at, recording
from tests.records import run

assert impatient


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 4 MiB."""
    with disk(tmp_path / "small") as mounted:
        yield mounted


@pytest.fixture
def on_disk(small: Disk) -> Location:
    """A place for a SQLite store on it, the spool beside the store."""
    return Location(small.path / "store.sqlite", timeout_seconds=0.5)


@pytest.fixture
def on_server(small: Disk, database: CanaryDatabase) -> Location:
    """A store on PostgreSQL whose spool is on the small disk."""
    return Location(small.path / "store.sqlite", database.dsn, timeout_seconds=1.0)


def in_memory(recorder: Recorder) -> list[str]:
    return [record.id for record in recorder._memory]


def files(directory: Path) -> int:
    return len(list(directory.glob("*.gz")))


# --- full ----------------------------------------------------------------------------------------


async def _store_full(place: Location, small: Disk, spool: Path, runs: list[Run]) -> None:
    async with recording(place, spool) as recorder:
        await recorder.append(runs[0])
        small.fill()
        for each in runs[1:]:
            await recorder.append(each)
        health = recorder.health()
        assert health.spooled_samples > 0
        assert health.samples + health.spooled_samples == len(runs) * SAMPLES
        assert health.errors > 0
        assert files(spool) == health.spooled_samples // SAMPLES
        small.empty()
        await settle(recorder)
        assert recorder.health().dropped_samples == 0


def test_with_the_stores_disk_full_runs_wait_on_another(
    on_disk: Location, small: Disk, tmp_path: Path
) -> None:
    """What is left in the store's own log may still take some."""
    runs = [run(number) for number in range(40)]
    asyncio.run(_store_full(on_disk, small, tmp_path / "spool", runs))
    assert_found(on_disk, runs)


async def _all_full(place: Location, small: Disk, runs: list[Run]) -> None:
    async with recording(place) as recorder:
        await recorder.append(runs[0])
        small.fill()
        for each in runs[1:]:
            await recorder.append(each)
        waiting = in_memory(recorder)
        assert waiting == [each.id for each in runs[-len(waiting) :]]
        assert len(waiting) > 5
        health = recorder.health()
        assert health.spooled_samples == len(runs) * SAMPLES - health.samples
        small.empty()
        small.fill(leave=16 << 10)  # for some of them, as files
        await recorder.flush()
        assert len(in_memory(recorder)) < len(waiting)
        small.empty()
        await settle(recorder)
        assert recorder.health().dropped_samples == 0
        assert in_memory(recorder) == []


def test_with_every_disk_full_runs_wait_in_memory(on_disk: Location, small: Disk) -> None:
    runs = [run(number) for number in range(60)]
    asyncio.run(_all_full(on_disk, small, runs))
    assert_found(on_disk, runs)
    assert list((small.path / "spool").iterdir()) == []


async def _memory_full(place: Location, small: Disk, runs: list[Run]) -> set[str]:
    async with recording(place, memory=5) as recorder:
        await recorder.append(runs[0])
        small.fill()
        for each in runs[1:]:
            await recorder.append(each)
        assert in_memory(recorder) == [each.id for each in runs[-5:]]
        health = recorder.health()
        assert health.dropped_samples > 0
        kept = health.samples + health.spooled_samples + health.dropped_samples
        assert kept == len(runs) * SAMPLES
        small.empty()
        await settle(recorder)
        assert recorder.health().dropped_samples == health.dropped_samples
        return {each.id for each in runs[-5:]}


def test_beyond_memorys_bound_the_oldest_are_dropped_and_counted(
    on_disk: Location, small: Disk
) -> None:
    runs = [run(number) for number in range(60)]
    newest = asyncio.run(_memory_full(on_disk, small, runs))
    kept = [each for each in runs if each.id in newest or int(each.id, 16) < _first_lost(on_disk)]
    assert_found(on_disk, kept)


def _first_lost(place: Location) -> int:
    """The number of the first run that is not there: up to it the store and its disk took all."""
    found = {int(each, 16) for each in contents_of(place).samples}
    return next(number for number in range(1000) if number not in found)


# --- read-only -----------------------------------------------------------------------------------


async def _store_read_only(place: Location, small: Disk, spool: Path, runs: list[Run]) -> None:
    async with recording(place, spool) as recorder:
        await recorder.append(runs[0])
        await recorder.database.dispose()  # no file is open for writing, or the disk stays as it is
        small.read_only()
        for each in runs[1:4]:
            await recorder.append(each)
        assert recorder.health().spooled_samples == 3 * SAMPLES
    async with recording(place, spool) as recorder:  # started on it, too
        await recorder.append(runs[4])
        assert recorder.health().spooled_samples == 4 * SAMPLES
        await recorder.database.dispose()
        small.writable()
        await settle(recorder)
        assert recorder.health().samples == 4 * SAMPLES


def test_a_store_that_is_read_only_is_waited_for(
    on_disk: Location, small: Disk, tmp_path: Path
) -> None:
    runs = [run(number) for number in range(5)]
    asyncio.run(_store_read_only(on_disk, small, tmp_path / "spool", runs))
    assert_found(on_disk, runs)


async def _nothing_writable(place: Location, small: Disk, runs: list[Run]) -> None:
    small.read_only()
    recorder = recorder_at(place)
    assert not await recorder.start()
    for each in runs:
        await recorder.append(each)
        await recorder.flush()
    assert recorder.health().spooled_samples == len(runs) * SAMPLES
    assert len(in_memory(recorder)) == len(runs)
    small.writable()
    await settle(recorder)
    await recorder.close()


def test_a_data_directory_that_is_read_only_from_the_start_costs_nothing(
    on_disk: Location, small: Disk
) -> None:
    runs = [run(number) for number in range(4)]
    asyncio.run(_nothing_writable(on_disk, small, runs))
    assert_found(on_disk, runs)


async def _last_chance(place: Location, small: Disk, runs: list[Run]) -> None:
    async with recording(place) as recorder:
        small.read_only()
        for each in runs[:2]:
            await recorder.append(each)
        small.writable()
    assert files(small.path / "spool") == 2
    small.read_only()
    async with recording(place) as recorder:
        await recorder.append(runs[2])


def test_closing_saves_what_is_in_memory_or_says_what_is_lost(
    on_server: Location, database: CanaryDatabase, small: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    runs = [run(number) for number in range(3)]
    with down(on_server, database):
        asyncio.run(_last_chance(on_server, small, runs))
    lost = [each.message for each in caplog.records if "is lost" in each.message]
    assert lost == [f"run {runs[2].id} is lost: neither store nor disk take it"]


async def _spool_read_only(
    place: Location, database: CanaryDatabase, small: Disk, runs: list[Run]
) -> None:
    with down(place, database):
        recorder = recorder_at(place)
        await recorder.start()
        for each in runs:
            await recorder.append(each)
    small.read_only()
    await settle(recorder)  # they are in the store, and their files in the way of nothing
    samples, errors = recorder.health().samples, recorder.health().errors
    assert samples == len(runs) * SAMPLES
    await recorder.flush()
    assert (recorder.health().samples, recorder.health().dropped_samples) == (samples, 0)
    assert recorder.health().errors >= errors
    assert files(small.path / "spool") == len(runs)
    small.writable()
    await recorder.flush()
    assert files(small.path / "spool") == 0
    await recorder.close()


def test_a_spool_that_became_read_only_is_brought_in_once(
    on_server: Location, database: CanaryDatabase, small: Disk
) -> None:
    runs = [run(number) for number in range(60)]
    asyncio.run(_spool_read_only(on_server, database, small, runs))
    assert_found(on_server, runs)


async def _rejected_read_only(
    place: Location, database: CanaryDatabase, small: Disk, runs: list[Run]
) -> None:
    """Of what waits on a disk that is read-only and in memory, the store does not take some."""
    recorder = recorder_at(place)
    with down(place, database):
        await recorder.start()
        await recorder.append(unstorable(100))
        await recorder.append(runs[0])
        small.read_only()
        for each in (unstorable(101), runs[1]):
            await recorder.append(each)
    await settle(recorder)
    await recorder.flush()
    health = recorder.health()
    assert (health.samples, health.dropped_samples) == (2 * SAMPLES, 2 * SAMPLES)
    assert in_memory(recorder) == []
    await recorder.close()


def test_what_the_store_never_takes_blocks_nothing_on_a_read_only_disk(
    on_server: Location, database: CanaryDatabase, small: Disk
) -> None:
    runs = [run(number) for number in range(2)]
    asyncio.run(_rejected_read_only(on_server, database, small, runs))
    assert_found(on_server, runs)
