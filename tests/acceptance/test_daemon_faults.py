"""The fault matrix of the daemon: what befalls the canary's server."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.acceptance.alarms import Alarms
from tests.acceptance.befallen import DOWN, REFUSED, Befallen, Told
from tests.acceptance.fault_table import Fault
from tests.acceptance.process import Daemon
from tests.conftest import Database
from tests.faults import Disk, disk
from tests.servers import PASSWORD, SUPERUSER, Server, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def own_server(pg_bin: Path, server_root: Path) -> Iterator[Server]:
    """A server that a test may do anything to."""
    server = Server(pg_bin, server_root / "daemon-faults", {"max_connections": "20"}).start()
    server.sql("CREATE EXTENSION pg_stat_statements")
    yield server
    server.remove()


@pytest.fixture
def befallen(
    request: pytest.FixtureRequest,
    own_server: Server,
    data_dir: Path,
    fault: Fault,
    rules: Alarms | None,
) -> Befallen:
    made = Befallen(fault, request.node.name, own_server, data_dir)
    made.alarms = rules
    return made


def test_killed_in_mid_round(befallen: Befallen) -> None:
    def befall(daemon: Daemon) -> None:
        daemon.wait_for_metric("lock_held", 1)
        befallen.server.kill()

    befallen.survives(befall, lambda _: befallen.server.start(), DOWN)


def test_restarted(befallen: Befallen) -> None:
    befallen.survives(lambda _: befallen.server.restart(), lambda _: None, Told())


def test_failed_over_to_a_standby_that_is_promoted_later(befallen: Befallen) -> None:
    """At the same address there is a server in recovery: a real one, with nobody to follow."""
    server = befallen.server

    def demote(_: Daemon) -> None:
        server.stop()
        signal_file = server.data / "standby.signal"
        signal_file.touch()
        server.start()
        assert server.sql("SELECT pg_is_in_recovery()") == [(True,)]

    befallen.survives(demote, lambda _: server.sql("SELECT pg_promote()"), REFUSED)


def test_read_only_by_default(befallen: Befallen) -> None:
    sql = befallen.server.sql
    setting = "default_transaction_read_only"
    befallen.survives(
        lambda _: sql(f"ALTER DATABASE postgres SET {setting} = on"),
        lambda _: sql(f"BEGIN READ WRITE; ALTER DATABASE postgres RESET {setting}; COMMIT"),
        REFUSED,
    )


def test_password_changed(befallen: Befallen) -> None:
    sql = befallen.server.sql
    befallen.survives(
        lambda _: sql(f"ALTER ROLE {SUPERUSER} PASSWORD 'another'"),
        lambda _: sql(f"ALTER ROLE {SUPERUSER} PASSWORD '{PASSWORD}'"),
        Told("authentication", up=0, alerts=DOWN.alerts),
    )


class Crowd:
    """Takes every connection that there is, and whichever becomes free, until ``go``."""

    def __init__(self, server: Server) -> None:
        self._dsn, self._stop = server.dsn(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._come()))

    def come(self) -> None:
        self._thread.start()

    def go(self) -> None:
        self._stop.set()
        self._thread.join()

    async def _come(self) -> None:
        taken = []
        while not self._stop.is_set():
            try:
                taken.append(await asyncpg.connect(self._dsn, timeout=10))
            except asyncpg.TooManyConnectionsError:
                await asyncio.sleep(0.02)
        for each in taken:
            await each.close(timeout=10)


def test_max_connections_reached(befallen: Befallen) -> None:
    crowd = Crowd(befallen.server)
    befallen.survives(lambda _: crowd.come(), lambda _: crowd.go(), DOWN)


@contextmanager
def servers_disk(server: Server, size: int) -> Iterator[Disk]:
    """A disk on which the server's user may write."""
    with disk(server.directory / "disk", size) as found:
        shutil.chown(found.path, server.account.uid, server.account.gid)
        found.path.chmod(0o700)
        yield found


def test_disk_of_the_tables_full(befallen: Befallen) -> None:
    server = befallen.server
    with servers_disk(server, 32 << 20) as small:
        server.sql(f"CREATE TABLESPACE small LOCATION '{small.path}'")
        server.sql("CREATE DATABASE onsmall TABLESPACE small")
        befallen.database = Database("onsmall", server.dsn("onsmall"), server)
        befallen.database.sql("CREATE EXTENSION pg_stat_statements")
        befallen.dsn = server.tcp_dsn("onsmall", password=PASSWORD)
        befallen.survives(
            lambda _: small.fill(),
            lambda _: small.empty(),
            Told("server_error", up=1, alerts=REFUSED.alerts),
        )
        server.stop("immediate")


def test_disk_of_the_wal_full(befallen: Befallen) -> None:
    """The server panics, and cannot even recover until there is space."""
    server = befallen.server
    with servers_disk(server, 160 << 20) as small:
        server.stop()
        wal = small.path / "wal"
        shutil.move(server.data / "pg_wal", wal)
        for each in (wal, *wal.rglob("*")):
            shutil.chown(each, server.account.uid, server.account.gid)
        (server.data / "pg_wal").symlink_to(wal)
        server.settings |= {"max_wal_size": "64MB", "min_wal_size": "32MB"}
        server.start()

        def fill(_: Daemon) -> None:
            small.fill()
            wait_until(lambda: not _writes(server), "the server to have no space", 60)

        def free(_: Daemon) -> None:
            small.empty()
            server.stop("immediate")
            server.start()

        befallen.survives(fill, free, DOWN)
        server.stop("immediate")


def _writes(server: Server) -> bool:
    """Whether it could begin another file of the WAL."""
    try:
        server.sql("SELECT pg_logical_emit_message(false, 'fill', 'it'), pg_switch_wal()")
    except (asyncpg.PostgresError, OSError):
        return False
    return True
