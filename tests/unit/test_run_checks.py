"""What rounds say of their target, from made-up runs."""

from __future__ import annotations

from typing import Any

from monitor.canary.checks.finding import Finding
from monitor.measure.run_checks import check_runs
from monitor.model import Failure, Run
from tests.builders import AT, case, result, run, sample

COPY = case("asyncpg_copy")
EXECUTEMANY = case("core_executemany")


def copied(*rounds: dict[str, Any]) -> Run:
    """A run of COPY with these rounds, each but for some of its fields like the others."""
    samples = [sample(n, **changes) for n, changes in enumerate(rounds, start=1)]
    return run(result(COPY, *samples))


def findings(*runs: Run) -> dict[str, Finding]:
    found = check_runs(runs)
    assert len({each.check for each in found}) == len(found)
    return {each.check: each for each in found}


def test_a_quiet_run_is_ok() -> None:
    found = findings(copied({}, {}, {}))
    assert {each.severity for each in found.values()} == {"ok"}
    assert found["rounds"].evidence == "3 rounds measured, none failed"


def test_a_run_without_samples_only_says_why() -> None:
    failure = Failure(AT, "refused", "a pooler in transaction mode")
    (finding,) = check_runs([run(outcome="failed", failure=failure)])
    assert finding.severity == "error"
    assert "(refused): a pooler" in finding.evidence
    assert check_runs([]) == ()


def test_rounds_with_a_checkpoint_are_counted_with_what_they_cost() -> None:
    hit = {"disturbed": ("checkpoint",), "insert_seconds": 0.2}
    found = findings(copied({"insert_seconds": 0.1}, hit, {"insert_seconds": 0.1}))
    finding = found["checkpoint_in_round"]
    assert finding.severity == "warning"
    assert "1 of 3 rounds of this run" in finding.evidence
    assert "2.00 × the others' time" in finding.evidence


def test_several_runs_are_judged_together() -> None:
    quiet, hit = copied({}, {}), copied({"disturbed": ("autovacuum",)}, {})
    found = findings(quiet, hit)
    assert "1 of 4 rounds of the last 2 runs" in found["autovacuum_in_round"].evidence


def test_noise_counts_when_it_is_frequent() -> None:
    noisy = {"disturbed": ("steal", "pressure", "other_sessions")}
    found = findings(copied(noisy, {}, {}, {}))
    for reason in ("steal", "pressure", "other_sessions"):
        assert found[f"{reason}_in_round"].severity == "warning"
    rare = findings(copied(noisy, *({} for _ in range(9))))
    assert rare["steal_in_round"].severity == "ok"


def test_evicted_entries_are_told_when_they_are_many() -> None:
    evicted = {"disturbed": ("evicted",)}
    assert findings(copied(evicted, {}))["evicted_in_round"].severity == "warning"
    few = findings(copied(evicted, *({} for _ in range(30))))
    assert few["evicted_in_round"].severity == "ok"


def test_sagging_throughput_is_told_with_its_cause() -> None:
    slow = {"late_batch_ratio": 1.6}
    finding = findings(copied(slow, slow))["throughput_sags"]
    assert finding.severity == "warning"
    assert "takes 1.60 × the first (no checkpoint was seen" in finding.evidence
    hit = slow | {"disturbed": ("checkpoint",)}
    assert "checkpoints began in rounds" in findings(copied(hit))["throughput_sags"].evidence
    assert findings(copied({"late_batch_ratio": 1.01}))["throughput_sags"].severity == "ok"
    assert "throughput_sags" not in findings(copied({}))


def test_single_rows_are_expected_of_executemany_only() -> None:
    single = {"rows_per_call": 1.0, "calls": 20_000}
    by_design = findings(run(result(EXECUTEMANY, sample(1, **single))))["batching"]
    assert by_design.severity == "info"
    assert "core_insertmanyvalues" in by_design.remedy
    finding = findings(copied(single))["batching"]
    assert finding.severity == "warning"
    assert ".returning()" in finding.remedy


def test_blocks_from_disk_after_the_warm_up_are_told() -> None:
    cold = {"blocks_hit": 900, "blocks_read": 100}
    finding = findings(copied(cold, cold))["blocks_read"]
    assert finding.severity == "warning"
    assert "10.0% of its blocks" in finding.evidence


def test_what_the_server_does_not_count_is_not_judged() -> None:
    blind = {"rows_per_call": None, "blocks_hit": None, "blocks_read": None}
    found = findings(copied(blind))
    assert "batching" not in found
    assert "blocks_read" not in found
