"""What the detector can be told; every default is a figure from facts.md or from its benchmark."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from math import log1p

from monitor.judgement import Detector

#: Of the detector: another one whenever the same runs could get another verdict.
VERSION = 1


@dataclass(frozen=True)
class Parameters:
    """How a series is judged. Ratios are changes of cost: 0.05 is 5 % more seconds per row."""

    floor: float = 0.05
    """Smallest effect that alarms; half of it is a dead zone in which nothing is evidence."""
    drift_floor: float = 0.015
    """Smallest effect that is told at all; between this and the floor it is drift."""
    threshold: float = 5.75
    """Of the GLR statistic. Four runs at the clip reach it, three cannot."""
    young_margin: float = 0.75
    """Added to the threshold while the baseline has fewer than ``window`` runs."""
    learning: int = 24
    """Runs before the first verdict."""
    window: int = 48
    """Newest runs that are tested against the baseline and are no part of it."""
    baseline: int = 192
    """Runs that a baseline is taken from, at most."""
    clip: float = 3.0
    """Bound on a run's score, so that no single run decides."""
    least_scale: float = 0.004
    """Smallest scale of a score: nothing repeats better than 0.4 %."""
    suspicion: float = 2.5
    """Statistic from which a series is suspect."""
    confirmation: float = 4.0
    """Statistic of a rise from which extra runs are asked for: two runs at the clip reach it. Of a
    target's many series one is suspect in every fourth run by chance, and extra runs are few."""
    least_scheduled: int = 2
    """Scheduled runs that must speak for a change: extra ones can fall inside one episode."""
    fast_floor: float = 0.15
    """Effect that two scheduled runs in a row tell at once; infinity: no fast lane."""
    fast_score: float = 5.0
    """Scales beyond the dead zone, unclipped, that each of these runs must reach besides."""
    drift_runs: int = 12
    """Runs that must speak for a drift: there is no hurry."""
    recovery: float = 10.0
    """Of the two-level CUSUM that ends a change."""
    settle: int = 24
    """Runs after which an improvement or a drift becomes the baseline, and for which "recovered"
    and "accepted" are shown."""
    probe_share: float = 0.4
    """An effect must exceed this share of the probe's own shift: corrections leak."""
    tolerance: int = 2
    """Changes within a week that ended by themselves, from which on one that is no larger must
    outlast the longest of them to be told."""
    runs_per_day: int = 144
    """Scheduled runs a day; slow drift compares days, a week apart."""
    slow_floor: float = 0.03
    """Distance from the last accepted level that is told as slow drift."""
    pairs: bool = False
    """Judge the smaller of the last two runs: for series that switch between two levels."""

    @cached_property
    def detector(self) -> Detector:
        """Who judges by these parameters."""
        return Detector(VERSION, asdict(self))

    @cached_property
    def log_floor(self) -> float:
        return log1p(self.floor)

    @cached_property
    def log_drift(self) -> float:
        return log1p(min(self.drift_floor, self.floor))

    @cached_property
    def log_fast(self) -> float:
        return log1p(self.fast_floor)

    @cached_property
    def dead_zone(self) -> float:
        return self.log_floor / 2

    @cached_property
    def drift_dead_zone(self) -> float:
        return self.log_drift / 2

    @property
    def runs_per_week(self) -> int:
        return 7 * self.runs_per_day

    def threshold_for(self, size: int) -> float:
        """The threshold against a baseline of ``size`` runs."""
        return self.threshold + (self.young_margin if size < self.window else 0.0)
