"""A server as another is compared with it: one session, one READ ONLY transaction, no rows read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monitor.canary.checks.facts import Identity
from monitor.canary.checks.looks import Looks, connected, read_only
from monitor.canary.checks.platform import Platform, platform_of
from monitor.canary.checks.settings import Settings
from monitor.canary.connection import translated
from monitor.model import Target


@dataclass(frozen=True, slots=True)
class Definition:
    """A table as the catalogue has it; columns by their type, indexes and constraints as SQL."""

    name: str
    columns: tuple[str, ...]
    options: tuple[str, ...]
    indexes: tuple[str, ...]
    constraints: tuple[str, ...]
    triggers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """What inserts on a server depend on. ``mattering`` names the settings whose values are
    compared; ``definitions`` are those of the tables asked for, as far as they are there."""

    version: int
    identity: Identity
    platform: Platform
    settings: Settings
    mattering: frozenset[str]
    extensions: Mapping[str, str]
    definitions: Mapping[str, Definition]


async def profile(target: Target, tables: Iterable[str] = ()) -> Profile:
    """Look at a server, and at tables by their names. Raises TargetError."""
    with translated(target):
        async with connected(target) as (driver, _), read_only(driver):
            return await _Profiles(driver, target).profile(tables)


class _Profiles(Looks):
    async def profile(self, tables: Iterable[str]) -> Profile:
        settings = await self.settings()
        platform = next(iter(await self._fetch("platform") or ()), None)
        mattering = await self._fetch("settings") or []
        extensions = await self._fetch("extensions") or []
        looked = {table: await self._definition(table) for table in tables}
        return Profile(
            version=self._version,
            identity=await self.identity(),
            platform=platform_of(
                platform["roles"] if platform else (),
                settings,
                bool(platform and platform["aurora"]),
            ),
            settings=settings,
            mattering=frozenset(row["name"] for row in mattering if " " not in row["name"]),
            extensions={row["name"]: row["version"] for row in extensions},
            definitions={name: found for name, found in looked.items() if found is not None},
        )

    async def _definition(self, table: str) -> Definition | None:
        rows = await self._fetch("table_definition", table)
        if not rows:
            return None
        row = rows[0]
        lists = {
            name: tuple(row[name])
            for name in ("columns", "options", "indexes", "constraints", "triggers")
        }
        return Definition(name=f"{row['schema']}.{row['relation']}", **lists)
