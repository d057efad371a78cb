"""Explained cases in the form that ``--json`` prints and the store keeps."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from monitor.canary.counters import Statement
from monitor.measure.explain import Explanation


def subject_of(explanation: Explanation) -> str:
    """The case with its rows: what two findings must share to be compared."""
    return f"{explanation.case.key}, {explanation.case.rows} rows"


def case_as_json(explanation: Explanation) -> dict[str, Any]:
    """One case; what the store keeps of it."""
    key = explanation.case.key
    return {
        **asdict(key),
        "rows": explanation.case.rows,
        "batching": asdict(explanation.batching) if explanation.batching else None,
        "sent": [
            {
                "sql": sent.text,
                "through": sent.through,
                "executions": sent.executions,
                "together": sent.many,
                "tag": sent.tag,
            }
            for sent in explanation.sent
        ],
        "recorded": [_recorded(statement) for statement in explanation.recorded],
        "plan": list(explanation.plan),
        "failure": explanation.failure,
    }


def _recorded(statement: Statement) -> dict[str, Any]:
    work = statement.work
    return {
        "query_id": statement.query_id,
        "sql": statement.text,
        "calls": work.calls,
        "rows": work.rows,
        "rows_per_call": work.rows / work.calls if work.calls else None,
        "mean_exec_time_seconds": work.seconds / work.calls if work.calls else None,
        "wal_bytes": work.wal_bytes,
        "wal_records": work.wal_records,
        "wal_fpi": work.wal_fpi,
        "blocks_hit": work.shared_blks_hit,
        "blocks_read": work.shared_blks_read,
        "blocks_dirtied": work.shared_blks_dirtied,
    }
