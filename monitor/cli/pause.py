"""ingest-canary pause and resume: rows in the store that are read before every run."""

from __future__ import annotations

import asyncio
import getpass
from datetime import UTC, datetime
from typing import Any

import click

from monitor.cli.common import Function, read_settings, settings_options
from monitor.config.settings import Settings
from monitor.daemon.assembly import PRIVATE, stored
from monitor.errors import ConfigurationError
from monitor.store.control import Action, Request, add


def _request_options(function: Function) -> Function:
    for option in (
        click.option("--note", default="", help="Why, for those who come later."),
        click.option("--by", help="Who asks; default: your user name."),
        click.option("--target", metavar="NAME", help="Only this target; default: all."),
    ):
        function = option(function)
    return function


@click.command()
@_request_options
@settings_options
def pause(target: str | None, by: str | None, note: str, **options: Any) -> None:
    """Start no more runs until they are resumed; metrics say so."""
    _ask("pause", target, by, note, options)


@click.command()
@_request_options
@settings_options
def resume(target: str | None, by: str | None, note: str, **options: Any) -> None:
    """Start runs again as scheduled."""
    _ask("resume", target, by, note, options)


def _ask(
    action: Action, target: str | None, by: str | None, note: str, options: dict[str, Any]
) -> None:
    settings = read_settings(options, quiet=True)
    names = set(settings.targets) or {PRIVATE}
    if target is not None and target not in names:
        known = ", ".join(sorted(names))
        raise ConfigurationError(f"unknown target '{target}'; configured: {known}.")
    request = Request(datetime.now(UTC), action, target, None, by or getpass.getuser(), note)
    asyncio.run(_add(settings, request))
    done = "paused" if action == "pause" else "resumed"
    click.echo(f"{target or 'all targets'}: {done} by {request.by}")
    if action == "resume" and (settings.data_dir / "pause").exists():
        click.echo(f"still paused by the file {settings.data_dir / 'pause'}; remove it", err=True)


async def _add(settings: Settings, request: Request) -> None:
    async with stored(settings, create=True) as database:
        await add(database, request)
