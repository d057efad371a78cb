"""May we work there at all: version, standby, schema, privileges, room for our sessions."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, counted, error, info, ok, warning
from monitor.canary.checks.platform import LABELS
from monitor.canary.checks.remedies import for_our_sessions
from monitor.canary.guard import NEWEST_TESTED_VERSION, OLDEST_VERSION
from monitor.canary.identifiers import PRODUCT, quote

#: Sessions that we may hold at a time: the run's, the guard's, the look at whether it is up.
_OUR_SESSIONS = 3
#: Share of max_connections in use from which others may leave us none.
_CROWDED = 0.9


def access(facts: Facts) -> Iterator[Finding]:
    """Everything that would refuse a run or end it."""
    yield _version(facts)
    yield _primary(facts)
    yield _schema(facts)
    yield _superuser(facts)
    yield _statistics_of_others(facts)
    yield _settings_of_the_server(facts)
    yield _connections(facts)
    yield _transaction_timeout(facts)


def _version(facts: Facts) -> Finding:
    text = f"PostgreSQL {facts.identity.version}, {LABELS[facts.platform]}"
    if facts.version < OLDEST_VERSION:
        remedy = f"upgrade to {OLDEST_VERSION} or newer, or choose another canary"
        return error("version", f"{text}: older than {OLDEST_VERSION}", remedy)
    if facts.version > NEWEST_TESTED_VERSION:
        return warning("version", f"{text}: newer than {NEWEST_TESTED_VERSION}, the newest tested")
    return ok("version", text, version=facts.version)


def _primary(facts: Facts) -> Finding:
    if facts.identity.in_recovery:
        return error(
            "writable", "the server is in recovery (a standby)", "point the target at the primary"
        )
    if facts.read_only:
        return error(
            "writable",
            "transactions are read-only by default here (default_transaction_read_only)",
            "choose a database to be written to",
        )
    return ok("writable", "a primary that takes writes")


def _schema(facts: Facts) -> Finding:
    if facts.refused_schema is not None:
        evidence, _, remedy = facts.refused_schema.rstrip(".").partition("; ")
        return error("schema", evidence, remedy)
    known = counted(sum(table.ours for table in facts.tables), "table")
    made = f"{known} of ours" if facts.tables else "nothing of ours yet; may be made"
    return ok("schema", f"{facts.target.schema}: {made}")


def _superuser(facts: Facts) -> Finding:
    role = facts.role
    if facts.settings.text("cluster_name") == PRODUCT:
        return ok("role", f"{role.name}, on a private server of our own")
    if role.superuser:
        return warning(
            "role",
            f"{role.name} is a superuser: nothing is refused to it by the server",
            "let a DBA run what `ingest-canary role-sql` prints, and use that role",
        )
    return ok("role", f"{role.name}, no superuser")


def _statistics_of_others(facts: Facts) -> Finding:
    if facts.role.reads_all_stats:
        return ok("pg_read_all_stats", "other sessions' states are seen")
    return warning(
        "pg_read_all_stats",
        f"{facts.role.name} lacks it: other sessions, autovacuum workers and synchronous standbys"
        " are unknown",
        f"GRANT pg_read_all_stats TO {quote(facts.role.name)}",
    )


def _settings_of_the_server(facts: Facts) -> Finding:
    if "shared_preload_libraries" in facts.settings:
        return ok("pg_read_all_settings", "every setting is seen")
    return info(
        "pg_read_all_settings",
        "settings for superusers, such as shared_preload_libraries, are unknown: a change of one is"
        " not attributed",
        f"GRANT pg_read_all_settings TO {quote(facts.role.name)}",
    )


def _connections(facts: Facts) -> Finding:
    role, sessions = facts.role, facts.sessions
    if 0 <= role.connection_limit < _OUR_SESSIONS:
        return warning(
            "connections",
            f"{role.name} may hold {counted(role.connection_limit, 'session')}; a run with the look"
            f" at whether the server is up takes {_OUR_SESSIONS}",
            f"ALTER ROLE {quote(role.name)} CONNECTION LIMIT 8",
        )
    limit = facts.settings.number("max_connections")
    if sessions is None or not limit:
        return ok("connections", "the role's limit leaves room")
    used = sessions.connections + 1
    text = f"{used:,} of {limit:,.0f} in use"
    if used >= _CROWDED * limit:
        return warning(
            "connections",
            f"{text}: a run may find none free",
            "raise max_connections or let others use fewer",
            connections=used,
            max_connections=int(limit),
        )
    return ok("connections", text, connections=used, max_connections=int(limit))


def _transaction_timeout(facts: Facts) -> Finding:
    seconds = facts.settings.seconds("transaction_timeout") or 0
    deadline = facts.workload.round_seconds
    if 0 < seconds <= deadline:
        return warning(
            "transaction_timeout",
            f"{seconds:g} s is in force for our sessions: the server ends a round before its"
            f" deadline of {deadline:g} s",
            for_our_sessions(facts, "transaction_timeout", "0"),
        )
    return ok("transaction_timeout", "none that would end a round")
