"""All settings: every one documented under its field, with unit, default and why."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.config.connect import check_command_timeout
from monitor.config.fields import Duration, read_secret
from monitor.config.sections import (
    AlertSettings,
    DetectionSettings,
    LogSettings,
    StoreSettings,
    WebSettings,
)
from monitor.config.suite import FromTableSettings, LimitSettings, SuiteSettings
from monitor.config.targets import TargetSettings
from monitor.model import Target

PREFIX = "INGEST_CANARY_"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


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
    """Seconds between scheduled runs, start to start. 10 min: 144 looks a day at some 125 MB of WAL
    each."""
    targets: dict[str, TargetSettings] = {}
    """Canary databases by name; none: a private PostgreSQL is started and used."""
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
        return read_secret(self.fingerprint_key, self.fingerprint_key_file, "fingerprint_key_file")

    def dsns(self) -> tuple[str, ...]:
        """Every DSN that is configured: store's, targets' and sources', for masking."""
        url = self.store.read_url()
        targets = tuple(target.read_dsn() for target in self.targets.values())
        shapes = (case.shape for case in self.suite.cases)
        sources = (s.read_dsn() for s in shapes if isinstance(s, FromTableSettings))
        return tuple(dsn for dsn in (url, *targets, *sources) if dsn)

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
