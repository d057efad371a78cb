"""Settings of detection, alerts, the store, the web server and logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ByteSize, Field, SecretStr, model_validator

from monitor.config.dsn import check_dsn
from monitor.config.fields import (
    Duration,
    PositiveInt,
    Ratio,
    SchemaName,
    Section,
    Share,
    read_secret,
)


class DetectionSettings(Section):
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


class AlertSettings(Section):
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


class StoreSettings(Section):
    """Where samples, runs, environments and verdicts are kept."""

    url: SecretStr | None = None
    """PostgreSQL database as `postgresql://…`, with sslmode, service and passfile; none: SQLite in
    the data directory. Secret as a whole."""
    url_file: Path | None = None
    """File that holds the URL, for mounted secrets; read at start."""
    schema_name: Annotated[SchemaName, Field(alias="schema")] = "ingest_canary_store"
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
        return read_secret(self.url, self.url_file, "url_file")


class WebSettings(Section):
    """Where /metrics is served."""

    host: str = "127.0.0.1"
    """Address to listen on. Loopback; the image sets 0.0.0.0."""
    port: Annotated[int, Field(ge=0, le=65535)] = 9988
    """TCP port."""
    config_file: Path | None = None
    """File for TLS, users and headers in the Prometheus exporters' own format (web-config.yml);
    looked at again with every request, so that renewed certificates need no restart."""


class LogSettings(Section):
    """Logs, always on stderr."""

    format: Literal["plain", "json"] = "plain"
    """"plain" for people, "json" for collectors: one object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe level that is written."""
