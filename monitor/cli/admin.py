"""ingest-canary role-sql and cleanup: what a DBA runs before, and what removes us after."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from monitor.canary.connection import Canary
from monitor.canary.lock import exclusive
from monitor.canary.role import role_statements
from monitor.canary.tables import Removal, remove_all
from monitor.cli.common import read_settings, settings_options
from monitor.config.settings import Settings
from monitor.daemon.assembly import targets
from monitor.model import Target


@click.command("role-sql")
@click.option("--role", default="ingest_canary", show_default=True, help="Name of the login role.")
@click.option("--schema", default="ingest_canary", show_default=True, help="Name of the schema.")
def role_sql(role: str, schema: str) -> None:
    """Print the SQL that makes a least-privilege role and our schema; nothing is run."""
    click.echo(role_statements(role, schema), nl=False)


@click.command()
@click.option("--target", metavar="NAME", help="Only this target; default: each in turn.")
@click.option("--wait", "wait_seconds", type=click.FloatRange(min=0), default=60.0,
              show_default=True, help="Seconds to wait for a run to end.")  # fmt: skip
@settings_options
def cleanup(target: str | None, wait_seconds: float, **options: Any) -> None:
    """Drop everything that ingest-canary made in a target, and only that."""
    settings = read_settings(options, quiet=True)
    asyncio.run(_clean_up(settings, target, wait_seconds))


async def _clean_up(settings: Settings, name: str | None, wait_seconds: float) -> None:
    async with targets(settings, name) as chosen:
        for each in chosen:
            click.echo(f"{each.name}: {_described(await _remove(each, wait_seconds), each)}")


async def _remove(target: Target, wait_seconds: float) -> Removal:
    canary = Canary(target)
    try:
        async with canary.session() as session, exclusive(session, wait_seconds):
            return await remove_all(session)
    finally:
        await canary.dispose()


def _described(removal: Removal, target: Target) -> str:
    if not removal.tables and not removal.schema:
        return f"nothing of ours in schema {target.schema}"
    tables = ", ".join(removal.tables) or "none"
    types = f"; types: {', '.join(removal.types)}" if removal.types else ""
    schema = f"schema {target.schema}" if removal.schema else "the schema stays, as another owns it"
    return f"dropped tables: {tables}{types}; {schema}"
