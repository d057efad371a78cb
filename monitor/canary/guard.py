"""May we work here at all? Reads only, on a connection of its own; refuses with a sentence.

Everything is asked inside READ ONLY transactions, so that a refusal has changed nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from monitor.canary import sql
from monitor.canary.connection import Driver, connect, translated
from monitor.canary.identifiers import is_marked
from monitor.canary.pooler import refuse_transaction_pooler
from monitor.errors import TargetRefused
from monitor.model import Notice, Target

OLDEST_VERSION = 14
NEWEST_TESTED_VERSION = 18
#: Seconds that looking may take before the connection is given up.
ADMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Admission:
    """What the guard learnt about a target that it let pass."""

    version: str
    notices: tuple[Notice, ...]


async def admit(target: Target) -> Admission:
    """Raise TargetRefused unless the safety contract lets us work on the target."""
    with translated(target):
        async with _guard_connection(target) as driver:
            await refuse_transaction_pooler(driver, target)
            async with driver.transaction(readonly=True):
                # LOCAL leaves no trace in a pooled backend. Nothing that others put on the search
                # path is called, and a catalogue that somebody locked is not waited for for ever.
                await driver.execute(
                    "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '5s';"
                    " SET LOCAL statement_timeout = '30s'"
                )
                return await _admit(driver, target)


@asynccontextmanager
async def _guard_connection(target: Target) -> AsyncIterator[Driver]:
    driver = await connect(target, statement_cache=False)
    # A pooler may leave us waiting for a backend as long as it likes.
    deadline = asyncio.get_running_loop().call_later(ADMIT_SECONDS, driver.terminate)
    try:
        yield driver
    finally:
        deadline.cancel()
        driver.terminate()


async def _admit(driver: Driver, target: Target) -> Admission:
    version = driver.get_server_version().major
    if version < OLDEST_VERSION:
        raise TargetRefused(
            f"PostgreSQL {version} is older than {OLDEST_VERSION}, the oldest supported; upgrade"
            " it or choose another canary."
        )
    server = await driver.fetchrow(sql.load("server"))
    assert server is not None  # noqa: S101 - for mypy; the query always gives a row
    _refuse_read_only(dict(server))
    await refuse_foreign_schema(driver, target, bool(server["may_create_schema"]), server["role"])
    if not target.allow_publication:
        await _refuse_publications(driver, target, version)
    if not target.allow_statement_logging:
        await _refuse_statement_logging(driver, target)
    return Admission(server["version"], tuple(_version_notices(version)))


def _refuse_read_only(server: Mapping[str, object]) -> None:
    if server["in_recovery"]:
        raise TargetRefused(
            "the server is in recovery (a standby); point the target at the primary."
        )
    if server["read_only"]:
        raise TargetRefused(
            "transactions are read-only by default here (default_transaction_read_only); this"
            " database is not meant to be written to: choose another canary."
        )


def _version_notices(version: int) -> list[Notice]:
    if version <= NEWEST_TESTED_VERSION:
        return []
    return [
        Notice(
            "version",
            f"PostgreSQL {version} is newer than {NEWEST_TESTED_VERSION}, the newest tested.",
        )
    ]


async def refuse_foreign_schema(
    driver: Driver, target: Target, may_create: bool, role: str
) -> None:
    """Raise TargetRefused if the schema, something in it, or something on it is not ours.

    Also where the role lacks a privilege it will need.
    """
    schema = await driver.fetchrow(sql.load("schema"), target.schema)
    if schema is None:
        if not may_create:
            raise TargetRefused(
                f"role {role} may not create schema {target.schema}; let a DBA run the SQL that"
                " `ingest-canary role-sql` prints."
            )
        return
    if not is_marked(schema["mark"]):
        raise TargetRefused(
            f"schema {target.schema} exists and was not made by ingest-canary (its comment does not"
            " say so); set the target's `schema` to another name."
        )
    if not (schema["may_use"] and schema["may_create"]):
        raise TargetRefused(
            f"role {role} lacks USAGE or CREATE on schema {target.schema}, which belongs to"
            f" {schema['owner']}; let a DBA run the SQL that `ingest-canary role-sql` prints."
        )
    await _refuse_foreign_objects(driver, target, schema["oid"], role)


async def _refuse_foreign_objects(driver: Driver, target: Target, oid: int, role: str) -> None:
    objects = await driver.fetch(sql.load("objects"), oid)
    unmarked = [row["description"] for row in objects if not is_marked(row["mark"])]
    if unmarked:
        raise TargetRefused(
            f"schema {target.schema} holds what ingest-canary did not make: {_listed(unmarked)};"
            " move it elsewhere, or set the target's `schema` to another name."
        )
    not_owned = [row["name"] for row in objects if not row["owned"]]
    if not_owned:
        raise TargetRefused(
            f"role {role} does not own {target.schema}.{not_owned[0]}, made by ingest-canary under"
            " another role; use that role, or let it run `ingest-canary cleanup` first."
        )
    dependents = [row["name"] for row in await driver.fetch(sql.load("dependents"), oid)]
    if dependents:
        raise TargetRefused(
            f"something outside schema {target.schema} depends on our tables:"
            f" {_listed(dependents)}; drop it, its rows would vanish with ours."
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


async def _refuse_publications(driver: Driver, target: Target, version: int) -> None:
    rows = await driver.fetch(sql.load("publications", version), target.schema)
    if rows:
        names = _listed([row["name"] for row in rows])
        raise TargetRefused(
            f"publication {names} covers schema {target.schema}: our first insert would stop its"
            " subscribers; publish tables by name, or set allow_publication = true for the target."
        )


async def _refuse_statement_logging(driver: Driver, target: Target) -> None:
    rows = await driver.fetch(sql.load("logging"))
    reason = logging_reason({row["name"]: row["value"] for row in rows if row["value"] is not None})
    if reason:
        raise TargetRefused(
            f"the server logs every statement of this session ({reason}): a run would write some"
            " 100,000 log lines; turn it off for our role (ALTER ROLE … SET …), or set"
            " allow_statement_logging = true for the target."
        )


def logging_reason(settings: Mapping[str, str]) -> str | None:
    """The setting by which every statement of the session is logged, or None.

    ``settings`` are values as ``current_setting`` shows them, by name.
    """
    every_statement = {
        "log_statement": settings.get("log_statement") in ("mod", "all"),
        "log_duration": settings.get("log_duration") == "on",
        "log_min_duration_statement": _is_zero(settings, "log_min_duration_statement"),
        "log_min_duration_sample": _is_zero(settings, "log_min_duration_sample")
        and not _is_zero(settings, "log_statement_sample_rate"),
        "log_transaction_sample_rate": "log_transaction_sample_rate" in settings
        and not _is_zero(settings, "log_transaction_sample_rate"),
        "pgaudit.log": _audits_writes(settings.get("pgaudit.log", "")),
        "auto_explain.log_min_duration": _is_zero(settings, "auto_explain.log_min_duration")
        and not _is_zero(settings, "auto_explain.sample_rate"),
    }
    for name, logs in every_statement.items():
        if logs:
            return f"{name} = {settings[name]}"
    return None


def _is_zero(settings: Mapping[str, str], name: str) -> bool:
    return re.fullmatch(r"-?0+(\.0*)?\s*[a-z]*", settings.get(name, "")) is not None


def _audits_writes(classes: str) -> bool:
    wanted = {name.strip().lower() for name in classes.split(",")}
    return bool(wanted & {"all", "write"}) and "-write" not in wanted
