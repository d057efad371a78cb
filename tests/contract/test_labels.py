"""What stands in labels of /metrics: closed lists stay closed, and any name is safe."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from monitor import judgement, model
from monitor.export.exposition import render
from monitor.export.metrics import PREFIX, TABLE
from monitor.export.snapshot import BUCKETS, Snapshot, TargetTally
from monitor.judgement import Detector, Judgement, Place, Verdict
from monitor.model import Failure
from tests.builders import AT, case, change, environment, result, run, sample

CLOSED = {
    ("rounds_total", "outcome"): {"ok", "failed"},
    ("seconds_per_row", "component"): {"client", "server", "commit", "rest"},
    ("runs_total", "outcome"): set(get_args(model.RunOutcome)),
    ("runs_total", "trigger"): set(get_args(model.Trigger)),
    ("runs_skipped_total", "reason"): set(get_args(model.SkipReason)),
    ("round_failures_total", "reason"): set(get_args(model.FailureReason)),
    ("rounds_disturbed_total", "reason"): set(get_args(model.Disturbance)),
    ("last_run_timestamp_seconds", "outcome"): set(get_args(model.RunOutcome)),
    ("regression_info", "component"): set(get_args(judgement.Component)),
    ("regressed", "signal"): set(judgement.SIGNALS),
    ("change_ratio", "signal"): set(judgement.SIGNALS),
    ("detectable_change_ratio", "signal"): set(judgement.SIGNALS),
    ("change_point_timestamp_seconds", "signal"): set(judgement.SIGNALS),
    ("series_false_alarms_per_month", "signal"): {"client", "server", "commit", "spread"},
    ("verdict", "state"): set(judgement.STATES),
    ("target_regressed", "scope"): {"server", "host", "network"},
}


def everything(name: str = "main") -> TargetTally:
    """A target to which all that can happen has happened."""
    one, components = case(), get_args(judgement.Component)
    keys = [case(rows=n + 1).key for n in range(len(components))]
    places = [Place(one.key, signal) for signal in judgement.SIGNALS]
    tally = TargetTally(name, 600.0, frozenset({one.key, *keys}))
    for trigger in get_args(model.Trigger):
        for reason in get_args(model.SkipReason):
            tally.add_skip(reason, AT, trigger)
        for outcome in get_args(model.RunOutcome):
            tally.add_run(run(outcome=outcome, trigger=trigger, environment=environment(outcome)))
    failures = tuple(Failure(AT, r, "…", one.key, 1) for r in get_args(model.FailureReason))
    disturbed = sample(2, disturbed=get_args(model.Disturbance))
    said = Judgement(
        number=1,
        detector=Detector(1, {}),
        verdicts=tuple(Verdict(place, "ok", 0.1, 0.1, 0.1, 1.0) for place in places),
        cases={one.key: "ok"},
    )
    tally.add_run(run(result(one, sample(1), disturbed, failures=failures)), said)
    of_cases = zip(keys, components, strict=True)
    tally.changes = (
        *(change(key, id=component, component=component) for key, component in of_cases),
        *(change(id=place.signal, place=place) for place in places),
    )
    tally.false_alarms = dict.fromkeys(places, 0.01)
    tally.up, tally.round_trip_seconds, tally.next_run_at = False, 0.1, AT
    return tally


def families(*tallies: TargetTally) -> dict[str, Metric]:
    """What a scraper reads, by name without prefix."""
    at = AT + timedelta(minutes=1)
    snapshot = Snapshot(at, "0.0.0", "3.11.7", tuple(tally.snapshot() for tally in tallies))
    text = render(snapshot, process=False).decode()
    found = text_string_to_metric_families(text)
    return {family.name.removeprefix(PREFIX): family for family in found}


def values(found: Iterable[Metric], label: str) -> set[str]:
    return {s.labels[label] for family in found for s in family.samples if label in s.labels}


@pytest.mark.parametrize(("name", "label"), CLOSED)
def test_a_closed_label_shows_exactly_the_list(name: str, label: str) -> None:
    family = families(everything())[name.removesuffix("_total")]
    assert values([family], label) == CLOSED[name, label]


def test_closed_labels_are_all_tested() -> None:
    closed = {"outcome", "trigger", "reason", "component", "signal", "state", "scope"}
    found = {(d.name, label) for d in TABLE for label in d.labels if label in closed}
    assert found == set(CLOSED)


def test_the_type_is_that_of_the_table_and_counters_end_in_total() -> None:
    found = families(everything())
    for definition in TABLE:
        assert found[definition.name.removesuffix("_total")].type == definition.kind
        assert definition.name.endswith("_total") is (definition.kind == "counter")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", definition.name)


def test_no_series_occurs_twice() -> None:
    seen: dict[tuple[str, ...], int] = defaultdict(int)
    for family in families(everything("one"), everything("two")).values():
        for found in family.samples:
            seen[found.name, *(f"{k}={v}" for k, v in sorted(found.labels.items()))] += 1
    assert [series for series, count in seen.items() if count > 1] == []


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", 'x",target="y', "}{", "ä 漢", ""])
def test_a_hostile_target_name_comes_back_as_it_was(name: str) -> None:
    assert values(families(everything(name)).values(), "target") == {name}


def test_the_histogram_is_cumulative_and_agrees_with_the_rounds() -> None:
    seconds = [0.005, 0.01, 0.011, 0.4, 61.0]
    tally = TargetTally("main", 600.0)
    tally.add_run(
        run(result(case(), *(sample(n, insert_seconds=s) for n, s in enumerate(seconds))))
    )
    family = families(tally)["insert_duration_seconds"]
    buckets = [s.value for s in family.samples if s.name.endswith("_bucket")]
    assert buckets == [sum(s <= bound for s in seconds) for bound in (*BUCKETS, float("inf"))]
    totals = {s.name.rpartition("_")[2]: s.value for s in family.samples}
    assert (totals["count"], totals["sum"]) == (5, pytest.approx(sum(seconds)))


def test_counters_go_on_and_failures_in_a_row_are_counted_until_a_run_succeeds() -> None:
    tally = TargetTally("main", 600.0)
    for outcome in ("failed", "failed"):
        tally.add_run(run(outcome=outcome))
    assert families(tally)["consecutive_failures"].samples[0].value == 2
    tally.add_run(run(result(case(), sample()), outcome="partial"))
    assert families(tally)["consecutive_failures"].samples[0].value == 0
    assert sum(s.value for s in families(tally)["runs"].samples) == 3


def test_the_environment_changes_with_its_fingerprint_only() -> None:
    tally = TargetTally("main", 600.0)
    later = [AT + timedelta(hours=n) for n in range(3)]
    for at, mark in zip(later, ("a", "a", "b"), strict=True):
        assert families(tally)["environment_changed_timestamp_seconds"].samples == []
        tally.add_run(run(environment=environment(mark), started_at=at))
    (changed,) = families(tally)["environment_changed_timestamp_seconds"].samples
    assert changed.value == later[2].timestamp()
    tally.add_run(replace(run(), environment=None))
    (info,) = families(tally)["environment_info"].samples
    assert info.labels["fingerprint"] == "b"
