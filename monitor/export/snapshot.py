"""What pages and metrics show: a frozen picture of the daemon, and the tally it is drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.export.past import Past, PastView
from monitor.judgement import Change, Judgement, Place
from monitor.model import CaseKey, Run, RunOutcome, SkipReason, Trigger
from monitor.store.recorder import StoreHealth

#: Upper bounds of the round duration histogram, in seconds.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

#: After this many intervals without a run its values are no longer shown: better none than frozen.
EXPIRY_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts by bucket of ``BUCKETS`` (not cumulated; the last is above all), and their sum."""

    counts: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """A target as of one moment. Counts are since the process started.

    ``judgement`` is of ``last_run``, ``changes`` stand, ``false_alarms`` are those expected a month
    of each series, ``planned`` the cases of the suite, ``past`` what pages show of earlier runs.
    """

    name: str
    interval_seconds: float
    up: bool | None
    round_trip_seconds: float | None
    paused: bool
    lock_held: bool
    next_run_at: datetime | None
    last_run: Run | None
    judgement: Judgement | None
    changes: tuple[Change, ...]
    false_alarms: Mapping[Place, float]
    planned: frozenset[CaseKey]
    last_environment_run: Run | None
    environment_changed_at: datetime | None
    finished_at: Mapping[RunOutcome, datetime]
    consecutive_failures: int
    runs: Mapping[tuple[RunOutcome, Trigger], int]
    skipped: Mapping[SkipReason, int]
    rows_inserted: Mapping[CaseKey, int]
    rounds: Mapping[tuple[CaseKey, str], int]
    failures: Mapping[tuple[CaseKey | None, str], int]
    disturbed: Mapping[tuple[CaseKey, str], int]
    durations: Mapping[str, Histogram]
    past: PastView


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is shown, as of ``at``."""

    at: datetime
    version: str
    python: str
    targets: tuple[TargetSnapshot, ...]
    store: StoreHealth | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    runs_at_once: int = 1

    @property
    def utilisation(self) -> float:
        """Share of the time that runs take, by each target's last one; one that was not measured
        yet is taken to be like the mean of the others."""
        runs = [target.last_run for target in self.targets if target.last_run]
        if not runs:
            return 0.0
        usual = sum(run.duration_seconds for run in runs) / len(runs)
        shares = (
            (target.last_run.duration_seconds if target.last_run else usual)
            / target.interval_seconds
            for target in self.targets
        )
        return sum(shares) / self.runs_at_once

    def fresh_run(self, target: TargetSnapshot) -> Run | None:
        """The target's last run, unless it is too old to be shown as its present state."""
        run = target.last_run
        if run is None:
            return None
        limit = timedelta(seconds=EXPIRY_INTERVALS * target.interval_seconds)
        return run if self.at - run.finished_at <= limit else None


@dataclass(slots=True)
class TargetTally:
    """What the daemon counts of a target; mutable, owned by the daemon's loop."""

    name: str
    interval_seconds: float
    planned: frozenset[CaseKey] = frozenset()
    up: bool | None = None
    round_trip_seconds: float | None = None
    paused: bool = False
    lock_held: bool = False
    next_run_at: datetime | None = None
    last_run: Run | None = None
    judgement: Judgement | None = None
    changes: tuple[Change, ...] = ()
    false_alarms: Mapping[Place, float] = field(default_factory=dict)
    last_environment_run: Run | None = None
    environment_changed_at: datetime | None = None
    finished_at: dict[RunOutcome, datetime] = field(default_factory=dict)
    consecutive_failures: int = 0
    runs: Counter[tuple[RunOutcome, Trigger]] = field(default_factory=Counter)
    skipped: Counter[SkipReason] = field(default_factory=Counter)
    rows_inserted: Counter[CaseKey] = field(default_factory=Counter)
    rounds: Counter[tuple[CaseKey, str]] = field(default_factory=Counter)
    failures: Counter[tuple[CaseKey | None, str]] = field(default_factory=Counter)
    disturbed: Counter[tuple[CaseKey, str]] = field(default_factory=Counter)
    durations: dict[str, list[float]] = field(default_factory=dict)
    past: Past = field(init=False)

    def __post_init__(self) -> None:
        self.past = Past(len(self.planned))

    def add_run(self, run: Run, judgement: Judgement | None = None) -> None:
        """Count a finished run and make it the last one."""
        self.make_last(run, judgement)
        self.count(run)

    def count(self, run: Run) -> None:
        """Count a finished run, such as one that others have overtaken."""
        self.runs[run.outcome, run.trigger] += 1
        for failure in run.failures:
            self.failures[failure.case, failure.reason] += 1
        for result in run.cases:
            key = result.case.key
            self.rounds[key, "failed"] += len(result.failures)
            for sample in result.samples:
                self.rounds[key, "ok"] += 1
                self.rows_inserted[key] += sample.rows
                self._add_duration(key.strategy, sample.insert_seconds)
                for reason in sample.disturbed:
                    self.disturbed[key, reason] += 1

    def make_last(self, run: Run, judgement: Judgement | None = None) -> None:
        """Show a run as the last one, as those from before a restart, without counting it."""
        self.last_run, self.judgement = run, judgement
        self.finished_at[run.outcome] = run.finished_at
        failed = run.outcome == "failed"
        self.consecutive_failures = self.consecutive_failures + 1 if failed else 0
        self._note_environment(run)
        self.past.note(run, judgement)

    def _note_environment(self, run: Run) -> None:
        if run.environment is None:
            return
        before = self.last_environment_run
        if (
            before is not None
            and before.environment is not None
            and before.environment.fingerprint != run.environment.fingerprint
        ):
            self.environment_changed_at = run.started_at
        self.last_environment_run = run

    def add_skip(self, reason: SkipReason, at: datetime, trigger: Trigger, count: int = 1) -> None:
        """Count ticks that led to no run."""
        self.skipped[reason] += count
        self.runs["skipped", trigger] += count
        self.finished_at["skipped"] = at

    def _add_duration(self, strategy: str, seconds: float) -> None:
        counts = self.durations.setdefault(strategy, [0.0] * (len(BUCKETS) + 2))
        bucket = next((n for n, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        counts[bucket] += 1
        counts[-1] += seconds

    def snapshot(self) -> TargetSnapshot:
        """A frozen copy."""
        return TargetSnapshot(
            name=self.name,
            interval_seconds=self.interval_seconds,
            up=self.up,
            round_trip_seconds=self.round_trip_seconds,
            paused=self.paused,
            lock_held=self.lock_held,
            next_run_at=self.next_run_at,
            last_run=self.last_run,
            judgement=self.judgement,
            changes=self.changes,
            false_alarms=self.false_alarms,
            planned=self.planned,
            last_environment_run=self.last_environment_run,
            environment_changed_at=self.environment_changed_at,
            finished_at=dict(self.finished_at),
            consecutive_failures=self.consecutive_failures,
            runs=dict(self.runs),
            skipped=dict(self.skipped),
            rows_inserted=dict(self.rows_inserted),
            rounds=dict(self.rounds),
            failures=dict(self.failures),
            disturbed=dict(self.disturbed),
            durations={
                name: Histogram(tuple(int(count) for count in values[:-1]), values[-1])
                for name, values in self.durations.items()
            },
            past=self.past.view(),
        )
