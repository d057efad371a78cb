"""What was found by hand: sweeps, explained statements."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"

_MARK = "ingest-canary store; made by ingest-canary and changed by it"
_instant = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Create the table of explorations."""
    schema: str | None = context.config.attributes["schema"]
    prefix = f"{schema}." if schema else ""
    op.create_table(
        "exploration",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("target_id", sa.Integer, sa.ForeignKey(f"{prefix}target.id"), nullable=False),
        sa.Column("started_at", _instant, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, sa.ForeignKey(f"{prefix}environment.fingerprint")),
        sa.Column("result", sa.JSON, nullable=False),
        schema=schema,
        comment=_MARK,
    )
    op.create_index(
        "exploration_found", "exploration", ["target_id", "kind", "started_at"], schema=schema
    )
