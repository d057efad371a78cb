"""What Prometheus knows of the daemon, for tests of what is built on it: names, labels, values."""

from __future__ import annotations

from typing import NamedTuple, get_args

from monitor import model
from monitor.detect import signals
from monitor.export.labels import CASE_LABELS
from monitor.export.metrics import PREFIX, TABLE
from monitor.judgement import SIGNALS, STATES, Component

CASE = frozenset(CASE_LABELS)
TARGET = frozenset({"target"})

IN_TABLE = {definition.name: frozenset(definition.labels) for definition in TABLE}

#: The histogram, which the table does not hold, and what prometheus_client tells of the process.
BESIDE_THE_TABLE = {
    **dict.fromkeys(("insert_duration_seconds_sum", "insert_duration_seconds_count"),
                    frozenset({"target", "strategy"})),
    "insert_duration_seconds_bucket": frozenset({"target", "strategy", "le"}),
}  # fmt: skip
PROCESS = dict.fromkeys(
    (
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
    ),
    frozenset[str](),
)

#: Every metric by its full name, with its labels.
EXPORTED = {
    **{PREFIX + name: labels for name, labels in (IN_TABLE | BESIDE_THE_TABLE).items()},
    **PROCESS,
}

#: Labels that Prometheus itself puts on what it scrapes.
OF_SCRAPING = frozenset({"job", "instance", "pod", "namespace"})

#: Labels whose values are closed lists.
CLOSED = {
    "signal": set(SIGNALS),
    "scope": set(get_args(signals.Scope)),
    "state": set(STATES),
    "component": set(get_args(Component)),
    "outcome": set(get_args(model.RunOutcome)),
    "trigger": set(get_args(model.Trigger)),
}


class Threshold(NamedTuple):
    """A setting of the daemon that rules and panels compare with, as ``threshold{name}``."""

    default: float
    meaning: str


THRESHOLDS = {
    "regression_floor_ratio": Threshold(
        0.05, "The detector's floor, more seconds per row as a ratio; drawn only."
    ),
    "throughput_drop_ratio": Threshold(
        0.25, "Rate below its frozen baseline for an hour: a regression without a verdict too."
    ),
    "critical_drop_ratio": Threshold(
        0.5, "Rate below its frozen baseline from which a regression is critical."
    ),
    "spread_ratio": Threshold(
        0.5, "Median round below the fastest for an hour: stalls without a verdict too."
    ),
    "index_overhead_ratio": Threshold(
        0.5, "Cost of an index, wall time with it over without it minus 1, that is too much."
    ),
    "stale_intervals": Threshold(3, "Intervals after a run was due that are too late."),
    "consecutive_failures": Threshold(3, "Failed runs in a row that are told."),
    "paused_seconds": Threshold(86_400, "Seconds without a run from which a pause is too long."),
    "contended_ratio": Threshold(
        0.5, "Share of a target's cases, over three hours, that may be contended."
    ),
    "sensitivity_ratio": Threshold(
        0.15, "Smallest change that must be seen within 12 runs, more seconds per row as a ratio."
    ),
}  # fmt: skip
