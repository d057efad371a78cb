"""Rows of an export: exact in both directions, and what they hold is what the store holds."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.environment import Environment
from monitor.judgement import Judgement
from monitor.model import Disturbance
from monitor.store import tables
from monitor.store.records import RunRecord, SampleRow, SeriesKey
from monitor.store.transfer.layout import (
    CONTROL,
    ENVIRONMENTS,
    EXPLORATIONS,
    FAILURES,
    ROLLUPS,
    RUNS,
    SAMPLES,
    STATES,
    TABLES,
    VERDICTS,
    Column,
    Table,
)
from monitor.store.transfer.lines import encoded, header_line, line_of, rows_of
from monitor.store.transfer.records import (
    environment_lines,
    environments_of,
    lines_of,
    records_of,
)
from tests.records import DISTURBANCES, moments, run_records

#: Anything that UTF-8 can write, NUL and all kinds of line ends among it.
texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": texts,
    "integer": st.integers(),
    "time": moments,
    "json": st.dictionaries(texts, json_values, max_size=2),
    "base64": st.binary(min_size=1),
}
EVERYTHING = Table(
    "everything",
    "every type, required and optional",
    tuple(
        Column(f"{type_}_{optional}", type_, "", optional=optional)  # type: ignore[arg-type]
        for type_ in VALUES
        for optional in (False, True)
    ),
)
rows = st.tuples(
    *(
        VALUES[column.type] | st.none() if column.optional else VALUES[column.type]
        for column in EVERYTHING.columns
    )
)


def written(table: Table, *of: tuple[Any, ...]) -> str:
    return header_line(table) + "".join(line_of(encoded(table, row)) for row in of)


def lines(text: str) -> Iterator[str]:
    """As the archive reads them: line by line, the line feed alone being one's end."""
    return iter(io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", newline="\n"))


# --- values --------------------------------------------------------------------------------------


@given(st.lists(rows, max_size=4))
@settings(deadline=None)
def test_every_value_comes_back_as_it_was(given_rows: list[tuple[Any, ...]]) -> None:
    found = list(rows_of(EVERYTHING, lines(written(EVERYTHING, *given_rows))))
    assert found == [list(row) for row in given_rows]


OPTIONAL = Table("t", "", (Column("a", "text", "", optional=True), Column("b", "text", "")))


def test_unknown_and_empty_text_are_told_apart() -> None:
    text = written(OPTIONAL, (None, ""), ("", ""))
    assert text == 'a,b\n,""\n"",""\n'
    assert list(rows_of(OPTIONAL, lines(text))) == [[None, ""], ["", ""]]


def test_times_are_utc_with_microseconds() -> None:
    table = Table("t", "", (Column("at", "time", ""),))
    at = datetime.fromisoformat("2026-03-01T01:30:00.000007+02:00")
    text = written(table, (at,))
    assert text == "at\n2026-02-28T23:30:00.000007Z\n"
    (row,) = rows_of(table, lines(text))
    assert row == [at]
    assert row[0].tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the header row is not as it should be"),
        ('b,a\n"x","y"\n', "the header row is not as it should be"),
        ('a,b\n"x"\n', "row 1: 2 well-formed fields were expected"),
        ('a,b\n"x","y","z"\n', "row 1: 2 well-formed fields were expected"),
        ('a,b\n"x","y"z\n', "row 1: 2 well-formed fields were expected"),
        ('a,b\n"x",y"y"\n', "row 1: 2 well-formed fields were expected"),
        ('a,b\n"x",y\n', "row 1: a text must stand in quotes"),
        ('a,b\n"x","y"\n"x",\n', "row 2: a text must stand in quotes"),
        ('a,b\n"x","y', "the last row has no end"),
        ('a,b\n"x","y"', "row 1: 2 well-formed fields were expected"),
    ],
)
def test_anything_else_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        list(rows_of(OPTIONAL, lines(text)))


@pytest.mark.parametrize(
    ("type_", "field"),
    [
        ("integer", ""),
        ("integer", "1.5"),
        ("integer", '"1"'),
        ("time", ""),
        ("time", "2026-03-01T01:30:00.000007"),
        ("time", "yesterday"),
        ("json", ""),
        ("json", '"{"'),
        ("base64", "%%%%"),
    ],
)
def test_a_required_value_must_be_of_its_type(type_: Any, field: str) -> None:
    table = Table("t", "", (Column("a", type_, ""),))
    with pytest.raises(ValueError, match=r"^row 1: "):
        list(rows_of(table, lines(f"a\n{field}\n")))


# --- runs ----------------------------------------------------------------------------------------


def through_lines(records: list[RunRecord], states: str = "") -> list[RunRecord]:
    text = {table.name: header_line(table) for table in TABLES}
    text[STATES.name] += states
    environments = {r.environment.fingerprint: r.environment for r in records if r.environment}
    text[ENVIRONMENTS.name] += "".join(environment_lines(environments))
    for record in records:
        for name, own in lines_of(record).items():
            text[name] += "".join(own)
    known = environments_of(rows_of(ENVIRONMENTS, lines(text[ENVIRONMENTS.name])))
    parts = (rows_of(t, lines(text[t.name])) for t in (RUNS, FAILURES, SAMPLES, VERDICTS, STATES))
    return list(records_of(known, *parts))


def of_one_environment(records: list[RunRecord]) -> list[RunRecord]:
    """Without two environments of one fingerprint, which are one in a store."""
    known = {r.environment.fingerprint: r.environment for r in records if r.environment}
    return [
        replace(r, environment=known[r.environment.fingerprint] if r.environment else None)
        for r in records
    ]


@given(st.lists(run_records, max_size=3, unique_by=lambda record: record.id))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_runs_come_back_as_they_were(given_records: list[RunRecord]) -> None:
    plain = [replace(each, state=None, judgement=without_changes(each)) for each in given_records]
    records = of_one_environment(plain)
    assert through_lines(records) == records


def without_changes(record: RunRecord) -> Judgement | None:
    """What was said of the run's series; changes and their ends have tables of their own."""
    said = record.judgement
    return said and replace(said, changes=(), closings=())


def one(record: RunRecord, **changes: Any) -> RunRecord:
    return replace(record, **changes)


def state_line(record: RunRecord, state: bytes) -> str:
    return line_of(encoded(STATES, (record.target, record.started_at, state)))


@given(run_records, run_records)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=20)
def test_a_state_goes_to_its_run_and_one_without_a_run_to_none(
    first: RunRecord, second: RunRecord
) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    gone = one(first, target="b", started_at=at)
    own = one(second, target="b", started_at=at.replace(hour=1), environment=None, state=None)
    later = one(own, id="later", started_at=at.replace(hour=2))
    states = state_line(gone, b"of the gone one") + state_line(later, b"of the later one")
    found = through_lines([own, later], states)
    assert [each.state for each in found] == [None, b"of the later one"]


def test_the_order_does_not_depend_on_how_samples_were_kept() -> None:
    (record,) = of_one_environment([SHUFFLED])
    in_order = one(
        record,
        samples={
            key: tuple(sorted(rows, key=lambda row: row.round))
            for key, rows in sorted(record.samples.items())
        },
    )
    assert lines_of(record) == lines_of(in_order)
    first = lines_of(record)[SAMPLES.name][0]
    assert first.startswith('"id","main",2026-03-01T00:00:00.000000Z,"a","orders",1,"",1,3,')


def sample_row(number: int) -> SampleRow:
    return SampleRow(**dict.fromkeys(SampleRow._fields, number))


SHUFFLED = RunRecord(
    id="id",
    target="main",
    trigger="manual",
    started_at=datetime(2026, 3, 1, tzinfo=UTC),
    finished_at=datetime(2026, 3, 1, tzinfo=UTC),
    outcome="ok",
    rounds=3,
    wal_bytes=None,
    environment=None,
    probes={},
    notices=(),
    failures=(),
    samples={
        SeriesKey("b", "orders", 1, "", 1): (sample_row(2), sample_row(1)),
        SeriesKey("a", "orders", 1, "", 1): (sample_row(3),),
    },
)


@pytest.mark.parametrize("failed", [False, True])
def test_a_row_of_no_run_is_refused(failed: bool) -> None:
    sample = ["gone", "main", SHUFFLED.started_at, "a", "t", 1, "", 1, *sample_row(1)]
    failure = ["gone", "main", SHUFFLED.started_at, 0, *[None] * 6, 1, SHUFFLED.started_at, "", ""]
    failures, samples = ([failure], []) if failed else ([], [sample])
    with pytest.raises(ValueError, match="gone is not among the runs, or out of order"):
        list(records_of({}, iter([]), iter(failures), iter(samples), iter([]), iter([])))


def test_the_order_of_names_within_json_does_not_matter() -> None:
    facts = {"fsync": "on", "autovacuum": "off"}
    one_way = Environment("18", facts, facts, facts, "abc")
    other = dict(sorted(facts.items()))
    other_way = Environment("18", other, other, other, "abc")
    assert list(facts) != list(other)
    assert environment_lines({"abc": one_way}) == environment_lines({"abc": other_way})


def test_a_run_of_an_unknown_environment_is_refused() -> None:
    run = ["id", "main", *[SHUFFLED.started_at] * 2, "manual", "ok", 1, None, "abc", {}, []]
    with pytest.raises(ValueError, match="run id: environment abc is missing"):
        list(records_of({}, iter([run]), iter([]), iter([]), iter([]), iter([])))


def test_whole_numbers_among_probes_are_written_as_seconds() -> None:
    kept = one(SHUFFLED, probes={"commit": (1.0, 1e16)})
    given_back = one(SHUFFLED, probes={"commit": (1, 10**16)})
    assert lines_of(kept) == lines_of(given_back)


# --- the layout ----------------------------------------------------------------------------------


def names(table: Table, begin: int = 0) -> list[str]:
    return list(table.header[begin:])


def test_the_layout_holds_all_that_the_store_does() -> None:
    series = set(SeriesKey._fields)
    assert set(names(SAMPLES)) == {"run_id", "target", "started_at", *series, *SampleRow._fields}
    of_rollup = {column.name for column in tables.rollup.c} - {"series_id"}
    assert set(names(ROLLUPS)) == {"target"} | series | of_rollup
    assert set(names(CONTROL)) == {column.name for column in tables.control.c}
    of_run = {column.name for column in tables.run.c} - {"target_id"}
    assert set(names(RUNS)) == {"target"} | of_run
    of_failure = {column.name for column in tables.failure.c} - {"target_id", "series_id"}
    assert set(names(FAILURES)) == {"run_id", "target"} | series | of_failure
    of_finding = {column.name for column in tables.exploration.c} - {"target_id"}
    assert set(names(EXPLORATIONS)) == {"target"} | of_finding
    assert set(names(ENVIRONMENTS)) == {column.name for column in tables.environment.c}


def test_what_can_be_null_in_the_store_is_optional_in_the_layout() -> None:
    pairs = (
        (SAMPLES, tables.sample), (ROLLUPS, tables.rollup), (CONTROL, tables.control),
        (RUNS, tables.run), (FAILURES, tables.failure), (ENVIRONMENTS, tables.environment),
        (EXPLORATIONS, tables.exploration),
    )  # fmt: skip
    for table, kept in pairs:
        for column in table.columns:
            if column.name in kept.c and column.name != "target":
                assert column.optional == bool(kept.c[column.name].nullable), column


def test_every_column_says_what_it_is() -> None:
    assert all(column.description for table in TABLES for column in table.columns)
    for column in (column for table in TABLES for column in table.columns):
        for suffix, unit in (("_ns", "nanoseconds"), ("_us", "microseconds"),
                             ("_ppm", "millionths"), ("_bytes", "bytes")):  # fmt: skip
            if column.name.endswith(suffix):
                assert column.unit == unit, column


def test_the_bits_of_disturbances_are_explained() -> None:
    (disturbed,) = (column for column in SAMPLES.columns if column.name == "disturbed")
    for bit, name in enumerate(DISTURBANCES):
        word: Disturbance = name
        assert f"{1 << bit} {word}" in disturbed.description
