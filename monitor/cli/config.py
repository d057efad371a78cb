"""ingest-canary config: is it right, and what is in force?"""

from __future__ import annotations

from typing import Any

import click

from monitor.cli.common import read_settings, settings_options
from monitor.config.show import commented_defaults, masked
from monitor.daemon.assembly import resolve_plan
from monitor.export.web_access import Access


@click.group()
def config() -> None:
    """Check settings, or show those in force."""


@config.command()
@settings_options
def check(**options: Any) -> None:
    """Read all settings and resolve the suite; exit 2 with a sentence if anything is wrong."""
    settings = read_settings(options)
    plan = resolve_plan(settings)
    for name in settings.targets:
        resolve_plan(settings, target=name)
    Access(settings.web.config_file)
    names = ", ".join(settings.targets) or "none, a private PostgreSQL will be used"
    click.echo(f"ok: {len(plan.cases)} cases × {plan.rounds} rounds; targets: {names}")


@config.command()
@click.option("--defaults", is_flag=True, help="Print every setting's default, with comments.")
@settings_options
def show(defaults: bool, **options: Any) -> None:
    """Print the settings in force as TOML, secrets masked."""
    click.echo(commented_defaults() if defaults else masked(read_settings(options)), nl=False)
