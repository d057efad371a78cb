"""A server as another is compared with it: one session, one READ ONLY transaction, no rows read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.canary.checks.facts import Identity
from monitor.canary.checks.looks import Looks, connected, read_only
from monitor.canary.checks.platform import Platform, platform_of
from monitor.canary.checks.settings import Settings
from monitor.canary.connection import translated
from monitor.model import Target


@dataclass(frozen=True, slots=True)
class Definition:
    """A table as the catalogue has it; indexes, constraints and so on as SQL."""

    name: str
    columns: int
    options: tuple[str, ...]
    indexes: tuple[str, ...]
    constraints: tuple[str, ...]
    triggers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """What inserts on a server depend on. ``mattering`` names the settings whose values are
    compared; ``definition`` is None where no table was asked for or there is none."""

    version: int
    identity: Identity
    platform: Platform
    settings: Settings
    mattering: frozenset[str]
    extensions: Mapping[str, str]
    definition: Definition | None


async def profile(target: Target, table: str | None = None) -> Profile:
    """Look at a server, and at one table by its name. Raises TargetError."""
    with translated(target):
        async with connected(target) as (driver, _), read_only(driver):
            return await _Profiles(driver, target).profile(table)


class _Profiles(Looks):
    async def profile(self, table: str | None) -> Profile:
        settings = await self.settings()
        platform = next(iter(await self._fetch("platform") or ()), None)
        mattering = await self._fetch("settings") or []
        extensions = await self._fetch("extensions") or []
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
            definition=await self._definition(table) if table else None,
        )

    async def _definition(self, table: str) -> Definition | None:
        rows = await self._fetch("table_definition", table)
        if not rows:
            return None
        row = rows[0]
        lists = {
            name: tuple(row[name]) for name in ("options", "indexes", "constraints", "triggers")
        }
        return Definition(
            name=f"{row['schema']}.{row['relation']}", columns=row["columns"], **lists
        )
