"""PromQL that several panels ask, and the words and colours of verdicts.

Replicas export the same canary, so every question is asked ``without (instance, pod)``. Nothing
here uses recording rules: the dashboards work without them.
"""

from __future__ import annotations

JOB = 'job=~"$job"'
TARGET = f'{JOB},target=~"$target"'
CASE = f'{TARGET},strategy=~"$strategy",shape=~"$shape"'

#: What tells cases of one strategy apart.
CASE_LEGEND = "{{strategy}} {{shape}} {{batch_size}} {{variant}}"

#: A window of counters that rise a few times an hour.
HOURLY = "1h"

#: Worst first, as the daemon orders them, with the colour of each.
STATES = {
    "regressed": "red",
    "suspect": "orange",
    "contended": "purple",
    "stale": "text",
    "learning": "blue",
    "recovered": "super-light-green",
    "improved": "light-green",
    "accepted": "yellow",
    "ok": "green",
}

#: A state as a number for panels that only draw numbers; the worst is the largest.
CODES = {state: len(STATES) - place for place, state in enumerate(STATES)}


def of(metric: str, select: str, *without: str) -> str:
    """A metric of the daemon without the labels of a replica, and without some of its own."""
    labels = ", ".join(("instance", "pod", *without))
    return f"max without ({labels}) (ingest_canary_{metric}{{{select}}})"


def increase(metric: str, select: str, by: str, window: str = HOURLY) -> str:
    """How much a counter rose within a window; replicas add up."""
    return f"sum by ({by}) (increase(ingest_canary_{metric}{{{select}}}[{window}]))"


def against_baseline(select: str) -> str:
    """The rate as a share of its frozen baseline: 0.8 is 20 % fewer rows per second."""
    return (
        f"min without (instance, pod) (ingest_canary_rows_per_second_fast{{{select}}}"
        f" / ingest_canary_baseline_rows_per_second{{{select}}})"
    )


def state_code(select: str, by: str) -> str:
    """The worst state of the cases, as a number of ``CODES``."""
    states = " or ".join(
        f'ingest_canary_verdict{{{select},state="{state}"}} * {code}'
        for state, code in CODES.items()
    )
    return f"max by ({by}) ({states}) > 0"


def regressed_cases(select: str) -> str:
    """1 for each case that stands in an open regression, whatever the signal."""
    return of("regressed", select, "signal")


def since(select: str) -> str:
    """When the oldest open regression of each case began, in milliseconds."""
    return (
        f"1000 * min without (signal) ({of('change_point_timestamp_seconds', select)}"
        f" and {of('regressed', select)} == 1)"
    )
