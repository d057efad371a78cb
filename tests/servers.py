"""Real PostgreSQL servers for tests: any version at hand, any settings, started and killed at will.

They are not the product's private server: reachable by TCP with passwords too, fast rather than
durable. Programs and user come from the same code, so the tests run wherever the product does.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import asyncpg

from monitor.canary.account import run_program, server_account
from monitor.canary.binaries import Binaries, find_binaries, runnable
from monitor.canary.places import (
    disown_recycled_pid,
    last_log_line,
    postmaster,
    private_directory,
)
from monitor.errors import EmbeddedServerError

SUPERUSER = "postgres"
PASSWORD = "a password for tests"
DEFAULTS = {
    "fsync": "off",
    "max_connections": "60",
    "max_wal_size": "2GB",
    "wal_level": "logical",
}


@functools.cache
def _installed() -> dict[int, Binaries]:
    try:
        found = find_binaries()
    except EmbeddedServerError:
        return {}
    # The first of a version is the preferred one.
    return {binaries.major: binaries for binaries in reversed(found)}


def available_versions() -> dict[int, Path]:
    """The directory of programs by major version, such as ``{15: …, 18: …}``."""
    return {major: _installed()[major].bin_dir for major in sorted(_installed())}


class Server:
    """One server below ``directory``, which the server's user must be able to enter.

    ``programs`` is a major version or a directory of programs. ``settings`` go to the
    configuration file; ``preload=False`` leaves pg_stat_statements out. Also a context manager.
    """

    def __init__(
        self,
        programs: int | Path,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        preload: bool = True,
    ) -> None:
        self.account = server_account()
        self.directory = directory.resolve()
        if not self.directory.exists():
            self.directory.mkdir()
            self.directory.chmod(0o755)
        self.data = self.directory / "data"
        self.socket = self.directory / "s"
        self.port = free_port()
        self.settings = {**DEFAULTS, **(settings or {})}
        if preload:
            self.settings.setdefault("shared_preload_libraries", "pg_stat_statements")
        if isinstance(programs, int):
            binaries = _installed()[programs]
        else:
            binaries = find_binaries(programs)[0]
        self.binaries = runnable(binaries, self.account, self.directory)
        self.version = self.binaries.major

    def start(self) -> Server:
        """Start it, creating it first if need be; returns itself."""
        created = not (self.data / "PG_VERSION").exists()
        if created:
            self._create()
        self._configure()
        # A container's process 1 may leave the killed server a zombie for a while.
        for lock_file in (self.data / "postmaster.pid", self.socket / f".s.PGSQL.{self.port}.lock"):
            disown_recycled_pid(lock_file, self.data)
        try:
            self._control("start", "-l", str(self.directory / "log" / "server.log"))
        except EmbeddedServerError as error:
            raise RuntimeError(f"{error} {last_log_line(self.directory / 'log')}") from error
        if created:
            self.sql(f"ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'")
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stop it by ``smart``, ``fast`` or ``immediate`` shutdown, if it runs."""
        if self.pid is not None:
            self._control("stop", "-m", mode)

    def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop and start again, with these settings beside the earlier ones."""
        self.stop()
        self.settings.update(settings or {})
        self.start()

    def kill(self) -> None:
        """SIGKILL the server and its children at once, as a machine that loses power does."""
        if self.pid is None:
            return
        pid = self.pid
        # Stopped, it cannot start children anew while we count them.
        os.kill(pid, signal.SIGSTOP)
        family = [pid, *_children(pid)]
        for member in reversed(family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        wait_until(lambda: not any(alive(member) for member in family), "the server to die")

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None when it does not run."""
        found = postmaster(self.data)
        return found[0] if found else None

    def dsn(
        self, database: str = "postgres", user: str = SUPERUSER, password: str | None = None
    ) -> str:
        """For connections by Unix socket, where everybody is trusted."""
        secret = f":{quote(password, safe='')}" if password is not None else ""
        place = urlencode({"host": self.socket, "port": self.port}, safe="/")
        return f"postgresql://{user}{secret}@/{database}?{place}"

    def tcp_dsn(
        self, database: str = "postgres", user: str = SUPERUSER, password: str = PASSWORD
    ) -> str:
        """For connections to 127.0.0.1, where the password counts."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def sql(
        self, text: str, database: str = "postgres", user: str = SUPERUSER
    ) -> list[tuple[Any, ...]]:
        """Run SQL on a connection of its own; several statements at once return no rows.

        Works inside a running event loop as well: the connection lives in another thread.
        """
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _fetch(self.dsn(database, user), text)).result()

    def create_database(self, name: str) -> str:
        """Create an empty database; returns its DSN."""
        self.sql(f'CREATE DATABASE "{name}"')
        return self.dsn(name)

    def log_text(self) -> str:
        """All that the server has logged so far."""
        return (self.directory / "log" / "server.log").read_text(errors="replace")

    def remove(self) -> None:
        """Stop it at once and delete its files."""
        self.kill()
        shutil.rmtree(self.directory)

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop("immediate")

    def _create(self) -> None:
        for name in ("data", "s", "log"):
            private_directory(self.directory / name, self.account)
        options = (
            f"--username={SUPERUSER} --encoding=UTF8 --locale=C --no-sync "
            "--auth-local=trust --auth-host=scram-sha-256"
        )
        initdb: list[str | Path] = [
            self.binaries.program("initdb"),
            *options.split(),
            "-D",
            self.data,
        ]
        run_program(initdb, self.account, timeout=60)
        with (self.data / "postgresql.conf").open("a") as file:
            file.write("\ninclude '../settings.conf'\n")

    def _configure(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket),
            **self.settings,
        }
        path = self.directory / "settings.conf"
        path.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        path.chmod(0o644)

    def _control(self, action: str, *options: str) -> None:
        command: list[str | Path] = [
            self.binaries.program("pg_ctl"),
            action,
            "-w",
            "-s",
            "-t",
            "60",
            *options,
        ]
        run_program([*command, "-D", self.data], self.account, timeout=90)


async def _fetch(dsn: str, text: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return [tuple(row) for row in await connection.fetch(text, timeout=60)]
    except asyncpg.PostgresSyntaxError as error:
        if "multiple commands" not in str(error):
            raise
        await connection.execute(text, timeout=60)
        return []
    finally:
        await connection.close(timeout=10)


def alive(pid: int) -> bool:
    """Whether the process exists and is not merely a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition: Any, what: str, seconds: float = 10.0) -> None:
    """Wait for ``condition()``; fails with what was waited for after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.01)


def _children(pid: int) -> list[int]:
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parent = int(status.read_text().rpartition(")")[2].split()[1])
            if parent == pid:
                children.append(int(status.parent.name))
    return children


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
