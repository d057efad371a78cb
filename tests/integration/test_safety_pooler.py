"""Safety contract 6: a pooler that hands our transactions to different backends is refused."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Database
from tests.integration.helpers import all_empty, bystander, gone, measured, refusal, unchanged
from tests.integration.poolers import pooled


@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_pooler_in_transaction_mode_is_refused(database: Database, size: int) -> None:
    with pooled(database, "transaction", size) as dsn, unchanged(database):
        assert "pooler in transaction mode" in refusal(dsn)


def test_a_busy_pooler_in_transaction_mode_is_refused(database: Database) -> None:
    """Where others hold all backends but one, that one serves both clients of ours."""

    async def go(dsn: str) -> None:
        async with bystander(dsn) as other, other.transaction():
            await other.execute("SELECT 1")
            assert "pooler in transaction mode" in await asyncio.to_thread(refusal, dsn)

    with pooled(database, "transaction", 2) as dsn, unchanged(database):
        asyncio.run(go(dsn))


@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_pooler_in_session_mode_serves(database: Database, size: int) -> None:
    with pooled(database, "session", size) as dsn:
        measured(dsn)
        measured(dsn)
    assert all_empty(database)
    gone(database)


def test_the_guard_leaves_nothing_behind_in_a_pooled_backend(database: Database) -> None:
    """A refused target's backends go back to the others as they were."""

    async def left_behind(dsn: str) -> list[tuple[object, ...]]:
        async with bystander(dsn) as other:
            query = (
                "SELECT current_setting('search_path'), current_setting('lock_timeout'),"
                " current_setting('statement_timeout'),"
                " (SELECT count(*) FROM pg_prepared_statements)"
            )
            return [tuple(row) for row in await other.fetch(query)]

    with pooled(database, "transaction", 1) as dsn:
        before = asyncio.run(left_behind(dsn))
        refusal(dsn)
        ((path, lock, statement, prepared),) = asyncio.run(left_behind(dsn))
        assert before[0][:3] == (path, lock, statement)
        assert prepared == before[0][3]
