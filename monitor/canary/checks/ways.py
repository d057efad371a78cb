"""By which way a target is reached, and whether two of them lead to the same server."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.canary.checks.facts import Identity, Path
from monitor.canary.checks.gather import path_of, pooler_mode
from monitor.canary.checks.looks import Looks, connected, read_only
from monitor.canary.connection import translated
from monitor.errors import TargetRefused
from monitor.model import Target


@dataclass(frozen=True, slots=True)
class Way:
    """A path, and the server at its end."""

    path: Path
    server: Identity

    @property
    def label(self) -> str:
        """The way in a few words."""
        path = self.path
        name = "Unix socket" if path.transport == "socket" else f"TCP {path.peer}"
        encrypted = f" with {path.tls}" if path.tls else ""
        pooled = " through a pooler" if path.pooler != "none" else ""
        return f"{name}{encrypted}{pooled}"


async def way_to(target: Target) -> Way:
    """Look at the way without changing anything. Raises TargetError."""
    with translated(target):
        async with connected(target) as (driver, seconds):
            mode = await pooler_mode(driver, target)
            async with read_only(driver):
                identity = await Looks(driver, target).identity()
            return Way(await path_of(driver, mode, seconds, send=False), identity)


def refuse_different(one: Way, other: Way) -> None:
    """Raise TargetRefused unless both ways lead to the same database of the same server."""
    first, second = one.server, other.server
    if first.system_identifier != second.system_identifier or first.started_at != second.started_at:
        raise TargetRefused(
            f"--also reaches another server than the target does (PostgreSQL {second.version},"
            f" started {second.started_at}); it compares two ways to one server: `doctor --like`"
            " compares two servers."
        )
    if first.database != second.database:
        raise TargetRefused(
            f"--also reaches database {second.database}, the target {first.database}; name the"
            " same database in both."
        )
