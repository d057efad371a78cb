"""What can be inserted, and how: strategies and shapes, the types that a catalogue is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg
from sqlalchemy import MetaData, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.source import Blueprint, Source

Value = int | float | str | bool
RowForm = Literal["dicts", "objects", "tuples"]
ExtraKind = Literal["index", "foreign_key"]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a strategy inserts: one open transaction on one table.

    ``connection`` and ``driver`` are the same session seen through SQLAlchemy and through asyncpg.
    ``columns`` are the names of the values of a tuple row, in order. ``staging`` is a second table
    with these columns and nothing else, for strategies that ask for one; it is empty at first.
    """

    connection: AsyncConnection
    driver: asyncpg.Connection[asyncpg.Record]
    table: Table
    entity: type
    columns: tuple[str, ...]
    staging: Table | None = None


InsertFunction = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Strategy:
    """One way to insert a batch of rows.

    ``insert(destination, rows, **parameters)`` sends one batch, ``rows`` being in ``row_form``;
    ``parameters`` holds what can be swept, with defaults; ``label`` is what people read. With
    ``staging`` the destination has a staging table; with ``merges`` a row whose key is there
    already replaces the old one, so that as many rows are expected as there are different keys.
    """

    name: str
    label: str
    row_form: RowForm
    insert: InsertFunction
    parameters: Mapping[str, Value]
    staging: bool = False
    merges: bool = False


@dataclass(frozen=True, slots=True)
class Parent:
    """A table that a foreign key of a shape refers to: ours, filled before a run, emptied after.

    ``build(metadata)`` declares it, once however many shapes refer to it; ``row(n)`` gives row *n*
    by column name; ``rows(**parameters)`` says how many there must be for a shape's parameters.
    """

    name: str
    build: Callable[[MetaData], Table]
    row: Callable[[int], dict[str, Any]]
    rows: Callable[..., int]


@dataclass(frozen=True, slots=True)
class Extra:
    """What a shape's table may have on top: one index or a set of them, or a foreign key.

    ``add(table)`` declares it on a table of the shape; ``parents`` must be there before.
    """

    name: str
    label: str
    kind: ExtraKind
    add: Callable[[Table], None]
    parents: tuple[Parent, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """A table to insert into, and what its row *n* looks like.

    ``build(metadata)`` declares the table in the metadata's schema, its indexes and foreign keys
    with it; ``row(n, **parameters)`` gives the values of row *n* by column name, without the
    columns that the server or a column default fills; ``parents`` are filled before a run. A shape
    made like a table has a ``source`` until that is read, then a ``blueprint``.

    Each of ``extras`` makes another shape, such as ``orders_customer_idx``: that one names the
    shape without it as ``plain`` and what it has on top as ``extra``.
    """

    name: str
    label: str
    build: Callable[[MetaData], Table]
    row: Callable[..., dict[str, Any]]
    parameters: Mapping[str, Value]
    source: Source | None = None
    blueprint: Blueprint | None = None
    parents: tuple[Parent, ...] = ()
    extras: tuple[Extra, ...] = ()
    plain: str | None = None
    extra: Extra | None = None
