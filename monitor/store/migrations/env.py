"""Alembic's entry: runs the chain on the connection that ``schema`` hands over."""

from __future__ import annotations

from alembic import context

from monitor.store.tables import metadata

_schema = context.config.attributes["schema"]

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=_schema,
)
with context.begin_transaction():
    context.run_migrations()
