"""Which value each column takes in row n, such that keys are unique and foreign keys find a parent.

A slot is what moves together: one column, or the columns of foreign keys that share some. A key is
kept unique by writing n in mixed radix over its slots: each but one takes a digit, the last one,
the carrier, what is left of n. What is in no key is drawn at random, by n and the slot's number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, lcm, prod

#: Rows of a parent: usually, and at most.
USUAL_PARENTS = 1_000
MANY_PARENTS = 10_000
MOST_PARENTS = 200_000
#: Distinct values where nothing is known of them.
USUAL_DISTINCT = 1_000
#: The radix of a column that only helps to make a key unique.
_USUAL_RADIX = 100

_ODD = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Slot:
    """Columns that move together, with how many values each can have and is thought to have."""

    columns: tuple[str, ...]
    capacity: int
    distinct: Mapping[str, int | None]
    parents: bool = False

    @property
    def usual(self) -> int:
        """How many different combinations it has in the source, as far as is known."""
        known = max((count for count in self.distinct.values() if count), default=None)
        if self.parents:
            return min(known or USUAL_PARENTS, MANY_PARENTS)
        return min(known or USUAL_DISTINCT, self.capacity)


@dataclass(frozen=True, slots=True)
class Role:
    """The index of a slot's value in row n: a digit of n, or drawn where there is a ``salt``.

    ``modulus`` None: what is left of n, without end.
    """

    divisor: int = 1
    modulus: int | None = None
    salt: int | None = None

    def index(self) -> Callable[[int], int]:
        """The function from n to the index."""
        divisor, modulus = self.divisor, self.modulus
        if self.salt is not None:
            salt, count = self.salt, modulus or (1 << 40)
            return lambda n: drawn(n, salt) % count
        if modulus is None:
            return (lambda n: n) if divisor == 1 else (lambda n: n // divisor)
        return lambda n: n // divisor % modulus


def drawn(n: int, salt: int) -> int:
    """A number below 2**44 that looks random, the same for the same n and salt."""
    mixed = ((n + salt * 0x1_0001) * _ODD) & _MASK
    mixed = ((mixed ^ mixed >> 29) * 0xBF58476D1CE4E5B9) & _MASK
    return mixed >> 20


def assign(slots: Sequence[Slot], keys: Iterable[Sequence[str]], rows: int) -> list[Role]:
    """A role for each slot, so that every key that can be is unique in rows 0 … ``rows`` - 1."""
    at = {column: number for number, slot in enumerate(slots) for column in slot.columns}
    roles: dict[int, Role] = {}
    for key in sorted(keys, key=len):
        members = list(dict.fromkeys(at[column] for column in key if column in at))
        if members and not any(_unique(roles.get(member)) for member in members):
            _spread(members, slots, key, rows, roles)
    for number, slot in enumerate(slots):
        roles.setdefault(number, Role(modulus=slot.usual, salt=number + 1))
    return [roles[number] for number in range(len(slots))]


def _unique(role: Role | None) -> bool:
    return role is not None and role.salt is None and role.modulus is None and role.divisor == 1


def _spread(
    members: Sequence[int],
    slots: Sequence[Slot],
    key: Sequence[str],
    rows: int,
    roles: dict[int, Role],
) -> None:
    """Give the members of a key that have no role yet their digits."""
    free = [member for member in members if member not in roles]
    if not free:
        return
    carrier = max(free, key=lambda member: (not slots[member].parents, slots[member].capacity))
    helpers = [member for member in free if member != carrier]
    radixes = {member: _radix(slots[member], key) for member in helpers}
    for member in helpers:
        if prod(radixes.values()) * slots[carrier].capacity < rows:
            radixes[member] = _reach(slots[member], key)
    divisor = 1
    for member, radix in radixes.items():
        # Columns of one foreign key may repeat sooner than the whole of it: a common multiple.
        whole = lcm(radix, *short_cycles(slots[member]).values())
        roles[member] = Role(divisor, whole)
        divisor *= radix
    roles[carrier] = Role(divisor)


def _radix(slot: Slot, key: Sequence[str]) -> int:
    reach = _reach(slot, key)
    return reach if reach < slot.usual else min(slot.usual, _USUAL_RADIX)


def _reach(slot: Slot, key: Sequence[str]) -> int:
    """How many different values the slot's part of the key can take."""
    if not slot.parents:
        return slot.capacity
    shorter = short_cycles(slot)
    lengths = [shorter.get(column, MANY_PARENTS) for column in slot.columns if column in key]
    return min(max(lengths), slot.capacity)


def short_cycles(slot: Slot) -> dict[str, int]:
    """How many values columns of a composite slot take that take fewer than the whole of it.

    The one with the most values follows the whole.
    """
    if len(slot.columns) < 2:
        return {}
    known = {column: count for column, count in slot.distinct.items() if count}
    longest = max(slot.columns, key=lambda column: known.get(column, USUAL_PARENTS))
    return {
        column: count for column, count in known.items() if column != longest and count < slot.usual
    }


def parents_needed(slot: Slot, role: Role, rows: int) -> int:
    """How many indexes of a slot rows 0 … ``rows`` - 1 use, at most."""
    if role.modulus is not None:
        return min(role.modulus, MOST_PARENTS)
    return min(ceil(rows / role.divisor), MOST_PARENTS, max(slot.capacity, 1))
