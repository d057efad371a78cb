"""A real PgBouncer between a test and its server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from monitor.canary.account import server_account
from tests.conftest import Database
from tests.servers import wait_until

_CONFIGURATION = """\
[databases]
* = host={host} port={server_port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_reset_query = DISCARD ALL
logfile = {log}
"""


def pgbouncer() -> Path:
    """The program; where there is none, the test is skipped, or under CI failed."""
    found = shutil.which(
        "pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if found is None:
        reason = "no pgbouncer: apt-get install pgbouncer"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return Path(found)


@dataclass(frozen=True)
class Pooler:
    """A running PgBouncer: ``dsn`` leads through it."""

    dsn: str
    _process: subprocess.Popen[bytes]
    _configuration: Path

    def change(self, mode: str) -> None:
        """Another mode, from the next connection on."""
        text = self._configuration.read_text()
        self._configuration.write_text(re.sub(r"pool_mode = \w+", f"pool_mode = {mode}", text))
        self._process.send_signal(signal.SIGHUP)


@contextmanager
def pooled(database: Database, mode: str, size: int = 10) -> Iterator[str]:
    """The DSN of the database through a pooler of this mode with so many server connections."""
    with pooler(database, mode, size) as running:
        yield running.dsn


@contextmanager
def pooler(database: Database, mode: str, size: int = 10) -> Iterator[Pooler]:
    """A pooler of this mode with so many server connections."""
    program, account = pgbouncer(), server_account()
    with tempfile.TemporaryDirectory(dir="/tmp") as name, socket.socket() as probe:
        directory = Path(name)
        directory.chmod(0o755)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        log = directory / "pgbouncer.log"
        log.touch()
        os.chown(log, account.uid, account.gid)
        configuration = directory / "pgbouncer.ini"
        server = database.server
        configuration.write_text(
            _CONFIGURATION.format(
                host=server.socket,
                server_port=server.port,
                port=port,
                mode=mode,
                size=size,
                log=log,
            )
        )
        with subprocess.Popen(
            [program, "-q", configuration],
            user=account.uid if account.foreign else None,
            group=account.gid if account.foreign else None,
            extra_groups=[] if account.foreign else None,
            cwd="/",
            stderr=subprocess.DEVNULL,
        ) as running:
            try:
                wait_until(lambda: _listens(port), "PgBouncer to listen")
                dsn = f"postgresql://postgres@127.0.0.1:{port}/{database.name}"
                yield Pooler(dsn, running, configuration)
            finally:
                running.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
