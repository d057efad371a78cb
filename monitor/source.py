"""A table as a catalogue tells it: what a shape is made like. Nothing here is read from rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Source:
    """Where a shape's likeness is to be found.

    ``table`` is its name as written in SQL, schema included; ``dsn`` that of its database, None for
    the target's own; ``name`` what the shape is called.
    """

    table: str
    name: str
    dsn: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Need:
    """Something outside the table that a default, a constraint or an index stands on.

    ``catalog`` is the system table that ``oid`` is of, or ``value`` for the likes of
    CURRENT_TIMESTAMP; ``schema`` where it lives, if in one; ``volatility`` is ``i``, ``s`` or ``v``
    for a function that is called.
    """

    catalog: str
    oid: int
    description: str
    schema: str | None = None
    volatility: str | None = None


@dataclass(frozen=True, slots=True)
class SourceType:
    """A type by its name, its kind as in pg_type (``b e d c r m``), and what it is made of."""

    schema: str
    name: str
    kind: str
    element: int | None = None
    base: int | None = None
    base_typmod: int = -1
    base_text: str | None = None
    not_null: bool = False
    labels: tuple[str, ...] = ()
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What pg_stats says of a column besides its values.

    ``distinct`` is negative where it is a share of all rows; ``width`` is in bytes.
    """

    distinct: float
    null_share: float
    width: int


@dataclass(frozen=True, slots=True)
class Counting:
    """How a sequence counts."""

    type: str
    increment: int
    minimum: int
    maximum: int
    start: int
    cache: int
    cycle: bool


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column; ``expression`` is that of its default or of its generation."""

    number: int
    name: str
    type: int
    typmod: int
    text: str
    not_null: bool = False
    identity: str = ""
    generated: str = ""
    storage: str | None = None
    compression: str | None = None
    collation: str | None = None
    collation_built_in: bool = True
    expression: str | None = None
    needs: tuple[Need, ...] = ()
    sequence: Counting | None = None
    statistics: Statistics | None = None


@dataclass(frozen=True, slots=True)
class SourceParent:
    """The table that a foreign key points to, and its key columns in the key's order."""

    schema: str
    name: str
    columns: tuple[SourceColumn, ...]


@dataclass(frozen=True, slots=True)
class SourceConstraint:
    """A constraint of the table or of a domain (its oid); ``kind`` as in pg_constraint."""

    name: str
    kind: str
    columns: tuple[int, ...]
    definition: str
    needs: tuple[Need, ...] = ()
    options: tuple[str, ...] = ()
    domain: int = 0
    parent: SourceParent | None = None
    match_full: bool = False
    deferrable: bool = False
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class SourceIndex:
    """An index that no constraint made; among ``columns`` 0 stands for an expression."""

    name: str
    unique: bool
    valid: bool
    columns: tuple[int, ...]
    uses: tuple[int, ...]
    definition: str
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True, slots=True)
class SourcePartition:
    """A partition and its bound as the server words it."""

    name: str
    bound: str
    options: tuple[str, ...] = ()
    partitioned: bool = False


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Everything that a table is made of, and how many rows it is thought to have.

    ``strategy`` and ``partition_columns`` (0: an expression) say how it is partitioned; ``extras``
    names triggers, rules and policies.
    """

    schema: str
    name: str
    row_count: int
    columns: tuple[SourceColumn, ...]
    types: Mapping[int, SourceType]
    constraints: tuple[SourceConstraint, ...] = ()
    indexes: tuple[SourceIndex, ...] = ()
    options: tuple[str, ...] = ()
    unlogged: bool = False
    access_method: str = "heap"
    strategy: str | None = None
    partition_columns: tuple[int, ...] = ()
    partitions: tuple[SourcePartition, ...] = ()
    extras: tuple[str, ...] = ()

    def names(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """The names of columns by their numbers."""
        by_number = {column.number: column.name for column in self.columns}
        return tuple(by_number[number] for number in numbers)


@dataclass(frozen=True, slots=True)
class Part:
    """One object of a blueprint: ``kind`` is ``table``, ``type`` or ``sequence``."""

    kind: str
    name: str
    statement: str


@dataclass(frozen=True, slots=True)
class Addition:
    """What is added to a built table if its rows allow it; ``title`` is what people read."""

    title: str
    statement: str


@dataclass(frozen=True, slots=True)
class Filling:
    """Rows that a foreign key's parent needs to hold."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Blueprint:
    """How a likeness is built in our schema, in order: parts, fillings, rows on trial, additions.

    ``definition`` changes when anything of it does. ``row(n)`` is a row on trial as a tuple of
    ``columns``, ``rows`` their number; what they do not satisfy among ``additions`` is left out.
    ``not_copied`` was left out before, each with the reason; ``remarks`` is what is otherwise than
    in the source, ``profile`` how its rows are made, ``guessed`` whether without any statistics.
    """

    table: str
    definition: str
    parts: tuple[Part, ...]
    fillings: tuple[Filling, ...]
    columns: tuple[str, ...]
    rows: int
    row: Callable[[int], tuple[object, ...]]
    additions: tuple[Addition, ...]
    not_copied: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    profile: tuple[str, ...] = ()
    guessed: bool = False
