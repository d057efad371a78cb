"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_MARK = "ingest-canary store; made by ingest-canary and changed by it"
_instant = sa.BigInteger().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
_NUMBERED: dict[str, Any] = {"primary_key": True, "autoincrement": False}


def upgrade() -> None:
    """Create all tables; ``sample`` in time partitions where the engine has them."""
    _create_dimensions()
    _create_runs()
    _create_samples()
    _create_rollups()
    _create("detector_state",
            _reference("target", primary_key=True),
            sa.Column("day", _instant, primary_key=True),
            sa.Column("started_at", _instant, nullable=False),
            sa.Column("state", sa.LargeBinary, nullable=False))  # fmt: skip
    _create("control",
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("at", _instant, nullable=False),
            sa.Column("action", sa.Text, nullable=False),
            sa.Column("target", sa.Text),
            sa.Column("subject", sa.Text),
            sa.Column("by", sa.Text, nullable=False),
            sa.Column("note", sa.Text, nullable=False))  # fmt: skip


def _schema() -> str | None:
    schema: str | None = context.config.attributes["schema"]
    return schema


def _qualified(name: str) -> str:
    return f"{_schema()}.{name}" if _schema() else name


def _create(name: str, *parts: Any, **options: Any) -> None:
    op.create_table(name, *parts, schema=_schema(), comment=_MARK, **options)


def _reference(table: str, **options: Any) -> sa.Column[Any]:
    key = sa.ForeignKey(_qualified(f"{table}.id"))
    return sa.Column(f"{table}_id", sa.Integer, key, **options)


def _create_dimensions() -> None:
    _create("store",
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("value", sa.Text, nullable=False))  # fmt: skip
    _create("target",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.Text, nullable=False, unique=True))  # fmt: skip
    _create("series",
            sa.Column("id", sa.Integer, primary_key=True),
            _reference("target", nullable=False),
            sa.Column("strategy", sa.Text, nullable=False),
            sa.Column("shape", sa.Text, nullable=False),
            sa.Column("batch_size", sa.Integer, nullable=False),
            sa.Column("variant", sa.Text, nullable=False),
            sa.Column("rows", sa.Integer, nullable=False),
            sa.UniqueConstraint("target_id", "strategy", "shape", "batch_size", "variant", "rows"),
            )  # fmt: skip
    _create("environment",
            sa.Column("fingerprint", sa.Text, primary_key=True),
            sa.Column("server_version", sa.Text, nullable=False),
            sa.Column("server", sa.JSON, nullable=False),
            sa.Column("client", sa.JSON, nullable=False),
            sa.Column("tables", sa.JSON, nullable=False))  # fmt: skip


def _create_runs() -> None:
    _create("run",
            _reference("target", primary_key=True),
            sa.Column("started_at", _instant, primary_key=True),
            sa.Column("id", sa.Text, nullable=False, unique=True),
            sa.Column("finished_at", _instant, nullable=False),
            sa.Column("trigger", sa.Text, nullable=False),
            sa.Column("outcome", sa.Text, nullable=False),
            sa.Column("rounds", sa.SmallInteger, nullable=False),
            sa.Column("wal_bytes", sa.BigInteger),
            sa.Column("fingerprint", sa.Text, sa.ForeignKey(_qualified("environment.fingerprint"))),
            sa.Column("probes", sa.JSON, nullable=False),
            sa.Column("notices", sa.JSON, nullable=False))  # fmt: skip
    _create("failure",
            _reference("target", primary_key=True),
            sa.Column("started_at", _instant, primary_key=True),
            sa.Column("number", sa.SmallInteger, primary_key=True),
            _reference("series"),
            sa.Column("round", sa.SmallInteger),
            sa.Column("of_run", sa.SmallInteger, nullable=False),
            sa.Column("at", _instant, nullable=False),
            sa.Column("reason", sa.Text, nullable=False),
            sa.Column("message", sa.Text, nullable=False))  # fmt: skip


def _create_samples() -> None:
    kind = context.config.attributes["kind"]
    key = [sa.PrimaryKeyConstraint("series_id", "started_at", "round")] if kind == "sqlite" else []
    partitions = {"postgresql_partition_by": "RANGE (started_at)"} if kind == "postgresql" else {}
    _create("sample",
            sa.Column("started_at", _instant, nullable=False),
            sa.Column("insert_ns", sa.BigInteger, nullable=False),
            sa.Column("commit_ns", sa.BigInteger, nullable=False),
            sa.Column("client_ns", sa.BigInteger, nullable=False),
            sa.Column("server_ns", sa.BigInteger),
            sa.Column("wal_bytes", sa.BigInteger),
            sa.Column("series_id", sa.Integer, nullable=False),
            sa.Column("offset_us", sa.Integer, nullable=False),
            sa.Column("round_trip_ns", sa.Integer, nullable=False),
            sa.Column("calls", sa.Integer),
            sa.Column("counted_rows", sa.Integer),
            sa.Column("wal_records", sa.Integer),
            sa.Column("wal_fpi", sa.Integer),
            sa.Column("blocks_hit", sa.Integer),
            sa.Column("blocks_read", sa.Integer),
            sa.Column("blocks_dirtied", sa.Integer),
            sa.Column("late_batch_ppm", sa.Integer),
            sa.Column("steal_ppm", sa.Integer),
            sa.Column("pressure_ppm", sa.Integer),
            sa.Column("round", sa.SmallInteger, nullable=False),
            sa.Column("other_sessions", sa.SmallInteger),
            sa.Column("disturbed", sa.SmallInteger, nullable=False),
            *key,
            sqlite_with_rowid=False, **partitions)  # fmt: skip
    if kind == "timescaledb":
        # The schema's name is one of ours: lower-case letters, digits and _.
        op.execute(
            f"SELECT create_hypertable('{_qualified('sample')}',"
            " by_range('started_at', INTERVAL '7 days'), create_default_indexes => false)"
        )
    if kind != "sqlite":
        op.create_index("sample_series", "sample", ["series_id", "started_at"], schema=_schema())
        op.create_index(
            "sample_brin", "sample", ["started_at"], schema=_schema(), postgresql_using="brin"
        )


def _create_rollups() -> None:
    signals = [
        sa.Column(f"{signal}_ns{end}", sa.BigInteger, nullable=signal == "server")
        for signal in ("insert", "commit", "client", "server")
        for end in ("", "_low", "_high")
    ]
    _create("rollup",
            sa.Column("series_id", sa.Integer, **_NUMBERED),
            sa.Column("hours", sa.SmallInteger, **_NUMBERED),
            sa.Column("started_at", _instant, primary_key=True),
            sa.Column("runs", sa.Integer, nullable=False),
            sa.Column("samples", sa.Integer, nullable=False),
            sa.Column("fast_ns", sa.BigInteger, nullable=False),
            *signals,
            sa.Column("wal_bytes", sa.BigInteger),
            sa.Column("calls", sa.Integer),
            sqlite_with_rowid=False)  # fmt: skip
    _create("rollup_due",
            sa.Column("target_id", sa.Integer, **_NUMBERED),
            sa.Column("started_at", _instant, primary_key=True),
            sa.Column("mark", sa.Text, primary_key=True),
            sqlite_with_rowid=False)  # fmt: skip
