"""Probes: small frozen workloads that measure host, network and server rather than a strategy.

Their sizes are part of every series they belong to: change one and its history breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from statistics import median
from time import perf_counter

from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.sql import quoted_name

from monitor.canary import tables
from monitor.canary.connection import Session, translated
from monitor.canary.identifiers import qualified

INSERT_TABLE = "probe_insert"
COMMIT_TABLE = "probe_commit"

_HASH_ROUNDS = 100_000
_ROUND_TRIPS = 20
_INSERT_ROWS = 10_000
_COMMITS = 5


def probe_tables(metadata: MetaData) -> tuple[Table, ...]:
    """Tables of the probes' own, so that no change to a shape's table moves a probe."""
    return tuple(
        Table(
            quoted_name(name, quote=True),
            metadata,
            Column("n", Integer, primary_key=True, autoincrement=False),
            Column("payload", Text, nullable=False),
        )
        for name in (INSERT_TABLE, COMMIT_TABLE)
    )


async def measure_probes(session: Session) -> Mapping[str, float]:
    """Seconds of each probe, by its name in metrics."""
    with translated(session.target):
        return {
            "client_cpu": _client_cpu(),
            "round_trip": await _round_trip(session),
            "server_insert": await _server_insert(session),
            "commit": await _commit(session),
        }


def _client_cpu() -> float:
    """A chain of hashes: fixed work for the interpreter and one core."""
    digest = b"ingest-canary"
    started = perf_counter()
    for _ in range(_HASH_ROUNDS):
        digest = sha256(digest).digest()
    return perf_counter() - started


async def _round_trip(session: Session) -> float:
    seconds = []
    for _ in range(_ROUND_TRIPS):
        started = perf_counter()
        await session.driver.execute("SELECT 1")
        seconds.append(perf_counter() - started)
    return median(seconds)


async def _server_insert(session: Session) -> float:
    """Rows made and inserted by the server itself; the commit is not counted."""
    await tables.empty(session, INSERT_TABLE)
    table = qualified(session.target.schema, INSERT_TABLE)
    statement = (
        f"INSERT INTO {table} (n, payload)"  # noqa: S608
        f" SELECT n, 'probe ' || n::text FROM generate_series(1, {_INSERT_ROWS}) AS n"
    )
    async with session.driver.transaction():
        started = perf_counter()
        await session.driver.execute(statement)
        seconds = perf_counter() - started
    return seconds


async def _commit(session: Session) -> float:
    """Median commit of a transaction with one small row."""
    await tables.empty(session, COMMIT_TABLE)
    table = qualified(session.target.schema, COMMIT_TABLE)
    seconds = []
    for n in range(_COMMITS):
        transaction = session.driver.transaction()
        await transaction.start()
        await session.driver.execute(f"INSERT INTO {table} (n, payload) VALUES ($1, 'probe')", n)  # noqa: S608
        started = perf_counter()
        await transaction.commit()
        seconds.append(perf_counter() - started)
    return median(seconds)
