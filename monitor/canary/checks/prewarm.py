"""Loads those of our tables that keep rows into shared buffers: only when asked, and reads only.

A table that is emptied before every round has nothing to load; parents of foreign keys and
pre-filled tables do.
"""

from __future__ import annotations

from monitor.canary.checks.finding import Finding, listed, ok, warning
from monitor.canary.checks.looks import Looks, connected, read_only
from monitor.canary.connection import translated
from monitor.canary.identifiers import is_marked, qualified
from monitor.model import Target

_CHECK = "prewarm"


async def prewarm(target: Target) -> Finding:
    """What was loaded, or why nothing was. Raises TargetError."""
    with translated(target):
        async with connected(target) as (driver, _), read_only(driver):
            # Reading a large table takes longer than looking at a catalogue.
            await driver.execute("SET LOCAL statement_timeout = '50s'")
            return await _Prewarming(driver, target).load()


class _Prewarming(Looks):
    async def load(self) -> Finding:
        extensions = await self._fetch("extensions") or []
        place = {row["name"]: row["schema"] for row in extensions}.get("pg_prewarm")
        if place is None:
            return warning(
                _CHECK, "pg_prewarm is not created in this database", "CREATE EXTENSION pg_prewarm"
            )
        rows = await self._fetch("our_tables", self._target.schema) or []
        kept = [row["name"] for row in rows if is_marked(row["mark"]) and row["pages"]]
        if not kept:
            return ok(_CHECK, "no table of ours holds rows between runs; nothing to load")
        loaded = []
        for name in kept:
            table = qualified(self._target.schema, name)
            loaded += await self._fetch("prewarm", table, extension=place) or []
        if not loaded:
            return warning(
                _CHECK,
                f"{listed(kept)} could not be loaded",
                "GRANT EXECUTE on pg_prewarm to our role",
            )
        each = listed(f"{row['name']} ({row['pages']:,} pages)" for row in loaded)
        return ok(_CHECK, f"loaded {each}", pages=sum(row["pages"] for row in loaded))
