"""What the store takes on disk."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from monitor.store.database import Database

_RELATIONS = text(
    "SELECT coalesce(sum(pg_catalog.pg_total_relation_size(oid)), 0)::bigint"
    " FROM pg_catalog.pg_class WHERE relkind IN ('r', 'm') AND relnamespace ="
    " (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = :schema)"
)


async def size_bytes(database: Database) -> int:
    """Bytes of all tables with their indexes, on SQLite of the file and its log."""
    if database.schema is None:
        path = database.location.path
        return sum(_file_bytes(Path(f"{path}{suffix}")) for suffix in ("", "-wal"))
    async with database.reading() as connection:
        return int(await connection.scalar(_RELATIONS, {"schema": database.schema}) or 0)


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
