"""The domain in frozen types: what is inserted, what was measured, what went wrong.

Everything that several rooms share lives here; nothing here does I/O. Times are UTC, units stand in
names, ``None`` means "not known", never zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from monitor.environment import Environment
from monitor.workload import ExtraKind, Shape, Strategy, Value

Transaction = Literal["round", "batch"]
IndexBuild = Literal["plain", "concurrently"]
Trigger = Literal["scheduled", "confirmation", "manual"]
RunOutcome = Literal["ok", "partial", "failed", "skipped"]
FailureReason = Literal[
    "unavailable",
    "refused",
    "authentication",
    "timeout",
    "lock_lost",
    "rows_missing",
    "server_error",
    "budget",
]
SkipReason = Literal["paused", "overlapping", "locked", "window", "condition", "missed"]
Disturbance = Literal["checkpoint", "autovacuum", "evicted", "other_sessions", "steal", "pressure"]

#: Disturbances that take a round out of what is judged; the others are recorded only.
EXCLUDING: frozenset[Disturbance] = frozenset({"checkpoint", "autovacuum", "evicted"})

#: With fewer clean rounds than this, all rounds are used and the case is marked contended.
MIN_CLEAN_ROUNDS = 3


# --- what is measured, and where ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """Strategy, shape and their parameters, rows and batch size: the unit that has a history.

    ``variant`` names every difference from the suite's defaults as sorted ``k=v,k=v``. ``prefill``
    rows are in the table before the round's; ``build`` says how the shape's extra, an index, is
    made after the rows are in, instead of being there before them.
    """

    strategy: Strategy
    parameters: Mapping[str, Value]
    shape: Shape
    shape_parameters: Mapping[str, Value]
    rows: int
    batch_size: int
    transaction: Transaction
    variant: str
    prefill: int = 0
    build: IndexBuild | None = None

    @property
    def key(self) -> CaseKey:
        return CaseKey(self.strategy.name, self.shape.name, self.batch_size, self.variant)


@dataclass(frozen=True, slots=True, order=True)
class CaseKey:
    """What identifies a case in metrics, stores and messages."""

    strategy: str
    shape: str
    batch_size: int
    variant: str

    def __str__(self) -> str:
        variant = f" {self.variant}" if self.variant else ""
        return f"{self.strategy} on {self.shape}, batch {self.batch_size:,}{variant}"


@dataclass(frozen=True, slots=True)
class Load:
    """What other clients do meanwhile: ``sql`` or point reads, ``rate`` statements a second in all.

    Without a rate every client starts its next statement when the last one is done.
    """

    clients: int
    rate: float | None = None
    sql: str | None = None

    def __str__(self) -> str:
        clients = f"{self.clients} client{'s' if self.clients > 1 else ''}"
        pace = "as fast as they can" if self.rate is None else f"{self.rate:g}/s in all"
        return f"{clients}, {pace}: {self.sql or 'point reads on the shapes'}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The suite resolved against the catalogue: the cases, how many rounds of each, the load."""

    cases: tuple[Case, ...]
    rounds: int
    warm_up_rows: int = 100
    load: Load | None = None

    @property
    def shapes(self) -> tuple[Shape, ...]:
        return tuple({case.shape.name: case.shape for case in self.cases}.values())

    @property
    def unread(self) -> bool:
        """Whether some shape's source was not read yet."""
        return any(shape.source and not shape.blueprint for shape in self.shapes)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a run: deadlines in seconds, peak table size and WAL in bytes."""

    round_seconds: float
    run_seconds: float
    table_bytes: int
    wal_bytes_per_day: int


@dataclass(frozen=True, slots=True)
class Connect:
    """How sessions are opened, so that they are like an application's own.

    ``command_seconds`` is asyncpg's command_timeout; the cache sizes are asyncpg's and SQLAlchemy's
    numbers of prepared statements; ``server_settings`` are sent when a session begins. ``keep``
    holds one session for all runs, as a pool does, for at most ``recycle_seconds``.
    """

    command_seconds: float | None = None
    statement_cache_size: int = 100
    prepared_statement_cache_size: int = 100
    server_settings: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    keep: bool = False
    recycle_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Target:
    """A canary database: a name, a DSN (never printed), its schema, and what is tolerated there."""

    name: str
    dsn: str = field(repr=False)
    schema: str = "ingest_canary"
    connect_seconds: float = 10.0
    allow_publication: bool = False
    allow_statement_logging: bool = False
    skip_while: str | None = None
    connect: Connect = Connect()


# --- what was measured ---------------------------------------------------------------------------


def rest_of(
    insert_seconds: float, commit_seconds: float, client_seconds: float, server_seconds: float
) -> float:
    """What is left of the wall time: network and waits; below zero where the others overlap."""
    return insert_seconds - commit_seconds - client_seconds - server_seconds


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round measured; the fields are those of design section 5.

    Seconds are wall time unless the name says otherwise; ``client_seconds`` is CPU time of the
    inserting thread, ``server_seconds`` execution time summed by pg_stat_statements, and
    ``rest_seconds`` what is left of ``insert_seconds`` (below zero where client and server
    overlap, as in COPY). ``late_batch_ratio`` is the mean time of the last quarter of the batches
    over that of the first; the other ratios are 0..1. Seconds are whole nanoseconds, ratios whole
    millionths, so that a store which keeps integers gives back the same sample.
    ``index_build_seconds`` is what making the indexes took after the rows were in, where a case
    asks for that; it is no part of ``insert_seconds``, and no store keeps it.
    """

    round: int
    started_at: datetime
    rows: int
    insert_seconds: float
    commit_seconds: float
    client_seconds: float
    server_seconds: float | None
    rest_seconds: float | None
    calls: int | None
    rows_per_call: float | None
    wal_bytes: int | None
    wal_records: int | None
    wal_fpi: int | None
    blocks_hit: int | None
    blocks_read: int | None
    blocks_dirtied: int | None
    round_trip_seconds: float
    late_batch_ratio: float | None
    other_sessions: int | None
    steal_ratio: float | None
    pressure_ratio: float | None
    disturbed: tuple[Disturbance, ...] = ()
    index_build_seconds: float | None = None

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.insert_seconds

    @property
    def clean(self) -> bool:
        return EXCLUDING.isdisjoint(self.disturbed)


@dataclass(frozen=True, slots=True)
class Failure:
    """A round (or, without case and round, a whole run) that gave no sample."""

    at: datetime
    reason: FailureReason
    message: str
    case: CaseKey | None = None
    round: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median with its confidence interval, and the confidence that the interval really has."""

    median: float
    low: float
    high: float
    coverage: float


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """What a run's counted rounds say of a case.

    ``rows_per_second_fast`` is the fast end, None where too few rounds are valid to judge it. Times
    per row are medians in seconds; ``wal_bytes_per_row`` is that of the round with the fewest
    full-page images.
    """

    rows_per_second: Estimate
    rows_per_second_fast: float | None
    mean_exec_time_seconds: float | None
    rows_per_call: float | None
    client_seconds_per_row: float
    server_seconds_per_row: float | None
    commit_seconds_per_row: float
    rest_seconds_per_row: float | None
    wal_bytes_per_row: float | None

    @property
    def seconds_per_row(self) -> dict[str, float | None]:
        """The parts of the wall time by name."""
        return {
            "client": self.client_seconds_per_row,
            "server": self.server_seconds_per_row,
            "commit": self.commit_seconds_per_row,
            "rest": self.rest_seconds_per_row,
        }


@dataclass(frozen=True, slots=True)
class Overhead:
    """What an index (or a set) or a foreign key costs: time with it ÷ time without it, minus 1.

    0.3 means 30 % slower. ``wall`` is over whole rounds, ``server`` over what pg_stat_statements
    counted, each from ``pairs`` of rounds of the same block.
    """

    name: str
    kind: ExtraKind
    wall: Estimate
    server: Estimate | None
    pairs: int


@dataclass(frozen=True, slots=True)
class CaseResult:
    """All rounds of one case in one run, none left out; no summary without samples.

    ``overhead`` is there if the shape has an extra and the same case without it was measured too.
    """

    case: Case
    samples: tuple[Sample, ...]
    failures: tuple[Failure, ...]
    summary: CaseSummary | None = None
    overhead: Overhead | None = None

    @property
    def contended(self) -> bool:
        """Too few undisturbed rounds to leave the disturbed ones out."""
        clean = sum(sample.clean for sample in self.samples)
        return clean < min(MIN_CLEAN_ROUNDS, len(self.samples))

    @property
    def counted(self) -> tuple[Sample, ...]:
        """The rounds that figures are computed from: the clean ones, or all if contended."""
        if self.contended:
            return self.samples
        return tuple(sample for sample in self.samples if sample.clean)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a user should know once: what is missing or odd, and the remedy."""

    subject: str
    message: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the suite on one target at one tick; ``rounds`` are those planned a case."""

    id: str
    target: str
    trigger: Trigger
    started_at: datetime
    finished_at: datetime
    outcome: RunOutcome
    environment: Environment | None
    cases: tuple[CaseResult, ...]
    probes: Mapping[str, Sequence[float]]
    rounds: int = 0
    wal_bytes: int | None = None
    failure: Failure | None = None
    notices: tuple[Notice, ...] = ()
    seed: int = 0

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Every failure of the run, that of the run itself first."""
        own = (self.failure,) if self.failure else ()
        return own + tuple(failure for case in self.cases for failure in case.failures)

    @property
    def contended(self) -> bool:
        return any(case.contended for case in self.cases)

    @property
    def duration_seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()
