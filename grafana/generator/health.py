"""Canary health: does it measure, is what it measures worth anything, is it kept?"""

from __future__ import annotations

from grafana.generator.dashboard import dashboard, environment_changes, restarts, target
from grafana.generator.panels import (
    Json,
    mapped,
    override,
    query,
    row,
    stat,
    state_timeline,
    steps,
    table,
    timeseries,
)
from grafana.generator.queries import JOB, TARGET, increase, of


def build() -> Json:
    return dashboard(
        "health",
        "Ingest canary / Canary health",
        "The canary itself: freshness, failures, disturbances, sensitivity, store, process.",
        [target(multi=True)],
        [*_freshness(), *_failures(), *_worth(), *_store(), *_process()],
        [restarts(), environment_changes()],
    )


def _threshold(name: str) -> str:
    return f'max(ingest_canary_threshold{{{JOB},name="{name}"}})'


def _freshness() -> list[Json]:
    ended = f'ingest_canary_last_run_timestamp_seconds{{{TARGET},outcome=~"ok|partial"}}'
    interval = f"max by (target) (ingest_canary_run_interval_seconds{{{TARGET}}})"
    late = f"time() - max by (target) (ingest_canary_next_run_timestamp_seconds{{{TARGET}}})"
    return [
        row("Freshness"),
        timeseries(
            "Age of the last run", "Time since a run ended that measured anything, in intervals.",
            query(f"(time() - max by (target) ({ended})) / {interval}", "{{target}}"),
            size=(8, 8), unit="short", thresholds=steps((None, "transparent"), (3, "orange")),
        ),
        timeseries(
            "Overdue", "How long ago the next run was due, in intervals; below zero: it is still to"
            " come. IngestCanaryRunStale compares with the dashed line.",
            query(f"({late}) / {interval}", "{{target}}"),
            query(_threshold("stale_intervals"), "threshold"),
            size=(8, 8), unit="short",
            overrides=[override("byName", "threshold",
                                custom__lineStyle={"fill": "dash", "dash": [10, 10]})],
        ),
        timeseries(
            "Run time against interval", "Share of the interval that the last run took; all targets"
            " together must stay below 100 %, or runs are skipped.",
            query(f"max by (target) (ingest_canary_last_run_duration_seconds{{{TARGET}}})"
                  f" / {interval}", "{{target}}"),
            query("max(ingest_canary_schedule_utilisation_ratio{" + JOB + "})", "all targets"),
            size=(8, 8), unit="percentunit", min=0,
            thresholds=steps((None, "transparent"), (1, "red")),
        ),
        state_timeline(
            "Up", "Whether the target answers, as each replica sees it.",
            query(f"max by (target, instance) (ingest_canary_up{{{TARGET}}})",
                  "{{target}} from {{instance}}"),
            size=(8, 7), unit="short",
            mappings=mapped({"0": ("down", "red"), "1": ("up", "green")}),
        ),
        state_timeline(
            "Who measures", "Which replica holds the lock of a target, that is, measures it now.",
            query(f"max by (target, instance) (ingest_canary_lock_held{{{TARGET}}})",
                  "{{target}} from {{instance}}"),
            size=(8, 7), unit="short",
            mappings=mapped({"0": ("-", "transparent"), "1": ("measuring", "blue")}),
        ),
        state_timeline(
            "Paused", "Whether runs are paused.",
            query(f"max by (target) (ingest_canary_paused{{{TARGET}}})", "{{target}}"),
            size=(8, 7), unit="short",
            mappings=mapped({"0": ("no", "green"), "1": ("paused", "orange")}),
        ),
    ]  # fmt: skip


def _failures() -> list[Json]:
    return [
        row("Runs and rounds"),
        timeseries("Runs an hour", "By outcome and by what asked for them.",
                   query(increase("runs_total", TARGET, "outcome, trigger"),
                         "{{outcome}} {{trigger}}"), size=(8, 8), unit="short", min=0),
        timeseries("Runs skipped an hour", "Due and not made, by reason.",
                   query(increase("runs_skipped_total", TARGET, "target, reason"),
                         "{{target}} {{reason}}"), size=(8, 8), unit="short", min=0),
        timeseries("Failures in a row", "Failed runs since the last that was not.",
                   query(of("consecutive_failures", TARGET), "{{target}}"),
                   query(_threshold("consecutive_failures"), "threshold"), size=(8, 8),
                   unit="short", min=0,
                   overrides=[override("byName", "threshold",
                                       custom__lineStyle={"fill": "dash", "dash": [10, 10]})]),
        timeseries("Failed rounds an hour", "Rounds that gave no sample, by reason; a run that"
                   " failed as a whole counts as one.",
                   query(increase("round_failures_total", TARGET, "target, reason"),
                         "{{target}} {{reason}}"), size=(8, 8), unit="short", min=0),
        timeseries("Rounds an hour", "By outcome; replicas together.",
                   query(increase("rounds_total", TARGET, "outcome"), "{{outcome}}"),
                   size=(8, 8), unit="short", min=0),
        timeseries("Rows an hour", "What the canary inserts in its rounds, and takes away again.",
                   query(increase("rows_inserted_total", TARGET, "target"), "{{target}}"),
                   size=(8, 8), unit="short", min=0),
    ]  # fmt: skip


def _worth() -> list[Json]:
    disturbed = increase("rounds_disturbed_total", TARGET, "target, reason")
    rounds = increase("rounds_total", f'{TARGET},outcome="ok"', "target")
    contended = of("verdict", f'{TARGET},state="contended"')
    seen = f'ingest_canary_detectable_change_ratio{{{TARGET},signal=~"server|client"}}'
    return [
        row("Sensitivity"),
        timeseries("Smallest change that would be seen", "Within 12 runs, by the better of the"
                   " server and the client clock, for the worst case of each target. Below it the"
                   " canary is blind.",
                   query("max by (target) (min without (signal) (max without (instance, pod)"
                         f" ({seen})))", "{{target}}"),
                   query(_threshold("sensitivity_ratio"), "threshold"), unit="percentunit", min=0,
                   overrides=[override("byName", "threshold",
                                       custom__lineStyle={"fill": "dash", "dash": [10, 10]})]),
        timeseries("False alarms to expect a month", "An estimate to within a factor of a few, from"
                   " the noise of what did not change.",
                   query(of("expected_false_alarms_per_month", TARGET), "{{target}}"),
                   unit="short", min=0),
        timeseries("Disturbed rounds", "Share of an hour's rounds in which something else went on."
                   " A checkpoint, autovacuum or evicted statistics take a round out of what is"
                   " judged.",
                   query(f"{disturbed} / on (target) group_left () {rounds}",
                         "{{target}} {{reason}}"), unit="percentunit", min=0),
        timeseries("Cases that could not be judged", "Share of a target's cases whose last run was"
                   " contended: the machine was busy with something else.",
                   query(f"avg by (target) ({contended})", "{{target}}"),
                   query(_threshold("contended_ratio"), "threshold"),
                   unit="percentunit", min=0, max=1,
                   overrides=[override("byName", "threshold",
                                       custom__lineStyle={"fill": "dash", "dash": [10, 10]})]),
    ]  # fmt: skip


def _store() -> list[Json]:
    return [
        row("Store"),
        stat("Waiting", "Samples that wait on disk or in memory for the store to be back.",
             query(f"sum(ingest_canary_store_spooled_samples{{{JOB}}})"), (4, 8), unit="short",
             thresholds=steps((None, "green"), (1, "orange"))),
        stat("Lost", "Samples that were dropped in the chosen time.",
             query("sum(increase(ingest_canary_store_dropped_samples_total{" + JOB
                   + "}[$__range]))"),
             (4, 8), unit="short", decimals=0, thresholds=steps((None, "green"), (1, "red"))),
        stat("Size", "What the store takes on disk.",
             query(f"max(ingest_canary_store_size_bytes{{{JOB}}})"), (4, 8), unit="bytes"),
        timeseries("Samples written an hour", "What went into the store, by job.",
                   query(increase("store_samples_total", JOB, "job"), "{{job}}"), size=(6, 8),
                   unit="short", min=0),
        timeseries("Errors an hour", "Attempts at the store or its spool that failed.",
                   query(increase("store_errors_total", JOB, "job"), "{{job}}"), size=(6, 8),
                   unit="short", min=0),
        timeseries("Time of a write", "How long the last write to the store took.",
                   query(f"max by (job) (ingest_canary_store_write_seconds{{{JOB}}})", "{{job}}"),
                   unit="s", min=0),
        timeseries("Waiting and size", "Samples that wait, and what the store takes on disk.",
                   query(f"max by (job) (ingest_canary_store_spooled_samples{{{JOB}}})",
                         "{{job}} samples waiting"),
                   query(f"max by (job) (ingest_canary_store_size_bytes{{{JOB}}})",
                         "{{job}} size"),
                   unit="short", min=0,
                   overrides=[override("byRegexp", "/ size$/", unit="bytes",
                                       custom__axisPlacement="right")]),
    ]  # fmt: skip


def _process() -> list[Json]:
    return [
        row("Daemon"),
        timeseries("Memory", "Resident memory of each daemon.",
                   query(f"max by (instance) (process_resident_memory_bytes{{{JOB}}})",
                         "{{instance}}"), size=(6, 8), unit="bytes", min=0),
        timeseries("CPU", "Cores that each daemon uses; its rounds are most of it.",
                   query("max by (instance) (rate(process_cpu_seconds_total{" + JOB
                         + "}[$__rate_interval]))", "{{instance}}"),
                   size=(6, 8), unit="short", min=0),
        table("Daemons", "Which version runs where.",
              query(f"ingest_canary_build_info{{{JOB}}}", instant=True), size=(6, 8), unit="short",
              columns={"instance": "instance", "version": "version", "python": "Python",
                       "job": "job", "Value": "", "__name__": "", "pod": "", "namespace": ""}),
        table("Thresholds", "Settings of the daemon that the alerts compare with.",
              query("max by (name) (ingest_canary_threshold{" + JOB + "})", instant=True),
              size=(6, 8), unit="short", columns={"name": "name", "Value": "value"}),
    ]  # fmt: skip
