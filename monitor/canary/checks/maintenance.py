"""Autovacuum, statistics and caches: what makes equal rounds unequal.

A plain INSERT plans nothing, so stale statistics do not slow it; they do where it plans: INSERT …
SELECT, and the look-ups of foreign keys in their parents. Our tables are emptied before every round
and autovacuum is off on them, so only those that keep rows matter: parents and pre-filled tables.
We observe autovacuum (backend_type 'autovacuum worker') and never cancel it.
"""

from __future__ import annotations

from collections.abc import Iterator

from monitor.canary.checks.facts import Facts, Table
from monitor.canary.checks.finding import Finding, info, listed, ok, size, warning
from monitor.canary.checks.platform import to_create_extension, to_set
from monitor.canary.identifiers import qualified

#: PostgreSQL's own thresholds for an automatic ANALYZE: 50 rows and a tenth of the table.
_STALE_ROWS = 50
_STALE_SHARE = 0.1
#: Share of a table's pages in shared buffers below which it is called cold.
_WARM = 0.9


def maintenance(facts: Facts) -> Iterator[Finding]:
    """Autovacuum in general and on ours; statistics; caches."""
    yield _autovacuum(facts)
    yield _running(facts)
    yield _on_ours(facts)
    yield _statistics(facts)
    yield _caches(facts)


def _autovacuum(facts: Facts) -> Finding:
    if facts.settings.on("autovacuum") is False:
        return warning(
            "autovacuum",
            "off on the whole server, unlike production",
            to_set(facts.platform, facts.settings, "autovacuum", "on"),
        )
    return ok("autovacuum", "on")


def _running(facts: Facts) -> Finding:
    found = facts.vacuums
    if found is None:
        return ok("autovacuum_running", "unknown")
    if found.on_ours:
        return warning(
            "autovacuum_running",
            "a vacuum works on our tables now: a round beside it is not judged",
            "wait for it to end; it is not cancelled by us",
            vacuums_on_ours=found.on_ours,
        )
    if not facts.role.reads_all_stats:
        return ok("autovacuum_running", "none on our tables; workers elsewhere are unknown")
    if found.workers:
        return info(
            "autovacuum_running",
            f"{found.workers} of {facts.settings.text('autovacuum_max_workers') or '?'} workers are"
            " busy with other tables: they share disk and WAL with our rounds",
            autovacuum_workers=found.workers,
        )
    return ok("autovacuum_running", "no worker now", autovacuum_workers=0)


def _on_ours(facts: Facts) -> Finding:
    exposed = [table.name for table in facts.tables if table.ours and not table.autovacuum_off]
    if exposed:
        name = qualified(facts.target.schema, exposed[0])
        return warning(
            "autovacuum_on_ours",
            f"{listed(exposed)}: autovacuum may start in the middle of a round (we make tables"
            " without it)",
            f"ALTER TABLE {name} SET (autovacuum_enabled = false)",
        )
    return ok("autovacuum_on_ours", "off on our tables")


def _kept(facts: Facts) -> list[Table]:
    """Our tables that hold rows between runs: parents of foreign keys, and pre-filled ones."""
    return [table for table in facts.tables if table.ours and table.pages > 0]


def _statistics(facts: Facts) -> Finding:
    kept = _kept(facts)
    stale = [table for table in kept if _is_stale(table)]
    if not stale:
        text = "our tables are empty between runs" if not kept else "as ANALYZE left them"
        return ok("statistics", text)
    worst = max(stale, key=lambda table: table.modified_rows)
    when = (
        f"changed {worst.modified_rows:,} of them since ANALYZE"
        f" ({worst.analyzed_at:%Y-%m-%d %H:%M})"
        if worst.analyzed_at
        else "was never analyzed"
    )
    return warning(
        "statistics",
        f"stale: {worst.name} holds {worst.live_rows:,} rows and {when}; INSERT … SELECT and the"
        " look-ups of foreign keys are planned by what was true before",
        f"ANALYZE {qualified(facts.target.schema, worst.name)} after loading; where loads recur,"
        " let autovacuum do it: ALTER TABLE … SET (autovacuum_analyze_threshold = …)",
        live_rows=worst.live_rows,
        modified_rows=worst.modified_rows,
        planned_rows=worst.planned_rows,
    )


def _is_stale(table: Table) -> bool:
    changed = table.modified_rows > _STALE_ROWS + _STALE_SHARE * table.live_rows
    return table.live_rows > _STALE_ROWS and (changed or table.planned_rows < 0)


def _caches(facts: Facts) -> Finding:
    kept = _kept(facts)
    known = [table for table in kept if table.cached_pages is not None]
    if not kept:
        return ok("cold_cache", "no table of ours holds rows between runs")
    if not known:
        return info(
            "cold_cache",
            f"{listed(table.name for table in kept)}: whether they are cached is unknown without"
            " pg_buffercache",
            f"{to_create_extension(facts.platform, 'pg_buffercache')}, or `doctor --prewarm`",
        )
    cold = [table for table in known if (table.cached_pages or 0) < _WARM * table.pages]
    if not cold:
        return ok("cold_cache", f"{listed(table.name for table in known)}: in shared buffers")
    pages = sum(table.pages for table in cold)
    cached = sum(table.cached_pages or 0 for table in cold)
    what = "foreign-key parent " if cold[0].referenced else ""
    block = facts.settings.number("block_size") or 8192
    return warning(
        "cold_cache",
        f"cold: {what}{listed(table.name for table in cold)}: {cached / pages:.0%} of"
        f" {size(pages * block)} is in shared buffers, so first rounds read from disk",
        "`doctor --prewarm` loads them by pg_prewarm",
        cached_ratio=cached / pages,
    )
