"""Settings of a canary database, and of the sessions there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from monitor.config.connect import check_server_settings
from monitor.config.dsn import check_dsn
from monitor.config.fields import Duration, SchemaName, Section, read_secret
from monitor.config.windows import parse_window
from monitor.model import Connect


def _window(text: str) -> str:
    parse_window(text)
    return text


class ConnectSettings(Section):
    """How sessions are opened; set what your application's engine or pool sets."""

    command_timeout: Duration | None = None
    """Seconds after which asyncpg gives a statement up; default: never, since rounds have their
    own deadline. Must be longer than limits.round_timeout."""
    statement_cache_size: Annotated[int, Field(ge=0)] = 100
    """Statements that asyncpg keeps prepared (COPY and unnest); 0 as behind a pooler."""
    prepared_statement_cache_size: Annotated[int, Field(ge=0)] = 100
    """Statements that SQLAlchemy keeps prepared (the other strategies); 0 as behind a pooler."""
    server_settings: dict[str, str] = Field(default_factory=dict)
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


class TargetSettings(Section):
    """A canary database."""

    dsn: SecretStr | None = None
    """URL as asyncpg and libpq understand it, with sslmode, service and passfile; required unless
    dsn_file is given. Secret as a whole."""
    dsn_file: Path | None = None
    """File that holds the DSN, for mounted secrets; read at start."""
    schema_name: Annotated[SchemaName, Field(alias="schema")] = "ingest_canary"
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
        return read_secret(self.dsn, self.dsn_file, "dsn_file") or ""
