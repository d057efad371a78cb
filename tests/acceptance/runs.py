"""What daemons kept, read without their help: runs in order, and what they prove."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.conftest import Database

_RUNS = """
SELECT t.name, r.started_at, r.finished_at, r.outcome, r.trigger, e.client,
       (SELECT max({end}) FROM {schema}sample AS s JOIN {schema}series AS i ON i.id = s.series_id
        WHERE i.target_id = r.target_id AND s.started_at = r.started_at)
FROM {schema}run AS r JOIN {schema}target AS t ON t.id = r.target_id
LEFT JOIN {schema}environment AS e ON e.fingerprint = r.fingerprint
ORDER BY r.started_at
"""


@dataclass(frozen=True)
class StoredRun:
    """A run as it is stored; ``sampled_until`` is the end of its last sample, None without any."""

    target: str
    started_at: datetime
    finished_at: datetime
    outcome: str
    trigger: str
    client: str
    sampled_until: datetime | None


def runs_in_file(data_dir: Path) -> list[StoredRun]:
    """All runs of a store in a data directory."""
    end = "s.offset_us + s.insert_ns / 1000"
    connection = sqlite3.connect(data_dir / "store.sqlite")
    try:
        rows = connection.execute(_RUNS.format(schema="", end=end)).fetchall()
    finally:
        connection.close()
    return [_run(row, lambda value: datetime.fromtimestamp(value / 1e6, UTC)) for row in rows]


def runs_in(database: Database) -> list[StoredRun]:
    """All runs of a store on a server."""
    end = "s.offset_us + s.insert_ns / 1000"
    rows = database.sql(_RUNS.format(schema="ingest_canary_store.", end=end))
    return [_run(row, lambda value: value) for row in rows]


def _run(row: tuple[Any, ...], moment: Any) -> StoredRun:
    name, started, finished, outcome, trigger, client, after_us = row
    begin = moment(started)
    until = None if after_us is None else begin + timedelta(microseconds=int(after_us))
    return StoredRun(name, begin, moment(finished), outcome, trigger, str(client or ""), until)


def measured(runs: list[StoredRun]) -> list[StoredRun]:
    """Those that have samples."""
    return [run for run in runs if run.sampled_until is not None]


def assert_none_overlaps(runs: list[StoredRun]) -> None:
    """No run took a sample while another one of its target did."""
    for before, after in pairwise(runs):
        assert before.sampled_until is not None
        assert before.sampled_until <= after.started_at, (before, after)


def assert_none_is_measured_twice(runs: list[StoredRun], interval: float) -> None:
    """Whole runs are further apart than replicas that do not know each other would make them."""
    whole = [run for run in runs if run.outcome == "ok" and run.trigger == "scheduled"]
    for before, after in pairwise(whole):
        assert (after.started_at - before.started_at).total_seconds() > 0.7 * interval, (
            before,
            after,
        )
