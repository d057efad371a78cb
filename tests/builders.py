"""Made-up runs, samples and cases for tests that need no database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.environment import Difference, Environment
from monitor.judgement import Change, Detector, Judgement, Place, Verdict, in_order
from monitor.measure.summary import summarise
from monitor.model import Case, CaseKey, CaseResult, Failure, Notice, Run, Sample
from monitor.suite import catalog, plan

AT = datetime(2026, 11, 22, 14, 10, tzinfo=UTC)


def case(strategy: str = "asyncpg_copy", **settings: Any) -> Case:
    """A case of 20,000 rows."""
    suite = SuiteSettings(cases=(CaseSettings(strategy=strategy, **settings),))
    return plan.resolve(suite, catalog.load()).cases[0]


def sample(number: int = 1, **changes: Any) -> Sample:
    """A round of 20,000 rows in 100 ms, slower by 1 ms a round."""
    plain = Sample(
        round=number,
        started_at=AT + timedelta(seconds=number),
        rows=20_000,
        insert_seconds=0.1 + 0.001 * number,
        commit_seconds=0.004,
        client_seconds=0.05,
        server_seconds=0.03,
        rest_seconds=0.016 + 0.001 * number,
        calls=20,
        rows_per_call=1000.0,
        wal_bytes=2_960_000,
        wal_records=40_000,
        wal_fpi=1,
        blocks_hit=80_000,
        blocks_read=1,
        blocks_dirtied=193,
        round_trip_seconds=0.00005,
        late_batch_ratio=None,
        other_sessions=0,
        steal_ratio=0.0,
        pressure_ratio=0.05,
    )
    return replace(plain, **changes)


def result(of: Case, *samples: Sample, failures: tuple[Failure, ...] = ()) -> CaseResult:
    """A case's rounds with their summary, as the runner makes it of five planned rounds."""
    bare = CaseResult(of, samples, failures)
    return replace(bare, summary=summarise(bare.counted, 5))


def environment(fingerprint: str = "0123456789ab") -> Environment:
    client = {"sqlalchemy": "2.1.9", "asyncpg": "0.32.0", "python": "3.11.7"}
    return Environment("18.6", {"fsync": "on"}, client, {"orders": "id integer"}, fingerprint)


def run(*results: CaseResult, **changes: Any) -> Run:
    """A run of eight seconds on the target ``main``."""
    plain = Run(
        id="00000000000000000000000000000001",
        target="main",
        trigger="scheduled",
        started_at=AT,
        finished_at=AT + timedelta(seconds=8),
        outcome="ok",
        environment=environment(),
        cases=results,
        probes={"client_cpu": (0.02, 0.03), "round_trip": (0.0001, 0.0001)},
        wal_bytes=140_000_000,
    )
    return replace(plain, **changes)


INDEX = "CREATE INDEX orders_i ON ingest_canary.orders USING btree (customer_id)"


def change(of: CaseKey | None = None, **changes: Any) -> Change:
    """An index made inserts dearer on the server: of a case, by default COPY's."""
    plain = Change(
        id="c0ffee000001",
        group="c0ffee000001",
        target="main",
        kind="regression",
        place=Place(of or case().key, "server"),
        counter=None,
        since=AT,
        since_low=AT - timedelta(minutes=10),
        since_high=AT,
        told_at=AT + timedelta(minutes=10),
        effect_ratio=0.31,
        rows_per_second_ratio=-0.14,
        statistic=9.5,
        fast=True,
        where="server",
        component="server",
        strategies=5,
        of=6,
        cause="index",
        differences=(Difference("tables", "orders", None, INDEX),),
    )
    return replace(plain, **changes)


def judgement(*changes: Change, **parts: Any) -> Judgement:
    """What was said of ``usual_run``: COPY's server clock stands in a regression."""
    copy, executemany = (each.case.key for each in usual_run().cases)
    verdicts = (
        Verdict(Place(None, "client_cpu"), "ok", 0.001, 0.02, 0.1, 0.4),
        Verdict(Place(copy, "server"), "regressed", 0.31, 1.5e-6, 0.052, 9.5, AT),
        Verdict(Place(copy, "throughput"), "ok", 0.02, 5e-6, 0.07, 1.0),
        Verdict(Place(executemany, "server"), "learning"),
    )
    plain = Judgement(
        number=60,
        detector=Detector(1, {"floor": 0.05}),
        verdicts=in_order(verdicts),
        cases={copy: "regressed", executemany: "learning"},
        changes=changes,
    )
    return replace(plain, **parts)


def usual_run() -> Run:
    """Two strategies, one of them with a failed and a disturbed round, and a notice."""
    copy, executemany = case(), case("core_executemany", batch_size=1000, transaction="batch")
    failure = Failure(AT, "server_error", "no space (SQLSTATE 53100)", executemany.key, 3)
    slow = [sample(n, calls=20_000, rows_per_call=1.0, insert_seconds=0.3) for n in (1, 2, 4)]
    disturbed = sample(5, insert_seconds=0.5, disturbed=("checkpoint", "pressure"))
    return run(
        result(copy, *(sample(n, rest_seconds=-0.01) for n in range(1, 6))),
        result(executemany, *slow, disturbed, failures=(failure,)),
        outcome="partial",
        notices=(Notice("track_utility", "COPY is not counted.", "Remedy: turn it on."),),
    )
