"""What a commit waits for and what WAL holds: settings that make a canary unlike production."""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts
from monitor.canary.checks.finding import Finding, info, ok, warning
from monitor.canary.checks.platform import to_set
from monitor.canary.checks.remedies import for_our_sessions, ours_by_choice

_TOY = "figures are those of a server that loses data in a crash"


def durability(facts: Facts) -> Iterator[Finding]:
    """fsync, synchronous_commit, full_page_writes, wal_level, commit_delay."""
    yield _fsync(facts)
    yield _synchronous_commit(facts)
    yield _full_page_writes(facts)
    yield _wal_level(facts)
    yield _commit_delay(facts)


def _fsync(facts: Facts) -> Finding:
    if facts.settings.on("fsync") is False:
        return warning(
            "fsync",
            f"off: commits wait for no disk; {_TOY}",
            to_set(facts.platform, facts.settings, "fsync", "on"),
        )
    return ok("fsync", "on")


def _synchronous_commit(facts: Facts) -> Finding:
    value = facts.settings.text("synchronous_commit") or "unknown"
    if value != "off":
        return ok("synchronous_commit", value)
    make = info if ours_by_choice(facts, "synchronous_commit") else warning
    return make(
        "synchronous_commit",
        "off: a commit returns before its WAL is on disk, so the commit clock measures nothing"
        " durable",
        "leave it if production has it off, else"
        f" {for_our_sessions(facts, 'synchronous_commit', 'on')}",
    )


def _full_page_writes(facts: Facts) -> Finding:
    if facts.settings.on("full_page_writes") is False and facts.platform != "aurora":
        return warning(
            "full_page_writes",
            f"off: no page goes to WAL in full after a checkpoint; {_TOY}",
            to_set(facts.platform, facts.settings, "full_page_writes", "on"),
        )
    return ok("full_page_writes", facts.settings.text("full_page_writes") or "unknown")


def _wal_level(facts: Facts) -> Finding:
    value = facts.settings.text("wal_level") or "unknown"
    if value == "minimal":
        return warning(
            "wal_level",
            "minimal: no replica and no archive, unlike nearly every production server",
            to_set(facts.platform, facts.settings, "wal_level", "replica"),
        )
    return ok("wal_level", value)


def _commit_delay(facts: Facts) -> Finding:
    microseconds = facts.settings.number("commit_delay") or 0
    if microseconds > 0:
        return info(
            "commit_delay",
            f"{microseconds:,.0f} µs: a commit waits so long for others when"
            f" {facts.settings.text('commit_siblings') or '5'} transactions are open",
        )
    return ok("commit_delay", "0")
