"""How sessions are closed: without a word in the log, however dead the network is."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from monitor.canary.connection import Canary, bound_statements
from tests.conftest import Database
from tests.integration.helpers import gone, target_of
from tests.servers import PASSWORD
from tests.slow_network import slow_network


def test_a_session_on_a_dead_network_is_closed_in_silence(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = database.server
    dsn = server.tcp_dsn(database.name, password=PASSWORD)
    caplog.set_level(logging.WARNING)

    async def go(port: int) -> None:
        canary = Canary(target_of(dsn.replace(f":{server.port}/", f":{port}/")))
        async with canary.session() as session:
            task = asyncio.create_task(session.driver.execute("SELECT pg_sleep(0.2)"))
            await asyncio.sleep(0)
            network.delay(1000)
            await asyncio.wait({task}, timeout=1)
            task.cancel()
        await canary.dispose()

    with slow_network(server.port, tmp_path) as network:
        asyncio.run(asyncio.wait_for(go(network.port), 10))
    assert caplog.records == []


def test_a_session_is_gone_when_its_block_ends_even_in_a_transaction(database: Database) -> None:
    async def go() -> None:
        canary = Canary(target_of(database.dsn))
        async with canary.session() as session:
            await session.connection.exec_driver_sql("SELECT pg_advisory_lock(1)")
            assert session.connection.in_transaction()
        assert not session.alive
        await canary.dispose()

    asyncio.run(go())
    gone(database)


@pytest.mark.parametrize(("seconds", "idle"), [(10, "1min"), (600, "10min")])
def test_the_server_keeps_an_idle_session_as_long_as_a_round_may_take(
    database: Database, seconds: float, idle: str
) -> None:
    async def go() -> object:
        canary = Canary(target_of(database.dsn))
        async with canary.session() as session:
            await bound_statements(session, seconds)
            shown = await session.driver.fetchval("SHOW idle_session_timeout")
        await canary.dispose()
        return shown

    assert asyncio.run(go()) == idle
