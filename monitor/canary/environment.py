"""The fingerprint of a run: server, client and table definitions."""

from __future__ import annotations

import hmac
import json
import os
import platform
from collections.abc import Collection, Mapping
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import asyncpg

from monitor import __version__
from monitor.canary import sql
from monitor.canary.connection import Session, translated
from monitor.environment import HASH_KEY, HASHED, Environment
from monitor.model import Connect

_LIBRARIES = ("sqlalchemy", "asyncpg", "greenlet")


async def read_environment(
    session: Session, hash_key: bytes, only: Collection[str] | None = None
) -> Environment:
    """Everything that can change what inserts cost here, besides the inserts themselves.

    ``only`` names the tables that matter; default: all in our schema.
    Of settings that are not at their defaults and not on our list, only a hash with ``hash_key`` is
    kept: it tells that one changed, and nothing of what it holds.
    """
    with translated(session.target):
        driver = session.driver
        settings = await driver.fetch(sql.load("settings"))
        others = await driver.fetch(sql.load("other_settings"), [row["name"] for row in settings])
        definitions = await _definitions(session)
        server_version = await driver.fetchval(
            "SELECT pg_catalog.current_setting('server_version')"
        )
    server = {row["name"]: row["value"] for row in settings}
    server |= {row["name"]: hashed(row["name"], row["value"], hash_key) for row in others}
    sent = session.target.connect.server_settings
    server |= {f"connect.{name}": hashed(name, value, hash_key) for name, value in sent}
    client = {**client_facts(), **connect_facts(session.target.connect)}
    client[HASH_KEY] = hashed(HASH_KEY, "", hash_key)
    tables = {
        row["name"]: row["definition"] for row in definitions if only is None or row["name"] in only
    }
    return Environment(
        server_version=server_version,
        server=server,
        client=client,
        tables=tables,
        fingerprint=fingerprint(server_version, server, client, tables),
    )


async def _definitions(session: Session) -> list[asyncpg.Record]:
    # The server leaves out the schema of what the search path finds; pinned, the text is the same
    # for every role.
    async with session.driver.transaction(readonly=True):
        await session.driver.execute("SET LOCAL search_path = pg_catalog")
        return await session.driver.fetch(sql.load("definitions"), session.target.schema)


def fingerprint(*parts: object) -> str:
    """Twelve hex digits that change when any part does."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:12]


def hashed(name: str, value: str, key: bytes) -> str:
    """A value as a keyed hash; the name is part of it, so that equal values look different."""
    digest = hmac.new(key, f"{name}\0{value}".encode(), sha256)
    return HASHED + digest.hexdigest()[:12]


@cache
def client_facts() -> Mapping[str, str]:
    """Versions and host facts of the process that inserts."""
    return {
        "ingest-canary": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in _LIBRARIES},
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cpus": str(len(os.sched_getaffinity(0))),
    }


def connect_facts(connect: Connect) -> Mapping[str, str]:
    """How sessions are opened, as far as it is not the default; without what the server is sent."""
    usual = Connect()
    names = ("command_seconds", "statement_cache_size", "prepared_statement_cache_size", "keep")
    return {
        f"connect.{name}": str(getattr(connect, name))
        for name in names
        if getattr(connect, name) != getattr(usual, name)
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
