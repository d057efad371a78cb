"""What disturbed a round: on the server by its counters, on this host by the kernel's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from monitor.canary.counters import Activity
from monitor.model import Disturbance

#: Shares of a round's time from which CPU steal and CPU pressure are called a disturbance.
STEAL_RATIO = 0.02
PRESSURE_RATIO = 0.25

_STAT = Path("/proc/stat")
_PRESSURE = Path("/proc/pressure/cpu")


@dataclass(frozen=True, slots=True)
class HostActivity:
    """The kernel's counters at one moment: CPU ticks, and microseconds that tasks waited for one.

    None where the kernel does not say.
    """

    steal_ticks: int | None
    all_ticks: int | None
    pressure_microseconds: int | None


def host_activity() -> HostActivity:
    """The host's counters now."""
    steal, total = _cpu_ticks()
    return HostActivity(steal, total, _pressure())


def _cpu_ticks() -> tuple[int | None, int | None]:
    try:
        ticks = [int(word) for word in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None, None
    return (ticks[7], sum(ticks)) if len(ticks) == 8 else (None, None)


def _pressure() -> int | None:
    try:
        some = _PRESSURE.read_text().split("\n", 1)[0]
        return int(some.rpartition("total=")[2])
    except (OSError, ValueError):
        return None


def steal_ratio(before: HostActivity, after: HostActivity) -> float | None:
    """Share of the host's CPU time that the hypervisor gave to others, 0..1."""
    if None in (before.steal_ticks, after.steal_ticks, before.all_ticks, after.all_ticks):
        return None
    total = (after.all_ticks or 0) - (before.all_ticks or 0)
    return ((after.steal_ticks or 0) - (before.steal_ticks or 0)) / total if total else 0.0


def pressure_ratio(before: HostActivity, after: HostActivity, seconds: float) -> float | None:
    """Share of the time in which some task of this host waited for a CPU, 0..1."""
    if before.pressure_microseconds is None or after.pressure_microseconds is None:
        return None
    waited = (after.pressure_microseconds - before.pressure_microseconds) / 1e6
    return min(1.0, waited / seconds)


def other_sessions(before: Activity, after: Activity) -> int | None:
    """Most active sessions besides ours at the round's two ends; None if they are hidden."""
    if before.other_sessions is None or after.other_sessions is None:
        return None
    return max(before.other_sessions, after.other_sessions)


def disturbances(
    before: Activity,
    after: Activity,
    *,
    evicted: bool,
    steal: float | None,
    pressure: float | None,
) -> tuple[Disturbance, ...]:
    """What disturbed the round between two looks at the server, as far as is known at its end."""
    found: dict[Disturbance, bool] = {
        "checkpoint": after.checkpoints != before.checkpoints,
        "autovacuum": after.autovacuums != before.autovacuums
        or bool(before.vacuums_running or after.vacuums_running),
        "evicted": evicted,
        "other_sessions": bool(other_sessions(before, after)),
        "steal": steal is not None and steal >= STEAL_RATIO,
        "pressure": pressure is not None and pressure >= PRESSURE_RATIO,
    }
    return tuple(reason for reason, happened in found.items() if happened)


def checkpoint_started(first: int, last: int, redo_positions: Iterable[int]) -> bool:
    """Whether a checkpoint began between two WAL positions.

    A checkpoint's redo position is where it began; it is published only when the checkpoint is
    complete, which is why this is asked again at the end of a run.
    """
    return any(first <= position <= last for position in redo_positions)
