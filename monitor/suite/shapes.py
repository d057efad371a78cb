"""The built-in tables to insert into, and the rows that go there.

Row *n* is a pure function of *n* and the shape's parameters, so every round inserts the same bytes
and work counters of equal rounds are equal.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from hashlib import shake_128
from typing import Any
from uuid import uuid4

from sqlalchemy import Column, Integer, MetaData, Numeric, String, Table, Text
from sqlalchemy.sql import quoted_name

from monitor.model import Shape
from monitor.suite.parameters import label_of, parameters_of

RowFunction = Callable[..., dict[str, Any]]


def shape(*, table: Callable[[MetaData], Table]) -> Callable[[RowFunction], Shape]:
    """Turn a row function into a ``Shape`` named like its table; registers nothing.

    The function's first docstring line becomes the label, its keyword-only parameters the shape's.
    """

    def decorate(function: RowFunction) -> Shape:
        return Shape(
            name=function.__name__,
            label=label_of(function),
            build=table,
            row=function,
            parameters=parameters_of(function),
        )

    return decorate


def _orders_columns() -> tuple[Column[Any], ...]:
    return (
        Column("id", Integer, primary_key=True),
        Column("customer_id", Integer, nullable=False),
        Column("amount", Numeric(12, 4), nullable=False),
        Column("status", String(32), nullable=False),
    )


def _orders_table(metadata: MetaData) -> Table:
    return Table(quoted_name("orders", quote=True), metadata, *_orders_columns())


def _orders_wide_table(metadata: MetaData) -> Table:
    return Table(
        quoted_name("orders_wide", quote=True),
        metadata,
        *_orders_columns(),
        Column("payload", Text, nullable=False),
        # Evaluated by SQLAlchemy row by row; a driver's way in has to bring the value itself.
        Column("reference", String(32), nullable=False, default=lambda: uuid4().hex),
    )


@shape(table=_orders_table)
def orders(n: int, *, customers: int = 10_000) -> dict[str, Any]:
    """Orders: serial id, customer, amount, status; ``customers`` distinct keys"""
    return {
        "customer_id": n % customers,
        "amount": Decimal(n % 500) + Decimal("0.99"),
        "status": "pending" if n % 3 else "completed",
    }


@shape(table=_orders_wide_table)
def orders_wide(n: int, *, customers: int = 10_000, width: int = 200) -> dict[str, Any]:
    """Wide orders: a payload of ``width`` characters and a Python-side column default"""
    # Hash output, since a constant or repeated payload would compress to nothing in TOAST.
    payload = shake_128(n.to_bytes(8, "big")).hexdigest(width // 2 + 1)[:width]
    return orders.row(n, customers=customers) | {"payload": payload}
