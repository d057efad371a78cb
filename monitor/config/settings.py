"""All settings: every one documented under its field, with unit, default and why."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.config.connect import check_command_timeout
from monitor.config.fields import Duration, PositiveInt, read_secret, told
from monitor.config.sections import (
    AlertSettings,
    DetectionSettings,
    LogSettings,
    StoreSettings,
    WebSettings,
)
from monitor.config.suite import FromTableSettings, LimitSettings, SuiteSettings
from monitor.config.targets import TargetSettings
from monitor.config.windows import Windows, parse_window
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
                    f"target name {told(name)}: use lower-case letters, digits, - and _,"
                    " a letter first"
                )
        return targets

    @model_validator(mode="after")
    def _suites_are_there(self) -> Settings:
        for name, target in self.targets.items():
            if target.suite is not None and target.suite not in self.suites:
                known = ", ".join(sorted(self.suites)) or f"none; add [suites.{target.suite}]"
                raise ValueError(
                    f"targets.{name}.suite: no {told(target.suite)} in suites: {known}"
                )
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
        return read_secret(self.fingerprint_key, self.fingerprint_key_file, "fingerprint_key_file")

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

    def suite_of(self, target: str | None) -> SuiteSettings:
        """The suite that a target is measured by; None: the general one."""
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
