"""For tests of `ingest-canary store …`: a data directory and the store that belongs to it."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from monitor.store import tables
from monitor.store.database import Location
from monitor.store.schema import MIGRATIONS
from tests.acceptance.process import COMMAND, call, environment
from tests.stores import Store, opened, record, records_every

NOW = datetime.now(UTC).replace(minute=30)
DAY = timedelta(days=1)
RUNS = records_every(6 * timedelta(hours=1), NOW - 2 * DAY, NOW)
NEW_RUN = record(NOW + timedelta(minutes=5))


class Place:
    """A data directory and the store that belongs to it."""

    def __init__(self, data_dir: Path, url: str | None) -> None:
        self.data_dir = data_dir
        self.extra = {"INGEST_CANARY_STORE__URL": url} if url else {}
        self.location = Location(data_dir / "store.sqlite", url)

    def call(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        return call(self.data_dir, "store", *arguments, extra=self.extra | extra)

    def bytes_of(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """For what reads or writes a file by standard input or output."""
        return subprocess.run(
            [*COMMAND, "store", *arguments],
            env=environment(self.data_dir, self.extra),
            input=given,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.call(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def do(self, what: Callable[[Store], Awaitable[Any]]) -> Any:
        """With the opened store."""

        async def run() -> Any:
            async with opened(self.location) as store:
                return await what(store)

        return asyncio.run(run())

    def fill(self) -> None:
        self.do(lambda store: store.append(*RUNS))

    def counts(self) -> tuple[int, int]:
        """Runs and samples in the store."""

        async def count(store: Store) -> tuple[int, int]:
            return await store.count(tables.run), await store.count(tables.sample)

        found: tuple[int, int] = self.do(count)
        return found


@pytest.fixture(name="place", params=["sqlite", "postgresql"])
def place_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A store of each engine; nothing is there yet."""
    url = None if request.param == "sqlite" else request.getfixturevalue("database").dsn
    return Place(made(tmp_path / "data"), url)


@pytest.fixture(name="file_place")
def file_place_fixture(tmp_path: Path) -> Place:
    """SQLite, for what does not depend on the engine."""
    return Place(made(tmp_path / "data"), None)


@pytest.fixture(name="other")
def other_fixture(tmp_path: Path) -> Place:
    """Another, empty one, on SQLite."""
    return Place(made(tmp_path / "other"), None)


def made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def refused(done: subprocess.CompletedProcess[Any], sentence: str) -> None:
    """It ended with exit code 2, nothing on stdout and one line on stderr."""
    out, err = (each if isinstance(each, str) else each.decode()
                for each in (done.stdout, done.stderr))  # fmt: skip
    assert (done.returncode, out) == (2, ""), err
    assert sentence in err
    assert err.count("\n") == 1


#: The newest schema that this program knows.
HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()

NEXT = f"""
revision = "next"
down_revision = "{HEAD}"


def upgrade():
    op.add_column("target", sa.Column("note", sa.Text), schema=context.config.attributes["schema"])
"""


@pytest.fixture(name="newer")
def newer_fixture(tmp_path: Path) -> Path:
    """The migrations of a later version."""
    chain = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, chain)
    head = "import sqlalchemy as sa\nfrom alembic import context, op\n"
    (chain / "versions" / "next.py").write_text(head + NEXT)
    return chain
