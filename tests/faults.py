"""What befalls a store: disks that fill up or become read-only, locks, and nobody let in."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

from monitor.store.database import Location
from tests.conftest import Database, missing
from tests.servers import wait_until

_FILLER = "filler"


class Disk:
    """A file system of its own at ``path``; root's rights do not help where it says no."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_only(self) -> None:
        _run("mount", "-o", "remount,ro", str(self.path))

    def writable(self) -> None:
        _run("mount", "-o", "remount,rw", str(self.path))

    def fill(self, leave: int = 0) -> None:
        """Take all space but ``leave`` bytes, whole pages of them, whoever writes meanwhile."""
        free = os.statvfs(self.path)
        size = free.f_bavail * free.f_bsize - leave
        with (self.path / _FILLER).open("ab", buffering=0) as file, suppress(OSError):
            for _ in range(max(0, size) // free.f_bsize):
                file.write(bytes(free.f_bsize))

    def empty(self) -> None:
        """Give back what ``fill`` took."""
        (self.path / _FILLER).unlink(missing_ok=True)


@contextmanager
def disk(path: Path, size: int = 4 << 20) -> Iterator[Disk]:
    """A disk of ``size`` bytes at ``path``; skips, or fails in CI, where none can be mounted."""
    path.mkdir(exist_ok=True)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    except (OSError, subprocess.CalledProcessError) as error:
        missing(f"no file system can be mounted here (it needs root): {error}")
    try:
        yield Disk(path)
    finally:
        _run("umount", "--lazy", str(path))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


@contextmanager
def down(place: Location, database: Database | None) -> Iterator[None]:
    """Nobody gets into the store: its ``database`` takes no connections, or its file is locked."""
    if database is None:
        with _file_locked(place, "EXCLUSIVE"):
            yield
        return
    name, server = database.name, database.server
    server.sql(
        f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false;'
        f" SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    yield
    server.sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


@contextmanager
def locked(place: Location, database: Database | None, table: str = "run") -> Iterator[None]:
    """Somebody holds a lock that every append needs; on SQLite there is one for all tables."""
    if database is None:
        with _file_locked(place, "IMMEDIATE"):
            yield
        return
    name = f"{place.schema}.{table}"
    statement = f"BEGIN; LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(55)"
    held = (
        f"SELECT pid FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'"
        f" AND relation = '{name}'::regclass"
    )
    with ThreadPoolExecutor(1) as thread:
        holder = thread.submit(database.sql, statement)
        wait_until(lambda: database.sql(held), f"{name} to be locked")
        yield
        database.sql(held.replace("SELECT pid", "SELECT pg_terminate_backend(pid, 5000)"))
        with suppress(asyncpg.PostgresError, OSError):
            holder.result()


@contextmanager
def _file_locked(place: Location, how: str) -> Iterator[None]:
    holder = sqlite3.connect(place.path, isolation_level=None)
    holder.execute(f"BEGIN {how}")
    yield
    holder.close()
    if not place.path.stat().st_size:  # there was no store yet
        place.path.unlink()
