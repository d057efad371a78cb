"""What the daemon holds of each target: what measures it, what is shown of it, what judges it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from monitor.config.settings import Settings
from monitor.daemon.assembly import (
    Station,
    detection_rules,
    evidence_plan,
    resolve_plan,
    station,
)
from monitor.daemon.confirming import Confirmations
from monitor.daemon.judging import Judge
from monitor.daemon.turns import Turn
from monitor.environment import Environment
from monitor.export.snapshot import TargetTally
from monitor.measure.clocks import SteadyClock
from monitor.measure.runner import Progress
from monitor.model import Plan, Target
from monitor.store.recorder import Recorder


@dataclass(slots=True)
class Post:
    """One target. ``held`` says that its settings pause it, ``paused`` what the store last said,
    ``turn`` is the run that goes on. ``evidence`` is what is explained once in each environment,
    ``unexplained`` the last run's if that was not done yet, ``explained`` the fingerprint of the
    last one in which it was."""

    station: Station
    plan: Plan
    tally: TargetTally
    judge: Judge
    confirmations: Confirmations
    interval: timedelta
    held: bool
    evidence: Plan
    paused: bool = False
    turn: Turn | None = None
    unexplained: Environment | None = None
    explained: str | None = None

    @property
    def name(self) -> str:
        return self.station.target.name


async def man(
    target: Target,
    settings: Settings,
    recorder: Recorder,
    clock: SteadyClock,
    progress: Progress,
    stack: AsyncExitStack,
) -> Post:
    """The post of a target, given up at the stack's end. Raises ConfigurationError."""
    name = target.name
    plan, seconds = resolve_plan(settings, target=name), settings.interval_of(name)
    place = await stack.enter_async_context(station(target, plan, settings, progress, clock))
    return Post(
        station=place,
        plan=plan,
        tally=TargetTally(name, seconds, frozenset(case.key for case in plan.cases)),
        judge=Judge(detection_rules(settings, name), recorder, settings.data_dir / "detector"),
        confirmations=Confirmations(seconds, settings.detection.confirmation_runs),
        interval=timedelta(seconds=seconds),
        held=settings.is_paused(name),
        evidence=evidence_plan(settings, name),
    )
