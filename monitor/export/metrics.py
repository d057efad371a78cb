"""Every metric in one table: name, type, help, labels, and where its values come from.

``exposition`` makes text of it. No metric carries a timestamp: Prometheus would drop it after
minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from monitor.export import sweep_metrics as swept
from monitor.export import verdict_metrics as judged
from monitor.export.labels import CASE_LABELS, Labels, Values, case_labels
from monitor.export.snapshot import Snapshot, TargetSnapshot
from monitor.model import CaseKey, CaseSummary, Run
from monitor.store.recorder import StoreHealth
from monitor.workload import ExtraKind

PREFIX = "ingest_canary_"
INTERVAL_OF_MEDIAN = "95 % interval (with five rounds their whole range: 93.75 %)"

Kind = Literal["gauge", "counter"]


@dataclass(frozen=True, slots=True)
class Definition:
    """One metric: ``values(snapshot)`` gives a value per tuple of label values."""

    name: str
    kind: Kind
    help: str
    labels: Labels
    values: Callable[[Snapshot], Values]

    @property
    def of_targets(self) -> bool:
        """Whether each of its samples is of one target, and of nothing but that target."""
        return "target" in self.labels


# --- where values come from ----------------------------------------------------------------------


def _summaries(snapshot: Snapshot) -> Iterator[tuple[Labels, CaseSummary]]:
    for target in snapshot.targets:
        run = snapshot.fresh_run(target)
        for result in run.cases if run else ():
            if result.summary:
                yield case_labels(target.name, result.case.key), result.summary


def per_case(value: Callable[[CaseSummary], float | None]) -> Callable[[Snapshot], Values]:
    """A figure of every case of the last run, left out where it is not known."""

    def values(snapshot: Snapshot) -> Values:
        for labels, summary in _summaries(snapshot):
            figure = value(summary)
            if figure is not None:
                yield labels, figure

    return values


def _seconds_per_row(snapshot: Snapshot) -> Values:
    for labels, summary in _summaries(snapshot):
        components = {
            "client": summary.client_seconds_per_row,
            "server": summary.server_seconds_per_row,
            "commit": summary.commit_seconds_per_row,
            "rest": summary.rest_seconds_per_row,
        }
        for component, seconds in components.items():
            if seconds is not None:
                yield (*labels, component), seconds


def overheads(kind: ExtraKind) -> Callable[[Snapshot], Values]:
    """What the indexes, or the foreign keys, of the last run's shapes cost."""

    def values(snapshot: Snapshot) -> Values:
        for target in snapshot.targets:
            run = snapshot.fresh_run(target)
            for result in run.cases if run else ():
                if result.overhead and result.overhead.kind == kind:
                    labels = case_labels(target.name, result.case.key)
                    yield (*labels, result.overhead.name), result.overhead.wall.median

    return values


def per_target(value: Callable[[TargetSnapshot], float | None]) -> Callable[[Snapshot], Values]:
    """A figure of every target, left out where it is not known."""

    def values(snapshot: Snapshot) -> Values:
        for target in snapshot.targets:
            figure = value(target)
            if figure is not None:
                yield (target.name,), float(figure)

    return values


def _rows_inserted(snapshot: Snapshot) -> Values:
    for target in snapshot.targets:
        for key, rows in sorted(target.rows_inserted.items()):
            yield case_labels(target.name, key), rows


def by_case(
    counts: Callable[[TargetSnapshot], Mapping[tuple[CaseKey, str], int]],
) -> Callable[[Snapshot], Values]:
    """A count by case and one more label."""

    def values(snapshot: Snapshot) -> Values:
        for target in snapshot.targets:
            for (key, label), count in sorted(counts(target).items()):
                yield (*case_labels(target.name, key), label), count

    return values


def _failures(snapshot: Snapshot) -> Values:
    for target in snapshot.targets:
        for (key, reason), count in target.failures.items():
            yield (*case_labels(target.name, key), reason), count


def _finished(snapshot: Snapshot) -> Values:
    for target in snapshot.targets:
        for outcome, at in target.finished_at.items():
            yield (target.name, outcome), at.timestamp()


def _runs(snapshot: Snapshot) -> Values:
    for target in snapshot.targets:
        for (outcome, trigger), count in target.runs.items():
            yield (target.name, outcome, trigger), count


def _skipped(snapshot: Snapshot) -> Values:
    for target in snapshot.targets:
        for reason, count in target.skipped.items():
            yield (target.name, reason), count


def _probes(snapshot: Snapshot) -> Values:
    for target in snapshot.targets:
        run = snapshot.fresh_run(target)
        for name, seconds in run.probes.items() if run else ():
            yield (target.name, name), median(seconds)


def _utilisation(snapshot: Snapshot) -> Values:
    yield (), snapshot.utilisation


def _environment(snapshot: Snapshot) -> Values:
    for target in snapshot.targets:
        run = target.last_environment_run
        if run and run.environment:
            client = run.environment.client
            yield (
                (
                    target.name,
                    run.environment.server_version,
                    client.get("sqlalchemy", ""),
                    client.get("asyncpg", ""),
                    client.get("python", ""),
                    run.environment.fingerprint,
                ),
                1,
            )


def of_store(value: Callable[[StoreHealth], float | None]) -> Callable[[Snapshot], Values]:
    """A figure of the store, left out where it is not known."""

    def values(snapshot: Snapshot) -> Values:
        figure = value(snapshot.store) if snapshot.store else None
        if figure is not None:
            yield (), figure

    return values


def _seconds(run: Run | None) -> float | None:
    return run.duration_seconds if run else None


# --- the table -----------------------------------------------------------------------------------

TARGET = ("target",)
SIGNAL_LABELS = (*CASE_LABELS, "signal")

TABLE: tuple[Definition, ...] = (
    Definition("build_info", "gauge", "Version of the daemon.", ("version", "python"),
               lambda s: [((s.version, s.python), 1)]),
    Definition("up", "gauge", "Whether the last SELECT 1 or run reached the target.", TARGET,
               per_target(lambda t: t.up)),
    Definition("round_trip_seconds", "gauge", "Fastest of five SELECT 1, outside rounds.", TARGET,
               per_target(lambda t: t.round_trip_seconds)),
    Definition("rows_per_second", "gauge", "Median of the last run's rounds.", CASE_LABELS,
               per_case(lambda c: c.rows_per_second.median)),
    Definition("rows_per_second_low", "gauge", f"Lower end of the median's {INTERVAL_OF_MEDIAN}.",
               CASE_LABELS, per_case(lambda c: c.rows_per_second.low)),
    Definition("rows_per_second_high", "gauge", f"Upper end of the median's {INTERVAL_OF_MEDIAN}.",
               CASE_LABELS, per_case(lambda c: c.rows_per_second.high)),
    Definition("rows_per_second_fast", "gauge",
               "Fast end of the last run's rounds, the level that is judged; absent with fewer than"
               " four of five rounds valid.", CASE_LABELS,
               per_case(lambda c: c.rows_per_second_fast)),
    Definition("mean_exec_time_seconds", "gauge",
               "Mean execution time of a statement by pg_stat_statements, last run.", CASE_LABELS,
               per_case(lambda c: c.mean_exec_time_seconds)),
    Definition("rows_per_call", "gauge",
               "Rows per statement by pg_stat_statements, last run; 1 means no batching.",
               CASE_LABELS, per_case(lambda c: c.rows_per_call)),
    Definition("seconds_per_row", "gauge",
               "Where the time of a row went, last run: client CPU, server execution, commit, and"
               " the rest (network and waits; below zero where client and server overlap).",
               (*CASE_LABELS, "component"), _seconds_per_row),
    Definition("wal_bytes_per_row", "gauge", "WAL that a row's insert wrote, last run.",
               CASE_LABELS, per_case(lambda c: c.wal_bytes_per_row)),
    Definition("index_overhead_ratio", "gauge",
               "What an index costs: median of the last run's paired times with ÷ without, minus 1;"
               " 0.3 = 30 % slower.", (*CASE_LABELS, "index"), overheads("index")),
    Definition("foreign_key_overhead_ratio", "gauge",
               "What a foreign key costs: median of the last run's paired times with ÷ without,"
               " minus 1.", (*CASE_LABELS, "foreign_key"), overheads("foreign_key")),
    Definition("rows_inserted_total", "counter", "Rows inserted in rounds.", CASE_LABELS,
               _rows_inserted),
    Definition("rounds_total", "counter", "Rounds by outcome: ok, failed.",
               (*CASE_LABELS, "outcome"), by_case(lambda t: t.rounds)),
    Definition("round_failures_total", "counter",
               "Rounds that gave no sample, by reason; without case labels: a whole run.",
               (*CASE_LABELS, "reason"), _failures),
    Definition("rounds_disturbed_total", "counter", "Rounds that something disturbed, by reason.",
               (*CASE_LABELS, "reason"), by_case(lambda t: t.disturbed)),
    Definition("last_run_timestamp_seconds", "gauge", "When the last run ended, by outcome.",
               ("target", "outcome"), _finished),
    Definition("next_run_timestamp_seconds", "gauge", "When the next run is due.", TARGET,
               per_target(lambda t: t.next_run_at.timestamp() if t.next_run_at else None)),
    Definition("last_run_duration_seconds", "gauge", "How long the last run took.", TARGET,
               per_target(lambda t: _seconds(t.last_run))),
    Definition("run_interval_seconds", "gauge", "Time from one scheduled run to the next.", TARGET,
               per_target(lambda t: t.interval_seconds)),
    Definition("runs_total", "counter", "Runs by outcome and by what asked for them.",
               ("target", "outcome", "trigger"), _runs),
    Definition("runs_skipped_total", "counter", "Runs that were due and not made, by reason.",
               ("target", "reason"), _skipped),
    Definition("consecutive_failures", "gauge", "Failed runs since the last that was not.", TARGET,
               per_target(lambda t: t.consecutive_failures)),
    Definition("paused", "gauge", "Whether runs are paused.", TARGET,
               per_target(lambda t: t.paused)),
    Definition("lock_held", "gauge", "Whether this process is measuring the target now.", TARGET,
               per_target(lambda t: t.lock_held)),
    Definition("schedule_utilisation_ratio", "gauge",
               "Share of the time that runs take, all targets; above 1 they cannot all be made.",
               (), _utilisation),
    Definition("probe_seconds", "gauge", "Median of a probe in the last run.",
               ("target", "probe"), _probes),
    Definition("environment_info", "gauge", "What the target's last run was made with.",
               ("target", "server_version", "sqlalchemy", "asyncpg", "python", "fingerprint"),
               _environment),
    Definition("environment_changed_timestamp_seconds", "gauge",
               "Start of the first run with the present fingerprint, if another is remembered.",
               TARGET,
               per_target(lambda t: t.environment_changed_at.timestamp()
                          if t.environment_changed_at else None)),
    Definition("baseline_rows_per_second", "gauge",
               "Fast end of the runs that the last one was compared with; frozen while a change"
               " stands.", CASE_LABELS, judged.baseline_rates),
    Definition("change_ratio", "gauge",
               "How far the newest runs of a signal stand from its baseline, in cost: 0.31 is 31 %"
               " dearer (rest: a share of the wall time).", SIGNAL_LABELS,
               judged.of_signals(lambda v: v.effect_ratio)),
    Definition("detectable_change_ratio", "gauge",
               "Smallest rise of a signal's cost that 12 runs would tell, at its present noise.",
               SIGNAL_LABELS, judged.of_signals(lambda v: v.detectable_ratio)),
    Definition("change_point_timestamp_seconds", "gauge",
               "Since when the newest open change of a signal stands, most likely.",
               SIGNAL_LABELS, judged.change_points),
    Definition("regressed", "gauge",
               "Whether a signal stands in a confirmed regression that nobody accepted.",
               SIGNAL_LABELS, judged.regressed),
    Definition("verdict", "gauge", "The case as a whole: 1 for its state, 0 for the others.",
               (*CASE_LABELS, "state"), judged.verdicts),
    Definition("target_regressed", "gauge",
               "Whether the target as a whole stands in a regression: its probes and the median"
               " over all strategies, judged.", ("target", "scope"), judged.targets_regressed),
    Definition("regression_info", "gauge",
               "One per case, or without case labels target, that stands in a regression: the clock"
               " that carries it and, in a word, what changed just before.",
               (*CASE_LABELS, "component", "cause"), judged.regressions),
    Definition("series_false_alarms_per_month", "gauge",
               "False alarms that are expected of a signal a month, at its present noise.",
               SIGNAL_LABELS, judged.false_alarms),
    Definition("expected_false_alarms_per_month", "gauge",
               "False alarms that are expected of all of a target's signals a month.", TARGET,
               judged.all_false_alarms),
    Definition("threshold", "gauge", "Settings of the daemon that alert rules compare with.",
               ("name",), judged.thresholds),
    Definition("sweep_elbow", "gauge",
               "Where the plateau of a strategy's newest sweep begins, in what was swept: from this"
               " batch size on, more gains nothing.", swept.LABELS,
               swept.of_curves(lambda _, curve: curve.elbow)),
    Definition("sweep_plateau_rows_per_second", "gauge", "How high that plateau is.",
               swept.LABELS, swept.of_curves(lambda _, curve: curve.plateau_rows_per_second)),
    Definition("sweep_rows_per_second", "gauge", "Median of that sweep's rounds at each value.",
               (*swept.LABELS, "value"), swept.rates),
    Definition("sweep_timestamp_seconds", "gauge", "When that sweep began.", swept.LABELS,
               swept.of_curves(lambda sweep, _: sweep.started_at.timestamp())),
    Definition("store_samples_total", "counter", "Samples written to the store.", (),
               of_store(lambda s: s.samples)),
    Definition("store_errors_total", "counter",
               "Attempts at the store or its spool that failed; samples wait then.", (),
               of_store(lambda s: s.errors)),
    Definition("store_dropped_samples_total", "counter",
               "Samples that were lost, since no bound held them or the store never takes them.",
               (), of_store(lambda s: s.dropped_samples)),
    Definition("store_spooled_samples", "gauge",
               "Samples that wait on disk or in memory for the store to be back.", (),
               of_store(lambda s: s.spooled_samples)),
    Definition("store_size_bytes", "gauge", "What the store takes on disk; looked at hourly.", (),
               of_store(lambda s: s.size_bytes)),
    Definition("store_write_seconds", "gauge", "How long the last write to the store took.", (),
               of_store(lambda s: s.write_seconds)),
)  # fmt: skip
