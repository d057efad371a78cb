"""The way to the server: socket or network, TLS, a pooler in between, and our own end of it."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, duration, error, info, listed, ok, size, warning

#: Round trips from which the network is worth a remark, and from which it rules the figures.
_NOTABLE = 0.001
_RULING = 0.02


def way(facts: Facts) -> Iterator[Finding]:
    """From the target's settings to the server's socket."""
    yield _transport(facts)
    yield _round_trip(facts)
    yield _tls(facts)
    yield _pooler(facts)
    yield _one_host(facts)
    yield _command_timeout(facts)
    yield _session(facts)


def _transport(facts: Facts) -> Finding:
    path = facts.path
    if path.transport == "socket":
        return ok("transport", f"Unix socket {path.peer}: no network in the figures")
    where = "the loopback of this host" if path.loopback else "the network"
    return ok("transport", f"TCP to {path.peer}, {where}")


def _round_trip(facts: Facts) -> Finding:
    path = facts.path
    fastest = path.round_trip_seconds
    text = (
        f"{duration(fastest)} fastest, {duration(path.round_trip_median_seconds)} median of"
        f" SELECT 1; connecting took {duration(path.connect_seconds)}"
    )
    figures = {
        "round_trip_seconds": fastest,
        "round_trip_median_seconds": path.round_trip_median_seconds,
        "connect_seconds": path.connect_seconds,
    }
    remedy = "put the canary where the application is; `measure --also` shows what the way costs"
    if fastest >= _RULING:
        return warning(
            "round_trip",
            f"{text}: the network rules every strategy that waits for answers",
            remedy,
            **figures,
        )
    if fastest >= _NOTABLE:
        return info("round_trip", text, remedy, **figures)
    return ok("round_trip", text, **figures)


def _tls(facts: Facts) -> Finding:
    path = facts.path
    if path.tls is None:
        if path.transport == "socket" or path.loopback:
            return ok("tls", "none; none is needed on one host")
        return warning(
            "tls",
            f"none: password and rows cross the network to {path.peer} in clear",
            "sslmode=require, or better verify-full, in the DSN",
        )
    text = f"{path.tls}, {path.cipher}"
    if path.sent_bytes and path.send_seconds and path.send_cpu_seconds is not None:
        megabytes = path.sent_bytes / 2**20
        each = path.send_cpu_seconds / megabytes
        return info(
            "tls",
            f"{text}: sending {size(path.sent_bytes)} took {duration(path.send_seconds)},"
            f" {duration(each)} of our CPU per MB",
            "`measure --also` with a DSN without TLS shows what it costs each strategy",
            send_bytes=path.sent_bytes,
            send_seconds=path.send_seconds,
            send_cpu_seconds=path.send_cpu_seconds,
        )
    return info("tls", text)


def _pooler(facts: Facts) -> Finding:
    mode = facts.path.pooler
    if mode == "transaction":
        return error(
            "pooler",
            "a connection pooler in transaction mode stands in between: the run's lock and settings"
            " belong to nobody there",
            "connect to PostgreSQL directly, or to a pool in session mode",
        )
    if mode == "session":
        return info(
            "pooler",
            "a connection pooler in session mode: one more hop in every figure",
            "`measure --also` with the server's own address shows what it costs",
        )
    return ok("pooler", "none in between")


def _one_host(facts: Facts) -> Finding:
    if not facts.path.same_host:
        return ok("one_host", "client and server have hosts of their own")
    cpus = facts.host.cpus
    text = f"client and server share this host's {cpus} CPU{'s'[: cpus != 1]}"
    if cpus == 1:
        return warning(
            "one_host",
            f"{text}: neither runs while the other does, so pipelined"
            " strategies look like the others",
            "give the canary two CPUs or a host of its own",
            cpus=cpus,
        )
    return info("one_host", f"{text}: load on either slows both", cpus=cpus)


def _command_timeout(facts: Facts) -> Finding:
    seconds, deadline = facts.target.connect.command_seconds, facts.workload.round_seconds
    if seconds is None:
        return ok("command_timeout", f"none; a round's own deadline is {deadline:g} s")
    if seconds <= deadline:  # the configuration refuses it; a target made by code may have it
        return error(
            "command_timeout",
            f"{seconds:g} s is not longer than a round may take ({deadline:g} s): asyncpg ends a"
            " long insert by TimeoutError",
            "raise connect.command_timeout or leave it out",
        )
    return ok("command_timeout", f"{seconds:g} s, longer than a round's deadline of {deadline:g} s")


def _session(facts: Facts) -> Finding:
    connect = facts.target.connect
    own = []
    if connect.statement_cache_size != 100:
        own.append(f"statement_cache_size {connect.statement_cache_size}")
    if connect.prepared_statement_cache_size != 100:
        own.append(f"prepared_statement_cache_size {connect.prepared_statement_cache_size}")
    if connect.keep:
        own.append("one session for all runs")
    if connect.server_settings:
        own.append("sets " + listed(name for name, _ in connect.server_settings))
    if not own:
        return ok("connect", "asyncpg's and SQLAlchemy's defaults, a new session for every run")
    uncached = 0 in (connect.statement_cache_size, connect.prepared_statement_cache_size)
    if uncached and facts.path.pooler == "none":
        return info(
            "connect",
            f"{listed(own)}: statements are prepared anew although no pooler asks for it",
            "leave the cache sizes out unless production has them so",
        )
    return ok("connect", listed(own))
