"""The stable JSON form of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from statistics import median
from typing import Any

from monitor.measure.summary import wall_shares
from monitor.model import CaseResult, Failure, Overhead, Run


def run_as_json(run: Run) -> dict[str, Any]:
    """The whole run: every raw round, named as in the domain; unknown is null, never 0."""
    return {
        "run": {
            "id": run.id,
            "target": run.target,
            "trigger": run.trigger,
            "started_at": run.started_at.isoformat(),
            "finished_at": run.finished_at.isoformat(),
            "outcome": run.outcome,
            "contended": run.contended,
            "wal_bytes": run.wal_bytes,
            "failure": _failure(run.failure) if run.failure else None,
            "notices": [asdict(notice) for notice in run.notices],
            "environment": run.environment.as_json() if run.environment else None,
        },
        "cases": [_case(result) for result in run.cases],
        "probes": {
            name: {"median": median(values), "values": list(values)}
            for name, values in run.probes.items()
        },
    }


def _case(result: CaseResult) -> dict[str, Any]:
    key, summary = result.case.key, result.summary
    return {
        **asdict(key),
        "rows": result.case.rows,
        "transaction": result.case.transaction,
        "contended": result.contended,
        "rows_per_second": asdict(summary.rows_per_second) if summary else None,
        "rows_per_second_fast": summary.rows_per_second_fast if summary else None,
        "mean_exec_time_seconds": summary.mean_exec_time_seconds if summary else None,
        "rows_per_call": summary.rows_per_call if summary else None,
        "seconds_per_row": summary.seconds_per_row if summary else None,
        "share_of_wall": _shares(result),
        "wal_bytes_per_row": summary.wal_bytes_per_row if summary else None,
        "overhead": _overhead(result.overhead) if result.overhead else None,
        "rounds": [
            asdict(sample)
            | {
                "started_at": sample.started_at.isoformat(),
                "rows_per_second": sample.rows_per_second,
                "disturbed": list(sample.disturbed),
            }
            for sample in result.samples
        ],
        "disturbed": Counter(reason for sample in result.samples for reason in sample.disturbed),
        "failures": Counter(failure.reason for failure in result.failures),
        "failure_messages": [_failure(failure) for failure in result.failures],
    }


def _shares(result: CaseResult) -> dict[str, float | None] | None:
    shares = wall_shares(result.counted)
    return None if shares is None else asdict(shares)


def _overhead(overhead: Overhead) -> dict[str, Any]:
    return {
        overhead.kind: overhead.name,
        "pairs": overhead.pairs,
        "overhead_ratio": asdict(overhead.wall),
        "server_overhead_ratio": asdict(overhead.server) if overhead.server else None,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "at": failure.at.isoformat(),
        "reason": failure.reason,
        "message": failure.message,
        "case": str(failure.case) if failure.case else None,
        "round": failure.round,
    }
