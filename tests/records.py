"""Made-up runs for tests of the store: any that the types allow, and many different ones fast."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, get_args

from hypothesis import strategies as st

from monitor.environment import Difference, Environment
from monitor.judgement import (
    SIGNALS,
    STATES,
    Change,
    ChangeKind,
    Closing,
    Component,
    Detector,
    Ending,
    Judgement,
    Place,
    Verdict,
    Where,
    in_order,
)
from monitor.model import (
    Case,
    CaseKey,
    Disturbance,
    Failure,
    FailureReason,
    Notice,
    Run,
    RunOutcome,
    Sample,
    Trigger,
    rest_of,
)
from monitor.store.records import FailureRow, RunRecord, SampleRow, SeriesKey, record_of
from monitor.store.tables import instant
from tests import builders

DISTURBANCES: tuple[Disturbance, ...] = get_args(Disturbance)
STRATEGIES = ("asyncpg_copy", "core_executemany", "orm_bulk")
SMALLINT, INTEGER, BIGINT = 2**15 - 1, 2**31 - 1, 2**63 - 1
#: Up to which whole nanoseconds a float holds in seconds without loss: some 25 days.
_MAX_NS = 2**51


# --- any that the types allow --------------------------------------------------------------------


def _up_to(most: int) -> st.SearchStrategy[int]:
    return st.integers(min_value=0, max_value=most)


def _maybe(most: int) -> st.SearchStrategy[int | None]:
    return st.none() | _up_to(most)


#: PostgreSQL's text holds no NUL.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
moments = _up_to(2**53).map(instant)
disturbances = st.sets(st.sampled_from(DISTURBANCES)).map(
    lambda found: tuple(each for each in DISTURBANCES if each in found)
)
series_keys = st.builds(
    SeriesKey, texts, texts, _up_to(INTEGER), texts, st.integers(min_value=1, max_value=INTEGER)
)
_facts = st.dictionaries(texts, texts, max_size=3)
environments = st.builds(Environment, texts, _facts, _facts, _facts, texts)


def sample_rows(number: int) -> st.SearchStrategy[SampleRow]:
    """Rows of round ``number``, values as wide as their columns."""
    return st.builds(
        SampleRow,
        round=st.just(number),
        other_sessions=_maybe(SMALLINT),
        disturbed=_up_to(63),
        insert_ns=_up_to(BIGINT),
        commit_ns=_up_to(BIGINT),
        client_ns=_up_to(BIGINT),
        server_ns=_maybe(BIGINT),
        wal_bytes=_maybe(BIGINT),
        blocks_hit=_maybe(INTEGER),
        offset_us=st.integers(min_value=-INTEGER, max_value=INTEGER),
        round_trip_ns=_up_to(INTEGER),
        calls=_maybe(INTEGER),
        counted_rows=_maybe(INTEGER),
        wal_records=_maybe(INTEGER),
        wal_fpi=_maybe(INTEGER),
        blocks_read=_maybe(INTEGER),
        blocks_dirtied=_maybe(INTEGER),
        late_batch_ppm=_maybe(INTEGER),
        steal_ppm=_maybe(INTEGER),
        pressure_ppm=_maybe(INTEGER),
    )


_rounds = st.integers(min_value=1, max_value=3).flatmap(
    lambda count: st.tuples(*(sample_rows(number) for number in range(1, count + 1)))
)
failure_rows = st.builds(
    FailureRow,
    at=moments,
    reason=st.sampled_from(get_args(FailureReason)),
    message=texts,
    series=st.none() | series_keys,
    round=_maybe(SMALLINT),
    of_run=st.booleans(),
)
_figures = st.floats(allow_nan=False, allow_infinity=False)
_case_keys = st.builds(CaseKey, texts, texts, _up_to(INTEGER), texts)
_differences = st.builds(
    Difference, st.sampled_from(["server", "tables"]), texts, st.none() | texts, st.none() | texts
)
_hexes = st.uuids().map(lambda each: each.hex[:12])
_verdicts = st.builds(
    Verdict,
    place=st.just(Place(None, "")),
    state=st.sampled_from(STATES),
    effect_ratio=st.none() | _figures,
    baseline=st.none() | _figures,
    detectable_ratio=st.none() | _figures,
    statistic=_figures,
    since=st.none() | moments,
)
_of_signals = st.dictionaries(st.sampled_from(SIGNALS), _verdicts, min_size=1, max_size=2)
changes = st.builds(
    Change,
    id=_hexes,
    group=_hexes,
    target=texts,
    kind=st.sampled_from(get_args(ChangeKind)),
    place=st.builds(Place, st.none() | _case_keys, st.sampled_from(SIGNALS)),
    counter=st.none() | texts,
    since=moments,
    since_low=moments,
    since_high=moments,
    told_at=moments,
    effect_ratio=_figures,
    rows_per_second_ratio=st.none() | _figures,
    statistic=_figures,
    fast=st.booleans(),
    where=st.sampled_from(get_args(Where)),
    component=st.sampled_from(get_args(Component)),
    strategies=_up_to(SMALLINT),
    of=_up_to(SMALLINT),
    cause=texts,
    differences=st.lists(_differences, max_size=2).map(tuple),
)


@st.composite
def judgements(draw: st.DrawFn) -> Judgement:
    """Verdicts case by case, those of the target first, as they are kept."""
    of_cases = draw(st.dictionaries(_case_keys, _of_signals, max_size=2))
    verdicts = [
        replace(verdict, place=Place(case, signal))
        for case, signals in {None: draw(_of_signals), **of_cases}.items()
        for signal, verdict in signals.items()
    ]
    parameters = draw(st.dictionaries(texts, _figures | st.booleans(), max_size=2))
    closings = st.builds(Closing, _hexes, st.sampled_from(get_args(Ending)), moments)
    return Judgement(
        number=draw(_up_to(INTEGER)),
        detector=Detector(draw(_up_to(9)), parameters),
        verdicts=in_order(verdicts),
        cases={case: draw(st.sampled_from(STATES)) for case in of_cases},
        changes=tuple(draw(st.lists(changes, max_size=2))),
        closings=tuple(draw(st.lists(closings, max_size=2))),
        contended=draw(st.booleans()),
    )


run_records = st.builds(
    RunRecord,
    id=st.uuids().map(lambda each: each.hex),
    target=texts,
    trigger=st.sampled_from(get_args(Trigger)),
    started_at=moments,
    finished_at=moments,
    outcome=st.sampled_from(get_args(RunOutcome)),
    rounds=_up_to(SMALLINT),
    wal_bytes=_maybe(BIGINT),
    environment=st.none() | environments,
    probes=st.dictionaries(
        texts,
        st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3).map(tuple),
        max_size=2,
    ),
    notices=st.lists(st.builds(Notice, texts, texts, texts), max_size=2).map(tuple),
    failures=st.lists(failure_rows, max_size=3).map(tuple),
    samples=st.dictionaries(series_keys, _rounds, max_size=2),
    judgement=st.none() | judgements(),
    state=st.none() | st.binary(max_size=50),
)


@st.composite
def samples(draw: st.DrawFn, number: int, rows: int) -> Sample:
    """What the runner can make of a round: whole nanoseconds, known and unknown parts, statistics
    that lost calls to an eviction."""
    insert, commit, client = (draw(_up_to(_MAX_NS)) / 1e9 for _ in range(3))
    server_ns = draw(_maybe(_MAX_NS))
    server = None if server_ns is None else server_ns / 1e9
    calls = draw(st.none() | st.integers(min_value=1, max_value=INTEGER))
    counted = draw(st.just(rows) | _up_to(INTEGER))
    late, steal, pressure = (draw(_maybe(INTEGER)) for _ in range(3))
    return Sample(
        round=number,
        started_at=builders.AT + timedelta(microseconds=draw(_up_to(INTEGER))),
        rows=rows,
        insert_seconds=insert,
        commit_seconds=commit,
        client_seconds=client,
        server_seconds=server,
        rest_seconds=None if server is None else rest_of(insert, commit, client, server),
        calls=calls,
        rows_per_call=None if calls is None else counted / calls,
        wal_bytes=draw(_maybe(BIGINT)),
        wal_records=draw(_maybe(INTEGER)),
        wal_fpi=draw(_maybe(INTEGER)),
        blocks_hit=draw(_maybe(INTEGER)),
        blocks_read=draw(_maybe(INTEGER)),
        blocks_dirtied=draw(_maybe(INTEGER)),
        round_trip_seconds=draw(_up_to(INTEGER)) / 1e9,
        late_batch_ratio=None if late is None else late / 1e6,
        other_sessions=draw(_maybe(SMALLINT)),
        steal_ratio=None if steal is None else steal / 1e6,
        pressure_ratio=None if pressure is None else pressure / 1e6,
        disturbed=draw(disturbances),
    )


# --- many different ones, fast -------------------------------------------------------------------


@functools.cache
def case(strategy: str) -> Case:
    """The same case every time: making one resolves a whole plan."""
    return builders.case(strategy)


def run(
    number: int,
    rng: random.Random | None = None,
    *,
    target: str = "main",
    rounds: int = 2,
    strategies: Iterable[str] = STRATEGIES,
    failures: int = 0,
    **changes: Any,
) -> Run:
    """The run with this number: its id and its moment tell it, figures are of ``rng``."""
    rng = rng or random.Random(number)
    started_at = changes.get("started_at", builders.AT + timedelta(minutes=number))
    results = []
    for strategy in strategies:
        own = case(strategy)
        found = [
            builders.sample(
                round_number,
                started_at=started_at + timedelta(seconds=round_number),
                insert_seconds=rng.randrange(10**7, 10**9) / 1e9,
                wal_bytes=rng.randrange(10**7),
            )
            for round_number in range(1, rounds + 1)
        ]
        failed = tuple(
            Failure(started_at, "timeout", f"no end {n}", own.key, rounds + 1 + n)
            for n in range(failures)
        )
        results.append(builders.result(own, *found, failures=failed))
    plain = builders.run(
        *results,
        id=f"{number:032x}",
        target=target,
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=30),
        rounds=rounds,
    )
    return replace(plain, **changes)


def record(number: int, rng: random.Random | None = None, **options: Any) -> RunRecord:
    """The run with this number as the store keeps it."""
    return record_of(run(number, rng, **options))
