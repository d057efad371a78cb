"""A round that fails is a failure with its reason, never a sample; the others go on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    SCHEMA,
    all_empty,
    failures_by_shape,
    locked_session,
    make_runner,
    measured,
    only_orders_fail,
    row_trigger,
    run_once,
    target_of,
)

ORDERS = f"{SCHEMA}.orders"
WIDE = f"{SCHEMA}.orders_wide"
BOTH = ("orders", "orders_wide")


@pytest.mark.parametrize("strategy", ALL_SIX)
def test_missing_rows_are_a_failure_not_a_fast_round(database: Database, strategy: str) -> None:
    measured(database.dsn, shapes=BOTH)
    row_trigger(
        database, ORDERS, "IF NEW.customer_id % 7 = 0 THEN RETURN NULL; END IF; RETURN NEW;"
    )
    run = run_once(database.dsn, shapes=BOTH, strategies=[strategy])
    assert not next(c for c in run.cases if c.case.shape.name == "orders").samples
    assert failures_by_shape(run)["orders"] <= {"rows_missing", "server_error"}
    assert all(case.samples for case in run.cases if case.case.shape.name == "orders_wide")
    assert all_empty(database)


@pytest.mark.parametrize("strategy", ALL_SIX)
def test_an_error_of_the_server_fails_alone(database: Database, strategy: str) -> None:
    measured(database.dsn, shapes=BOTH)
    database.sql(f"ALTER TABLE {ORDERS} ADD CONSTRAINT few CHECK (customer_id < 150)")
    run = run_once(database.dsn, shapes=BOTH, strategies=[strategy])
    for failure in only_orders_fail(run, "server_error"):
        assert "few" in failure.message
        assert "23514" in failure.message
    assert all_empty(database)


def test_a_failed_round_leaves_no_transaction_open(database: Database) -> None:
    measured(database.dsn)
    database.sql(f"ALTER TABLE {ORDERS} ADD CONSTRAINT few CHECK (customer_id < 150)")

    async def states() -> list[Any]:
        async with locked_session(target_of(database.dsn)) as session:
            await make_runner(strategies=ALL_SIX).run(session, "manual", 1 << 40)
            return [session.driver.is_in_transaction(), session.connection.in_transaction()]

    assert asyncio.run(states()) == [False, False]
