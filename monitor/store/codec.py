"""A run record as bytes and back, for the spool: compressed JSON, exact in both directions."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from dataclasses import asdict
from datetime import datetime
from typing import Any

from monitor.environment import Environment
from monitor.errors import StoreRejected
from monitor.model import Notice
from monitor.store.records import FailureRow, RunRecord, SampleRow, SeriesKey

_FORMAT = 1

#: What reading anything but an encoded record can end in.
_DAMAGED = (
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RecursionError,
)


def encode(record: RunRecord) -> bytes:
    """The record as compressed JSON."""
    fields = {
        "format": _FORMAT,
        "id": record.id,
        "target": record.target,
        "trigger": record.trigger,
        "started_at": record.started_at.isoformat(),
        "finished_at": record.finished_at.isoformat(),
        "outcome": record.outcome,
        "rounds": record.rounds,
        "wal_bytes": record.wal_bytes,
        "environment": _environment(record.environment),
        "probes": {name: list(values) for name, values in record.probes.items()},
        "notices": [asdict(notice) for notice in record.notices],
        "failures": [_failure(row) for row in record.failures],
        "samples": [
            [list(key), [list(row) for row in rows]] for key, rows in record.samples.items()
        ],
        "state": base64.b64encode(record.state).decode() if record.state is not None else None,
    }
    text = json.dumps(fields, separators=(",", ":"))  # ASCII: holds what is no Unicode, too
    return gzip.compress(text.encode(), compresslevel=5, mtime=0)


def decode(data: bytes) -> RunRecord:
    """The record that was encoded. Raises StoreRejected for anything else."""
    try:
        fields = json.loads(gzip.decompress(data))
        if fields["format"] != _FORMAT:
            raise ValueError(f"format {fields['format']}")
        return _record(fields)
    except _DAMAGED as error:
        raise StoreRejected(f"not a spooled run: {error}") from error


def _record(fields: dict[str, Any]) -> RunRecord:
    environment, state = fields["environment"], fields["state"]
    return RunRecord(
        id=fields["id"],
        target=fields["target"],
        trigger=fields["trigger"],
        started_at=_moment(fields["started_at"]),
        finished_at=_moment(fields["finished_at"]),
        outcome=fields["outcome"],
        rounds=fields["rounds"],
        wal_bytes=fields["wal_bytes"],
        environment=Environment(**environment) if environment else None,
        probes={name: tuple(values) for name, values in fields["probes"].items()},
        notices=tuple(Notice(**notice) for notice in fields["notices"]),
        failures=tuple(_failure_row(failure) for failure in fields["failures"]),
        samples={
            SeriesKey(*key): tuple(SampleRow(*row) for row in rows)
            for key, rows in fields["samples"]
        },
        state=base64.b64decode(state) if state is not None else None,
    )


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at


def _environment(environment: Environment | None) -> dict[str, Any] | None:
    if environment is None:
        return None
    return {
        "server_version": environment.server_version,
        "server": dict(environment.server),
        "client": dict(environment.client),
        "tables": dict(environment.tables),
        "fingerprint": environment.fingerprint,
    }


def _failure(row: FailureRow) -> dict[str, Any]:
    return {
        "at": row.at.isoformat(),
        "reason": row.reason,
        "message": row.message,
        "series": list(row.series) if row.series else None,
        "round": row.round,
        "of_run": row.of_run,
    }


def _failure_row(fields: dict[str, Any]) -> FailureRow:
    series = SeriesKey(*fields["series"]) if fields["series"] else None
    at = _moment(fields["at"])
    return FailureRow(
        at, fields["reason"], fields["message"], series, fields["round"], fields["of_run"]
    )
