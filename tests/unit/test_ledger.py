"""The WAL ledger where its file is damaged, large or from elsewhere."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.daemon.ledger import Entry, WalLedger
from tests.builders import AT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wal.jsonl"


def test_a_line_cut_short_does_not_swallow_the_next(path: Path) -> None:
    path.write_text('{"at": "2026-11-2')
    WalLedger(path).add(Entry(AT, "main", 30))
    assert WalLedger(path).allowance("main", 100, AT) == 70


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00",
        b"[]",
        b"7",
        b'{"at": "soon", "target": "main", "wal_bytes": 1}',
        b'{"at": "2026-11-22T14:00:00+00:00", "target": "main"}',
        b'{"at": "2026-11-22T14:00:00+00:00", "target": "main", "wal_bytes": "many"}',
    ],
)
def test_a_damaged_line_is_passed_over_and_the_others_count(path: Path, line: bytes) -> None:
    ledger = WalLedger(path)
    ledger.add(Entry(AT, "main", 30))
    path.write_bytes(path.read_bytes() + line + b"\n")
    ledger.add(Entry(AT, "main", 20))
    assert ledger.allowance("main", 100, AT) == 50


def test_a_time_without_a_zone_is_read_and_does_not_end_the_daemon(path: Path) -> None:
    at = AT.astimezone().replace(tzinfo=None).isoformat()
    path.write_text(json.dumps({"at": at, "target": "main", "wal_bytes": 30}) + "\n")
    assert WalLedger(path).allowance("main", 100, AT + timedelta(hours=1)) == 70


def test_an_entry_counts_for_exactly_a_day(path: Path) -> None:
    ledger = WalLedger(path)
    ledger.add(Entry(AT, "main", 30))
    day = timedelta(hours=24)
    assert ledger.allowance("main", 100, AT + day - timedelta(seconds=1)) == 70
    assert ledger.allowance("main", 100, AT + day) == 100


def test_a_large_file_is_rewritten_with_what_still_counts(path: Path) -> None:
    old = json.dumps({"at": (AT - timedelta(days=2)).isoformat(), "target": "x", "wal_bytes": 1})
    path.write_text((old + "\n") * 20_000)
    before = path.stat().st_size
    ledger = WalLedger(path)
    ledger.add(Entry(AT - timedelta(hours=1), "main", 30))
    ledger.add(Entry(AT, "main", 10))
    assert before > 1 << 20
    assert path.stat().st_size < 1000
    assert ledger.allowance("main", 100, AT) == 60


def test_two_processes_share_the_file(path: Path) -> None:
    one, other = WalLedger(path), WalLedger(path)
    one.add(Entry(AT, "main", 30))
    other.add(Entry(AT, "main", 20))
    assert one.allowance("main", 100, AT) == other.allowance("main", 100, AT) == 50
