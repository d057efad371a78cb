"""What a target's page shows of the past: points, runs, changes, environments; all bounded.

Owned by the daemon's loop. Every run is noted when it is made or restored; what is older the daemon
reads from the store between rounds.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from monitor.environment import Difference, Environment
from monitor.export.curve import Curve, Point
from monitor.export.documents import SweepDocument
from monitor.export.sweeps import described
from monitor.judgement import Change, Closing, Judgement, Signal
from monitor.model import CaseKey, CaseResult, Failure, FailureReason, Run, RunOutcome, Trigger
from monitor.store.explorations import Exploration

#: A target's points in memory at most, some 1.3 MB, shared out among its cases; and what a case
#: has at least.
MAX_POINTS = 10_000
MIN_POINTS = 100
MAX_RUNS = 30
MAX_CHANGES = 200
MAX_ENVIRONMENTS = 20
MAX_SWEEPS = 10
#: Points of the little line in the table.
SPARK_POINTS = 48


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as a line of a list. Rounds by what disturbed them, failures by reason."""

    id: str
    trigger: Trigger
    started_at: datetime
    duration_seconds: float
    outcome: RunOutcome
    contended: bool
    rounds: int
    disturbed: Mapping[str, int]
    failures: Mapping[FailureReason, int]
    first_failure: Failure | None
    wal_bytes: int | None


@dataclass(frozen=True, slots=True)
class EnvironmentChange:
    """The first run with another environment than the one before, and what differs."""

    at: datetime
    before: str
    after: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class PastView:
    """The past as of one moment; ``points`` as ``Curve.parts`` gives them, oldest first, as are
    ``runs``, ``changes`` and ``environments``; ``sweeps`` newest first."""

    points: Mapping[CaseKey, tuple[bytes, ...]] = field(default_factory=dict)
    sparks: Mapping[CaseKey, tuple[float, ...]] = field(default_factory=dict)
    runs: tuple[PastRun, ...] = ()
    changes: tuple[Change, ...] = ()
    ends: tuple[Closing, ...] = ()
    environments: tuple[EnvironmentChange, ...] = ()
    sweeps: tuple[SweepDocument, ...] = ()


class Past:
    """The memory of one target, whose suite has so many cases."""

    def __init__(self, cases: int = 1) -> None:
        self._limit = max(MIN_POINTS, MAX_POINTS // max(1, cases))
        self._curves: dict[CaseKey, Curve] = {}
        self._sparks: dict[CaseKey, deque[float]] = {}
        self._runs: deque[PastRun] = deque(maxlen=MAX_RUNS)
        self._changes: dict[str, Change] = {}
        self._ends: dict[str, Closing] = {}
        self._environments: list[EnvironmentChange] = []
        self._environment: Environment | None = None
        self._sweeps: tuple[SweepDocument, ...] = ()
        self.sweep_ids: tuple[str, ...] = ()
        self._view: PastView | None = None

    def note(self, run: Run, judgement: Judgement | None) -> None:
        """A run newer than all that are known, and what was said of it."""
        self._view = None
        self._runs.append(_past_run(run, judgement))
        for key, point in points_of(run, judgement).items():
            self._curve(key).add(point)
            if point.rows_per_second is not None:
                sparks = self._sparks.setdefault(key, deque(maxlen=SPARK_POINTS))
                sparks.append(point.rows_per_second)
        if judgement is not None:
            self.note_changes(judgement.changes, judgement.closings)
        if run.environment is not None:
            self._note_environment(run.started_at, run.environment)

    def note_changes(self, changes: Iterable[Change], ends: Iterable[Closing]) -> None:
        """Changes and ends, known already or not, in any order."""
        self._view = None
        self._changes |= {change.id: change for change in changes}
        self._ends |= {end.change_id: end for end in ends}
        newest = sorted(self._changes.values(), key=lambda change: change.told_at)[-MAX_CHANGES:]
        self._changes = {change.id: change for change in newest}
        self._ends = {name: end for name, end in self._ends.items() if name in self._changes}

    def add_older(self, key: CaseKey, points: Sequence[Point]) -> None:
        """Points of a case from before all that are known, in order of time."""
        self._view = None
        self._curve(key).add_older(points)

    def set_environments(self, changes: Iterable[EnvironmentChange]) -> None:
        """Changes of the environment from before those known, which are kept where newer."""
        self._view = None
        older = list(changes)
        last = older[-1].at if older else None
        newer = [each for each in self._environments if last is None or each.at > last]
        self._environments = [*older, *newer][-MAX_ENVIRONMENTS:]

    def set_sweeps(self, found: Sequence[Exploration]) -> None:
        """The last sweeps, newest first, in place of those that are known."""
        self._view = None
        self.sweep_ids = tuple(each.id for each in found)
        self._sweeps = described(found)

    def first_seconds(self) -> float | None:
        """When the oldest point of all is."""
        firsts = [curve.first_seconds for curve in self._curves.values()]
        return min((first for first in firsts if first is not None), default=None)

    @property
    def full(self) -> bool:
        """Whether no curve has room for older points."""
        return bool(self._curves) and all(
            len(curve) >= self._limit for curve in self._curves.values()
        )

    def view(self) -> PastView:
        """A frozen copy; the same one until something is noted."""
        if self._view is None:
            self._view = PastView(
                points={key: curve.parts() for key, curve in self._curves.items()},
                sparks={key: tuple(rates) for key, rates in self._sparks.items()},
                runs=tuple(self._runs),
                changes=tuple(self._changes.values()),
                ends=tuple(self._ends.values()),
                environments=tuple(self._environments),
                sweeps=self._sweeps,
            )
        return self._view

    def _curve(self, key: CaseKey) -> Curve:
        return self._curves.setdefault(key, Curve(self._limit))

    def _note_environment(self, at: datetime, now: Environment) -> None:
        before, self._environment = self._environment, now
        if before is not None and before.fingerprint != now.fingerprint:
            change = environment_change(at, before, now)
            self._environments = [*self._environments, change][-MAX_ENVIRONMENTS:]


def environment_change(at: datetime, before: Environment, after: Environment) -> EnvironmentChange:
    """What a run that began ``at`` was made with that the one before was not."""
    differences = before.differences(after)
    return EnvironmentChange(at, before.fingerprint, after.fingerprint, differences)


def points_of(run: Run, judgement: Judgement | None) -> dict[CaseKey, Point]:
    """A point for each case of a run that has figures."""
    baselines: dict[tuple[CaseKey | None, str], float] = {}
    for verdict in judgement.verdicts if judgement else ():
        if verdict.baseline:
            baselines[verdict.place.case, verdict.place.signal] = verdict.baseline

    def baseline(result: CaseResult, signal: Signal) -> float | None:
        return baselines.get((result.case.key, signal))

    at_seconds = run.started_at.timestamp()
    found = {}
    for result in run.cases:
        summary = result.summary
        if summary is None:
            continue
        rate, counted = summary.rows_per_second, result.counted
        wall = baseline(result, "throughput")
        servers = [s.server_seconds / s.rows for s in counted if s.server_seconds is not None]
        found[result.case.key] = Point(
            at_seconds,
            1,
            rate.median,
            rate.low,
            rate.high,
            summary.rows_per_second_fast,
            1 / wall if wall else None,
            min(s.client_seconds / s.rows for s in counted),
            min(servers) if len(servers) == len(counted) else None,
            min(s.commit_seconds / s.rows for s in counted),
            summary.rest_seconds_per_row,
            baseline(result, "client"),
            baseline(result, "server"),
            baseline(result, "commit"),
        )
    return found


def _past_run(run: Run, judgement: Judgement | None) -> PastRun:
    samples = [sample for result in run.cases for sample in result.samples]
    failures = run.failures
    return PastRun(
        id=run.id,
        trigger=run.trigger,
        started_at=run.started_at,
        duration_seconds=run.duration_seconds,
        outcome=run.outcome,
        contended=judgement.contended if judgement else run.contended,
        rounds=len(samples),
        disturbed=Counter(reason for sample in samples for reason in sample.disturbed),
        failures=Counter(failure.reason for failure in failures),
        first_failure=failures[0] if failures else None,
        wal_bytes=run.wal_bytes,
    )
