"""What commands share: options, settings, logging."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from monitor.cli.logs import set_up_logging
from monitor.config.dsn import secrets_of
from monitor.config.load import load
from monitor.config.settings import Settings

Function = TypeVar("Function", bound=Callable[..., Any])


def settings_options(function: Function) -> Function:
    """Options that every command takes which reads settings."""
    for option in (
        click.option("--debug", is_flag=True, help="Show tracebacks of errors."),
        click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error."),
        click.option("--log-format", metavar="FORMAT", help="plain or json; logs go to stderr."),
        click.option("--data-dir", metavar="DIR", help="Where everything on disk is kept."),
        click.option("--config", metavar="FILE", help="TOML file with settings."),
    ):
        function = option(function)
    return function


def read_settings(
    options: dict[str, Any], overrides: dict[str, Any] | None = None, quiet: bool = False
) -> Settings:
    """Settings from all sources, and logging set up by them.

    ``options`` are those of ``settings_options``; ``overrides`` are more from the command line,
    nested like the settings. With ``quiet``, logs begin at warnings unless a level is given.
    """
    merged: dict[str, Any] = dict(overrides or {})
    log = {"format": options["log_format"], "level": options["log_level"]}
    given = {name: value for name, value in log.items() if value}
    if given:
        merged["log"] = given
    if options["data_dir"]:
        merged["data_dir"] = options["data_dir"]
    settings = load(Path(options["config"]) if options["config"] else None, merged)
    secrets = [secret for dsn in settings.dsns() for secret in secrets_of(dsn)]
    secrets += [key for key in (settings.read_fingerprint_key(),) if key]
    level = "warning" if quiet and not options["log_level"] else settings.log.level
    set_up_logging(settings.log.format, level, secrets)
    return settings
