"""The store's tables, one model for all engines.

A series is one case on one target. Its samples are keyed ``series_id, started_at, round``, so that
its newest part is one contiguous range; ``started_at`` is that of the run, which finds a sample's
run without a column for it. Times are microseconds since 1970 on SQLite, timestamptz on PostgreSQL.
Seconds are whole nanoseconds (``_ns``), ratios whole millionths (``_ppm``): small on SQLite, and
exactly what the domain's samples hold. Wide columns come first, which saves PostgreSQL padding.
Nothing refers to ``sample`` and it refers to nothing, so that partitions come and go freely.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Constraint,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

#: The comment that says a schema or table is ours to change.
MARK = "ingest-canary store; made by ingest-canary and changed by it"

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970."""
    return (at - EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The moment that many microseconds after 1970."""
    return EPOCH + value * _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """A moment in UTC: timestamptz where there is such a type, else microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        own = TIMESTAMP(timezone=True) if dialect.name == "postgresql" else BigInteger()
        return dialect.type_descriptor(own)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if dialect.name == "postgresql" else instant(value)


metadata = MetaData()


def _table(name: str, *parts: Column[Any] | Constraint | Index, **options: Any) -> Table:
    return Table(name, metadata, *parts, comment=MARK, **options)


store = _table(
    "store",
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

target = _table(
    "target",
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

series = _table(
    "series",
    Column("id", Integer, primary_key=True),
    Column("target_id", Integer, ForeignKey("target.id"), nullable=False),
    Column("strategy", Text, nullable=False),
    Column("shape", Text, nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("variant", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    UniqueConstraint("target_id", "strategy", "shape", "batch_size", "variant", "rows"),
)

environment = _table(
    "environment",
    Column("fingerprint", Text, primary_key=True),
    Column("server_version", Text, nullable=False),
    Column("server", JSON, nullable=False),
    Column("client", JSON, nullable=False),
    Column("tables", JSON, nullable=False),
)

run = _table(
    "run",
    Column("target_id", Integer, ForeignKey("target.id"), primary_key=True),
    Column("started_at", Instant, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("finished_at", Instant, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("rounds", SmallInteger, nullable=False),
    Column("wal_bytes", BigInteger),
    Column("fingerprint", Text, ForeignKey("environment.fingerprint")),
    Column("probes", JSON, nullable=False),
    Column("notices", JSON, nullable=False),
)

#: A run's failures, numbered; that of the run as a whole has no series.
failure = _table(
    "failure",
    Column("target_id", Integer, ForeignKey("target.id"), primary_key=True),
    Column("started_at", Instant, primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("series_id", Integer, ForeignKey("series.id")),
    Column("round", SmallInteger),
    Column("of_run", SmallInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
)

sample = _table(
    "sample",
    Column("started_at", Instant),
    Column("insert_ns", BigInteger, nullable=False),
    Column("commit_ns", BigInteger, nullable=False),
    Column("client_ns", BigInteger, nullable=False),
    Column("server_ns", BigInteger),
    Column("wal_bytes", BigInteger),
    Column("series_id", Integer),
    Column("offset_us", Integer, nullable=False),
    Column("round_trip_ns", Integer, nullable=False),
    Column("calls", Integer),
    Column("counted_rows", Integer),
    Column("wal_records", Integer),
    Column("wal_fpi", Integer),
    Column("blocks_hit", Integer),
    Column("blocks_read", Integer),
    Column("blocks_dirtied", Integer),
    Column("late_batch_ppm", Integer),
    Column("steal_ppm", Integer),
    Column("pressure_ppm", Integer),
    Column("round", SmallInteger),
    Column("other_sessions", SmallInteger),
    Column("disturbed", SmallInteger, nullable=False),
    # On SQLite the table itself lies in this order.
    PrimaryKeyConstraint("series_id", "started_at", "round"),
    # PostgreSQL finds a range by this index instead: the rounds of a run are one entry of it, which
    # makes it a third of the key's size. What comes once is the run, by its own key.
    Index("sample_series", "series_id", "started_at").ddl_if(dialect="postgresql"),
    Index("sample_brin", "started_at", postgresql_using="brin").ddl_if(dialect="postgresql"),
    sqlite_with_rowid=False,
)

#: Hours and days of a series, from raw samples. ``_low`` and ``_high`` are the quartiles.
rollup = _table(
    "rollup",
    Column("series_id", Integer, primary_key=True, autoincrement=False),
    Column("hours", SmallInteger, primary_key=True, autoincrement=False),
    Column("started_at", Instant, primary_key=True),
    Column("runs", Integer, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("fast_ns", BigInteger, nullable=False),
    *(
        Column(f"{signal}_ns{end}", BigInteger, nullable=signal == "server")
        for signal in ("insert", "commit", "client", "server")
        for end in ("", "_low", "_high")
    ),
    Column("wal_bytes", BigInteger),
    Column("calls", Integer),
    sqlite_with_rowid=False,
)

#: Hours that got samples since they were last rolled up. Each append marks its own, so that
#: removing one's mark never removes that of another.
rollup_due = _table(
    "rollup_due",
    Column("target_id", Integer, primary_key=True, autoincrement=False),
    Column("started_at", Instant, primary_key=True),
    Column("mark", Text, primary_key=True),
    sqlite_with_rowid=False,
)

#: The detector's state after the last run of each day; the newest row is the present one.
detector_state = _table(
    "detector_state",
    Column("target_id", Integer, ForeignKey("target.id"), primary_key=True),
    Column("day", Instant, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

#: Who judged: the detector's version and parameters, once each.
detector = _table(
    "detector",
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("parameters", JSON, nullable=False),
)

#: What was said after each judged run of all of its series, as ``codec`` writes it.
verdict = _table(
    "verdict",
    Column("target_id", Integer, ForeignKey("target.id"), primary_key=True),
    Column("started_at", Instant, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("detector_id", Text, ForeignKey("detector.id"), nullable=False),
    Column("contended", SmallInteger, nullable=False),
    Column("verdicts", JSON, nullable=False),
)

#: Levels that shifted, each told in the run that began at ``started_at``; never rewritten. Those of
#: one ``story`` belong together; without strategy one is of the whole target.
change = _table(
    "change",
    Column("id", Text, primary_key=True),
    Column("target_id", Integer, ForeignKey("target.id"), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("story", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("strategy", Text),
    Column("shape", Text),
    Column("batch_size", Integer),
    Column("variant", Text),
    Column("signal", Text, nullable=False),
    Column("counter", Text),
    Column("since", Instant, nullable=False),
    Column("since_low", Instant, nullable=False),
    Column("since_high", Instant, nullable=False),
    Column("told_at", Instant, nullable=False),
    Column("effect_ratio", Double, nullable=False),
    Column("rows_per_second_ratio", Double),
    Column("statistic", Double, nullable=False),
    Column("fast", SmallInteger, nullable=False),
    Column("place", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("strategies", SmallInteger, nullable=False),
    Column("of", SmallInteger, nullable=False),
    Column("cause", Text, nullable=False),
    Column("differences", JSON, nullable=False),
    Index("change_told", "target_id", "started_at"),
)

#: How a change ended, in the run that began at ``started_at``. The change may be in another store:
#: where this one was begun anew, what had been told before still ends.
change_end = _table(
    "change_end",
    Column("change_id", Text, primary_key=True),
    Column("target_id", Integer, ForeignKey("target.id"), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ending", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("change_ended", "target_id", "started_at"),
)

#: What people asked for: pauses, resumptions and acceptances, append-only. No target: all of them.
control = _table(
    "control",
    Column("id", Text, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text),
    Column("subject", Text),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
)

#: What was found by hand: sweeps and explained statements, as the JSON that was printed.
exploration = _table(
    "exploration",
    Column("id", Text, primary_key=True),
    Column("target_id", Integer, ForeignKey("target.id"), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("fingerprint", Text, ForeignKey("environment.fingerprint")),
    Column("result", JSON, nullable=False),
    Index("exploration_found", "target_id", "kind", "started_at"),
)
