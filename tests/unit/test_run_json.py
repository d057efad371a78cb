"""The JSON of runs that lack something: strict JSON, and null for what is not known."""

from __future__ import annotations

import json
from typing import Any

from monitor.cli.run_json import run_as_json
from monitor.model import CaseKey, Failure
from tests.builders import AT, case, result, run, sample, usual_run


def strict(**changes: Any) -> dict[str, Any]:
    """A run without cases as any other language would read it."""
    found: dict[str, Any] = json.loads(json.dumps(run_as_json(run(**changes)), allow_nan=False))
    return found


def test_a_run_that_reached_nothing_has_null_for_environment_and_wal() -> None:
    failure = Failure(AT, "unavailable", "refused")
    one = strict(outcome="failed", environment=None, wal_bytes=None, failure=failure, probes={})
    assert one["run"]["environment"] is None
    assert one["run"]["wal_bytes"] is None
    assert one["run"]["failure"] == {
        "at": "2026-11-22T14:10:00+00:00",
        "reason": "unavailable",
        "message": "refused",
        "case": None,
        "round": None,
    }
    assert (one["cases"], one["probes"]) == ([], {})


def test_a_failure_in_a_round_names_case_and_round() -> None:
    key = CaseKey("orm_bulk", "orders", 500, "rows=500")
    one = strict(failure=Failure(AT, "lock_lost", "gone", key, 3))
    assert one["run"]["failure"]["case"] == "orm_bulk on orders, batch 500 rows=500"
    assert one["run"]["failure"]["round"] == 3


def test_a_case_without_a_sample_has_null_figures_and_counted_failures() -> None:
    copy = case()
    failures = tuple(Failure(AT, "timeout", "late", copy.key, n) for n in (1, 2))
    (one,) = run_as_json(run(result(copy, failures=failures)))["cases"]
    for name in ("rows_per_second", "seconds_per_row", "mean_exec_time_seconds",
                 "rows_per_call", "wal_bytes_per_row"):  # fmt: skip
        assert one[name] is None, name
    assert (one["rounds"], one["disturbed"], one["failures"]) == ([], {}, {"timeout": 2})


def test_figures_are_the_summarys_and_rounds_are_raw() -> None:
    rounds = [sample(n) for n in range(1, 6)]
    (one,) = json.loads(json.dumps(run_as_json(run(result(case(), *rounds)))))["cases"]
    assert one["rows_per_second"]["median"] == rounds[2].rows_per_second
    assert one["rows_per_second"]["low"] == rounds[4].rows_per_second
    assert one["rows_per_second"]["high"] == rounds[0].rows_per_second
    assert one["seconds_per_row"]["client"] == 0.05 / 20_000
    assert [found["insert_seconds"] for found in one["rounds"]] == [
        found.insert_seconds for found in rounds
    ]
    assert one["rounds"][0]["started_at"] == "2026-11-22T14:10:01+00:00"


def test_probes_have_every_value_and_their_median() -> None:
    assert run_as_json(usual_run())["probes"]["client_cpu"] == {
        "median": 0.025,
        "values": [0.02, 0.03],
    }
