"""The statements that build a likeness: types, table, partitions, parents; and what comes last."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from monitor.source import (
    Addition,
    Counting,
    Part,
    SourceConstraint,
    SourceIndex,
    SourceTable,
    SourceType,
)
from monitor.sql_text import literal, qualified, quote, renamed, tokens
from monitor.suite.mirror.columns import Column, Findings, obstacle
from monitor.suite.mirror.names import part_name, renamings
from monitor.suite.mirror.partitions import Partitioning
from monitor.suite.mirror.types import Resolved, base_text

#: Storage parameters that bear on inserts; those of autovacuum are ours.
_OPTIONS = ("fillfactor=", "toast_tuple_target=")
_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}


@dataclass(frozen=True, slots=True)
class Draft:
    """What the statements are made from: source and names, columns by number, the type names."""

    source: SourceTable
    table: str
    schema: str
    columns: Mapping[int, Column]
    ours: Mapping[int, str]

    @property
    def qualified(self) -> str:
        return qualified(self.schema, self.table)

    def here(self, part: str) -> str:
        """The qualified name of a part."""
        return qualified(self.schema, part_name(self.table, part))

    def text(self, expression: str) -> str:
        """An expression of the source with the types' names exchanged for ours."""
        return renamed(expression, renamings(self.source, self.ours))

    def names(self, numbers: Sequence[int]) -> str:
        return ", ".join(quote(self.columns[number].name) for number in numbers)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key that is copied, and the stand-in of its parent."""

    constraint: SourceConstraint
    parent: str
    types: tuple[Resolved, ...]


def type_parts(draft: Draft, used: set[int]) -> Iterator[Part]:
    """Enums and domains that are used, those first that others are made over."""
    for oid in sorted(used, key=lambda oid: _depth(oid, draft.source.types)):
        of, name = draft.source.types[oid], draft.ours[oid]
        if of.kind == "e":
            labels = ", ".join(literal(label) for label in of.labels)
            statement = f"CREATE TYPE {name} AS ENUM ({labels})"
        else:
            base = base_text(of, draft.source.types, draft.ours)
            statement = f"CREATE DOMAIN {name} AS {base}{' NOT NULL' if of.not_null else ''}"
        yield Part("type", _bare(name), statement)


def _depth(oid: int | None, types: Mapping[int, SourceType]) -> int:
    of = types.get(oid) if oid is not None else None
    return 0 if of is None else 1 + max(_depth(of.base, types), _depth(of.element, types))


def _bare(name: str) -> str:
    return tokens(name)[2][1:-1].replace('""', '"')


def table_parts(draft: Draft, how: Partitioning | None) -> Iterator[Part]:
    """Sequences, the table itself, what ties them together, and the partitions."""
    unlogged = "UNLOGGED " if draft.source.unlogged else ""
    serial = [column for column in draft.columns.values() if column.filler == "sequence"]
    for column in serial:
        assert column.source.sequence is not None  # noqa: S101 - for mypy
        name = f"{column.name} sequence"
        statement = f"CREATE SEQUENCE {draft.here(name)} {_counting(column.source.sequence)}"
        yield Part("sequence", part_name(draft.table, name), statement)
    body = ", ".join(_definition(column, draft) for column in draft.columns.values())
    options = [] if how else [o for o in draft.source.options if o.startswith(_OPTIONS)]
    head = f"CREATE {unlogged}TABLE {draft.qualified} ({body})"
    yield Part("table", draft.table, f"{head} {how.clause}" if how else _stored(head, options))
    for column in serial:
        owner = f"{draft.qualified}.{quote(column.name)}"
        statement = f"ALTER SEQUENCE {draft.here(f'{column.name} sequence')} OWNED BY {owner}"
        yield Part("step", "", statement)
    for partition in how.partitions if how else ():
        options = [o for o in partition.options if o.startswith(_OPTIONS)]
        head = (
            f"CREATE {unlogged}TABLE {draft.here(partition.name)}"
            f" PARTITION OF {draft.qualified} {partition.bound}"
        )
        yield Part("table", part_name(draft.table, partition.name), _stored(head, options))


def _stored(statement: str, options: Sequence[str]) -> str:
    """A placeholder for our own storage parameters stands last; the builder knows them."""
    return f"{statement} WITH ({', '.join([*options, '{storage}'])})"


def _counting(how: Counting) -> str:
    return (
        f"AS {how.type} INCREMENT BY {how.increment} MINVALUE {how.minimum} MAXVALUE {how.maximum}"
        f" START WITH {how.start} CACHE {how.cache}{' CYCLE' if how.cycle else ' NO CYCLE'}"
    )


def _definition(column: Column, draft: Draft) -> str:
    source, words = column.source, [quote(column.name), column.type.text]
    if source.collation and source.collation_built_in and column.type.text == source.text:
        words.append(f"COLLATE pg_catalog.{quote(source.collation)}")
    if column.filler == "generation":
        kind = "VIRTUAL" if source.generated == "v" else "STORED"
        words.append(f"GENERATED ALWAYS AS ({draft.text(source.expression or '')}) {kind}")
    elif column.filler == "identity":
        words.append(_identity(column))
    elif column.filler == "sequence":
        sequence = literal(draft.here(f"{column.name} sequence"))
        words.append(f"DEFAULT pg_catalog.nextval({sequence}::pg_catalog.regclass)")
    elif column.default:
        words.append(f"DEFAULT {draft.text(source.expression or '')}")
    if source.not_null:
        words.append("NOT NULL")
    return " ".join(words)


def _identity(column: Column) -> str:
    how = column.source.sequence
    kind = "ALWAYS" if column.source.identity == "a" else "BY DEFAULT"
    options = _counting(how).partition(" INCREMENT")[2] if how else ""
    return f"GENERATED {kind} AS IDENTITY" + (f" (INCREMENT{options})" if how else "")


def parent_parts(draft: Draft, keys: Sequence[ForeignKey]) -> Iterator[Part]:
    """Stand-ins for the parents: their key columns, and nothing else of them."""
    for name, key in {key.parent: key for key in keys}.items():
        assert key.constraint.parent is not None  # noqa: S101 - for mypy
        columns = key.constraint.parent.columns
        body = ", ".join(
            f"{quote(column.name)} {type_.text} NOT NULL"
            for column, type_ in zip(columns, key.types, strict=True)
        )
        names = ", ".join(quote(column.name) for column in columns)
        head = f"CREATE TABLE {qualified(draft.schema, name)} ({body}, PRIMARY KEY ({names}))"
        yield Part("table", name, _stored(head, []))


def additions(draft: Draft, keys: Sequence[ForeignKey], findings: Findings) -> Iterator[Addition]:
    """Keys, foreign keys, indexes, checks and storage of columns, in the order they are added."""
    constraints = [c for c in draft.source.constraints if _possible(c, draft, findings)]
    for constraint in constraints:
        if constraint.kind in "pu":
            yield _unique(constraint, draft)
    for index in draft.source.indexes:
        addition = _index(index, draft, findings)
        if addition is not None:
            yield addition
    for key in keys:
        yield _foreign_key(key, draft)
    for constraint in constraints:
        if constraint.kind == "c":
            yield _check(constraint, draft)
    yield from _storage(draft)


def _possible(constraint: SourceConstraint, draft: Draft, findings: Findings) -> bool:
    if constraint.kind == "f":
        return False  # these come from elsewhere, with their parents
    if constraint.domain:
        used = {oid for column in draft.columns.values() for oid in column.type.domains}
        if constraint.domain not in used:
            return False
    reason = _reason_against(constraint, draft)
    if reason:
        findings.not_copied.append(f"{_title(constraint)} {constraint.name} ({reason})")
    return not reason


def _reason_against(constraint: SourceConstraint, draft: Draft) -> str:
    if constraint.kind == "x" or "WITHOUT OVERLAPS" in constraint.definition:
        return "no rows are made for it"
    if "NOT ENFORCED" in constraint.definition:
        return "it is not enforced there"
    if any(number not in draft.columns for number in constraint.columns if number > 0):
        return "a column of it is left out"
    return obstacle(constraint.needs, draft.source.types)


def _title(constraint: SourceConstraint) -> str:
    words = {"p": "primary key", "u": "unique constraint", "x": "exclusion constraint",
             "f": "foreign key"}  # fmt: skip
    return words.get(constraint.kind, "check constraint")


def _unique(constraint: SourceConstraint, draft: Draft) -> Addition:
    definition, deferrable, rest = constraint.definition.partition(" DEFERRABLE")
    options = f" WITH ({', '.join(constraint.options)})" if constraint.options else ""
    name = quote(part_name(draft.table, constraint.name))
    return Addition(
        f"{_title(constraint)} {constraint.name}",
        f"ALTER TABLE {draft.qualified} ADD CONSTRAINT {name}"
        f" {definition}{options}{deferrable}{rest}",
    )


def _index(index: SourceIndex, draft: Draft, findings: Findings) -> Addition | None:
    title = f"unique index {index.name}" if index.unique else f"index {index.name}"
    reason = obstacle(index.needs, draft.source.types)
    if any(number not in draft.columns for number in index.uses):
        reason = "a column of it is left out"
    if not index.valid:
        reason = "it is invalid there"
    if reason:
        findings.not_copied.append(f"{title} ({reason})")
        return None
    unique = "UNIQUE " if index.unique else ""
    name = quote(part_name(draft.table, index.name))
    body = draft.text(_after_using(index.definition))
    return Addition(title, f"CREATE {unique}INDEX {name} ON {draft.qualified} USING{body}")


def _after_using(definition: str) -> str:
    words = tokens(definition)
    return "".join(words[words.index("USING") + 1 :])


def _foreign_key(key: ForeignKey, draft: Draft) -> Addition:
    constraint, parent = key.constraint, key.constraint.parent
    assert parent is not None  # noqa: S101 - for mypy
    columns = ", ".join(quote(column.name) for column in parent.columns)
    return Addition(
        f"foreign key {constraint.name}",
        f"ALTER TABLE {draft.qualified} ADD CONSTRAINT {quote(constraint.name)}"
        f" FOREIGN KEY ({draft.names(constraint.columns)})"
        f" REFERENCES {qualified(draft.schema, key.parent)} ({columns})"
        f"{' MATCH FULL' if constraint.match_full else ''}"
        f"{' DEFERRABLE' if constraint.deferrable else ''}"
        f"{' INITIALLY DEFERRED' if constraint.deferred else ''}",
    )


def _check(constraint: SourceConstraint, draft: Draft) -> Addition:
    definition = draft.text(re.sub(r"( NO INHERIT| NOT VALID)+$", "", constraint.definition))
    if constraint.domain:
        domain = draft.source.types[constraint.domain].name
        title = f"check constraint {constraint.name} of domain {domain}"
        what = f"ALTER DOMAIN {draft.ours[constraint.domain]}"
    else:
        title, what = f"check constraint {constraint.name}", f"ALTER TABLE {draft.qualified}"
    return Addition(title, f"{what} ADD CONSTRAINT {quote(constraint.name)} {definition}")


def _storage(draft: Draft) -> Iterator[Addition]:
    for column in draft.columns.values():
        source = column.source
        change = f"ALTER TABLE {draft.qualified} ALTER COLUMN {quote(column.name)} SET"
        if column.type.text != source.text and not column.type.made:
            continue
        if source.storage:
            word = _STORAGE[source.storage]
            yield Addition(f"storage of {column.name} ({word})", f"{change} STORAGE {word}")
        if source.compression:
            word = source.compression
            yield Addition(f"compression of {column.name} ({word})", f"{change} COMPRESSION {word}")
