"""Replicas that live show it, also after they were stopped for longer than the server waits."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import pytest

from monitor.store import presence
from monitor.store.database import Database as StoreDatabase
from monitor.store.database import Location
from tests.conftest import Database


def test_a_replica_that_was_stopped_is_present_again(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_BEAT_SECONDS", 0.2)
    monkeypatch.setattr(presence, "_TIMEOUT_SECONDS", 1)
    place = Location(tmp_path / "none", database.dsn)

    async def until(store: StoreDatabase, wanted: bool, staying: asyncio.Task[None]) -> None:
        while await presence.is_present(store, "a") is not wanted:
            await asyncio.sleep(0.02)
            assert not staying.done(), staying.exception()

    async def go() -> None:
        store = StoreDatabase(place)
        staying = asyncio.create_task(presence.stay_present(place, "a"))
        async with asyncio.timeout(20):
            await until(store, True, staying)
            for _ in range(3):
                time.sleep(1.5)  # noqa: ASYNC251 - a process that is stopped, not a wait
                await asyncio.sleep(0.5)
                await until(store, True, staying)
        staying.cancel()
        with suppress(asyncio.CancelledError):
            await staying
        await store.dispose()

    asyncio.run(go())
