"""What happens to a daemon and its canary now and then; each fault ends by itself."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.acceptance.process import Daemon
from tests.servers import PASSWORD, Server
from tests.slow_network import SlowNetwork


@dataclass(frozen=True)
class Scene:
    """What faults befall."""

    daemon: Daemon
    data_dir: Path
    server: Server
    network: SlowNetwork


def server_killed(scene: Scene, seconds: float) -> None:
    scene.server.kill()
    time.sleep(seconds)
    scene.server.start()


def server_restarted(scene: Scene, _seconds: float) -> None:
    scene.server.restart()


def network_gone(scene: Scene, seconds: float) -> None:
    """Packets vanish; connections are made and nothing comes back."""
    scene.network.delay(100_000)
    time.sleep(seconds)
    scene.network.delay(0)


def network_slow(scene: Scene, seconds: float) -> None:
    scene.network.delay(0.05)
    time.sleep(seconds)
    scene.network.delay(0)


def process_stopped(scene: Scene, seconds: float) -> None:
    os.kill(scene.daemon.process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(scene.daemon.process.pid, signal.SIGCONT)


def sessions_ended(scene: Scene, _seconds: float) -> None:
    """An administrator ends our sessions."""
    scene.server.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'ingest-canary'"
    )


def table_locked(scene: Scene, seconds: float) -> None:
    """Somebody holds one of our tables for longer than we wait for it."""
    scene.server.sql(
        "BEGIN; LOCK TABLE ingest_canary.orders IN ACCESS EXCLUSIVE MODE;"
        f" SELECT pg_catalog.pg_sleep({seconds}); COMMIT"
    )


def role_read_only(scene: Scene, seconds: float) -> None:
    """As after a failover to a standby that is not promoted."""
    scene.server.sql("ALTER DATABASE postgres SET default_transaction_read_only = on")
    time.sleep(seconds)
    scene.server.sql(
        "BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT"
    )


def password_changed(scene: Scene, seconds: float) -> None:
    """Changed on the server, and for that long not in our settings."""
    scene.server.sql("ALTER ROLE postgres PASSWORD 'another one'")
    time.sleep(seconds)
    scene.server.sql(f"ALTER ROLE postgres PASSWORD '{PASSWORD}'")


def store_locked(scene: Scene, seconds: float) -> None:
    """Another process keeps the store's file from being written, as a backup tool may."""
    with closing(sqlite3.connect(scene.data_dir / "store.sqlite", timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        other.rollback()


FAULTS: Mapping[str, Callable[[Scene, float], None]] = {
    "server killed": server_killed,
    "server restarted": server_restarted,
    "network gone": network_gone,
    "network slow": network_slow,
    "process stopped": process_stopped,
    "sessions ended": sessions_ended,
    "table locked": table_locked,
    "database read-only": role_read_only,
    "password changed": password_changed,
    "store locked": store_locked,
}
