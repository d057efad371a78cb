"""What the objects of a likeness are called in our schema."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from monitor.source import SourceTable
from monitor.sql_text import qualified

#: Bytes of a name that PostgreSQL keeps.
_LONGEST = 63


def fitting(name: str) -> str:
    """The name, or as much of it as PostgreSQL keeps, made different from others by a hash."""
    if len(name.encode()) <= _LONGEST:
        return name
    digest = sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: _LONGEST - 9].decode(errors='ignore')}~{digest}"


def part_name(table: str, part: str) -> str:
    """What a part of a likeness is called: its table's name first, so that none is taken twice."""
    return fitting(f"{table}/{part}")


def type_names(source: SourceTable, table: str, schema: str) -> dict[int, str]:
    """Qualified names of the enums and domains that are made anew, by the source's oids."""
    return {
        oid: qualified(schema, part_name(table, _title(source, of.schema, of.name)))
        for oid, of in source.types.items()
        if of.kind in ("e", "d") and not of.extension
    }


def renamings(source: SourceTable, ours: Mapping[int, str]) -> dict[tuple[str, str], str]:
    """The source's names of those types, as the server writes them, and ours."""
    return {(source.types[oid].schema, source.types[oid].name): name for oid, name in ours.items()}


def _title(source: SourceTable, schema: str, name: str) -> str:
    return name if schema == source.schema else f"{schema}.{name}"


def parent_name(source: SourceTable, table: str, schema: str, name: str, number: int) -> str:
    """What the stand-in of a foreign key's parent is called; ``number`` tells keys of it apart."""
    title = _title(source, schema, name)
    return part_name(table, title if number == 1 else f"{title} {number}")
