"""Whose server it is, and where a setting is changed there.

On a managed service nobody edits postgresql.conf: RDS has parameter groups, Cloud SQL database
flags, Azure server parameters, numbers are written without a unit, and a few settings have other
names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from monitor.canary.checks.settings import Settings

Platform = Literal["self-managed", "rds", "aurora", "cloudsql", "azure"]

LABELS: Mapping[Platform, str] = {
    "self-managed": "self-managed",
    "rds": "Amazon RDS",
    "aurora": "Amazon Aurora",
    "cloudsql": "Google Cloud SQL",
    "azure": "Azure Database for PostgreSQL",
}

#: The provider's own superuser, which nobody makes by hand; the customers' administrator, which
#: people do make, so that a migration for the service runs on a server of their own.
_PROVIDERS: Mapping[str, Platform] = {
    "rdsadmin": "rds",
    "cloudsqladmin": "cloudsql",
    "azuresu": "azure",
}
_CUSTOMERS: Mapping[str, tuple[Platform, str]] = {
    "rds_superuser": ("rds", "rds."),
    "cloudsqlsuperuser": ("cloudsql", "cloudsql."),
    "azure_pg_admin": ("azure", "azure."),
}

#: What a service writes instead of a setting with a value.
_INSTEAD: Mapping[tuple[Platform, str, str], str] = {
    ("rds", "wal_level", "logical"): "rds.logical_replication = 1",
    ("aurora", "wal_level", "logical"): "rds.logical_replication = 1",
    ("cloudsql", "wal_level", "logical"): "cloudsql.logical_decoding = on",
}

#: How pg_stat_statements is brought into a server that has not loaded it.
_PRELOAD: Mapping[Platform, str] = {
    "self-managed": "add pg_stat_statements to shared_preload_libraries and restart the server",
    "rds": "add pg_stat_statements to shared_preload_libraries in the DB parameter group and reboot"
    " the instance",
    "aurora": "add pg_stat_statements to shared_preload_libraries in the DB cluster parameter group"
    " and reboot the instances",
    "cloudsql": "Cloud SQL has it loaded: look whether the database flag pg_stat_statements.track"
    " is none",
    "azure": "add PG_STAT_STATEMENTS to the server parameters azure.extensions and"
    " shared_preload_libraries and restart the server",
}


def platform_of(roles: Collection[str], settings: Settings, aurora: bool) -> Platform:
    """The service by the roles that it makes; the customers' one only with settings of its own."""
    if aurora:
        return "aurora"
    for role, platform in _PROVIDERS.items():
        if role in roles:
            return platform
    for role, (platform, prefix) in _CUSTOMERS.items():
        if role in roles and any(name.startswith(prefix) for name in settings):
            return platform
    return "self-managed"


def to_set(
    platform: Platform, settings: Settings, name: str, value: str, number: int | None = None
) -> str:
    """One line that says how to give a setting a value; ``number`` is it in the setting's unit."""
    setting = settings.get(name)
    context = setting.context if setting else "sighup"
    restart = context == "postmaster"
    if platform == "self-managed":
        return f"set {name} = {value}, then {'restart' if restart else 'reload'} the server"
    unit = f" ({setting.unit})" if setting and setting.unit and number is not None else ""
    plain = f"{name} = {value if number is None else number}{unit}"
    what = _INSTEAD.get((platform, name, value), plain)
    if platform == "cloudsql":
        return f"set the database flag {what}{'; it restarts the instance' if restart else ''}"
    if platform == "azure":
        return f"set the server parameter {what}{', then restart the server' if restart else ''}"
    group = "DB cluster parameter group" if platform == "aurora" else "DB parameter group"
    return f"set {what} in the {group}{', then reboot the instance' if restart else ''}"


def to_preload(platform: Platform) -> str:
    """One line that says how pg_stat_statements is loaded."""
    return _PRELOAD[platform]


def to_create_extension(platform: Platform, name: str) -> str:
    """One line that says how an extension comes into the database."""
    create = f"CREATE EXTENSION {name}"
    if platform == "azure":
        return f"add {name.upper()} to the server parameter azure.extensions, then {create}"
    return create
