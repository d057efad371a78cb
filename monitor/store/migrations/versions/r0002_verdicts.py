"""What the detector says: its parameters, a verdict a run, changes and their ends."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_MARK = "ingest-canary store; made by ingest-canary and changed by it"
_instant = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Create the tables of judgement."""
    _create("detector",
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("version", sa.Integer, nullable=False),
            sa.Column("parameters", sa.JSON, nullable=False))  # fmt: skip
    _create("verdict",
            _reference("target.id", sa.Integer, "target_id", primary_key=True),
            sa.Column("started_at", _instant, primary_key=True),
            sa.Column("number", sa.Integer, nullable=False),
            _reference("detector.id", sa.Text, "detector_id", nullable=False),
            sa.Column("contended", sa.SmallInteger, nullable=False),
            sa.Column("verdicts", sa.JSON, nullable=False))  # fmt: skip
    _create_changes()


def _schema() -> str | None:
    schema: str | None = context.config.attributes["schema"]
    return schema


def _create(name: str, *parts: Any) -> None:
    op.create_table(name, *parts, schema=_schema(), comment=_MARK)


def _reference(key: str, kind: Any, name: str, **options: Any) -> sa.Column[Any]:
    qualified = f"{_schema()}.{key}" if _schema() else key
    return sa.Column(name, kind, sa.ForeignKey(qualified), **options)


def _create_changes() -> None:
    _create("change",
            sa.Column("id", sa.Text, primary_key=True),
            _reference("target.id", sa.Integer, "target_id", nullable=False),
            sa.Column("started_at", _instant, nullable=False),
            sa.Column("story", sa.Text, nullable=False),
            sa.Column("kind", sa.Text, nullable=False),
            sa.Column("strategy", sa.Text),
            sa.Column("shape", sa.Text),
            sa.Column("batch_size", sa.Integer),
            sa.Column("variant", sa.Text),
            sa.Column("signal", sa.Text, nullable=False),
            sa.Column("counter", sa.Text),
            sa.Column("since", _instant, nullable=False),
            sa.Column("since_low", _instant, nullable=False),
            sa.Column("since_high", _instant, nullable=False),
            sa.Column("told_at", _instant, nullable=False),
            sa.Column("effect_ratio", sa.Double, nullable=False),
            sa.Column("rows_per_second_ratio", sa.Double),
            sa.Column("statistic", sa.Double, nullable=False),
            sa.Column("fast", sa.SmallInteger, nullable=False),
            sa.Column("place", sa.Text, nullable=False),
            sa.Column("component", sa.Text, nullable=False),
            sa.Column("strategies", sa.SmallInteger, nullable=False),
            sa.Column("of", sa.SmallInteger, nullable=False),
            sa.Column("cause", sa.Text, nullable=False),
            sa.Column("differences", sa.JSON, nullable=False))  # fmt: skip
    op.create_index("change_told", "change", ["target_id", "started_at"], schema=_schema())
    _create("change_end",
            sa.Column("change_id", sa.Text, primary_key=True),
            _reference("target.id", sa.Integer, "target_id", nullable=False),
            sa.Column("started_at", _instant, nullable=False),
            sa.Column("ending", sa.Text, nullable=False),
            sa.Column("at", _instant, nullable=False))  # fmt: skip
    op.create_index("change_ended", "change_end", ["target_id", "started_at"], schema=_schema())
