"""What is shown is made between rounds: whatever asks, nothing is rendered in a timed one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import perf_counter

import pytest
from pydantic import SecretStr

from monitor.config.settings import Settings
from monitor.config.suite import SuiteSettings
from monitor.config.targets import TargetSettings
from monitor.daemon import daemon as module
from monitor.daemon.daemon import Daemon
from monitor.daemon.publishing import Publisher
from monitor.measure.clocks import RoundClock
from monitor.measure.runner import no_progress
from monitor.model import Run
from tests.conftest import Database

RUNS = 4


def settings_for(database: Database, data_dir: Path) -> Settings:
    """Three targets that are due every second: one measured, one paused, one that is down."""
    dsns = {"well": database.dsn, "paused": database.dsn, "down": "postgresql://x@127.0.0.1:1/x"}
    targets = {
        name: TargetSettings(dsn=SecretStr(dsn), paused=name == "paused")
        for name, dsn in dsns.items()
    }
    settings = Settings(
        interval=1.0,
        data_dir=data_dir,
        targets=targets,
        suite=SuiteSettings(rows=4000, rounds=3),
    )
    return settings.model_copy(update={"web": settings.web.model_copy(update={"port": 0})})


def test_nothing_is_rendered_while_a_round_is_timed(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[tuple[float, float]] = []
    made: list[tuple[float, float]] = []
    asked, began = [0], [0.0]
    start, committed, make = RoundClock.start, RoundClock.committed, Publisher._make
    publish = Publisher.publish

    def started(clock: RoundClock) -> None:
        began[0] = perf_counter()
        start(clock)

    def ended(clock: RoundClock) -> None:
        committed(clock)
        timed.append((began[0], perf_counter()))
        began[0] = 0.0

    def making(publisher: Publisher) -> None:
        since = perf_counter()
        make(publisher)
        made.append((since, perf_counter()))

    def asking(publisher: Publisher) -> None:
        asked[0] += began[0] > 0
        publish(publisher)

    monkeypatch.setattr(RoundClock, "start", started)
    monkeypatch.setattr(RoundClock, "committed", ended)
    monkeypatch.setattr(Publisher, "_make", making)
    monkeypatch.setattr(Publisher, "publish", asking)
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)

    async def go() -> None:
        done: list[Run] = []

        def report(run: Run) -> None:
            done.append(run)
            if len([run for run in done if run.outcome != "failed"]) == RUNS:
                daemon.stop()

        daemon = Daemon(settings_for(database, tmp_path), report, no_progress)
        async with asyncio.timeout(90):
            await daemon.run()

    asyncio.run(go())
    assert asked[0], "nobody asked while a round was timed: the test shows nothing"
    assert len(made) > 2 * RUNS
    within = [(a, b) for a, b in made for c, d in timed if a < d and c < b]
    assert within == []
