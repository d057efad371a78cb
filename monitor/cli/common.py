"""What commands share: options, settings, logging."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from monitor.cli.logs import set_up_logging
from monitor.config.dsn import check_dsn, secrets_of
from monitor.config.load import load
from monitor.config.settings import Settings
from monitor.errors import ConfigurationError
from monitor.model import Target

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
    options: dict[str, Any],
    overrides: dict[str, Any] | None = None,
    quiet: bool = False,
    secret_in: Iterable[str | None] = (),
) -> Settings:
    """Settings from all sources, and logging set up by them.

    ``options`` are those of ``settings_options``; ``overrides`` are more from the command line,
    nested like the settings. With ``quiet``, logs begin at warnings unless a level is given.
    ``secret_in`` are further DSNs whose passwords logs must not hold.
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
    for dsn in secret_in:
        with suppress(ValueError):  # no DSN at all: said when it is used
            secrets += secrets_of(dsn or "")
    secrets += [key for key in (settings.read_fingerprint_key(),) if key]
    level = "warning" if quiet and not options["log_level"] else settings.log.level
    set_up_logging(settings.log.format, level, secrets)
    return settings


def other_target(settings: Settings, given: str, option: str) -> Target:
    """The configured target of that name, or one of that DSN. Raises ConfigurationError.

    A name keeps a password off the command line, where every user of the machine can read it.
    """
    for target in settings.target_list():
        if target.name == given:
            return target
    try:
        check_dsn(given)
    except ValueError as error:
        known = f" ({', '.join(settings.targets)})" if settings.targets else ""
        raise ConfigurationError(
            f"{option}: {error}, or name a configured target{known}."
        ) from None
    return Target(option.lstrip("-"), given)
