"""What is known of a target, as frozen facts; ``None`` means that it could not be found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from monitor.canary.checks.platform import Platform
from monitor.canary.checks.settings import Settings
from monitor.model import Target

PoolerMode = Literal["none", "session", "transaction"]


@dataclass(frozen=True, slots=True)
class Workload:
    """What our runs bring: WAL of one in bytes (``measured``, or estimated from the plan), how
    often they come, a round's deadline and table, and what they may write."""

    run_wal_bytes: int
    measured: bool
    interval_seconds: float
    round_seconds: float
    wal_bytes_per_day_limit: int
    round_bytes: int

    @property
    def runs_per_day(self) -> float:
        return 86_400 / self.interval_seconds

    @property
    def wal_bytes_per_day(self) -> float:
        return self.run_wal_bytes * self.runs_per_day


@dataclass(frozen=True, slots=True)
class Role:
    """The role that we are."""

    name: str
    superuser: bool
    connection_limit: int
    sessions: int
    reads_all_stats: bool
    reads_all_settings: bool
    may_create_schema: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server and database it is."""

    system_identifier: int | None
    started_at: datetime | None
    database: str
    version: str
    in_recovery: bool


@dataclass(frozen=True, slots=True)
class Path:
    """The way to the server; times in seconds, ``tls`` and ``cipher`` None without encryption.

    ``send_seconds`` is what sending ``sent_bytes`` took, ``send_cpu_seconds`` how much of it was
    our own CPU: encryption, protocol, copies.
    """

    transport: Literal["socket", "tcp"]
    peer: str
    tls: str | None
    cipher: str | None
    same_host: bool
    loopback: bool
    pooler: PoolerMode
    connect_seconds: float
    round_trip_seconds: float
    round_trip_median_seconds: float
    sent_bytes: int | None = None
    send_seconds: float | None = None
    send_cpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Statements:
    """pg_stat_statements; ``schema`` None: not created here; ``loaded`` False: not preloaded."""

    schema: str | None
    loaded: bool
    entries: int | None = None
    evictions: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Checkpoints in the ``seconds`` since the counters began."""

    timed: int
    requested: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Wal:
    """WAL of the whole server in the ``seconds`` since the counters began."""

    bytes: float
    buffers_full: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Vacuums:
    """Autovacuum workers now, and vacuums on our tables."""

    workers: int
    on_ours: int


@dataclass(frozen=True, slots=True)
class Sessions:
    """Other clients while we looked: most active at a time (None: states are hidden), sessions of
    any kind, and the longest time that one has been idle in a transaction."""

    active: int | None
    connections: int
    oldest_idle_seconds: float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table in our schema; ``planned_rows`` is what the planner believes, below 0 for nothing.

    ``cached_pages`` None: pg_buffercache is not there, or the table is empty.
    """

    name: str
    ours: bool
    bytes: int
    pages: int
    planned_rows: float
    live_rows: int
    modified_rows: int
    analyzed_at: datetime | None
    referenced: bool
    autovacuum_off: bool
    triggers: tuple[str, ...]
    cached_pages: int | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot."""

    name: str
    active: bool
    wal_status: str
    retained_bytes: float | None


@dataclass(frozen=True, slots=True)
class Replication:
    """Who takes our WAL away: standbys, slots, the archiver; None where it could not be seen."""

    streaming: int | None
    synchronous: int | None
    slots: tuple[Slot, ...]
    archived: int | None
    archive_failures: int | None
    archive_failing: bool
    archive_failed_file: str


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """An event trigger that fires in our sessions."""

    name: str
    event: str


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that we run on, looked at for ``seconds``; ratios 0..1."""

    seconds: float
    cpus: int
    quota_cpus: float | None
    throttled: bool | None
    steal_ratio: float | None
    pressure_ratio: float | None
    load: float | None
    clock_source: str | None
    clock_read_seconds: float
    governor: str | None
    sqlalchemy_compiled: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks are computed from."""

    target: Target
    workload: Workload
    version: int
    identity: Identity
    role: Role
    settings: Settings
    platform: Platform
    path: Path
    host: Host
    statements: Statements
    refused_schema: str | None = None
    read_only: bool = False
    publications: tuple[str, ...] = ()
    logging: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    event_triggers: tuple[EventTrigger, ...] = ()
    checkpoints: Checkpoints | None = None
    wal: Wal | None = None
    vacuums: Vacuums | None = None
    sessions: Sessions | None = None
    replication: Replication | None = None
    server_clock_read_seconds: float | None = None
