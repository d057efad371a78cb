"""Alembic's entry: runs the chain on the connection that ``schema`` hands over, or writes it down.

Offline it writes SQL for PostgreSQL, whose transaction is the caller's.
"""

from __future__ import annotations

from alembic import context

from monitor.store.tables import metadata

_attributes = context.config.attributes
_options = {"target_metadata": metadata, "version_table_schema": _attributes["schema"]}

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql", literal_binds=True, transactional_ddl=False, **_options
    )
else:
    context.configure(connection=_attributes["connection"], **_options)
with context.begin_transaction():
    context.run_migrations()
