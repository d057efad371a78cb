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
from monitor.judgement import (
    Closing,
    Detector,
    Judgement,
    decode_change,
    decode_verdicts,
    encode_change,
    encode_verdicts,
)
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
        "environment": record.environment.as_json() if record.environment else None,
        "probes": {name: list(values) for name, values in record.probes.items()},
        "notices": [asdict(notice) for notice in record.notices],
        "failures": [_failure(row) for row in record.failures],
        "samples": [
            [list(key), [list(row) for row in rows]] for key, rows in record.samples.items()
        ],
        "judgement": _judgement(record.judgement),
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
        # Absent in what a version that did not judge left behind.
        judgement=_judgement_of(fields.get("judgement")),
        state=base64.b64decode(state) if state is not None else None,
    )


def _moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at


def _judgement(judgement: Judgement | None) -> dict[str, Any] | None:
    if judgement is None:
        return None
    return {
        "number": judgement.number,
        "version": judgement.detector.version,
        "parameters": dict(judgement.detector.parameters),
        "contended": judgement.contended,
        "verdicts": encode_verdicts(judgement),
        "changes": [encode_change(change) for change in judgement.changes],
        "ends": [[each.change_id, each.ending, each.at.isoformat()] for each in judgement.closings],
    }


def _judgement_of(fields: dict[str, Any] | None) -> Judgement | None:
    if fields is None:
        return None
    verdicts, cases = decode_verdicts(fields["verdicts"])
    return Judgement(
        number=fields["number"],
        detector=Detector(fields["version"], fields["parameters"]),
        verdicts=verdicts,
        cases=cases,
        changes=tuple(decode_change(change) for change in fields["changes"]),
        closings=tuple(Closing(name, ending, _moment(at)) for name, ending, at in fields["ends"]),
        contended=fields["contended"],
    )


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
