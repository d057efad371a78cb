"""Runs of a quiet canary, made up, and ways to make single clocks, probes or counters dearer."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from math import exp

from monitor.environment import Environment
from monitor.model import Case, Run, Sample, rest_of
from tests.builders import AT, INDEX, case, environment, result, run, sample

#: Seconds of wall, client and server of a round of 20,000 rows.
SECONDS = {
    "orm_add_all": (0.46, 0.35, 0.07),
    "core_executemany": (0.12, 0.06, 0.05),
    "asyncpg_unnest": (0.066, 0.01, 0.05),
    "asyncpg_copy": (0.045, 0.012, 0.03),
}
CASES = tuple(case(name) for name in SECONDS)
PROBES = {"client_cpu": 0.02, "round_trip": 0.0001, "server_insert": 0.02, "commit": 0.0008}


def made(number: int, *, only: str | None = None, env: Environment | None = None, host: float = 1.0,
         trigger: str = "scheduled", rounds: int = 5, **factors: float) -> Run:  # fmt: skip
    """Run ``number`` of a quiet canary; ``factors`` multiply server, client, commit, rest, work,
    probe or calls, for the strategy ``only`` or for all."""
    choice = random.Random(number)
    results = []
    for each in CASES:
        mine = factors if only in (None, each.strategy.name) else {}
        rows = [_sample(each, n, choice, mine, host) for n in range(1, rounds + 1)]
        results.append(result(each, *rows))
    probes = {}
    for name, seconds in PROBES.items():
        factor = host * factors.get(name, 1.0)
        probes[name] = [seconds * factor * exp(choice.gauss(0, 0.01)) for _ in range(10)]
    at = AT + timedelta(minutes=10 * number)
    return run(*results, id=f"{number:032x}", started_at=at,
               finished_at=at + timedelta(seconds=8), probes=probes,
               environment=env or environment(), rounds=5, trigger=trigger)  # fmt: skip


def _sample(
    of: Case, number: int, choice: random.Random, factors: dict[str, float], host: float
) -> Sample:
    wall, client, server = SECONDS[of.strategy.name]

    def noisy(seconds: float, name: str) -> float:
        # Whole nanoseconds, as the runner makes them.
        noise = exp(abs(choice.gauss(0, 0.012)))
        return round(seconds * factors.get(name, 1.0) * host * noise, 9)

    spent = {
        "client_seconds": noisy(client, "client"),
        "server_seconds": noisy(server, "server"),
        "commit_seconds": noisy(0.002, "commit"),
    }
    rest = noisy(wall - client - server - 0.002, "rest")
    stalled = factors.get("stall", 1.0) if number > 2 else 1.0
    whole = round((sum(spent.values()) + rest) * stalled, 9)
    work = factors.get("work", 1.0)
    calls = round(20 * factors.get("calls", 1.0))
    return sample(
        number,
        insert_seconds=whole,
        rest_seconds=rest_of(insert_seconds=whole, **spent),
        **spent,
        wal_bytes=round(2_960_000 * work),
        wal_records=round(40_000 * work),
        calls=calls,
        rows_per_call=20_000 / calls,
    )


def with_index() -> Environment:
    return replace(environment("abcdef012345"), tables={"orders": f"id integer\n{INDEX}"})
