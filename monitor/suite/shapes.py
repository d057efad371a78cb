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

from monitor.suite.extras import foreign_key, index, indexes
from monitor.suite.parameters import check_all, label_of, parameters_of
from monitor.workload import Extra, Parent, Shape

RowFunction = Callable[..., dict[str, Any]]


def shape(
    *,
    table: Callable[[MetaData], Table],
    parents: tuple[Parent, ...] = (),
    extras: tuple[Extra, ...] = (),
) -> Callable[[RowFunction], Shape]:
    """Turn a row function into a ``Shape`` named like its table; registers nothing.

    The function's first docstring line becomes the label, its keyword-only parameters the shape's.
    ``parents`` are what the table's own foreign keys refer to, ``extras`` what it may have on top.
    """

    def decorate(function: RowFunction) -> Shape:
        check_all(function, "parents", parents, Parent)
        check_all(function, "extras", extras, Extra)
        return Shape(
            name=function.__name__,
            label=label_of(function),
            build=table,
            row=function,
            parameters=parameters_of(function),
            parents=parents,
            extras=extras,
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


def _customers_table(metadata: MetaData) -> Table:
    return Table(
        quoted_name("orders_customers", quote=True),
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("name", String(64), nullable=False),
    )


CUSTOMERS = Parent(
    "orders_customers",
    build=_customers_table,
    row=lambda n: {"id": n, "name": f"customer {n}"},
    rows=lambda *, customers, **_: customers,
)

#: What orders may have on top, of both widths.
EXTRAS = (
    index("customer_idx", "B-tree on customer_id", "customer_id"),
    index("customer_uq", "unique B-tree on customer_id, id", "customer_id", "id", unique=True),
    index("pending_idx", "partial B-tree on customer_id, two rows of three", "customer_id",
          where="status = 'pending'"),
    index("id_brin", "BRIN on id", "id", using="brin"),
    index("status_gin", "GIN on the words of status",
          "(pg_catalog.to_tsvector('pg_catalog.simple', status))", using="gin"),
    indexes(
        "five_idx", "five B-trees",
        index("customer", "", "customer_id"),
        index("status", "", "status"),
        index("amount", "", "amount"),
        index("customer_status", "", "customer_id", "status"),
        index("status_amount", "", "status", "amount"),
    ),
    foreign_key("customer_fk", "foreign key on customer_id", ("customer_id",), CUSTOMERS),
)  # fmt: skip


@shape(table=_orders_table, extras=EXTRAS)
def orders(n: int, *, customers: int = 10_000) -> dict[str, Any]:
    """Orders: serial id, customer, amount, status; ``customers`` distinct keys"""
    return {
        "customer_id": n % customers,
        "amount": Decimal(n % 500) + Decimal("0.99"),
        "status": "pending" if n % 3 else "completed",
    }


@shape(table=_orders_wide_table, extras=EXTRAS)
def orders_wide(n: int, *, customers: int = 10_000, width: int = 200) -> dict[str, Any]:
    """Wide orders: a payload of ``width`` characters and a Python-side column default"""
    # Hash output, since a constant or repeated payload would compress to nothing in TOAST.
    payload = shake_128(n.to_bytes(8, "big")).hexdigest(width // 2 + 1)[:width]
    return orders.row(n, customers=customers) | {"payload": payload}
