"""The DDL of our tables as text, and the hash by which a table is known to be made from it."""

from __future__ import annotations

from hashlib import sha256

from sqlalchemy import Index, Table
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.schema import CreateIndex, CreateTable

#: Autovacuum would run into rounds; what it does is done by us, outside the clock.
STORAGE = "autovacuum_enabled = false, toast.autovacuum_enabled = false"


def create_statements(table: Table) -> list[str]:
    """The statements that make the table and its indexes, in order."""
    return [f"{_create_table(table)} WITH ({STORAGE})", *index_statements(table)]


def index_statements(table: Table, *, concurrently: bool = False) -> list[str]:
    """The statements that make the table's indexes, by name."""
    found = sorted(table.indexes, key=lambda index: str(index.name))
    return [_create_index(index, concurrently) for index in found]


def definition_hash(table: Table) -> str:
    """Twelve hex digits of what the table is created from."""
    parts = [f"{_create_table(table)} {STORAGE}", *index_statements(table)]
    return sha256("\n".join(parts).encode()).hexdigest()[:12]


def _create_table(table: Table) -> str:
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
    return str(CreateTable(table).compile(dialect=dialect)).strip()


def _create_index(index: Index, concurrently: bool) -> str:
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
    text = str(CreateIndex(index).compile(dialect=dialect)).strip()
    return text.replace(" INDEX ", " INDEX CONCURRENTLY ", 1) if concurrently else text
