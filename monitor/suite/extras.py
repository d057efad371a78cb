"""Indexes and foreign keys that a shape may have on top, and the shapes that come of them.

A shape declares them (``extras=``); each makes a shape of its own, named like the shape and the
extra: ``orders`` with ``customer_idx`` is ``orders_customer_idx``, another table. So both can be
measured in one block, and neither ever lacks what its name says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, MetaData, Table, text
from sqlalchemy.sql import quoted_name

from monitor.errors import ConfigurationError
from monitor.workload import Extra, Parent, Shape

#: PostgreSQL cuts longer names off, and then two could be one.
MAX_NAME_BYTES = 63

#: What the shape is called whose indexes are built after its rows are in.
REBUILT = "rebuilt"


def index(
    name: str,
    label: str,
    *columns: str,
    using: str = "btree",
    unique: bool = False,
    where: str | None = None,
) -> Extra:
    """One index on columns, or on expressions written in parentheses.

    ``using`` is the access method (btree, gin, brin, hash …), ``where`` makes it a partial index.
    Names in expressions must be schema-qualified: no search path is relied on.
    """

    def add(table: Table) -> None:
        parts = [text(part) if part.startswith("(") else table.c[part] for part in columns]
        options: dict[str, Any] = {"postgresql_using": using, "unique": unique}
        if where is not None:
            options["postgresql_where"] = text(where)
        made = Index(_next_name(table), *parts, **options)
        if made.table is None:  # expressions alone do not tell SQLAlchemy what they belong to
            table.append_constraint(made)

    return Extra(name, label, "index", add)


def indexes(name: str, label: str, *parts: Extra) -> Extra:
    """A set of indexes, measured together."""

    def add(table: Table) -> None:
        for part in parts:
            part.add(table)

    return Extra(name, label, "index", add)


def foreign_key(name: str, label: str, columns: tuple[str, ...], parent: Parent) -> Extra:
    """A foreign key to the primary key of a parent table, which is ours and filled by us."""

    def add(table: Table) -> None:
        referred = declare_parent(parent, table.metadata)
        table.append_constraint(
            ForeignKeyConstraint(
                list(columns),
                [referred.c[column.name] for column in referred.primary_key],
                name=quoted_name(f"{table.name}_fkey", quote=True),
            )
        )

    return Extra(name, label, "foreign_key", add, (parent,))


def declare_parent(parent: Parent, metadata: MetaData) -> Table:
    """The parent's table in this metadata, declared now if it is not yet."""
    key = f"{metadata.schema}.{parent.name}" if metadata.schema else parent.name
    known = metadata.tables.get(key)
    return parent.build(metadata) if known is None else known


def _next_name(table: Table) -> quoted_name:
    """Indexes and tables share their names' space: one after the table, numbered."""
    return quoted_name(f"{table.name}_{len(table.indexes) + 1}", quote=True)


def with_extra(shape: Shape, extra: Extra) -> Shape:
    """The shape whose table has the extra on top. Raises ConfigurationError for too long a name."""
    derived = _derived(shape, extra.name, extra.add)
    return replace(
        derived,
        label=f"{shape.label}; {extra.label}",
        parents=shape.parents + extra.parents,
        plain=shape.name,
        extra=extra,
    )


def rebuilt(shape: Shape, extra: Extra) -> Shape:
    """The shape's table without the extra, on a table of its own where it is made afterwards."""
    derived = _derived(shape, f"{extra.name}_{REBUILT}", lambda _: None)
    return replace(derived, plain=shape.name, extra=extra)


def _derived(shape: Shape, suffix: str, add: Callable[[Table], None]) -> Shape:
    name = f"{shape.name}_{suffix}"
    if len(name.encode()) > MAX_NAME_BYTES - len("_id_seq"):
        raise ConfigurationError(f"shape {name}: its name is too long; shorten that of the extra.")

    def build(metadata: MetaData) -> Table:
        scratch = MetaData(schema=metadata.schema)
        for parent in shape.parents:
            declare_parent(parent, metadata)
        table = shape.build(scratch).to_metadata(metadata, name=quoted_name(name, quote=True))
        for number, own in enumerate(sorted(table.indexes, key=lambda i: str(i.name)), start=1):
            own.name = quoted_name(f"{name}_{number}", quote=True)
        add(table)
        return table

    return replace(shape, name=name, build=build, extras=())


def all_of(shape: Shape) -> list[Shape]:
    """The shape itself and one for each of its extras."""
    return [shape, *(with_extra(shape, extra) for extra in shape.extras)]
