"""What the detector remembers of a series, what it is told, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from monitor.detect.points import Points
from monitor.judgement import State

_NO_POINTS = Points()

Kind = Literal["regression", "improvement", "drift"]


@dataclass(frozen=True, slots=True)
class Observation:
    """One run of a series.

    ``number`` rises from run to run; changes are dated by it. ``value`` is the logarithm of a
    cost, so higher is worse; ``probe`` that of the probe which may explain it.
    """

    number: int
    value: float
    probe: float | None = None
    scheduled: bool = True


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the newest runs are compared with: level and scale from ``size`` runs.

    ``calm`` says that no two runs in a row stood as far above the level as the fast lane asks.
    """

    level: float
    scale: float
    size: int
    calm: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A change that stands: levels before and after it, and how far its recovery is proved.

    ``start`` is the number of the first run at the new level, most likely; between ``low`` and
    ``high`` it lies almost as likely; ``alarm`` is the run that told. ``explained`` says that
    its cause is known. ``age`` counts runs since the start, ``recovery`` is the statistic of its
    end and ``recovering`` the runs it is over.
    """

    kind: Kind
    start: int
    low: int
    high: int
    alarm: int
    before: float
    after: float
    statistic: float
    fast: bool = False
    explained: bool = False
    age: int = 0
    recovery: float = 0.0
    recovering: int = 0

    @property
    def effect(self) -> float:
        """New level minus old, logarithmic."""
        return self.after - self.before


class Episode(NamedTuple):
    """A change that ended by itself: at which count of runs, after how many, and how large it was.

    Several of them are what the series does when nothing changed.
    """

    ended: int
    runs: int
    effect: float


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a change in the run ``number``: opened, recovered, or made the baseline."""

    what: Literal["opened", "recovered", "absorbed", "accepted"]
    number: int
    change: Opened


@dataclass(frozen=True, slots=True)
class SeriesState:
    """All that a series' next verdict depends on.

    ``history`` holds runs at the baseline's level, oldest first, ``segment`` those since the
    newest open change began (its first and its last ``window``); ``changes`` are open, oldest
    first. ``beta`` is the probe's coefficient. ``seen`` counts usable runs; ``refreshed``,
    ``weighed`` and ``compared`` say at which count baseline, coefficient and slow drift were last
    looked at. ``anchor`` is the last accepted level. ``episodes`` ended by themselves within the
    last week. ``mark`` is shown for ``mark_left`` runs.
    """

    history: Points = _NO_POINTS
    segment: Points = _NO_POINTS
    baseline: Baseline | None = None
    changes: tuple[Opened, ...] = ()
    beta: float = 0.0
    first_probe: float | None = None
    previous: tuple[float, float] | None = None
    seen: int = 0
    refreshed: int = 0
    weighed: int = 0
    compared: int = 0
    anchor: float = 0.0
    episodes: tuple[Episode, ...] = ()
    mark: Literal["recovered", "accepted"] | None = None
    mark_left: int = 0

    @property
    def level(self) -> float | None:
        """Where the series stands now, logarithmic; None while it learns."""
        if self.changes:
            return self.changes[-1].after
        return self.baseline.level if self.baseline else None

    @property
    def effect(self) -> float:
        """Of all open changes together, logarithmic; 0 if there are none."""
        return self.changes[-1].after - self.changes[0].before if self.changes else 0.0


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """The detector's word on a series after a run.

    ``effect`` is the distance of the newest runs from the frozen baseline, logarithmic, None while
    learning; ``statistic`` the larger of the two directions' G.
    """

    state: State
    effect: float | None = None
    statistic: float = 0.0
    events: tuple[Event, ...] = ()
