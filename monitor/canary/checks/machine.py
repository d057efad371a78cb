"""What the kernel tells of the machine and the control group that we run in."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter

from sqlalchemy.util import has_compiled_ext

from monitor.canary.checks.facts import Host

_CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_GROUP = Path("/sys/fs/cgroup")
_SERIES, _READINGS = 10, 1000


def this_host() -> Host:
    """The host as it stands; steal and pressure take a while to see and are left unknown."""
    quota = _quota(_text(_GROUP / "cpu.max"))
    return Host(
        seconds=0.0,
        cpus=len(os.sched_getaffinity(0)),
        quota_cpus=quota,
        throttled=_throttled(_text(_GROUP / "cpu.stat")) if quota is not None else None,
        steal_ratio=None,
        pressure_ratio=None,
        load=_load(),
        clock_source=_text(_CLOCK),
        clock_read_seconds=_clock_read(),
        governor=_text(_GOVERNOR),
        sqlalchemy_compiled=bool(has_compiled_ext()),  # type: ignore[no-untyped-call]
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _quota(text: str | None) -> float | None:
    """CPUs that cpu.max leaves; None without a limit."""
    quota, _, period = (text or "max").partition(" ")
    return None if quota == "max" else int(quota) / int(period or 100_000)


def _throttled(text: str | None) -> bool | None:
    if text is None:
        return None
    counters = dict(line.split() for line in text.splitlines())
    return int(counters.get("nr_throttled", 0)) > 0


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _clock_read() -> float:
    """The fastest of several series: another process's turn in one of them is not the clock's."""
    return min(_series() for _ in range(_SERIES)) / _READINGS


def _series() -> float:
    started = perf_counter()
    for _ in range(_READINGS):
        perf_counter()
    return perf_counter() - started
