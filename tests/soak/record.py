"""What a soak sees of the daemon as time goes by, and how fast it grows."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.process import Daemon
from tests.servers import Server

#: Part of the time after which a process should have all the memory that it needs.
WARM_UP = 0.25
#: Points that a slope is made from: its pairs grow with the square.
_POINTS = 400


@dataclass(frozen=True)
class Look:
    """One look: seconds since the start, bytes, descriptors, sessions, and runs so far by kind."""

    seconds: float
    memory: int
    descriptors: int
    sessions: int
    threads: int
    #: By ``outcome/trigger``, and ``skipped: reason``.
    counts: Counter[str]


@dataclass
class Record:
    """All looks, and the times in which faults were at work or still to be felt."""

    looks: list[Look] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    #: Seconds since the start, from and to.
    disturbed: list[tuple[float, float]] = field(default_factory=list)
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def add(self, look: Look) -> None:
        """Keep a look, and say of each run that was not well whether a fault explains it."""
        before = self.looks[-1] if self.looks else None
        self.looks.append(look)
        if before is None:
            return
        for kind, count in (look.counts - before.counts).items():
            if kind.startswith("ok/"):
                continue
            if any(a <= look.seconds and before.seconds <= b for a, b in self.disturbed):
                self.explained[kind] += count
            else:
                self.unexplained.append(f"{count} x {kind} at {look.seconds:.0f} s")

    def per_hour(self, name: str, first: float = WARM_UP) -> float:
        """Growth by the median of the slopes of all pairs (Theil-Sen), after a part of the time."""
        begin = first * self.looks[-1].seconds
        points = [(look.seconds, getattr(look, name)) for look in self.looks]
        points = [point for point in points if point[0] >= begin]
        points = points[:: max(1, len(points) // _POINTS)]
        slopes = [
            (b[1] - a[1]) / (b[0] - a[0]) * 3600
            for number, a in enumerate(points)
            for b in points[number + 1 :]
        ]
        return statistics.median(slopes) if slopes else 0.0

    def most(self, name: str) -> int:
        return max(getattr(look, name) for look in self.looks)

    def last(self, name: str) -> int:
        """The median of the last ten looks."""
        return round(statistics.median(getattr(look, name) for look in self.looks[-10:]))


def look_at(daemon: Daemon, server: Server, seconds: float) -> Look:
    """The daemon as it is now; also asks for each kind of page, as its users do."""
    for path in ("/", "/targets/main", "/api/v1/status", "/api/v1/targets/main/runs"):
        daemon.get(path)
    process = Path("/proc") / str(daemon.process.pid)
    pages = int((process / "statm").read_text().split()[1])
    ((sessions,),) = server.sql(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ingest-canary%'"
    )
    return Look(
        seconds=seconds,
        memory=pages * os.sysconf("SC_PAGE_SIZE"),
        descriptors=len(list((process / "fd").iterdir())),
        sessions=sessions,
        threads=len(list((process / "task").iterdir())),
        counts=_counts(daemon),
    )


def _counts(daemon: Daemon) -> Counter[str]:
    found: Counter[str] = Counter()
    for outcome in ("ok", "partial", "failed"):
        for trigger in ("scheduled", "confirmation"):
            value = daemon.metric("runs_total", outcome=outcome, trigger=trigger)
            found[f"{outcome}/{trigger}"] = int(value or 0)
    for reason in ("paused", "overlapping", "locked", "window", "condition", "missed"):
        found[f"skipped: {reason}"] = int(daemon.metric("runs_skipped_total", reason=reason) or 0)
    return found
