"""Settings: every one documented under its field, with unit, default and why."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.config.connect import check_command_timeout, check_server_settings
from monitor.config.dsn import check_dsn
from monitor.config.windows import Windows, parse_window
from monitor.model import Connect, Limits, Load, Target, Transaction, Value
from monitor.source import Source

PREFIX = "INGEST_CANARY_"
_DURATIONS = "write for example 30s, 10min or 1h"
_UNITS = {"ms": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_DURATION = rf"^\s*\d+(\.\d+)?\s*({'|'.join(_UNITS)})?\s*$"
_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


def parse_duration(value: object) -> object:
    """Seconds from a number or from text such as ``30s``, ``10min``, ``1h``; else unchanged."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is not a duration; {_DURATIONS}")
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", value.lower())
    if match is None or match[2] not in {"", *_UNITS}:
        raise ValueError(f"'{value}' is not a duration; {_DURATIONS}")
    return float(match[1]) * _UNITS.get(match[2], 1)


Duration = Annotated[
    float,
    BeforeValidator(
        parse_duration,  # what it takes, for JSON schemas
        json_schema_input_type=Annotated[float, Field(gt=0)]
        | Annotated[str, Field(pattern=_DURATION)],
    ),
    Field(gt=0, allow_inf_nan=False),
]
Share = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(gt=0)]


def _scalar(value: object) -> object:
    if not isinstance(value, int | float | str | bool):
        raise ValueError("must be a number, a text, true or false")
    return value


def _schema_name(name: str) -> str:
    if not _SCHEMA_NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' cannot be the schema: use lower-case letters, digits and _, a letter or _"
            " first, at most 63"
        )
    return name


def _secret(value: SecretStr | None, file: Path | None, name: str) -> str | None:
    """A secret given as such or as the file that holds it. Raises ValueError."""
    if file is None:
        return value.get_secret_value() if value else None
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise ValueError(f"{name} {file}: {why}") from None


def _window(text: str) -> str:
    parse_window(text)
    return text


Parameter = Annotated[Value, BeforeValidator(_scalar)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, frozen=True, use_attribute_docstrings=True
    )


class ConnectSettings(_Section):
    """How sessions are opened; set what your application's engine or pool sets."""

    command_timeout: Duration | None = None
    """Seconds after which asyncpg gives a statement up; default: never, since rounds have their
    own deadline. Must be longer than limits.round_timeout."""
    statement_cache_size: Annotated[int, Field(ge=0)] = 100
    """Statements that asyncpg keeps prepared (COPY and unnest); 0 as behind a pooler."""
    prepared_statement_cache_size: Annotated[int, Field(ge=0)] = 100
    """Statements that SQLAlchemy keeps prepared (the other strategies); 0 as behind a pooler."""
    server_settings: dict[str, str] = {}
    """Server settings that a session begins with, such as { synchronous_commit = "off" }."""
    pool: Literal["fresh", "kept"] = "fresh"
    """"fresh": a new session for every run; "kept": one for all runs, as a pool keeps it, so that
    its statements and the server's caches stay warm. What a checkout costs is not timed."""
    pool_recycle: Duration = 1800.0
    """Seconds after which a kept session is replaced; idle for so long, the server ends it."""

    @field_validator("server_settings")
    @classmethod
    def _allowed(cls, settings: dict[str, str]) -> dict[str, str]:
        check_server_settings(settings)
        return settings

    def connect(self) -> Connect:
        return Connect(
            command_seconds=self.command_timeout,
            statement_cache_size=self.statement_cache_size,
            prepared_statement_cache_size=self.prepared_statement_cache_size,
            server_settings=tuple(sorted(self.server_settings.items())),
            keep=self.pool == "kept",
            recycle_seconds=self.pool_recycle,
        )


class TargetSettings(_Section):
    """A canary database."""

    dsn: SecretStr | None = None
    """URL as asyncpg and libpq understand it, with sslmode, service and passfile; required unless
    dsn_file is given. Secret as a whole."""
    dsn_file: Path | None = None
    """File that holds the DSN, for mounted secrets; read at start."""
    schema_name: Annotated[str, Field(alias="schema"), AfterValidator(_schema_name)] = (
        "ingest_canary"
    )
    """The one schema that everything lives in; created by us or by the SQL of `role-sql`."""
    connect_timeout: Duration = 10.0
    """Seconds to wait for a connection; a canary that takes longer counts as unavailable."""
    allow_publication: bool = False
    """Run although a publication covers our schema. Off, since a subscriber without our tables
    stops at our first insert."""
    allow_statement_logging: bool = False
    """Run although the server logs every statement. Off, since a run then writes some 100,000
    log lines."""
    skip_while: str | None = None
    """Read-only SQL query asked before every run; a scalar other than null, false or 0 skips it."""
    connect: ConnectSettings = ConnectSettings()
    """How sessions are opened; default: as asyncpg and SQLAlchemy do by themselves."""
    interval: Duration | None = None
    """Seconds between this target's runs; default: the interval of all."""
    suite: str | None = None
    """Name of one of `suites`; default: the one under `suite`."""
    only_between: tuple[Annotated[str, AfterValidator(_window)], ...] = ()
    """Times in UTC at which runs may begin, such as ["01:00-05:00"] or ["sat,sun 00:00-24:00"];
    one over midnight belongs to the day on which it begins. Default: always."""
    paused: bool = False
    """Make no runs until this is taken away; `ingest-canary pause` does it without a restart."""

    @model_validator(mode="after")
    def _one_dsn(self) -> TargetSettings:
        if (self.dsn is None) == (self.dsn_file is None):
            raise ValueError("give exactly one of dsn and dsn_file")
        check_dsn(self.read_dsn())
        return self

    def read_dsn(self) -> str:
        """The DSN itself, from the setting or from the file."""
        return _secret(self.dsn, self.dsn_file, "dsn_file") or ""


class FromTableSettings(_Section):
    """A shape made like an existing table; none of its rows is read."""

    from_table: Annotated[str, Field(min_length=1)]
    """The table as written in SQL, schema included, such as public.orders. Its columns, defaults,
    keys, indexes, checks and partitions are read once per process, and of its statistics distinct
    counts, null shares and widths."""
    dsn: SecretStr | None = None
    """URL of the database that it is in; default: the target's own. Secret as a whole."""
    dsn_file: Path | None = None
    """File that holds that URL, for mounted secrets; read at start."""
    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """What the shape is called; default: the table's name as written."""

    @model_validator(mode="after")
    def _one_dsn(self) -> FromTableSettings:
        if self.dsn is not None and self.dsn_file is not None:
            raise ValueError("give at most one of dsn and dsn_file")
        dsn = self.read_dsn()
        if dsn is not None:
            check_dsn(dsn)
        return self

    def read_dsn(self) -> str | None:
        """The DSN itself, from the setting or from the file; None: the target's."""
        return _secret(self.dsn, self.dsn_file, "dsn_file")

    def source(self) -> Source:
        """What is to be read, and how the shape is called."""
        return Source(self.from_table, self.name or self.from_table, self.read_dsn())


def _shape_form(value: object) -> str:
    return FORMS[1] if isinstance(value, dict | FromTableSettings) else FORMS[0]


#: How a shape is given; parts of an error's place that are no part of the user's file.
FORMS = ("a shape's name", "a table")
ShapeSettings = Annotated[
    Annotated[str, Tag(FORMS[0])] | Annotated[FromTableSettings, Tag(FORMS[1])],
    Discriminator(_shape_form),
]


class CaseSettings(_Section):
    """One case of the suite; absent values are the suite's or the strategy's own."""

    strategy: str
    """Name of a strategy of the catalogue."""
    parameters: dict[str, Parameter] = {}
    """The strategy's own parameters, such as page_size."""
    shape: ShapeSettings = "orders"
    """Name of a shape of the catalogue, or {from_table = "…"}: one made like an existing table."""
    shape_parameters: dict[str, Parameter] = {}
    """The shape's own parameters, such as customers or width."""
    rows: PositiveInt | None = None
    """Rows per round; default: the suite's."""
    batch_size: PositiveInt | None = None
    """Rows per call of the strategy; default: all rows of the round in one call."""
    transaction: Transaction = "round"
    """"round": one transaction for all batches; "batch": one for each, so that commits are felt."""


def _default_cases() -> tuple[CaseSettings, ...]:
    """The six strategies, and COPY with a commit per 1,000 rows: one commit per 20,000 rows would
    hide what a slow disk or a synchronous standby does."""
    six = (
        "orm_add_all",
        "orm_bulk",
        "core_executemany",
        "core_insertmanyvalues",
        "asyncpg_unnest",
        "asyncpg_copy",
    )
    committing = CaseSettings(strategy="asyncpg_copy", batch_size=1000, transaction="batch")
    return (*(CaseSettings(strategy=name) for name in six), committing)


class LoadSettings(_Section):
    """Other clients' work during a run, so that it is measured as under production's traffic."""

    clients: Annotated[int, Field(ge=0, le=64)] = 0
    """How many clients, each with a session of its own, in a process of their own. 0: none. The
    role that `role-sql` makes may have 8 sessions in all."""
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """Statements per second of all clients together; default: as fast as they can."""
    sql: Annotated[str, Field(min_length=1)] | None = None
    """One statement on {table} (a shape's table), {load} (a table for it to write to, with columns
    id and payload and 10,000 rows) and {n} (a number below rows); default: point reads."""

    @model_validator(mode="after")
    def _often_enough(self) -> LoadSettings:
        # The server ends sessions of ours that are idle for two minutes.
        if self.rate is not None and self.clients > 60 * self.rate:
            raise ValueError("each client would do less than a statement a minute; raise rate")
        return self

    def load(self) -> Load | None:
        """The load, if there is to be one."""
        return Load(self.clients, self.rate, self.sql) if self.clients else None


class SuiteSettings(_Section):
    """What a run consists of."""

    rows: PositiveInt = 20_000
    """Rows per round. 20,000: large enough that COPY shows its rate, small enough for 5 s a run."""
    rounds: PositiveInt = 5
    """Rounds of each case in a run. 5: their minimum is the steadiest estimate for its cost."""
    cases: tuple[CaseSettings, ...] = Field(default_factory=_default_cases, min_length=1)
    """The cases; default: the six strategies on `orders`, and COPY committing every 1,000 rows."""
    plugins: tuple[Path, ...] = ()
    """Python files with strategies or shapes of your own."""
    load: LoadSettings = LoadSettings()
    """Other clients' work during a run; default: none."""


class LimitSettings(_Section):
    """Bounds on what a run may cost the canary."""

    round_timeout: Duration = 60.0
    """Seconds that a round may take before it is given up as a failure."""
    run_timeout: Duration = 900.0
    """Seconds that a run may take before it is ended."""
    max_table_bytes: ByteSize = ByteSize(1 << 30)
    """Peak size of a canary table with its indexes, in bytes."""
    max_wal_bytes_per_day: ByteSize = ByteSize(20 << 30)
    """WAL that our runs may write in any 24 hours, in bytes, by what was measured."""

    def limits(self) -> Limits:
        return Limits(
            self.round_timeout, self.run_timeout, self.max_table_bytes, self.max_wal_bytes_per_day
        )


class DetectionSettings(_Section):
    """When a change of level is told. The defaults are calibrated on recorded runs."""

    floor: Share = 0.05
    """Smallest effect on a clock that alarms, as a ratio: 0.05 is 5 % dearer rows. Smaller ones
    that are proved are shown as drift. Work counters have no floor."""
    drift_floor: Share = 0.015
    """Smallest effect that is told at all; below it nothing is of use to anybody."""
    fast_floor: Share = 0.15
    """Effect on the server, client or commit clock that two scheduled runs in a row tell at
    once."""
    threshold: Annotated[float, Field(gt=0, le=100)] = 5.75
    """Of the statistic, in standard deviations: higher is quieter and slower. 5.75: four runs at
    least, since three at the clip do not reach it."""
    learning: Annotated[int, Field(ge=8)] = 24
    """Runs to learn from before the first verdict. 24: four hours at 10 min."""
    confirmation_runs: Annotated[int, Field(ge=0, le=10)] = 3
    """Extra runs, 90 s apart, that a suspicion brings, for at most 5 % of a day's runs; 0: none.
    None where the interval is so short that scheduled runs come as soon."""


class AlertSettings(_Section):
    """What Prometheus rules compare with, exported as `ingest_canary_threshold{name}`: the rules'
    files are the same everywhere."""

    throughput_drop_ratio: Share = 0.25
    """Rate below its frozen baseline for an hour that is a regression without a verdict, too."""
    critical_drop_ratio: Share = 0.5
    """Rate below its frozen baseline from which a regression is critical."""
    spread_ratio: Ratio = 0.5
    """Median round slower than the fastest for an hour: stalls without a verdict, too."""
    index_overhead_ratio: Ratio = 0.5
    """Cost of an index that is too much: wall time with it over that without it, minus 1."""
    stale_intervals: Ratio = 3.0
    """Intervals after a run was due that are too late."""
    consecutive_failures: PositiveInt = 3
    """Failed runs in a row that are told."""
    paused_seconds: Duration = 86_400.0
    """Seconds without a run from which a pause is too long."""
    contended_ratio: Share = 0.5
    """Share of a target's cases, over three hours, that may be contended."""
    sensitivity_ratio: Ratio = 0.15
    """Smallest change that must be seen within 12 runs, more seconds per row as a ratio."""


class StoreSettings(_Section):
    """Where samples, runs, environments and verdicts are kept."""

    url: SecretStr | None = None
    """PostgreSQL database as `postgresql://…`, with sslmode, service and passfile; none: SQLite in
    the data directory. Secret as a whole."""
    url_file: Path | None = None
    """File that holds the URL, for mounted secrets; read at start."""
    schema_name: Annotated[str, Field(alias="schema"), AfterValidator(_schema_name)] = (
        "ingest_canary_store"
    )
    """Schema of the store on PostgreSQL; created and marked by us."""
    timeout: Duration = 10.0
    """Seconds to wait for the store, for a lock there or for a statement; then runs are spooled."""
    raw_retention: Duration = 30 * 86_400.0
    """How long samples are kept one by one. 30d: for the detector and a look at last month."""
    hourly_retention: Duration = 365 * 86_400.0
    """How long hourly rollups, runs and failures are kept. 365d."""
    daily_retention: Duration | None = None
    """How long daily rollups are kept; default: for ever, some 100 bytes a case and day."""
    spool_max_bytes: ByteSize = ByteSize(256 << 20)
    """Bytes of runs that wait in the data directory while the store is down; beyond them the
    oldest are dropped and counted. 256 MiB: months of a default suite."""
    memory_max_runs: PositiveInt = 1000
    """Runs that wait in memory when the data directory cannot be written either."""

    @model_validator(mode="after")
    def _one_url(self) -> StoreSettings:
        if self.url is not None and self.url_file is not None:
            raise ValueError("give at most one of url and url_file")
        url = self.read_url()
        if url is not None:
            check_dsn(url)
        return self

    @model_validator(mode="after")
    def _longer_and_longer(self) -> StoreSettings:
        if self.raw_retention < 2 * 86_400:
            raise ValueError("raw_retention: keep samples for 2d at least, rollups need them")
        if self.hourly_retention < self.raw_retention:
            raise ValueError("hourly_retention must not be shorter than raw_retention")
        return self

    def read_url(self) -> str | None:
        """The URL itself, from the setting or from the file; None: SQLite."""
        return _secret(self.url, self.url_file, "url_file")


class WebSettings(_Section):
    """Where /metrics is served."""

    host: str = "127.0.0.1"
    """Address to listen on. Loopback; the image sets 0.0.0.0."""
    port: Annotated[int, Field(ge=0, le=65535)] = 9988
    """TCP port."""
    config_file: Path | None = None
    """File for TLS, users and headers in the Prometheus exporters' own format (web-config.yml);
    looked at again with every request, so that renewed certificates need no restart."""


class LogSettings(_Section):
    """Logs, always on stderr."""

    format: Literal["plain", "json"] = "plain"
    """"plain" for people, "json" for collectors: one object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is written."""


def default_data_dir() -> Path:
    """The platform's user data directory; for root /var/lib, where services keep state."""
    if os.geteuid() == 0:
        return Path("/var/lib/ingest-canary")
    return platformdirs.user_data_path("ingest-canary", appauthor=False)


class Settings(BaseSettings):
    """All settings of the daemon and the commands."""

    model_config = SettingsConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        frozen=True,
        use_attribute_docstrings=True,
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
    )

    data_dir: Path = Field(default_factory=default_data_dir)
    """Where everything on disk is kept: private server, store, spool, WAL ledger, pause file."""
    interval: Duration = 600.0
    """Seconds between scheduled runs, start to start. 10 min: 144 looks a day at some 100 MB of WAL
    each."""
    targets: dict[str, TargetSettings] = {}
    """Canary databases by name; none: a private PostgreSQL is started and used."""
    suites: dict[str, SuiteSettings] = {}
    """More suites by name, each like `suite`, for targets that ask for one by their `suite`."""
    runs_at_once: PositiveInt = 1
    """Runs of different targets that may go on together. 1: two on one client disturb each other;
    where it happens, both runs carry a notice."""
    grace_period: Annotated[Duration, Field(ge=5)] = 30.0
    """Seconds that the process may take to end after SIGTERM: a run that goes on is finished if it
    can be, else given up in time. Kubernetes' terminationGracePeriodSeconds, or less."""
    watchdog: Annotated[Duration, Field(ge=10)] = 120.0
    """Seconds without a sign of life of the scheduler after which the process ends itself, to be
    started again by whoever started it."""
    holder: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """This replica's name, unlike all others', where several share a store on a server; in their
    runs' fingerprint. Default: the host's name and six characters, kept in the data directory."""
    node: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """The machine that this replica is on, in the fingerprint too; default: the host's name."""
    embedded_bin_dir: Path | None = None
    """Directory with initdb and postgres for the private PostgreSQL; default: found by itself."""
    suite: SuiteSettings = SuiteSettings()
    limits: LimitSettings = LimitSettings()
    detection: DetectionSettings = DetectionSettings()
    alerts: AlertSettings = AlertSettings()
    store: StoreSettings = StoreSettings()
    fingerprint_key: SecretStr | None = None
    """Key of the hashes that settings of the server outside our list are known by; default: made
    once and kept in the data directory. Replicas need the same one."""
    fingerprint_key_file: Path | None = None
    """File that holds the key, for mounted secrets."""
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()

    @field_validator("targets")
    @classmethod
    def _target_names(cls, targets: dict[str, TargetSettings]) -> dict[str, TargetSettings]:
        for name in targets:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"target name '{name}': use lower-case letters, digits, - and _, a letter first"
                )
        return targets

    @model_validator(mode="after")
    def _suites_are_there(self) -> Settings:
        for name, target in self.targets.items():
            if target.suite is not None and target.suite not in self.suites:
                known = ", ".join(sorted(self.suites)) or f"none; add [suites.{target.suite}]"
                raise ValueError(f"targets.{name}.suite: no '{target.suite}' in suites: {known}")
        return self

    @model_validator(mode="after")
    def _one_fingerprint_key(self) -> Settings:
        if self.fingerprint_key is not None and self.fingerprint_key_file is not None:
            raise ValueError("give at most one of fingerprint_key and fingerprint_key_file")
        self.read_fingerprint_key()
        return self

    @model_validator(mode="after")
    def _rounds_end_before_commands(self) -> Settings:
        for name, target in self.targets.items():
            seconds = target.connect.command_timeout
            check_command_timeout(name, seconds, self.limits.round_timeout)
        return self

    def read_fingerprint_key(self) -> str | None:
        """The key itself, from the setting or from the file; None: one of our own making."""
        return _secret(self.fingerprint_key, self.fingerprint_key_file, "fingerprint_key_file")

    def dsns(self) -> tuple[str, ...]:
        """Every DSN that is configured: store's, targets' and sources', for masking."""
        url = self.store.read_url()
        targets = tuple(target.read_dsn() for target in self.targets.values())
        suites = (self.suite, *self.suites.values())
        shapes = (case.shape for suite in suites for case in suite.cases)
        sources = (s.read_dsn() for s in shapes if isinstance(s, FromTableSettings))
        return tuple(dsn for dsn in (url, *targets, *sources) if dsn)

    def interval_of(self, target: str) -> float:
        """Seconds between a target's runs."""
        own = self.targets[target].interval if target in self.targets else None
        return self.interval if own is None else own

    def suite_of(self, target: str) -> SuiteSettings:
        """The suite that a target is measured by."""
        name = self.targets[target].suite if target in self.targets else None
        return self.suite if name is None else self.suites[name]

    def windows_of(self, target: str) -> Windows:
        """When a target's runs may begin; empty: always."""
        texts = self.targets[target].only_between if target in self.targets else ()
        return tuple(map(parse_window, texts))

    def is_paused(self, target: str) -> bool:
        """Whether a target's own setting pauses it."""
        return target in self.targets and self.targets[target].paused

    def target_list(self) -> tuple[Target, ...]:
        """The configured targets as the rest of the program sees them."""
        return tuple(
            Target(
                name=name,
                dsn=settings.read_dsn(),
                schema=settings.schema_name,
                connect_seconds=settings.connect_timeout,
                allow_publication=settings.allow_publication,
                allow_statement_logging=settings.allow_statement_logging,
                skip_while=settings.skip_while,
                connect=settings.connect.connect(),
            )
            for name, settings in self.targets.items()
        )
