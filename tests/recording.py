"""Recorders for tests, in front of a place whose store comes and goes.

``place`` and ``engine`` are fixtures, ``impatient`` one that is used by itself: import them all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.model import Run
from monitor.store import recorder as recorder_module
from monitor.store.database import Database, Location
from monitor.store.recorder import Recorder
from monitor.store.records import record_of
from monitor.store.retention import Policy
from monitor.store.spool import Spool
from tests.conftest import Database as CanaryDatabase
from tests.contents import assert_exactly, contents_of
from tests.records import run

PLENTY = 1 << 30
POLICY = Policy(timedelta(days=30), timedelta(days=365))
#: Samples of a run that ``tests.records.run`` makes.
SAMPLES = record_of(run(1)).sample_count


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try a store that is down again soon."""
    monkeypatch.setattr(recorder_module, "_RETRY_SECONDS", (0.1, 0.2))


@pytest.fixture
def place(location: Location) -> Location:
    """A place for a store that is waited for briefly."""
    return replace(location, timeout_seconds=1.0 if location.url else 0.1)


@pytest.fixture
def engine(place: Location, request: pytest.FixtureRequest) -> CanaryDatabase | None:
    """The database of a PostgreSQL store; None of SQLite."""
    return request.getfixturevalue("database") if place.url else None


def spool_of(place: Location) -> Spool:
    return Spool(place.path.parent / "spool", PLENTY)


def recorder_at(
    place: Location, spool: Path | None = None, *, spool_bytes: int = PLENTY, memory: int = 1000
) -> Recorder:
    """A recorder that was not started; its spool lies beside the place unless another is given."""
    directory = spool or spool_of(place).directory
    return Recorder(Database(place), Spool(directory, spool_bytes), POLICY, memory)


@asynccontextmanager
async def recording(
    place: Location, spool: Path | None = None, *, spool_bytes: int = PLENTY, memory: int = 1000
) -> AsyncIterator[Recorder]:
    """A recorder that was started, whether or not its store is there."""
    recorder = recorder_at(place, spool, spool_bytes=spool_bytes, memory=memory)
    await recorder.start()
    yield recorder
    await recorder.close()


def spooled(place: Location) -> list[str]:
    """Names of the files that wait, oldest first."""
    return sorted(path.name for path in spool_of(place).directory.glob("*.gz"))


def rejected(place: Location) -> list[str]:
    """Names of the files that were put aside."""
    return sorted(path.name for path in (spool_of(place).directory / "rejected").glob("*.gz"))


def assert_found(place: Location, runs: Iterable[Run]) -> None:
    """The store holds these runs, whole and once each, and nothing else."""
    assert_exactly(contents_of(place), [record_of(each) for each in runs])
