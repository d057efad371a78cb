"""The table that a concurrent load may write to."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, MetaData, Table, Text
from sqlalchemy.sql import quoted_name

from monitor.model import Load

LOAD_TABLE = "load"


def load_tables(load: Load | None, metadata: MetaData) -> tuple[Table, ...]:
    """The load's own table, where its SQL names ``{load}``."""
    if load is None or "{load}" not in (load.sql or ""):
        return ()
    table = Table(
        quoted_name(LOAD_TABLE, quote=True),
        metadata,
        Column("id", BigInteger, Identity(), primary_key=True),
        Column("payload", Text, nullable=False),
    )
    return (table,)
