"""Made-up facts of a healthy target, for tests of single findings."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from monitor.canary.checks.diagnosis import diagnose
from monitor.canary.checks.facts import (
    Checkpoints,
    Facts,
    Host,
    Identity,
    Path,
    Replication,
    Role,
    Sessions,
    Statements,
    Table,
    Vacuums,
    Wal,
    Workload,
)
from monitor.canary.checks.finding import Finding
from monitor.canary.checks.settings import Setting, Settings
from monitor.model import Target

MB = 1 << 20
AT = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)
SETTINGS = {
    setting.name: setting
    for setting in (
        Setting("archive_mode", "off", context="postmaster"),
        Setting("autovacuum", "on", context="sighup"),
        Setting("autovacuum_max_workers", "3", context="sighup"),
        Setting("autovacuum_naptime", "60", "s", "sighup"),
        Setting("block_size", "8192", context="internal"),
        Setting("checkpoint_completion_target", "0.9", context="sighup"),
        Setting("checkpoint_timeout", "900", "s", "sighup"),
        Setting("commit_delay", "0"),
        Setting("compute_query_id", "auto"),
        Setting("debug_assertions", "off", context="internal"),
        Setting("default_transaction_isolation", "read committed"),
        Setting("default_transaction_read_only", "off"),
        Setting("fsync", "on", context="sighup"),
        Setting("full_page_writes", "on", context="sighup"),
        Setting("huge_pages", "try", context="postmaster"),
        Setting("huge_pages_status", "off", context="internal"),
        Setting("jit", "on"),
        Setting("jit_above_cost", "100000"),
        Setting("log_min_duration_statement", "-1", "ms"),
        Setting("log_parameter_max_length", "-1", "B"),
        Setting("max_connections", "100", context="postmaster"),
        Setting("max_slot_wal_keep_size", "-1", "MB", "sighup"),
        Setting("max_wal_size", "8192", "MB", "sighup"),
        Setting("pg_stat_statements.max", "5000", context="postmaster"),
        Setting("pg_stat_statements.track", "top"),
        Setting("pg_stat_statements.track_planning", "off"),
        Setting("pg_stat_statements.track_utility", "on"),
        Setting("shared_buffers", "16384", "8kB", "postmaster"),
        Setting("shared_preload_libraries", "pg_stat_statements", context="postmaster"),
        Setting("synchronous_commit", "on"),
        Setting("synchronous_standby_names", "", context="sighup"),
        Setting("track_io_timing", "off"),
        Setting("transaction_timeout", "0", "ms"),
        Setting("wal_level", "replica", context="postmaster"),
    )
}
WORKLOAD = Workload(
    run_wal_bytes=110 * MB,
    measured=True,
    interval_seconds=600,
    round_seconds=60,
    wal_bytes_per_day_limit=20 << 30,
    round_bytes=2 * MB,
)
HEALTHY = Facts(
    target=Target("main", "postgresql://u:s3cr3t-canary@h/d"),
    workload=WORKLOAD,
    version=18,
    identity=Identity(1, AT, "canary", "18.6", in_recovery=False),
    role=Role("ingest_canary", False, 8, 1, True, True, True),
    settings=Settings(SETTINGS),
    platform="self-managed",
    path=Path(
        transport="socket",
        peer="/tmp/.s.PGSQL.5432",
        tls=None,
        cipher=None,
        same_host=False,
        loopback=False,
        pooler="none",
        connect_seconds=0.01,
        round_trip_seconds=5e-5,
        round_trip_median_seconds=6e-5,
    ),
    host=Host(
        seconds=1.0,
        cpus=4,
        quota_cpus=None,
        throttled=None,
        steal_ratio=0.0,
        pressure_ratio=0.01,
        load=0.2,
        clock_source="tsc",
        clock_read_seconds=5e-8,
        governor=None,
        sqlalchemy_compiled=True,
    ),
    statements=Statements("public", True, 40, 0, 7200.0),
    extensions={"pg_stat_statements": "1.12"},
    checkpoints=Checkpoints(100, 1, 90_000.0),
    wal=Wal(1e9, 0, 90_000.0),
    vacuums=Vacuums(0, 0),
    sessions=Sessions(0, 3, None),
    replication=Replication(0, 0, (), 0, 0, False, ""),
    server_clock_read_seconds=4e-8,
)
PARENT = Table(
    name="customers",
    ours=True,
    bytes=80 * 8192,
    pages=80,
    planned_rows=10_000.0,
    live_rows=10_000,
    modified_rows=0,
    analyzed_at=AT,
    referenced=True,
    autovacuum_off=True,
    triggers=(),
    cached_pages=80,
)


def facts(**changes: Any) -> Facts:
    """Healthy facts but for some; ``settings`` are values by name, ``path`` and so on fields."""
    values = dict(changes)
    if "settings" in values:
        given = values.pop("settings")
        values["settings"] = Settings(
            SETTINGS | {name: _setting(name, v) for name, v in given.items()}
        )
    for part in ("workload", "identity", "role", "path", "host", "target", "statements"):
        if isinstance(values.get(part), dict):
            values[part] = replace(getattr(HEALTHY, part), **values[part])
    return replace(HEALTHY, **values)


def _setting(name: str, value: str | Setting) -> Setting:
    if isinstance(value, Setting):
        return value
    known = SETTINGS.get(name, Setting(name, ""))
    return replace(known, value=value)


def found(check: str, **changes: Any) -> Finding:
    """The one finding of a check, on healthy facts but for some."""
    (finding,) = [each for each in diagnose(facts(**changes)) if each.check == check]
    return finding
