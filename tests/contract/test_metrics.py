"""/metrics against the design: names, labels, a golden rendering."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from monitor import model
from monitor.config.settings import Settings
from monitor.daemon.assembly import thresholds
from monitor.export.exposition import render
from monitor.export.labels import CASE_LABELS
from monitor.export.metrics import PREFIX, TABLE
from monitor.export.snapshot import Snapshot, TargetTally
from monitor.judgement import Place
from monitor.measure.overhead import with_overheads
from monitor.model import Run
from monitor.store.recorder import StoreHealth
from tests.builders import (
    AT,
    case,
    change,
    environment,
    judgement,
    result,
    run,
    sample,
    usual_run,
)
from tests.conftest import missing
from tests.sweeps import swept

GOLDEN = Path(__file__).parent / "golden" / "metrics.txt"

CASE = set(CASE_LABELS)
TARGET = {"target"}
SIGNAL = CASE | {"signal"}
SWEPT = {"target", "strategy", "shape", "parameter"}

#: Design section 7, as far as this part of the product can fill it.
DESIGN = {
    "build_info": {"version", "python"},
    "up": TARGET,
    "round_trip_seconds": TARGET,
    "rows_per_second": CASE,
    "rows_per_second_low": CASE,
    "rows_per_second_high": CASE,
    "rows_per_second_fast": CASE,
    "mean_exec_time_seconds": CASE,
    "rows_per_call": CASE,
    "seconds_per_row": CASE | {"component"},
    "wal_bytes_per_row": CASE,
    "index_overhead_ratio": CASE | {"index"},
    "foreign_key_overhead_ratio": CASE | {"foreign_key"},
    "rows_inserted_total": CASE,
    "rounds_total": CASE | {"outcome"},
    "round_failures_total": CASE | {"reason"},
    "rounds_disturbed_total": CASE | {"reason"},
    "last_run_timestamp_seconds": TARGET | {"outcome"},
    "next_run_timestamp_seconds": TARGET,
    "last_run_duration_seconds": TARGET,
    "run_interval_seconds": TARGET,
    "runs_total": TARGET | {"outcome", "trigger"},
    "runs_skipped_total": TARGET | {"reason"},
    "consecutive_failures": TARGET,
    "paused": TARGET,
    "lock_held": TARGET,
    "schedule_utilisation_ratio": set(),
    "probe_seconds": TARGET | {"probe"},
    "environment_info": TARGET
    | {"server_version", "sqlalchemy", "asyncpg", "python", "fingerprint"},
    "environment_changed_timestamp_seconds": TARGET,
    "baseline_rows_per_second": CASE,
    "change_ratio": SIGNAL,
    "detectable_change_ratio": SIGNAL,
    "change_point_timestamp_seconds": SIGNAL,
    "regressed": SIGNAL,
    "verdict": CASE | {"state"},
    "target_regressed": TARGET | {"scope"},
    "regression_info": CASE | {"component", "cause"},
    "series_false_alarms_per_month": SIGNAL,
    "expected_false_alarms_per_month": TARGET,
    "threshold": {"name"},
    "sweep_elbow": SWEPT,
    "sweep_plateau_rows_per_second": SWEPT,
    "sweep_rows_per_second": SWEPT | {"value"},
    "sweep_timestamp_seconds": SWEPT,
    "store_samples_total": set(),
    "store_errors_total": set(),
    "store_dropped_samples_total": set(),
    "store_spooled_samples": set(),
    "store_size_bytes": set(),
    "store_write_seconds": set(),
}


def run_with_overheads() -> Run:
    """The usual run with what an index and a foreign key cost COPY in it."""
    plain = usual_run()
    extra = [
        result(
            case(shape=f"orders_{name}"),
            *(sample(n, insert_seconds=factor * (0.1 + 0.001 * n)) for n in range(1, 6)),
        )
        for name, factor in (("customer_idx", 1.25), ("customer_fk", 2.8))
    ]
    return replace(plain, cases=with_overheads([*plain.cases, *extra]))


def tally(name: str = "main") -> TargetTally:
    """A target that was measured twice, under two fingerprints, skipped once, and swept."""
    planned = frozenset(each.case.key for each in run_with_overheads().cases)
    counted = TargetTally(name, 600.0, planned)
    counted.add_run(run(environment=environment("ffffffffffff"), started_at=AT, outcome="failed"))
    counted.add_run(run_with_overheads(), judgement(change()))
    of_target = change(id="c0ffee000002", place=Place(None, "all:server"))
    counted.changes = (change(), of_target)
    counted.false_alarms = {change().place: 0.01, of_target.place: 0.02}
    counted.add_skip("paused", AT + timedelta(seconds=9), "scheduled")
    counted.past.set_sweeps([swept("asyncpg_copy")])
    counted.up, counted.round_trip_seconds = True, 0.0002
    counted.next_run_at = AT + timedelta(minutes=10)
    return counted


def snapshot(*tallies: TargetTally, minutes: float = 1) -> Snapshot:
    at = AT + timedelta(minutes=minutes)
    store = StoreHealth(700, 2, 35, 70, 1_048_576, 0.004)
    targets = tuple(each.snapshot() for each in tallies)
    return Snapshot(at, "0.0.0", "3.11.7", targets, store, thresholds(Settings()))


def text_of(*tallies: TargetTally, minutes: float = 1) -> str:
    return render(snapshot(*tallies, minutes=minutes), process=False).decode()


def test_the_rendering_is_the_golden_one() -> None:
    rendered = text_of(tally())
    assert rendered == GOLDEN.read_text(), (
        "metrics changed: if that is meant, rewrite the golden file by"
        " python -m tests.contract.test_metrics and say so in the changelog"
    )


def test_names_and_labels_are_those_of_the_design() -> None:
    assert {d.name: set(d.labels) for d in TABLE} == DESIGN


def test_every_metric_has_help_and_a_value_in_the_golden_run() -> None:
    families = {f.name: f for f in text_string_to_metric_families(text_of(tally()))}
    for definition in TABLE:
        family = families[PREFIX + definition.name.removesuffix("_total")]
        assert family.documentation.endswith(".")
        assert family.samples, definition.name
        assert all(sample.timestamp is None for sample in family.samples)


def test_closed_lists_are_the_designs() -> None:
    assert get_args(model.RunOutcome) == ("ok", "partial", "failed", "skipped")
    assert set(get_args(model.FailureReason)) == {
        "unavailable",
        "refused",
        "authentication",
        "timeout",
        "lock_lost",
        "rows_missing",
        "server_error",
        "budget",
    }
    assert set(get_args(model.SkipReason)) == {
        "paused",
        "overlapping",
        "locked",
        "window",
        "condition",
        "missed",
    }
    assert set(get_args(model.Disturbance)) == {
        "checkpoint",
        "autovacuum",
        "evicted",
        "other_sessions",
        "steal",
        "pressure",
    }


def test_what_is_old_is_left_out_rather_than_frozen() -> None:
    fresh, old = text_of(tally(), minutes=29), text_of(tally(), minutes=31)
    for name in ("rows_per_second{", "rows_per_call{", "probe_seconds{"):
        assert PREFIX + name in fresh
        assert PREFIX + name not in old
    for name in ("runs_total{", "rounds_total{", "last_run_timestamp_seconds{"):
        assert PREFIX + name in old


def test_what_stands_is_shown_however_old() -> None:
    old = text_of(tally(), minutes=31)
    assert f"{PREFIX}change_ratio{{" not in old
    families = {f.name: f for f in text_string_to_metric_families(old)}
    held = {
        (s.labels["strategy"], s.labels["state"])
        for s in families[f"{PREFIX}verdict"].samples
        if s.value
    }
    assert held == {("asyncpg_copy", "regressed"), ("core_executemany", "stale")}
    standing = [s.labels["signal"] for s in families[f"{PREFIX}regressed"].samples if s.value]
    assert standing == ["server"]


def test_cases_that_are_no_longer_planned_are_left_out() -> None:
    counted = tally()
    counted.planned = frozenset()
    shown = text_of(counted)
    for name in ("regressed", "verdict", "change_ratio", "series_false_alarms_per_month"):
        assert f"{PREFIX}{name}{{" not in shown
    assert f'{PREFIX}target_regressed{{scope="server",target="main"}} 1.0' in shown


def test_unknown_values_are_absent_not_zero() -> None:
    unmeasured = text_of(TargetTally("main", 600.0))
    assert f'{PREFIX}paused{{target="main"}} 0.0' in unmeasured
    assert f"{PREFIX}up{{" not in unmeasured
    assert f"{PREFIX}rows_per_second{{" not in unmeasured


def test_hostile_label_values_are_escaped() -> None:
    odd = replace(usual_run().cases[0].case, variant='a="b\\c\n"')
    result = replace(usual_run().cases[0], case=odd)
    counted = TargetTally("main", 600.0)
    counted.add_run(run(result))
    families = list(text_string_to_metric_families(text_of(counted)))
    variants = {s.labels.get("variant") for f in families for s in f.samples}
    assert 'a="b\\c\n"' in variants


def test_promtool_finds_nothing_to_complain_about() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        missing("promtool is not installed (apt-get install prometheus)")
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text_of(tally()), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


if __name__ == "__main__":
    GOLDEN.write_text(text_of(tally()))
