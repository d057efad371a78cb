"""A shape made like a source table: its columns, keys and indexes, and rows that they let in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Any

from sqlalchemy import Column as TableColumn
from sqlalchemy import FetchedValue, Integer, MetaData, Table
from sqlalchemy.sql import quoted_name

from monitor.errors import TargetRefused
from monitor.source import Blueprint, Filling, SourceConstraint, SourceTable
from monitor.suite.mirror import ddl
from monitor.suite.mirror.columns import Column, Findings, copied_columns
from monitor.suite.mirror.ddl import Draft, ForeignKey
from monitor.suite.mirror.keys import Role, Slot, assign, parents_needed
from monitor.suite.mirror.names import fitting, parent_name, type_names
from monitor.suite.mirror.partitions import Partitioning, partitioning
from monitor.suite.mirror.rows import Cell, cells, value_at
from monitor.suite.mirror.slots import slots_of, unique_keys
from monitor.suite.mirror.types import resolve, sqlalchemy_type
from monitor.workload import Shape

#: How the server words a unique key in which two nulls are alike.
_ONE_NULL = "NULLS NOT DISTINCT"


@dataclass(frozen=True, slots=True)
class _Likeness:
    """Everything decided about a likeness."""

    draft: Draft
    columns: tuple[Column, ...]
    how: Partitioning | None
    foreign_keys: tuple[ForeignKey, ...]
    slots: Sequence[Slot]
    roles: Sequence[Role]
    cells: Mapping[str, Cell]
    orm_key: tuple[str, ...]
    rows: int


def likeness(source: SourceTable, name: str, schema: str, rows: int) -> Shape:
    """A shape like the source for a schema of ours, whose keys hold for that many rows.

    Raises TargetRefused where nothing can be measured like it.
    """
    findings = Findings()
    made = _decide(source, fitting(name), schema, rows, findings)
    names = tuple(made.cells)
    functions = tuple(made.cells.values())

    def row(n: int) -> dict[str, Any]:
        return {name: cell(n) for name, cell in zip(names, functions, strict=True)}

    blueprint = _blueprint(made, findings)
    return Shape(
        name=name,
        label=f"Like {source.schema}.{source.name}: {len(made.columns)} columns",
        build=partial(_table, made),
        row=row,
        parameters={},
        blueprint=blueprint,
    )


def _decide(
    source: SourceTable, table: str, schema: str, rows: int, findings: Findings
) -> _Likeness:
    ours = type_names(source, table, schema)
    in_keys = {n for c in source.constraints if c.kind in "puf" for n in c.columns}
    in_keys |= {n for i in source.indexes if i.unique for n in i.uses}
    in_keys |= set(source.partition_columns)
    columns = copied_columns(source, ours, in_keys, findings)
    by_number = {column.source.number: column for column in columns}
    if not any(column.filler == "rows" for column in columns):
        raise TargetRefused(
            f"from_table {source.schema}.{source.name}: it has no column that can be copied and"
            " that the server does not fill, so there is nothing to insert."
        )
    how = partitioning(source, by_number, findings)
    draft = Draft(source, table, schema, by_number, ours)
    keys = _foreign_keys(draft, findings)
    columns = [_settled(column, how, draft) for column in columns]
    draft = replace(draft, columns={column.source.number: column for column in columns})
    unique, orm_key = unique_keys(draft, rows)
    columns = [replace(c, null_share=0.0) if c.name in orm_key else c for c in columns]
    filled = {column.name: column for column in columns if column.filler == "rows"}
    slots = slots_of(filled, [source.names(key.constraint.columns) for key in keys])
    roles = assign(slots, [key for key in unique if not _filled_by_sequence(key, columns)], rows)
    made = cells(filled, slots, roles)
    ordered = {name: made[name] for name in filled}
    return _Likeness(draft, tuple(columns), how, keys, slots, roles, ordered, orm_key, rows)


def _filled_by_sequence(key: Sequence[str], columns: Sequence[Column]) -> bool:
    """Whether a column of the key is unique by itself."""
    return any(c.name in key and c.filler in ("sequence", "identity") for c in columns)


def _settled(column: Column, how: Partitioning | None, draft: Draft) -> Column:
    """The column with what partitions, and keys that allow a single null, make of it."""
    if how is not None and column.source.number in draft.source.partition_columns:
        share = column.null_share if how.default else 0.0
        maker = how.maker if how.column == column.name and how.maker else column.maker
        return replace(column, maker=maker, null_share=share)
    keys = [(c.columns, c.definition) for c in draft.source.constraints]
    keys += [(i.columns, i.definition) for i in draft.source.indexes]
    if any(column.source.number in numbers and _ONE_NULL in text for numbers, text in keys):
        return replace(column, null_share=0.0)
    return column


def _to_itself(constraint: SourceConstraint, draft: Draft) -> bool:
    parent = constraint.parent
    source = draft.source
    return parent is not None and (parent.schema, parent.name) == (source.schema, source.name)


def _foreign_keys(draft: Draft, findings: Findings) -> tuple[ForeignKey, ...]:
    """The foreign keys that are copied, each with the stand-in of its parent."""
    found: list[ForeignKey] = []
    stand_ins: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for constraint in draft.source.constraints:
        if constraint.kind != "f" or constraint.parent is None:
            continue
        reason = _reason_against(constraint, draft)
        if reason:
            findings.not_copied.append(f"foreign key {constraint.name} ({reason})")
            continue
        parent = constraint.parent
        shape = tuple(column.name for column in parent.columns)
        known = stand_ins.setdefault((parent.schema, parent.name), [])
        if shape not in known:
            known.append(shape)
        number = known.index(shape) + 1
        name = parent_name(draft.source, draft.table, parent.schema, parent.name, number)
        types = tuple(resolve(c, draft.source.types, draft.ours) for c in parent.columns)
        found.append(ForeignKey(constraint, name, types))
    if found:
        findings.remarks.append("the parents of its foreign keys hold their key columns only")
    return tuple(found)


def _reason_against(constraint: SourceConstraint, draft: Draft) -> str:
    """Why a foreign key is not copied; empty where it is."""
    columns = [draft.columns.get(number) for number in constraint.columns]
    if "NOT ENFORCED" in constraint.definition:
        return "it is not enforced there"
    if any(column is None or column.filler != "rows" for column in columns):
        return "a column of it is left out, or filled by the server"
    if any(column is not None and column.type.array for column in columns):
        return "it is made of arrays"
    if _to_itself(constraint, draft):
        return "it points to its own table"
    parent = constraint.parent
    problems = [
        resolve(c, draft.source.types, draft.ours) for c in (parent.columns if parent else ())
    ]
    return next((type_.problem for type_ in problems if type_.problem), "")


def _table(made: _Likeness, metadata: MetaData) -> Table:
    """The table as strategies see it; the server's own comes from the blueprint."""
    return Table(
        quoted_name(made.draft.table, quote=True),
        metadata,
        *(_table_column(column, made.orm_key) for column in made.columns),
    )


def _table_column(column: Column, key: tuple[str, ...]) -> TableColumn[Any]:
    type_ = sqlalchemy_type(column.type)
    counted = column.filler in ("sequence", "identity")
    by_server = column.filler != "rows"
    counting = counted and column.name in key and isinstance(type_, Integer)
    return TableColumn(
        column.name,
        type_,
        # As a model would have it; any other column that the server fills has to be said to be.
        server_default=FetchedValue() if by_server and not counting else None,
        primary_key=column.name in key,
        autoincrement=counting,
        nullable=not column.not_null and column.name not in key,
    )


def _blueprint(made: _Likeness, findings: Findings) -> Blueprint:
    draft, keys = made.draft, made.foreign_keys
    used = {oid for column in made.columns for oid in column.type.made}
    used |= {oid for key in keys for type_ in key.types for oid in type_.made}
    parts = (
        *ddl.type_parts(draft, used),
        *ddl.table_parts(draft, made.how),
        *ddl.parent_parts(draft, keys),
    )
    additions = tuple(ddl.additions(draft, keys, findings))
    profile = tuple(_described(column) for column in made.columns)
    texts = [*(part.statement for part in parts), *(each.statement for each in additions), *profile]
    source = draft.source
    if source.access_method != "heap":
        findings.remarks.append(f"its access method {source.access_method} is not used")
    functions = tuple(made.cells.values())
    return Blueprint(
        table=draft.table,
        definition=sha256("\n".join(texts).encode()).hexdigest()[:12],
        parts=parts,
        fillings=_fillings(made),
        columns=tuple(made.cells),
        rows=made.rows,
        row=lambda n: tuple(cell(n) for cell in functions),
        additions=additions,
        not_copied=(*source.extras, *findings.not_copied),
        remarks=tuple(findings.remarks),
        profile=profile,
        guessed=all(column.source.statistics is None for column in made.columns),
    )


def _described(column: Column) -> str:
    """How a column's values are made, as one line of the environment."""
    if column.filler != "rows":
        return f"rows: {column.name} by {column.filler}"
    known = "distinct unknown" if column.distinct is None else f"{column.distinct} distinct"
    return f"rows: {column.name} {known}, {column.null_share:g} null"


def _fillings(made: _Likeness) -> tuple[Filling, ...]:
    """Rows of each stand-in: every combination that a foreign key's columns can take."""
    rows: dict[str, dict[tuple[Any, ...], None]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    by_name = {column.name: column for column in made.columns}
    at = {name: number for number, slot in enumerate(made.slots) for name in slot.columns}
    for key in made.foreign_keys:
        names = made.draft.source.names(key.constraint.columns)
        slot, role = made.slots[at[names[0]]], made.roles[at[names[0]]]
        values = [value_at(by_name[name], slot, role) for name in names]
        known = rows.setdefault(key.parent, {})
        for index in range(parents_needed(slot, role, made.rows)):
            known[tuple(value(index) for value in values)] = None
        parent = key.constraint.parent
        columns[key.parent] = tuple(column.name for column in parent.columns) if parent else ()
    return tuple(Filling(name, columns[name], tuple(rows[name])) for name in rows)
