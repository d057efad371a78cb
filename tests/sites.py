"""Sites to look at: targets with a made-up past, served by the real web server."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from monitor.environment import Difference, Environment
from monitor.export.exposition import Exposition, MetricsText, piece
from monitor.export.site import Site
from monitor.export.snapshot import Snapshot, TargetTally
from monitor.export.web import Published, WebServer
from monitor.judgement import Change, Closing, Detector, Judgement, Place, Verdict, in_order
from monitor.model import Case, CaseResult, Failure, Run, Sample
from tests import builders
from tests.builders import AT

INTERVAL = timedelta(minutes=10)
#: Seconds per row of the wall time, client, server and commit.
COSTS: Mapping[str, tuple[float, float, float, float]] = {
    "orm_add_all": (23e-6, 15e-6, 5e-6, 2e-7),
    "orm_bulk": (7.4e-6, 4.0e-6, 3.0e-6, 2e-7),
    "core_executemany": (6.0e-6, 2.5e-6, 3.0e-6, 2e-7),
    "core_insertmanyvalues": (5.6e-6, 2.8e-6, 2.4e-6, 2e-7),
    "asyncpg_unnest": (3.3e-6, 0.9e-6, 2.2e-6, 2e-7),
    "asyncpg_copy": (1.8e-6, 0.6e-6, 1.3e-6, 2e-7),
}
#: What an index adds to a row on the server, in seconds.
INDEX_SECONDS = 0.4e-6
#: And what that makes of COPY's wall time.
WALL_EFFECT = 0.22


def cases() -> list[Case]:
    """COPY with a commit per batch, and one case per strategy."""
    own = [builders.case(name) for name in COSTS]
    return [builders.case("asyncpg_copy", batch_size=1000, transaction="batch"), *own]


def tally(
    name: str = "main",
    runs: int = 160,
    index_at: int | None = 120,
    seed: int = 1,
    suite: Sequence[Case] = (),
) -> TargetTally:
    """A target whose table was given an index in a run, which was told six runs later; None:
    never. An earlier change has recovered."""
    rng, suite = random.Random(seed), suite or cases()
    found = TargetTally(name, INTERVAL.total_seconds(), frozenset(case.key for case in suite))
    found.up, found.round_trip_seconds = True, 0.00012
    for number in range(runs):
        indexed = index_at is not None and number >= index_at
        run = _run(name, number - runs, suite, rng, indexed=indexed)
        told, ended = _changes(run, suite[-1], number, index_at)
        judgement = _judgement(suite, number, told, ended, alarm=bool(found.changes or told))
        found.changes = tuple(c for c in (*found.changes, *told) if c.id != "0ldc0ffee001")
        found.add_run(run, judgement)
    found.next_run_at = found.last_run.started_at + INTERVAL if found.last_run else AT
    return found


def _run(
    name: str, number: int, suite: Sequence[Case], rng: random.Random, *, indexed: bool
) -> Run:
    at = AT + number * INTERVAL
    results = [_result(case, rng, indexed=indexed) for case in suite]
    failure = Failure(at, "timeout", "no end within 30 s <of the round>", suite[0].key, 2)
    if number % 40 == 33:
        results[0] = replace(results[0], failures=(failure,))
    return builders.run(
        *results,
        id=f"{number % 2**32:032x}",
        target=name,
        started_at=at,
        finished_at=at + timedelta(seconds=9),
        outcome="partial" if number % 40 == 33 else "ok",
        trigger="confirmation" if number % 50 == 41 else "scheduled",
        environment=_environment(indexed=indexed),
        rounds=5,
    )


def _environment(*, indexed: bool) -> Environment:
    table = "id bigint\ncustomer_id integer" + (f"\n{builders.INDEX}" if indexed else "")
    fingerprint = "bbbb00000000" if indexed else "aaaa00000000"
    return replace(
        builders.environment(fingerprint),
        server={"fsync": "on", "shared_buffers": "16384", "synchronous_commit": "on"},
        tables={"orders": table},
    )


def _result(case: Case, rng: random.Random, *, indexed: bool) -> CaseResult:
    samples = [_sample(case, number, rng, indexed=indexed) for number in range(1, 6)]
    return builders.result(case, *samples)


def _sample(case: Case, number: int, rng: random.Random, *, indexed: bool) -> Sample:
    wall, client, server, commit = COSTS[case.strategy.name]
    slow = 1 + abs(rng.gauss(0, 0.03))
    extra = INDEX_SECONDS if indexed else 0.0
    wall, client, server, commit = (
        each * slow * 20_000 for each in (wall + extra, client, server + extra, commit)
    )
    disturbed = rng.random()
    return builders.sample(
        number,
        insert_seconds=wall,
        client_seconds=client,
        server_seconds=server,
        commit_seconds=commit,
        rest_seconds=wall - client - server - commit,
        disturbed=("checkpoint",) if disturbed < 0.02 else ("steal",) if disturbed < 0.05 else (),
    )


def _changes(
    run: Run, case: Case, number: int, index_at: int | None
) -> tuple[tuple[Change, ...], tuple[Closing, ...]]:
    old = builders.change(
        case.key,
        id="0ldc0ffee001",
        group="0ldc0ffee001",
        target=run.target,
        place=Place(case.key, "commit"),
        component="commit",
        since=run.started_at - 2 * INTERVAL,
        since_low=run.started_at - 4 * INTERVAL,
        since_high=run.started_at - INTERVAL,
        told_at=run.finished_at,
        cause="setting:synchronous_commit",
        differences=(Difference("server", "synchronous_commit", "off", "on"),),
    )
    if number == 60:
        return (old,), ()
    if number == 90:
        return (), (Closing(old.id, "recovered", run.started_at),)
    if index_at is None or number != index_at + 6:
        return (), ()
    since = run.started_at - 6 * INTERVAL
    told = builders.change(
        case.key, target=run.target, since=since, since_low=since - INTERVAL, since_high=since,
        told_at=run.finished_at, effect_ratio=0.31, rows_per_second_ratio=-0.18,
    )  # fmt: skip
    wall = replace(
        told,
        id="c0ffee000002",
        place=Place(case.key, "throughput"),
        effect_ratio=WALL_EFFECT,
        statistic=7.1,
    )
    return (told, wall), ()


def _judgement(
    suite: Sequence[Case],
    number: int,
    told: tuple[Change, ...],
    ended: tuple[Closing, ...],
    *,
    alarm: bool,
) -> Judgement:
    verdicts, learned = [], number >= 12
    for case in suite:
        wall, client, server, commit = COSTS[case.strategy.name]
        for signal, cost in (
            ("throughput", wall), ("client", client), ("server", server), ("commit", commit),
        ):  # fmt: skip
            place = Place(case.key, signal)
            verdicts.append(
                Verdict(place, "ok", 0.01, cost, 0.06, 0.4)
                if learned
                else Verdict(place, "learning")
            )
    states = {case.key: "ok" if learned else "learning" for case in suite}
    if alarm:
        last = Place(suite[-1].key, "throughput")
        wall = Verdict(last, "regressed", WALL_EFFECT, COSTS["asyncpg_copy"][0], 0.06, 7.1)
        verdicts = [wall if verdict.place == last else verdict for verdict in verdicts]
        states[suite[-1].key] = "regressed"
    detector = Detector(1, {"floor": 0.05})
    return Judgement(number, detector, in_order(verdicts), states, told, ended)


def snapshot(*tallies: TargetTally) -> Snapshot:
    """What the daemon publishes a minute after the last run."""
    return Snapshot(
        at=AT,
        version="0.1.0",
        python="3.11.7",
        targets=tuple(each.snapshot() for each in tallies),
    )


def metrics_text(text: bytes) -> MetricsText:
    """What a server shows at /metrics."""
    return MetricsText.of([piece(text)])


@contextmanager
def served(of: Snapshot) -> Iterator[str]:
    """The address of a server that shows the snapshot."""
    published = Published(Exposition().render(of), Site().contents(of))
    server = WebServer(published, "127.0.0.1", 0)
    server.start()
    try:
        yield server.url
    finally:
        server.stop()
