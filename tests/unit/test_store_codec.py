"""Runs as the store and the spool keep them: back comes what went in, or nothing at all."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import StoreRejected
from monitor.model import Failure, Run
from monitor.store.codec import decode, encode
from monitor.store.records import (
    RunRecord,
    SampleRow,
    failure_of,
    record_of,
    sample_of,
)
from monitor.store.tables import sample as sample_table
from tests import builders, records
from tests.records import DISTURBANCES, case

RECORD = records.record(7, failures=1)
BYTES = encode(RECORD)


# --- there and back ------------------------------------------------------------------------------


@given(records.run_records)
def test_bytes_hold_the_whole_record(record: RunRecord) -> None:
    assert decode(encode(record)) == record


@given(records.run_records)
def test_equal_records_have_equal_bytes(record: RunRecord) -> None:
    assert encode(record) == encode(decode(encode(record)))


def test_text_that_is_no_unicode_is_held_too() -> None:
    """Such as a path in the message of a plug-in's error."""
    odd = replace(RECORD.failures[0], message="no file named \udcff\0")
    record = replace(RECORD, failures=(odd,))
    assert decode(encode(record)) == record


@given(st.data())
def test_samples_come_back_as_they_were(data: st.DataObject) -> None:
    own = case("asyncpg_copy")
    numbers = range(1, data.draw(st.integers(min_value=1, max_value=3)) + 1)
    found = tuple(data.draw(records.samples(number, own.rows)) for number in numbers)
    run = builders.run(builders.result(own))
    run = replace(run, cases=(replace(run.cases[0], samples=found),))
    record = decode(encode(record_of(run)))
    ((key, rows),) = record.samples.items()
    assert key.case == own.key
    assert tuple(sample_of(row, key, record.started_at) for row in rows) == found


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_every_disturbance_has_a_bit_of_its_own(disturbance: Any) -> None:
    (row,) = _rows_of(builders.sample(disturbed=(disturbance,)))
    assert row.disturbed == 1 << DISTURBANCES.index(disturbance)


def test_rows_that_an_eviction_lost_are_kept_and_whole_counts_are_not() -> None:
    """20,000 rows in 20 calls; what is counted for all of them is not kept twice."""
    lost, whole = _rows_of(builders.sample(1, rows_per_call=500.0), builders.sample(2))
    assert (lost.counted_rows, whole.counted_rows) == (10_000, None)


def test_a_sample_row_has_all_columns_of_the_table() -> None:
    names = [column.name for column in sample_table.columns]
    assert sorted(names) == sorted(("series_id", "started_at", *SampleRow._fields))


def test_what_no_column_holds_ends_at_the_largest_that_it_does() -> None:
    """A session that hangs for an hour shall not cost the whole run."""
    late = builders.sample(started_at=builders.AT + timedelta(hours=3), round_trip_seconds=5.0)
    (row,) = _rows_of(late)
    assert row.offset_us == row.round_trip_ns == records.INTEGER


def test_a_stall_in_the_last_of_small_batches_costs_no_run() -> None:
    """Batches of 50 µs, and the last one waits 0.2 s for a lock."""
    (row,) = _rows_of(builders.sample(late_batch_ratio=4e3))
    assert row.late_batch_ppm is not None
    assert row.late_batch_ppm <= records.INTEGER


def test_failures_come_back_with_their_case_and_that_of_the_run_is_marked() -> None:
    own = case("asyncpg_copy")
    of_round = Failure(builders.AT, "timeout", "no end", own.key, 3)
    of_run = Failure(builders.AT, "lock_lost", "the session is gone")
    run = builders.run(builders.result(own, failures=(of_round,)), failure=of_run)
    record = decode(encode(record_of(run)))
    assert [row.of_run for row in record.failures] == [True, False]
    assert tuple(failure_of(row) for row in record.failures) == (of_run, of_round)


def test_a_run_that_ended_in_a_case_names_its_series() -> None:
    own = case("asyncpg_copy")
    failure = Failure(builders.AT, "unavailable", "gone", own.key, 1)
    (row,) = record_of(builders.run(builders.result(own), failure=failure)).failures
    assert row.series is not None
    assert row.series.case == own.key


def test_state_is_kept_bit_by_bit() -> None:
    state = bytes(range(256))
    assert decode(encode(record_of(_run(), state=state))).state == state
    assert decode(encode(record_of(_run(), state=b""))).state == b""
    assert decode(encode(record_of(_run()))).state is None


# --- anything else -------------------------------------------------------------------------------


@given(st.integers(min_value=0, max_value=len(BYTES) - 1))
def test_cut_short_it_is_refused(length: int) -> None:
    with pytest.raises(StoreRejected, match="not a spooled run"):
        decode(BYTES[:length])


@given(st.integers(min_value=0, max_value=8 * len(BYTES) - 1))
def test_with_a_bit_turned_it_is_refused_or_the_same(bit: int) -> None:
    damaged = bytearray(BYTES)
    damaged[bit // 8] ^= 1 << bit % 8
    try:
        found = decode(bytes(damaged))
    except StoreRejected:
        return
    assert found == RECORD  # gzip's header has bits that mean nothing


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StoreRejected):
        decode(data)


@given(st.binary(max_size=200))
def test_foreign_bytes_in_gzip_are_refused(data: bytes) -> None:
    with pytest.raises(StoreRejected):
        decode(gzip.compress(data))


def test_another_format_is_refused_and_named() -> None:
    fields = json.loads(gzip.decompress(BYTES))
    with pytest.raises(StoreRejected, match="format 2"):
        decode(_packed({**fields, "format": 2}))


_FIELDS: dict[str, Any] = json.loads(gzip.decompress(BYTES))


def test_a_run_spooled_by_a_version_that_did_not_judge_is_read() -> None:
    older = {key: value for key, value in _FIELDS.items() if key != "judgement"}
    assert decode(_packed(older)) == replace(RECORD, judgement=None)


@pytest.mark.parametrize("name", sorted({*_FIELDS} - {"judgement"}))
def test_without_a_field_it_is_refused(name: str) -> None:
    with pytest.raises(StoreRejected):
        decode(_packed({key: value for key, value in _FIELDS.items() if key != name}))


@pytest.mark.parametrize("wrong", [None, 5, "text", [1, 2], {"a": 1}, True])
@pytest.mark.parametrize(
    "name", ["started_at", "finished_at", "probes", "notices", "failures", "samples"]
)
def test_a_field_of_another_type_is_refused(name: str, wrong: Any) -> None:
    with pytest.raises(StoreRejected):
        decode(_packed({**_FIELDS, name: wrong}))


@pytest.mark.parametrize("text", ["", "null", "5", "[]", '"text"', "{}", "[" * 100_000])
def test_json_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(StoreRejected):
        decode(gzip.compress(text.encode()))


def test_a_moment_without_a_zone_is_refused() -> None:
    """It could be anywhere, and would fail in the store only."""
    naive = (RECORD.started_at + timedelta(0)).replace(tzinfo=None).isoformat()
    with pytest.raises(StoreRejected):
        decode(_packed({**_FIELDS, "started_at": naive}))


def _packed(fields: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps(fields).encode())


def _run() -> Run:
    return builders.run(builders.result(case("asyncpg_copy"), builders.sample()))


def _rows_of(*samples: Any) -> tuple[SampleRow, ...]:
    run = builders.run(builders.result(case("asyncpg_copy"), *samples))
    (rows,) = record_of(run).samples.values()
    return rows
