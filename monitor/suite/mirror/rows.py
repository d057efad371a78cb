"""Row n of a likeness: each column's value by its slot's role, and the source's share of nulls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from monitor.suite.mirror.columns import Column
from monitor.suite.mirror.keys import Role, Slot, drawn, short_cycles

#: A column that takes no more values than this has them made once.
_POOLED = 5_000
_SHARES = 1 << 44

Cell = Callable[[int], Any]


def cells(
    columns: Mapping[str, Column], slots: Sequence[Slot], roles: Sequence[Role]
) -> dict[str, Cell]:
    """The function from n to the value of each column of the slots."""
    made: dict[str, Cell] = {}
    for number, (slot, role) in enumerate(zip(slots, roles, strict=True)):
        index = role.index()
        for name in slot.columns:
            value = value_at(columns[name], slot, role)
            cell = _at(index, value)
            made[name] = _with_nulls(cell, columns[name].null_share, number)
    return made


def value_at(column: Column, slot: Slot, role: Role) -> Callable[[int], Any]:
    """The value of a slot's column by the slot's index."""
    value, cycle = column.maker.value, short_cycles(slot).get(column.name)
    count = min(cycle or column.maker.capacity, role.modulus or column.maker.capacity)
    if count <= _POOLED:
        pool = [value(i) for i in range(count)]
        return lambda i: pool[i % count]
    return value if cycle is None else lambda i: value(i % cycle)


def _at(index: Callable[[int], int], value: Callable[[int], Any]) -> Cell:
    return lambda n: value(index(n))


def _with_nulls(cell: Cell, share: float, number: int) -> Cell:
    if share <= 0.0:
        return cell
    if share >= 1.0:
        return lambda n: None
    limit, salt = int(share * _SHARES), -1 - number
    return lambda n: None if drawn(n, salt) < limit else cell(n)
