"""Looks at a target and turns what it sees into facts: reads only, a question at a time.

Everything is asked on one session, in READ ONLY transactions under a statement timeout. The
pooler's mode takes a second session, as in the guard.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from statistics import median
from time import perf_counter, thread_time

import asyncpg

from monitor.canary import sql
from monitor.canary.checks.facts import Facts, Host, Path, PoolerMode, Sessions, Workload
from monitor.canary.checks.looks import Looks, connected, read_only
from monitor.canary.checks.platform import platform_of
from monitor.canary.connection import Driver, translated
from monitor.canary.pooler import refuse_transaction_pooler
from monitor.errors import TargetRefused
from monitor.model import Target

_ROUND_TRIPS = 20
_LOOKS_AT_SESSIONS = 5
#: What is sent to see what the way costs: small enough for any log of slow statements.
_SENDINGS, _SENT_BYTES = 4, 256 << 10
_CLOCK_READINGS = 20_000


async def gather(target: Target, workload: Workload, host: Host, window: float = 1.0) -> Facts:
    """Look at the target for some ``window`` seconds. Raises TargetError if it cannot be reached.

    ``host`` is what is known of the machine that we run on.
    """
    with translated(target):
        async with connected(target) as (driver, connect_seconds):
            mode = await pooler_mode(driver, target)
            async with read_only(driver):
                look = await Looks(driver, target).server()
            path = await path_of(driver, mode, connect_seconds, send=look.logging is None)
            sessions = await _sessions(driver, window, look.role.reads_all_stats)
            clock = await _clock(driver)
    return Facts(
        target=target,
        workload=workload,
        version=driver.get_server_version().major,
        identity=look.identity,
        role=look.role,
        settings=look.settings,
        platform=platform_of(look.roles, look.settings, look.aurora),
        path=path,
        host=host,
        statements=look.statements,
        refused_schema=look.refused_schema,
        read_only=look.read_only,
        publications=look.publications,
        logging=look.logging,
        extensions=look.extensions,
        tables=look.tables,
        event_triggers=look.event_triggers,
        checkpoints=look.checkpoints,
        wal=look.wal,
        vacuums=look.vacuums,
        sessions=sessions,
        replication=look.replication,
        server_clock_read_seconds=clock,
    )


async def pooler_mode(driver: Driver, target: Target) -> PoolerMode:
    """Whether a pooler stands in between, and in which mode."""
    async with driver.transaction(readonly=True):
        pid = await driver.fetchval("SELECT pg_catalog.pg_backend_pid()")
    if pid == driver.get_server_pid():
        return "none"
    try:
        await refuse_transaction_pooler(driver, target)
    except TargetRefused:
        return "transaction"
    return "session"


# --- what takes time -----------------------------------------------------------------------------


async def path_of(driver: Driver, mode: PoolerMode, connect_seconds: float, *, send: bool) -> Path:
    """The way of a session; with ``send``, also what an encrypted one costs."""
    transport = driver._transport  # type: ignore[attr-defined]  # asyncpg offers no public way
    peer = transport.get_extra_info("socket")
    encrypted = transport.get_extra_info("ssl_object")
    local = peer.family == socket.AF_UNIX
    trips = await _round_trips(driver)
    sent = await _send(driver) if send and encrypted else None
    return Path(
        transport="socket" if local else "tcp",
        peer=_peer_name(transport.get_extra_info("peername")),
        tls=encrypted.version() if encrypted else None,
        cipher=encrypted.cipher()[0] if encrypted else None,
        same_host=local or peer.getsockname()[0] == peer.getpeername()[0],
        loopback=not local and ip_address(peer.getpeername()[0]).is_loopback,
        pooler=mode,
        connect_seconds=connect_seconds,
        round_trip_seconds=min(trips),
        round_trip_median_seconds=median(trips),
        sent_bytes=_SENDINGS * _SENT_BYTES if sent else None,
        send_seconds=sent[0] if sent else None,
        send_cpu_seconds=sent[1] if sent else None,
    )


def _peer_name(name: str | Sequence[object]) -> str:
    if isinstance(name, str):
        return name
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"


async def _round_trips(driver: Driver) -> list[float]:
    seconds = []
    for _ in range(_ROUND_TRIPS):
        started = perf_counter()
        await driver.execute("SELECT 1")
        seconds.append(perf_counter() - started)
    return seconds


async def _send(driver: Driver) -> tuple[float, float] | None:
    """Wall and CPU seconds for sending some bytes to a server that only counts them."""
    content = bytes(_SENT_BYTES)
    with suppress(asyncpg.PostgresError):
        async with read_only(driver):
            started, cpu = perf_counter(), thread_time()
            for _ in range(_SENDINGS):
                await driver.fetchval("SELECT pg_catalog.octet_length($1::bytea)", content)
            return perf_counter() - started, thread_time() - cpu
    return None


async def _sessions(driver: Driver, window: float, states_seen: bool) -> Sessions | None:
    """What others do, looked at several times; each statement sees it anew."""
    found = []
    for _ in range(_LOOKS_AT_SESSIONS):
        with suppress(asyncpg.PostgresError):
            found.append(await driver.fetchrow(sql.load("sessions")))
        await asyncio.sleep(window / _LOOKS_AT_SESSIONS)
    known = [row for row in found if row is not None]
    if not known:
        return None
    return Sessions(
        active=max(row["active"] for row in known) if states_seen else None,
        connections=max(row["connections"] for row in known),
        oldest_idle_seconds=known[-1]["oldest_idle_seconds"],
    )


async def _clock(driver: Driver) -> float | None:
    """Seconds that one reading of the server's clock takes, by the server's own timing."""
    with_clock = await _execution_seconds(driver, "pg_catalog.clock_timestamp()")
    without = await _execution_seconds(driver, "n")
    if with_clock is None or without is None:
        return None
    return max(0.0, with_clock - without) / _CLOCK_READINGS


async def _execution_seconds(driver: Driver, counted: str) -> float | None:
    series = f"pg_catalog.generate_series(1, {_CLOCK_READINGS}) AS s (n)"
    explain = "EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, FORMAT JSON)"
    text = f"{explain} SELECT count({counted}) FROM {series}"  # noqa: S608 - both are ours
    best = None
    with suppress(asyncpg.PostgresError):
        async with read_only(driver):
            for _ in range(3):
                plan = json.loads(await driver.fetchval(text))
                seconds = plan[0]["Execution Time"] / 1000
                best = seconds if best is None else min(best, seconds)
    return best
