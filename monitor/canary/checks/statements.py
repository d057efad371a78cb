"""pg_stat_statements: without it the server's clock is dark."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, error, ok, warning
from monitor.canary.checks.platform import to_create_extension, to_preload, to_set

_DARK = "server time, calls, WAL and buffers of the inserts are unknown"
#: Evictions an hour from which a round's entry is likely to go before the round ends.
_EVICTIONS_PER_HOUR = 1.0
#: The first version that tells top-level statements from nested ones; PostgreSQL 14 brings it.
_OLDEST = (1, 9)


def statements(facts: Facts) -> Iterator[Finding]:
    """Is it there, does it count COPY, and do our entries stay."""
    yield _there(facts)
    if facts.statements.schema is None or not facts.statements.loaded:
        return
    yield _utility(facts)
    yield _planning(facts)
    yield _room(facts)


def _there(facts: Facts) -> Finding:
    known, settings = facts.statements, facts.settings
    name = "pg_stat_statements"
    if known.schema is None:
        loaded = "" if known.loaded else f"; then {to_preload(facts.platform)}"
        return error(
            name,
            f"not created in database {facts.identity.database}: {_DARK}",
            to_create_extension(facts.platform, name) + loaded,
        )
    version = facts.extensions.get(name, "")
    if version and _older(version, _OLDEST):
        return error(
            name,
            f"version {version} lacks counters that a run needs (an upgraded server"
            " keeps the old one)",
            f"ALTER EXTENSION {name} UPDATE",
        )
    if not known.loaded:
        return error(name, f"not preloaded: {_DARK}", to_preload(facts.platform))
    if settings.text(f"{name}.track") == "none":
        return error(
            name,
            f"{name}.track is none: {_DARK}",
            to_set(facts.platform, settings, f"{name}.track", "top"),
        )
    if settings.text("compute_query_id") == "off":
        return error(
            name,
            f"compute_query_id is off: {_DARK}",
            to_set(facts.platform, settings, "compute_query_id", "auto"),
        )
    return ok(name, f"counts {settings.text(f'{name}.track') or 'top'} statements")


def _older(version: str, than: tuple[int, ...]) -> bool:
    numbers = tuple(int(part) for part in version.split(".") if part.isdigit())
    return bool(numbers) and numbers < than


def _utility(facts: Facts) -> Finding:
    name = "pg_stat_statements.track_utility"
    if facts.settings.on(name) is False:
        return warning(
            "track_utility",
            f"{name} is off: the server clock of COPY is unknown",
            to_set(facts.platform, facts.settings, name, "on"),
        )
    return ok("track_utility", "COPY is counted")


def _planning(facts: Facts) -> Finding:
    name = "pg_stat_statements.track_planning"
    if facts.settings.on(name):
        return warning(
            "track_planning",
            f"{name} is on: every one of executemany's executions updates one more counter under a"
            " lock",
            to_set(facts.platform, facts.settings, name, "off"),
        )
    return ok("track_planning", "off")


def _room(facts: Facts) -> Finding:
    known, limit = facts.statements, facts.settings.number("pg_stat_statements.max")
    if known.entries is None or not limit:
        return ok("statement_entries", "how full it is is unknown")
    hours = (known.seconds or 0) / 3600
    rate = (known.evictions or 0) / hours if hours else 0.0
    text = f"{known.entries:,} of {limit:,.0f} entries, {known.evictions or 0:,} times made room"
    figures = {"entries": known.entries, "max_entries": int(limit), "evictions_per_hour": rate}
    if rate >= _EVICTIONS_PER_HOUR:
        more = int(limit) * 2
        return warning(
            "statement_entries",
            f"{text}, {rate:.1f} an hour: a round whose entry goes is not judged",
            to_set(facts.platform, facts.settings, "pg_stat_statements.max", f"{more}", more),
            **figures,
        )
    return ok("statement_entries", text, **figures)
