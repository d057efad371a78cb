"""Which columns move together, and which keys must be unique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf, prod

from monitor.suite.mirror.columns import Column
from monitor.suite.mirror.ddl import Draft
from monitor.suite.mirror.keys import MOST_PARENTS, Slot

#: What fills a column with a number that no other row has.
_COUNTED = ("sequence", "identity")


def slots_of(columns: Mapping[str, Column], foreign_keys: Iterable[Sequence[str]]) -> list[Slot]:
    """The columns of foreign keys that share some together, every other column alone."""
    groups = {name: {name} for name in columns}
    parents: set[str] = set()
    for key in foreign_keys:
        parents |= set(key)
        joined = set().union(*(groups[name] for name in key))
        for name in joined:
            groups[name] = joined
    slots, done = [], set()
    for name in columns:
        if name in done:
            continue
        members = tuple(other for other in columns if other in groups[name])
        done |= set(members)
        slots.append(_slot([columns[member] for member in members], bool(parents & set(members))))
    return slots


def _slot(columns: Sequence[Column], parents: bool) -> Slot:
    capacity = max(column.maker.capacity for column in columns)
    return Slot(
        columns=tuple(column.name for column in columns),
        capacity=min(capacity, MOST_PARENTS) if parents else capacity,
        distinct={column.name: column.distinct for column in columns},
        parents=parents,
    )


def unique_keys(draft: Draft, rows: int) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Every key that rows must keep unique, and the one that a mapped class takes for its own.

    A table without a unique key of columns that are never null, and that can tell so many rows
    apart, gets one of our choosing, since the ORM needs one: the rows differ there, the server is
    told of no key.
    """
    found = [
        _names(constraint.columns, draft)
        for constraint in draft.source.constraints
        if constraint.kind in "pu" and _all_here(constraint.columns, draft)
    ]
    for index in draft.source.indexes:
        # Of an expression, what it is made of; a partial index is taken for a whole one.
        numbers = index.uses if 0 in index.columns else index.columns
        if index.unique and index.valid and _all_here(numbers, draft):
            found.append(_names(numbers, draft))
    never_null = {column.name for column in draft.columns.values() if column.not_null}
    for key in found:
        if set(key) <= never_null and _room(key, draft) >= rows:
            return found, key
    chosen = _chosen(draft, rows)
    return [*found, chosen], chosen


def _all_here(numbers: Sequence[int], draft: Draft) -> bool:
    return bool(numbers) and all(number in draft.columns for number in numbers)


def _names(numbers: Sequence[int], draft: Draft) -> tuple[str, ...]:
    return tuple(draft.columns[number].name for number in numbers)


def _room(key: Iterable[str], draft: Draft) -> float:
    """How many rows a key can tell apart."""
    columns = [column for column in draft.columns.values() if column.name in key]
    return prod(inf if c.filler in _COUNTED else c.maker.capacity for c in columns)


def _chosen(draft: Draft, rows: int) -> tuple[str, ...]:
    """The column that can best tell rows apart, or if none can, all of them together."""
    columns = list(draft.columns.values())
    counted = [c for c in columns if c.filler in _COUNTED]
    filled = [c for c in columns if c.filler == "rows" and _hashable(c)]
    usable = counted or filled or columns
    best = max(usable, key=lambda c: (c.maker.capacity >= rows, c.not_null, c.null_share == 0.0,
                                      c.maker.capacity)).name  # fmt: skip
    together = tuple(column.name for column in filled)
    return (best,) if _room((best,), draft) >= rows or not together else together


def _hashable(column: Column) -> bool:
    """Whether the ORM can take its values for a key."""
    return not column.type.array and column.type.kind not in ("json", "jsonb")
