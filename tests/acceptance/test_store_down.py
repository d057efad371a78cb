"""The daemon as a process whose store is down, hangs or turns it away; and what it then says."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monitor.store.database import Database, Location
from monitor.store.read import newest_runs
from monitor.store.records import RunRecord, record_of
from tests.acceptance.process import Daemon, call
from tests.conftest import Database as CanaryDatabase
from tests.faults import down
from tests.records import run
from tests.servers import Server
from tests.stores import opened

HOUR = 3600.0
#: Not in any message by chance; as a URL has to write it, and as it is.
SECRET = "pl4nted-s3cret%2Fstore"
PARTS = ("pl4nted", "s3cret")


@pytest.fixture
def store(database: CanaryDatabase) -> Iterator[CanaryDatabase]:
    """A second database, for a store on PostgreSQL."""
    name = f"{database.name}_store"
    yield CanaryDatabase(name, database.server.create_database(name), database.server)
    database.server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def settings(database: CanaryDatabase, url: str | None = None) -> dict[str, str]:
    of_store = {"INGEST_CANARY_STORE__URL": url} if url else {}
    return {
        "INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn,
        "INGEST_CANARY_INTERVAL": "1h",
        "INGEST_CANARY_STORE__TIMEOUT": "2s",
        **of_store,
    }


def stored(place: Location) -> list[RunRecord]:
    async def go() -> list[RunRecord]:
        database = Database(place)
        try:
            return await newest_runs(database, "main", 10)
        finally:
            await database.dispose()

    return asyncio.run(go())


def rates(daemon: Daemon) -> list[str]:
    lines = daemon.get("/metrics")[1].splitlines()
    return [line for line in lines if line.startswith("ingest_canary_rows_per_second{")]


@pytest.mark.slow
def test_a_run_that_waits_in_the_spool_is_known_after_a_kill(
    database: CanaryDatabase, store: CanaryDatabase, data_dir: Path
) -> None:
    extra, place = settings(database, store.dsn), Location(data_dir / "unused", store.dsn)
    with down(place, store):
        with Daemon(data_dir, extra=extra) as daemon:
            daemon.wait_for_metric("runs_total", 1, outcome="ok", target="main")
            daemon.wait_for_metric("store_spooled_samples", 1)
            shown = rates(daemon)
            daemon.process.kill()
            daemon.process.wait()
        # Still down: it starts, serves, and the ledger knows when the last run was.
        with Daemon(data_dir, extra=extra) as daemon:
            daemon.wait_for_metric("next_run_timestamp_seconds", 1, target="main")
            due = daemon.metric("next_run_timestamp_seconds", target="main") or 0
            assert due > datetime.now(UTC).timestamp() + HOUR / 2
            assert daemon.metric("runs_total", target="main") is None
            assert (daemon.metric("store_spooled_samples") or 0) > 0
            assert daemon.get("/-/ready")[0] == 200
            assert daemon.stop() == 0
            assert "Traceback" not in daemon.log
    with Daemon(data_dir, extra=extra) as daemon:
        daemon.wait_for_metric("next_run_timestamp_seconds", 1, target="main")
        (last,) = stored(place)
        assert rates(daemon) == shown
        assert daemon.metric("runs_total", target="main") is None
        due = daemon.metric("next_run_timestamp_seconds", target="main")
        assert due == pytest.approx(last.started_at.timestamp() + HOUR, abs=0.01)
        assert daemon.stop() == 0


@pytest.mark.slow
def test_time_goes_on_after_a_restart_though_the_clock_was_set_back(
    database: CanaryDatabase, data_dir: Path
) -> None:
    """The last run ended an hour from now: the next ones follow it."""
    ahead = datetime.now(UTC) + timedelta(hours=1)
    place = Location(data_dir / "store.sqlite")
    earlier = run(1, started_at=ahead, finished_at=ahead + timedelta(seconds=8))

    async def fill() -> None:
        async with opened(place) as own:
            await own.append(record_of(earlier))

    asyncio.run(fill())
    with Daemon(data_dir, extra=settings(database) | {"INGEST_CANARY_INTERVAL": "1s"}) as daemon:
        daemon.wait_for_metric("runs_total", 2, outcome="ok", target="main")
        daemon.wait_for_metric("store_samples_total", 1)
        assert daemon.stop() == 0
    runs = stored(place)
    assert runs[0].id == earlier.id
    ends = [each.finished_at for each in runs[:-1]]
    assert all(end <= each.started_at for end, each in zip(ends, runs[1:], strict=True))


@pytest.mark.slow
def test_a_store_that_hangs_stops_neither_start_nor_measuring_nor_the_end(
    pg_bin: Path, server_root: Path, database: CanaryDatabase, data_dir: Path
) -> None:
    own = Server(pg_bin, server_root / "hangs", preload=False).start()
    try:
        extra = settings(database, own.dsn()) | {"INGEST_CANARY_INTERVAL": "2s"}
        with Daemon(data_dir, extra=extra) as daemon:
            daemon.wait_for_metric("store_samples_total", 1)
            with stopped(own):
                runs = daemon.metric("runs_total", outcome="ok") or 0
                daemon.wait_for_metric("runs_total", runs + 2, outcome="ok")
                daemon.wait_for_metric("store_spooled_samples", 1)
                assert daemon.stop(signal.SIGTERM) == 0
                assert "Traceback" not in daemon.log
        with stopped(own), Daemon(data_dir, extra=extra) as daemon:
            daemon.wait_for_metric("runs_total", 1, outcome="ok")
            assert daemon.stop(signal.SIGTERM) == 0
            assert "Traceback" not in daemon.log
    finally:
        own.remove()


class stopped:  # noqa: N801
    """The server stands still, its connections open; at the end it goes on."""

    def __init__(self, server: Server) -> None:
        self._family = [server.pid, *_children_of(server.pid or 0)]

    def __enter__(self) -> None:
        for pid in self._family:
            os.kill(pid or 0, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        for pid in reversed(self._family):
            os.kill(pid or 0, signal.SIGCONT)


def _children_of(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(each) for each in text.split()]


# --- secrets -------------------------------------------------------------------------------------


def everything(data_dir: Path) -> bytes:
    """All that was written to the data directory, its names included."""
    files = [path for path in data_dir.rglob("*") if path.is_file()]
    return b"".join(str(path).encode() + path.read_bytes() for path in files)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["wrong password", "server stopped", "no such database"])
def test_the_stores_password_is_nowhere(
    server: Server, database: CanaryDatabase, data_dir: Path, what: str
) -> None:
    url = server.tcp_dsn(database.name).replace("a%20password%20for%20tests", SECRET)
    assert SECRET in url
    if what == "server stopped":
        url = url.replace(f":{server.port}/", ":1/")
    if what == "no such database":
        server.sql(f"CREATE ROLE planted LOGIN PASSWORD '{SECRET.replace('%2F', '/')}'")
        url = url.replace("postgres:", "planted:").replace(database.name, "nosuch")
    try:
        said = said_by_everything(database, data_dir, url)
    finally:
        server.sql("DROP ROLE IF EXISTS planted")
    for part in PARTS:
        assert part not in said
        assert part.encode() not in everything(data_dir)


def said_by_everything(database: CanaryDatabase, data_dir: Path, url: str) -> str:
    extra = settings(database, url) | {"INGEST_CANARY_LOG__LEVEL": "debug"}
    with Daemon(data_dir, "--debug", extra=extra) as daemon:
        daemon.wait_for_metric("store_spooled_samples", 1)
        said = daemon.get("/metrics")[1] + daemon.get("/")[1]
        assert daemon.stop() == 0
        said += daemon.log + daemon.output
    assert "runs wait in" in said
    commands = ("pause", "resume", "history", "store status", "store migrate", "config show")
    for command in (*commands, "measure --record --strategy asyncpg_copy"):
        done = call(data_dir, *command.split(), "--debug", extra=extra)
        said += done.stdout + done.stderr
    assert "store" in said
    return said
