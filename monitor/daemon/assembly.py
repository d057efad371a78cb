"""From settings to parts: plan, targets (or a private PostgreSQL), and what measures them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from monitor.canary.connection import Canary
from monitor.canary.embedded import PrivateServer
from monitor.config.settings import Settings
from monitor.daemon.fingerprint_key import fingerprint_key
from monitor.daemon.ledger import WalLedger
from monitor.daemon.replicas import client_facts
from monitor.detect.parameters import Parameters
from monitor.errors import ConfigurationError
from monitor.measure.clocks import SteadyClock
from monitor.measure.runner import Progress, Runner
from monitor.model import Plan, Target
from monitor.store.database import Database, Location
from monitor.store.recorder import Recorder
from monitor.store.retention import Policy
from monitor.store.schema import open_store
from monitor.store.spool import Spool
from monitor.suite import catalog, plan
from monitor.suite.exploration import explain_cases

PRIVATE = "private"

#: Seconds that an exploration may take; scheduled runs on the target are skipped meanwhile.
EXPLORATION_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Station:
    """Everything that measures one target."""

    canary: Canary
    runner: Runner

    @property
    def target(self) -> Target:
        return self.canary.target


def resolve_plan(
    settings: Settings, strategies: tuple[str, ...] = (), target: str | None = None
) -> Plan:
    """A target's suite, or the general one, narrowed to some strategies.

    Raises ConfigurationError.
    """
    suite = settings.suite_of(target)
    return plan.resolve(suite, catalog.load(suite.plugins), strategies)


def evidence_plan(settings: Settings, target: str) -> Plan:
    """What is explained of a target's suite: as ``ingest-canary explain`` does.

    Raises ConfigurationError.
    """
    suite = settings.suite_of(target)
    return explain_cases(suite, catalog.load(suite.plugins))


def wal_ledger(settings: Settings) -> WalLedger:
    """The ledger in the data directory."""
    return WalLedger(settings.data_dir / "wal.jsonl")


def store_location(settings: Settings) -> Location:
    """Where the store is: SQLite in the data directory, or what the URL says."""
    store = settings.store
    path = settings.data_dir / "store.sqlite"
    return Location(path, store.read_url(), store.schema_name, store.timeout)


def retention_policy(settings: Settings) -> Policy:
    """How long what is kept."""
    store = settings.store
    daily = None if store.daily_retention is None else timedelta(seconds=store.daily_retention)
    return Policy(
        timedelta(seconds=store.raw_retention), timedelta(seconds=store.hourly_retention), daily
    )


def detection_rules(settings: Settings, target: str | None = None) -> Parameters:
    """What the detector is told, for a target or for one with the general interval."""
    detection = settings.detection
    interval = settings.interval if target is None else settings.interval_of(target)
    return Parameters(
        floor=detection.floor,
        drift_floor=detection.drift_floor,
        fast_floor=detection.fast_floor,
        threshold=detection.threshold,
        learning=detection.learning,
        runs_per_day=max(1, round(86_400 / interval)),
    )


def thresholds(settings: Settings) -> Mapping[str, float]:
    """Settings that alert rules compare with, by the name that they have there."""
    return {
        "regression_floor_ratio": settings.detection.floor,
        **{name: float(value) for name, value in settings.alerts.model_dump().items()},
    }


def recorder(settings: Settings) -> Recorder:
    """The way into the store; nothing is opened yet."""
    spool = Spool(settings.data_dir / "spool", settings.store.spool_max_bytes)
    database = Database(store_location(settings))
    return Recorder(database, spool, retention_policy(settings), settings.store.memory_max_runs)


@asynccontextmanager
async def stored(settings: Settings, *, create: bool = False) -> AsyncIterator[Database]:
    """The store while the block lasts, of our version. Raises StoreRefused, StoreUnavailable."""
    database = Database(store_location(settings))
    try:
        await open_store(database, create=create)
        yield database
    finally:
        await database.dispose()


@asynccontextmanager
async def targets(settings: Settings, name: str | None = None) -> AsyncIterator[list[Target]]:
    """The configured targets, or the private server while the block lasts; or one by name.

    Raises ConfigurationError for an unknown name, EmbeddedServerError where no server can be had.
    """
    configured = list(settings.target_list())
    if name is not None and name not in {target.name for target in configured} | {PRIVATE}:
        known = ", ".join(target.name for target in configured) or PRIVATE
        raise ConfigurationError(f"unknown target '{name}'; configured: {known}.")
    chosen = [target for target in configured if name in (None, target.name)]
    if chosen:
        yield chosen
        return
    async with _private_target(settings) as target:
        yield [target]


@asynccontextmanager
async def _private_target(settings: Settings) -> AsyncIterator[Target]:
    server = PrivateServer(settings.data_dir, bin_dir=settings.embedded_bin_dir)
    try:
        dsn = await asyncio.to_thread(server.start)
        yield Target(PRIVATE, dsn)
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def station(
    target: Target,
    suite: Plan,
    settings: Settings,
    progress: Progress,
    clock: SteadyClock,
    *,
    exploring: bool = False,
) -> AsyncIterator[Station]:
    """What measures a target, let go of at the block's end; ``exploring`` as the runner has it."""
    canary = Canary(target)
    limits = settings.limits.limits()
    if exploring:
        limits = replace(limits, run_seconds=max(limits.run_seconds, EXPLORATION_SECONDS))
    runner = Runner(
        suite,
        limits,
        target.schema,
        progress,
        clock=clock,
        fingerprint_key=fingerprint_key(settings),
        facts=client_facts(settings),
        exploring=exploring,
    )
    try:
        yield Station(canary, runner)
    finally:
        await canary.dispose()
